"""Rebuilds rows from the records that a third party kept, and counts what came back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from harness.backups.object_store import ObjectStore
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
SELECT body FROM jsonb_array_elements((:records)::jsonb) AS body;
"""
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


def reconstruct(ground: Ground, endpoint: Endpoint, recipe: Reconstruction, watch: Stopwatch) -> None:
    """Run the scenario's script over the records and record what share of rows and fields came back.

    Raises:
        ScenarioFileError: the database refuses the script.
    """
    watch("replay")
    began = ground.clock.stamp()
    records = read_records(ground.store(recipe.from_), recipe.prefix)
    before = read_fields(ground, endpoint)
    script = ground.plan.loaded.files[recipe.script]
    place = ground.plan.loaded.folder / recipe.script
    with blaming(place, "the script of the reconstruction", first_line=1 - LOAD.count("\n")):
        ground.plan.database(ground.plan.target).execute(
            endpoint, LOAD + script, {"records": "[" + ",".join(records) + "]"}
        )
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


def read_records(store: ObjectStore, prefix: str) -> list[str]:
    """Every line of every object below a prefix; objects that were overwritten count once."""
    newest = {version.key: version for version in reversed(store.versions(prefix))}
    with ThreadPoolExecutor(READERS, thread_name_prefix="records") as pool:
        bodies = pool.map(store.read, newest.values())
        return [line for body in bodies for line in body.decode().splitlines() if line]


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
