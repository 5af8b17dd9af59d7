"""Records what came back: rows against witness and ledger, invariants, and every copy that is left."""

from __future__ import annotations

from collections.abc import Sequence

from harness.errors import HarnessError
from harness.facts import Outcome
from harness.journal.events import InvariantChecked, WitnessTaken
from harness.run.assess import Remains
from harness.run.compare import compare_service
from harness.run.ground import Ground
from harness.run.recover import Recovery, just_before_harm
from harness.run.restore import Stopwatch, restore, vessel

SAMPLE = 5
"""Rows of a broken invariant that are kept for the reader."""


def verify(ground: Ground, witness: WitnessTaken) -> None:
    """Compare the service with what witness and ledger call for; the workload has been stopped."""
    compare_service(ground, witness)
    loaded = ground.plan.loaded
    for name, statement in (loaded.objectives.invariants or {}).items():
        _check_invariant(ground, name, loaded.files.get(statement, statement))


def prove(
    ground: Ground, remains: Remains, recovery: Recovery, outcomes: Sequence[Outcome], witness: WitnessTaken
) -> None:
    """Restore every copy that is left, but the one that the service came back from, and compare it.

    Newest first, because a provider may drop newer backups when an older one is restored.
    """
    until = just_before_harm(ground.plan.target, outcomes)
    for number, copy in enumerate(remains.copies_of(ground.plan.target), start=1):
        if copy == recovery.copy:
            continue
        into = vessel(ground, copy.point.service, f"proof-{number}", replace=False)
        try:
            restore(ground, copy, into, "proof", Stopwatch(ground.clock), until, witness)
        finally:
            into.discard()


def as_one_query(statement: str) -> str:
    """Have the server refuse whatever is not exactly one query: of several, only one would be looked at.

    The line break ends a comment that the statement may end with.
    """
    query = statement.strip().removesuffix(";")
    return f"SELECT * FROM (\n{query}\n) AS invariant"  # noqa: S608 - the scenario's own statement


def _check_invariant(ground: Ground, name: str, statement: str) -> None:
    service = ground.plan.target
    try:
        rows = ground.plan.database(service).query(ground.endpoints[service], as_one_query(statement), {})
    except HarnessError as error:
        ground.journal.write(InvariantChecked(name=name, rows=0, error=error.message))
        return
    sample = tuple(", ".join(str(value) for value in row) for row in rows[:SAMPLE])
    ground.journal.write(InvariantChecked(name=name, rows=len(rows), sample=sample))
