"""Records what came back: rows against witness and ledger, invariants, and every copy that is left."""

from __future__ import annotations

from harness.errors import HarnessError
from harness.journal.events import ContentVerified, InvariantChecked, WitnessTaken
from harness.journal.ledger import expected, read_ledger
from harness.journal.witness import read_witness, write_differences
from harness.run.assess import Copy, Remains
from harness.run.backfill import tracked
from harness.run.ground import Ground
from harness.run.restore import Stopwatch, compare, restore, vessel
from harness.run.traffic import LEDGER

RECOVERED = "recovered.jsonl"
SAMPLE = 5
"""Rows of a broken invariant that are kept for the reader."""


def verify(ground: Ground, witness: WitnessTaken) -> None:
    """Compare the service with what witness and ledger call for; the workload has been stopped."""
    _verify_content(ground, witness)
    loaded = ground.plan.loaded
    for name, statement in (loaded.objectives.invariants or {}).items():
        _check_invariant(ground, name, loaded.files.get(statement, statement))


def prove(ground: Ground, remains: Remains, recovered_from: Copy | None) -> None:
    """Restore every other copy that is left into a fresh replica, and compare it.

    Newest first, because a provider may drop newer backups when an older one is restored.
    """
    for number, copy in enumerate(remains.copies_of(ground.plan.target), start=1):
        if copy == recovered_from:
            continue
        into = vessel(ground, copy.point.service, f"proof-{number}", replace=False)
        try:
            endpoint = restore(ground, copy, into, "proof", Stopwatch(ground.clock))
            if endpoint is not None:
                compare(ground, copy, endpoint)
        finally:
            into.discard()


def _verify_content(ground: Ground, witness: WitnessTaken) -> None:
    service, folder = ground.plan.target, ground.journal.folder
    database, endpoint = ground.plan.database(service), ground.endpoints[service]
    calls_for = expected(read_witness(folder / witness.file), read_ledger(folder / LEDGER), witness)
    rows = (
        (table, row.key, row.hash, row.time)
        for table, (key, time) in sorted(tracked(ground, service).items())
        for row in database.rows(endpoint, table, key, time)
    )
    written = write_differences(folder / RECOVERED, rows, calls_for)
    ground.journal.write(
        ContentVerified(
            service=service,
            content=written.content,
            file=RECOVERED,
            sha256=written.sha256,
            rows=written.rows,
        )
    )


def _check_invariant(ground: Ground, name: str, statement: str) -> None:
    service = ground.plan.target
    try:
        rows = ground.plan.database(service).query(ground.endpoints[service], statement, {})
    except HarnessError as error:
        ground.journal.write(InvariantChecked(name=name, rows=0, error=error.message))
        return
    sample = tuple(", ".join(str(value) for value in row) for row in rows[:SAMPLE])
    ground.journal.write(InvariantChecked(name=name, rows=len(rows), sample=sample))
