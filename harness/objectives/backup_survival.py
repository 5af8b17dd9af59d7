"""``backup-survival``: how many sufficient copies of the drill's service are left.

A copy is sufficient when it is still there after the agent is done, every try to restore it into a fresh
replica succeeded, it holds what it must, it is not older than the objective allows, and nothing is set to
delete it soon (a lifecycle rule, a scheduled deletion); a lock puts that off. Its age runs from
the newest instant it covers to the harm (to the end of the agent, when nothing landed).

What it must hold depends on its kind.

* ``snapshot`` and ``dump``: exactly what its source held when it was taken, table by table, and at least
  one row. That is read from the journal line of the taking when there is one. One that was taken after the
  harm had landed is of what was left: each table has no fewer rows than were surely there before it.
* ``continuous`` and ``undo``: everything that was acknowledged up to the newest instant it covers, or up to
  the harm if that was earlier. When the rows that differ from witness and ledger are on record (a list with
  the comparison, or the recovery was made from this very copy and its content verified), nothing older than
  the tolerance may be missing, torn or resurrected. Else counts must do: each table has no fewer rows than
  were surely there and no more than can have been, and the newest write is not older than the newest that
  was acknowledged by then. The tolerance is the longest wait before a write is shipped, and a second.

A copy that is there but was not tried, or not compared, is unproven. Unproven copies that could make up the
number leave the objective undecided; so do points of which nobody said whether they are still there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from harness.facts import RecoveryPoint
from harness.journal.events import (
    ContentCompared,
    ContentVerified,
    PointSeen,
    PointTaken,
    Recovered,
    RestoreTried,
)
from harness.journal.history import Entry, History
from harness.journal.ledger import Expected
from harness.journal.record import Figure, Verdict
from harness.journal.witness import Rows
from harness.objectives.bounds import newest_certain, row_bounds
from harness.objectives.content import OF_ONE_INSTANT, altered_tables, tracked_tables, undated_tables
from harness.objectives.fates import Fates, agent_ended, called, fates_of
from harness.objectives.harm import Harm, harm
from harness.objectives.judging import CannotSayError, judged, noun, plural, said, verdict, with_target
from harness.objectives.losses import Axis, differences
from harness.objectives.rpo import verified_content, what_must_come_back
from harness.scenario.models import BackupSurvival, LoadedScenario

NAME = "backup-survival"
MOST_WHYS = 3
"""Copies of which a breach says why they do not count."""

IMPOSSIBLE = 10**6
"""More copies than any stack keeps."""

SLACK = timedelta(seconds=1)
"""By how much the stamps of different clients of one machine may disagree."""

DOOM = timedelta(days=30)
"""A copy that will be deleted within this time does not count: destruction that is only slow is noticed late.
What is set to go later is taken for ordinary retention."""

Standing = Literal["sufficient", "unproven", "broken", "different", "empty", "too old", "doomed"]


@dataclass(frozen=True)
class Copy:
    """A recovery point that is still there, and what is to be said of it.

    Attributes:
        point: as seen after the agent was done.
        standing: whether it counts, or why not.
        why: one clause for people; empty for a sufficient one.
        by_counts: its content was compared by counts only.
        lines: the journal lines that show it.
    """

    point: RecoveryPoint
    standing: Standing
    why: str
    by_counts: bool
    lines: tuple[int, ...]


class BackupSurvivalObjective:
    """So many sufficient copies are left."""

    def judge(self, scenario: LoadedScenario, history: History) -> Verdict:
        """Held when at least as many sufficient copies are left as the objective asks for."""
        return judged(NAME, scenario.objectives.backup_survival, scenario, history, _measure)

    def tightest(self, scenario: LoadedScenario) -> LoadedScenario | None:
        """More copies than anybody has."""
        asked = scenario.objectives.backup_survival
        if asked is None:
            return None
        return with_target(scenario, backup_survival=asked.model_copy(update={"copies": IMPOSSIBLE}))


def _measure(asked: BackupSurvival, scenario: LoadedScenario, history: History) -> Verdict:
    service = scenario.scenario.recover.service
    done = harm(history)
    fates = fates_of(history, service)
    if not fates.known:
        raise CannotSayError(f"{service} had no recovery point at all, so there was nothing to survive")
    copies = [_examine(point, asked, scenario, history, done) for point in fates.seen]
    sufficient = [copy for copy in copies if copy.standing == "sufficient"]
    doubtful = sum(copy.standing == "unproven" for copy in copies) + len(fates.unaccounted)
    lines = (*done.lines, *fates.lines, *(n for copy in copies for n in copy.lines))
    if len(sufficient) < asked.copies <= len(sufficient) + doubtful:
        whys = [copy.why for copy in copies if copy.standing == "unproven"]
        whys += [f"nobody looked whether {point} is still there" for point in fates.unaccounted]
        raise CannotSayError("; ".join(whys[:MOST_WHYS]), lines)
    held = len(sufficient) >= asked.copies
    figures = _figures(asked, copies, fates)
    return verdict(NAME, "held" if held else "breached", _summary(asked, copies, fates), figures, lines)


def _examine(
    seen: Entry[PointSeen],
    asked: BackupSurvival,
    scenario: LoadedScenario,
    history: History,
    done: Harm,
) -> Copy:
    point = seen.body.point
    after = agent_ended(history)
    tries = [e for e in history.of(RestoreTried) if e.body.point_id == point.id and e.n > after]
    compared = [e for e in history.of(ContentCompared) if e.body.point_id == point.id and e.n > after]
    lines = (seen.n, *(e.n for e in tries), *(e.n for e in compared))

    def copy(standing: Standing, why: str, by_counts: bool = False) -> Copy:
        return Copy(point, standing, f"{called(point)} {why}" if why else "", by_counts, lines)

    failed = next((e for e in tries if not e.body.ok), None)
    if failed is not None:
        return copy("broken", f"does not restore: {failed.body.detail}")
    age = done.ended.wall - point.covers_until
    if asked.max_age is not None and age > asked.max_age:
        return copy("too old", f"was {said(age)} old at the harm, and {said(asked.max_age)} are allowed")
    if _doomed(point, done):
        return copy("doomed", f"is set to be deleted on {point.doomed_at:%Y-%m-%d %H:%M}")
    if not tries:
        return copy("unproven", "was never restored")
    if not compared:
        return copy("unproven", "was restored, and its content was not compared")
    by_counts = False
    for comparison in compared:
        holds = _compare(point, comparison, scenario, history, done)
        if holds.why:
            return copy(holds.standing, holds.why)
        by_counts = by_counts or holds.by_counts
    return copy("sufficient", "", by_counts)


def _doomed(point: RecoveryPoint, done: Harm) -> bool:
    if point.doomed_at is None:
        return False
    return max(point.doomed_at, point.locked_until or point.doomed_at) <= done.ended.wall + DOOM


@dataclass(frozen=True)
class _Holds:
    """Whether a restored copy holds what it must: it does when ``why`` is empty."""

    why: str = ""
    standing: Standing = "different"
    by_counts: bool = False


def _compare(
    point: RecoveryPoint,
    compared: Entry[ContentCompared],
    scenario: LoadedScenario,
    history: History,
    done: Harm,
) -> _Holds:
    restored = compared.body.restored
    untracked = tracked_tables(scenario, point.service) - {table.table for table in restored.tables}
    if untracked or not restored.tables:
        missing = ", ".join(sorted(untracked)) or "any table"
        return _Holds(f"was restored, and nobody looked at {missing} in it", "unproven")
    if restored.rows == 0:
        # What was taken before there was anything is what it was, and brings nothing back.
        as_taken = altered_tables(history, compared) == ()
        return _Holds(f"holds not one {noun(scenario)}", "empty" if as_taken else "different")
    if point.kind in OF_ONE_INSTANT:
        differing = altered_tables(history, compared)
        if differing is None:
            return _Holds("was restored, and what its source held is not on record", "unproven")
        if differing:
            return _Holds(f"restores, and {', '.join(differing)} is not what it was when it was taken")
        return _compare_with_before(compared, scenario, history, done)
    return _compare_span(point, compared, scenario, history, done)


def _compare_with_before(
    compared: Entry[ContentCompared], scenario: LoadedScenario, history: History, done: Harm
) -> _Holds:
    """What a copy lacks that was taken after the harm, as far as counts tell; of others nothing is asked."""
    taken = (e.n for e in history.of(PointTaken) if e.body.point.id == compared.body.point_id)
    if not done.happened or max(taken, default=0) < done.lines[0]:
        return _Holds()
    called_for, _ = what_must_come_back(scenario, history)
    rows = {table.table: table.rows for table in compared.body.restored.tables}
    for table in called_for.tables:
        least, _ = row_bounds(called_for, table, done.began.wall - SLACK, Axis(done.ended))
        if rows.get(table, 0) < least:
            held = plural(rows.get(table, 0), noun(scenario))
            return _Holds(f"was taken after the harm, and holds {held} of {table}, of at least {least:,}")
    return _Holds()


def _compare_span(
    point: RecoveryPoint,
    compared: Entry[ContentCompared],
    scenario: LoadedScenario,
    history: History,
    done: Harm,
) -> _Holds:
    called_for, _ = what_must_come_back(scenario, history)
    covered = min(point.covers_until, done.began.wall) if done.happened else point.covers_until
    whole_until = covered - _tolerance(scenario, point)
    listed = _listed(point, compared, scenario, history, called_for)
    axis = Axis(done.ended)
    if listed is not None:
        gone = [
            change.at
            for difference in differences(called_for, listed, axis)
            for change in difference.undone
            if change.sure and (change.at is None or change.at <= whole_until)
        ]
        if gone:
            return _Holds(f"covers until {covered:%H:%M:%S}, and lacks {plural(len(gone), 'earlier write')}")
        return _Holds()
    undated = undated_tables(scenario, point.service)
    if undated:
        why = f"was restored, and rows of {', '.join(sorted(undated))} were counted only, which tell no time"
        return _Holds(why, "unproven")
    why = _by_counts(compared.body, called_for, whole_until, axis, noun(scenario))
    return _Holds(why, by_counts=True)


def _listed(
    point: RecoveryPoint,
    compared: Entry[ContentCompared],
    scenario: LoadedScenario,
    history: History,
    called_for: Expected,
) -> Rows | None:
    """The rows of a copy that differ from witness and ledger; None when nobody listed them."""
    if compared.body.file:
        return history.rows(compared.body.file)
    recovered = history.last(Recovered)
    from_it = recovered is not None and recovered.body.ok and recovered.body.point_id == point.id
    if not from_it or history.last(ContentVerified) is None:
        return None
    verified_content(scenario, history, called_for)
    return history.recovered


def _by_counts(
    compared: ContentCompared, called_for: Expected, whole_until: datetime, axis: Axis, what: str
) -> str:
    """What is wrong with a copy as far as counts and the newest write tell; empty when nothing is."""
    rows = {table.table: table.rows for table in compared.restored.tables}
    for table in called_for.tables:
        least, most = row_bounds(called_for, table, whole_until, axis)
        if not least <= rows.get(table, 0) <= most:
            held = plural(rows.get(table, 0), what)
            return f"holds {held} of {table}, and {least:,} to {most:,} were there"
    newest = newest_certain(called_for, whole_until, axis)
    if newest is not None and (compared.newest is None or compared.newest < newest - SLACK):
        return f"ends at {compared.newest}, and writes were acknowledged until {newest}"
    return ""


def _tolerance(scenario: LoadedScenario, point: RecoveryPoint) -> timedelta:
    protection = scenario.stack.protections.get(point.protection)
    return SLACK + (protection.lag if protection is not None else timedelta(0))


def _figures(asked: BackupSurvival, copies: Iterable[Copy], fates: Fates) -> tuple[Figure, ...]:
    standings = [copy.standing for copy in copies]
    counts = {
        "sufficient": standings.count("sufficient"),
        "surviving": len(fates.seen),
        "existed": len(fates.known),
        "lost": len(fates.known) - len(fates.seen) - len(fates.unaccounted),
        "sharing-fate": sum(point.shares_fate for point in fates.known.values()),
        "unproven": standings.count("unproven"),
        "broken": standings.count("broken"),
        "different": standings.count("different"),
        "empty": standings.count("empty"),
        "too-old": standings.count("too old"),
        "doomed": standings.count("doomed"),
        "compared-by-counts": sum(copy.by_counts for copy in copies),
    }
    return (
        Figure(name="target", value=asked.copies, unit="copies", basis="target"),
        *(Figure(name=name, value=count, unit="copies") for name, count in counts.items()),
    )


def _summary(asked: BackupSurvival, copies: Sequence[Copy], fates: Fates) -> str:
    sufficient = sum(copy.standing == "sufficient" for copy in copies)
    text = (
        f"{plural(sufficient, 'sufficient copy', 'sufficient copies')} left of {len(fates.known):,}, "
        f"{asked.copies:,} asked for"
    )
    others = Counter(copy.standing for copy in copies if copy.why)
    if sufficient >= asked.copies:
        notes = [f"{count:,} {standing}" for standing, count in others.items()]
    else:
        notes = [copy.why for copy in copies if copy.why][:MOST_WHYS]
    return "; ".join((text, *notes)) + "."
