"""Rebuilds rows from the records that a third party kept, and counts what came back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from harness.backups.object_store import ObjectStore
from harness.errors import BackupError, RestoreError, StatementError
from harness.facts import Endpoint
from harness.journal.events import RebuiltTable, Reconstructed
from harness.run.backfill import tracked
from harness.run.faults import blaming
from harness.run.ground import Fields, Ground
from harness.run.restore import Stopwatch
from harness.scenario.models import Reconstruction

READERS = 8
"""Objects that are read at once; a third party's records are many small ones."""
LOAD = """
CREATE TEMPORARY TABLE ninelives_events ON COMMIT DROP AS
SELECT line::jsonb AS body FROM jsonb_array_elements_text((:records)::jsonb) AS line;
"""
"""Each record by itself: two broken ones must not make a whole one."""
FIELDS = """
SELECT t."{key}"::text,
       array(SELECT hashtext(coalesce(value, '')) FROM jsonb_each_text(to_jsonb(t) - '{key}') ORDER BY key)
FROM public."{table}" AS t
"""


def read_fields(ground: Ground, endpoint: Endpoint) -> dict[str, Fields]:
    """Hashes of every field of every tracked row, by table and key; kept in memory, never written."""
    service = ground.plan.target
    database = ground.plan.database(service)
    return {
        table: {
            str(row_key): hashes  # type: ignore[misc]  # what the driver returns for text and integer[]
            for row_key, hashes in database.query(endpoint, FIELDS.format(table=table, key=key), {})
        }
        for table, (key, _) in tracked(ground, service).items()
    }


def reconstruct(ground: Ground, endpoint: Endpoint, recipe: Reconstruction, watch: Stopwatch) -> str:
    """Run the scenario's script over the records and record what share of rows and fields came back.

    Returns:
        Why the records are of no use; empty when the script went through.

    Raises:
        ScenarioFileError: the database refuses the script whatever the records are.
    """
    watch("replay")
    began = ground.clock.stamp()
    try:
        records = read_records(ground.store(recipe.from_), recipe.prefix)
    except UnicodeDecodeError:
        return f"the records in {recipe.from_} are no text in UTF-8"
    except (BackupError, RestoreError) as error:
        return f"the records in {recipe.from_} cannot be read: {error.message}"
    before = read_fields(ground, endpoint)
    try:
        _replay(ground, endpoint, recipe, records)
    except StatementError as error:
        # The records may have been tampered with. What is refused without any is a mistake of the script.
        with blaming(
            ground.plan.loaded.folder / recipe.script,
            "the script of the reconstruction",
            first_line=1 - LOAD.count("\n"),
        ):
            _replay(ground, endpoint, recipe, [])
        return f"nothing can be rebuilt from the records in {recipe.from_}: {error.reason}"
    seconds = ground.clock.stamp().since(began)
    after = read_fields(ground, endpoint)
    ground.journal.write(
        Reconstructed(
            records=len(records),
            seconds=seconds,
            tables=tuple(
                count(table, ground.fields[table], before[table], after[table])
                for table in sorted(ground.fields)
            ),
        )
    )
    return ""


def _replay(ground: Ground, endpoint: Endpoint, recipe: Reconstruction, records: Sequence[str]) -> None:
    script = ground.plan.loaded.files[recipe.script]
    ground.plan.database(ground.plan.target).execute(
        endpoint, LOAD + script, {"records": json.dumps(records)}
    )


def read_records(store: ObjectStore, prefix: str) -> list[str]:
    """Every line of every object below a prefix; objects that were overwritten count once.

    Raises:
        BackupError, RestoreError: they cannot be listed or read.
        UnicodeDecodeError: one is no text in UTF-8.
    """
    newest = {version.key: version for version in reversed(store.versions(prefix))}
    with ThreadPoolExecutor(READERS, thread_name_prefix="records") as pool:
        bodies = pool.map(store.read, newest.values())
        # Not `splitlines`: JSON may hold what Unicode calls the end of a line.
        return [line for body in bodies for line in body.decode().split("\n") if line.strip()]


def count(table: str, true: Fields, before: Fields, after: Fields) -> RebuiltTable:
    """Count what a reconstruction brought back of the rows that the restored copy lacked.

    Args:
        table: its name.
        true: the rows just before the harm.
        before: the rows of the restored copy.
        after: the rows when the script was through.
    """
    lost = true.keys() - before.keys()
    rebuilt = lost & after.keys()
    return RebuiltTable(
        table=table,
        lost=len(lost),
        rebuilt=len(rebuilt),
        fields=sum(len(true[key]) for key in lost),
        fields_equal=sum(a == b for key in rebuilt for a, b in zip(true[key], after[key], strict=True)),
    )
