"""What is known of the content of copies: what was looked into, and whether it is what it was."""

from __future__ import annotations

from harness.facts import Fingerprint
from harness.journal.events import ContentCompared, PointSeen, PointTaken
from harness.journal.history import Entry, History
from harness.scenario.models import LoadedScenario, tracked_of

OF_ONE_INSTANT = ("snapshot", "dump")
"""Kinds of points that hold what there was at one instant; the others go on to hold what came later."""


def altered_tables(history: History, compared: Entry[ContentCompared]) -> tuple[str, ...] | None:
    """Tables that are not what they were when the copy was taken.

    Returns:
        Their names, sorted. None when that cannot be told: the copy was not taken at one instant, or nobody
        read its source then.
    """
    id = compared.body.point_id
    kinds = [entry.body.point.kind for entry in history.of(PointSeen) if entry.body.point.id == id]
    contents = [entry.body.content for entry in history.of(PointTaken) if entry.body.point.id == id]
    taken = next((content for content in contents if content is not None), compared.body.taken)
    if taken is None or not set(kinds) <= set(OF_ONE_INSTANT):
        return None
    return _differing(taken, compared.body.restored)


def tracked_tables(scenario: LoadedScenario, service: str) -> frozenset[str]:
    """The tables of a service that the scenario wants looked into."""
    return frozenset(tracked_of(scenario.stack.services.get(service)))


def undated_tables(scenario: LoadedScenario, service: str) -> frozenset[str]:
    """Those of which no column tells when a row was last written."""
    tracked = tracked_of(scenario.stack.services.get(service))
    return frozenset(table for table, (_, time) in tracked.items() if time is None)


def _differing(taken: Fingerprint, restored: Fingerprint) -> tuple[str, ...]:
    then = {table.table: (table.rows, table.digest) for table in taken.tables}
    now = {table.table: (table.rows, table.digest) for table in restored.tables}
    return tuple(sorted(table for table in {*then, *now} if then.get(table) != now.get(table)))
