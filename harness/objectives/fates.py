"""What became of each recovery point of a service, by the end of the agent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.facts import RecoveryPoint
from harness.journal.events import AgentEnded, PointMissing, PointSeen, PointTaken
from harness.journal.history import Entry, History


@dataclass(frozen=True)
class Fates:
    """What became of each recovery point of one service.

    Attributes:
        known: every one that existed, by id.
        seen: those that are still there.
        unaccounted: ids of which nobody said whether they are.
        lines: the journal lines that say so.
    """

    known: Mapping[str, RecoveryPoint]
    seen: tuple[Entry[PointSeen], ...]
    unaccounted: tuple[str, ...]
    lines: tuple[int, ...]


def fates_of(history: History, service: str) -> Fates:
    """The fates of the recovery points of a service."""
    taken = {e.body.point.id: e for e in history.of(PointTaken) if e.body.point.service == service}
    seen = {
        e.body.point.id: e
        for e in history.of(PointSeen)
        if e.body.point.service == service and e.n > agent_ended(history)
    }
    missing = {e.body.point_id: e for e in history.of(PointMissing) if e.body.point_id in taken}
    return Fates(
        known={e.body.point.id: e.body.point for e in taken.values()}
        | {e.body.point.id: e.body.point for e in seen.values()},
        seen=tuple(seen.values()),
        unaccounted=tuple(sorted(taken.keys() - seen.keys() - missing.keys())),
        lines=tuple(e.n for e in (*taken.values(), *seen.values(), *missing.values())),
    )


def agent_ended(history: History) -> int:
    """The line on which the agent ended; 0 when it did not."""
    ended = history.last(AgentEnded)
    return ended.n if ended else 0


def called(point: RecoveryPoint) -> str:
    """A copy's name for people; its id is for programs."""
    return f"{point.protection} of {point.taken:%Y-%m-%d %H:%M}"
