"""``rpo``: how much acknowledged work is gone, as a span of time.

RPO = the end of the harm, less the time of the newest acknowledged write before which nothing is missing
after the recovery. The harm is the first destructive call that ended when everything missing had been
acknowledged, or else the last that landed: the first of several need not be the one that cost anything.
Nothing missing is 0 s. Without a history every copy holds what the service began with, whatever its date:
then a copy of one instant costs the time from that instant to the harm, or more if older work is missing.
What is missing is every acknowledged change that is not there: rows gone, rows older than acknowledged, torn
rows, and deletions undone. Writes that a dying server acknowledged after the harm are counted apart. When not
even the oldest known write is whole, or when the service never came back, there is nothing to count from: the
objective is breached, whatever it allows, and the figure is the span back to the oldest known write.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from harness.clock import Stamp
from harness.journal.events import (
    AgentStarted,
    ContentVerified,
    InventoryTaken,
    PointTaken,
    Recovered,
    RecoveryStarted,
    WitnessTaken,
    WorkloadStopped,
)
from harness.journal.history import Entry, History
from harness.journal.ledger import Expected, expected
from harness.journal.record import Figure, Verdict
from harness.journal.witness import Row
from harness.objectives.content import tracked_tables
from harness.objectives.harm import Harm, harm
from harness.objectives.judging import (
    CannotSayError,
    judged,
    noun,
    plural,
    rows,
    said,
    seconds,
    target_seconds,
    verdict,
    with_target,
    within,
)
from harness.objectives.losses import Axis, Losses, acknowledged, differences, fingerprint, losses
from harness.scenario.models import LoadedScenario

NAME = "rpo"
OF_ONE_INSTANT = ("snapshot", "dump")
MOST_NAMED = 3
"""Tables that nobody looked into and that the summary names."""


class RpoObjective:
    """At most so much acknowledged work may be lost."""

    def judge(self, scenario: LoadedScenario, history: History) -> Verdict:
        """Held when the span of lost work is not longer than the target."""
        return judged(NAME, scenario.objectives.rpo, scenario, history, _measure)

    def tightest(self, scenario: LoadedScenario) -> LoadedScenario | None:
        """No loss at all is allowed."""
        return with_target(scenario, rpo=timedelta(0))


def _measure(target: timedelta, scenario: LoadedScenario, history: History) -> Verdict:
    called_for, lines = what_must_come_back(scenario, history)
    done = harm(history)
    recovered = _recovered(scenario, history)
    if recovered is not None and not recovered.body.ok:
        evidence = (*lines, *done.lines, recovered.n)
        return _never_came_back(target, called_for, done, noun(scenario), evidence)
    verified = verified_content(scenario, history, called_for)
    at = done.cost(_newest_missing(called_for, history, done))
    lost = losses(called_for, history.recovered, at)
    evidence = (*lines, *done.lines, verified.n, *((recovered.n,) if recovered else ()))
    found = _verdict(target, lost, called_for, at, noun(scenario), evidence)
    dated = _dated(scenario, history, recovered)
    if dated is not None:
        missing = _missing(called_for, history, Axis(at))
        oldest = None if None in missing else min(filter(None, missing), default=None)
        found = _by_date(found, dated, oldest, lost, _Asked(target, at, noun(scenario)))
    return found.model_copy(update={"summary": found.summary + _untracked(scenario, history)})


def what_must_come_back(scenario: LoadedScenario, history: History) -> tuple[Expected, tuple[int, ...]]:
    """What witness and ledger call for, and the journal lines that vouch for them.

    Raises:
        CannotSayError: one of them is missing, late, of another service, or empty.
    """
    taken, stopped = history.last(WitnessTaken), history.last(WorkloadStopped)
    started, target = history.first(AgentStarted), scenario.scenario.recover.service
    if taken is None:
        raise CannotSayError("no witness was taken")
    if stopped is None:
        raise CannotSayError("the workload was never stopped, so that its ledger is not complete")
    if taken.body.service != target:
        raise CannotSayError(f"the witness is of {taken.body.service}, not of {target}", (taken.n,))
    if started is not None and taken.n > started.n:
        raise CannotSayError("the witness was taken after the agent had begun", (started.n, taken.n))
    called_for = expected(history.witness, history.ledger, taken.body)
    if called_for.empty:
        raise CannotSayError("there was nothing to lose: witness and ledger are empty", (taken.n, stopped.n))
    return called_for, (taken.n, stopped.n)


def verified_content(
    scenario: LoadedScenario, history: History, called_for: Expected
) -> Entry[ContentVerified]:
    """The event that vouches for what came back, when its list of differences can be believed.

    Raises:
        CannotSayError: there is none, it came too early, or list and content contradict each other.
    """
    verified, target = history.last(ContentVerified), scenario.scenario.recover.service
    if verified is None:
        raise CannotSayError("what came back was never compared with what was there")
    if verified.body.service != target:
        raise CannotSayError(f"{verified.body.service} was compared, not {target}", (verified.n,))
    for kind in (WorkloadStopped, Recovered, RecoveryStarted):
        earlier = history.last(kind)
        if earlier is not None and earlier.n > verified.n:
            raise CannotSayError(
                "the service was still changing when it was compared", (verified.n, earlier.n)
            )
    listed = sum(len(differing) for differing in history.recovered.values())
    counted = [table for table in verified.body.content.tables if table.rows]
    told = fingerprint(called_for, history.recovered)
    if listed != verified.body.rows or tuple(counted) != told.tables:
        raise CannotSayError(
            "the list of differing rows does not agree with the content that was counted", (verified.n,)
        )
    return verified


def _recovered(scenario: LoadedScenario, history: History) -> Entry[Recovered] | None:
    """How the recovery ended; None when none was needed.

    Raises:
        CannotSayError: it did not begin, or did not end.
    """
    started, ended = history.last(RecoveryStarted), history.last(Recovered)
    target = scenario.scenario.recover.service
    if started is None or started.body.service != target:
        raise CannotSayError(f"the recovery of {target} never began")
    if started.body.needed and (ended is None or ended.body.service != target):
        raise CannotSayError(f"the recovery of {target} never ended", (started.n,))
    return ended


def _never_came_back(
    target: timedelta, called_for: Expected, done: Harm, what: str, evidence: tuple[int, ...]
) -> Verdict:
    nothing = {table: {key: Row(None, None) for key in called_for.keys(table)} for table in called_for.tables}
    at = done.ends[-1]
    lost = losses(called_for, nothing, at)
    span = _span(called_for, at)
    all_lost = f"{plural(lost.lost, what)} lost{_aside(lost)}"
    summary = f"The service never came back: {said(span)} of work is gone, {all_lost}."
    return verdict(NAME, "breached", summary, _figures(span, target, lost), evidence)


def _verdict(
    target: timedelta,
    lost: Losses,
    called_for: Expected,
    at: Stamp,
    what: str,
    evidence: tuple[int, ...],
) -> Verdict:
    if lost.none:
        summary = f"Nothing that was acknowledged before the harm is missing{_aside(lost)}."
        return verdict(NAME, "held", summary, _figures(0.0, target, lost), evidence)
    if lost.newest_whole is None:
        span = _span(called_for, at)
        summary = (
            f"{_counts(lost, what)}; not even the oldest known write, {said(span)} before the harm, is whole."
        )
        return verdict(NAME, "breached", summary, _figures(span, target, lost), evidence)
    measured = max(0.0, (at.wall - lost.newest_whole).total_seconds())
    value = within(measured, target)
    limit = f"{'within' if value == 'held' else 'more than'} the {said(target)} allowed"
    summary = f"{said(measured)} of acknowledged work is gone, {limit}: {_counts(lost, what)}."
    return verdict(NAME, value, summary, _figures(measured, target, lost), evidence)


def _dated(scenario: LoadedScenario, history: History, recovered: Entry[Recovered] | None) -> datetime | None:
    """The date of the copy that came back, where its content does not go by it; else None."""
    if scenario.scenario.history is not None or recovered is None:
        return None
    used = (e.body.point for e in history.of(PointTaken) if e.body.point.id == recovered.body.point_id)
    point = next(used, None)
    return point.covers_until if point is not None and point.kind in OF_ONE_INSTANT else None


def _by_date(
    found: Verdict, dated: datetime, oldest: datetime | None, lost: Losses, asked: _Asked
) -> Verdict:
    """A verdict that goes by the date of a copy: what such a copy cannot hold counts, though this one does.

    Args:
        found: what is missing, as it was seen.
        dated: the copy's date.
        oldest: when the oldest change that is missing was acknowledged; None when nothing is, or one tells no
            time.
        lost: what is missing.
        asked: the target, the harm, and what a row is called.
    """
    figure, age = found.figure(NAME), (asked.at.wall - dated).total_seconds()
    only_newer = lost.none or (oldest is not None and oldest >= dated)
    if figure is None or (age <= figure.value and not only_newer):
        return found
    value = within(age, asked.target)
    limit = f"{'within' if value == 'held' else 'more than'} the {said(asked.target)} allowed"
    summary = (
        f"{said(age)} of work counts as gone, {limit}: the copy that came back is that old, and there is no"
        f" history, so that every copy holds what the service began with. Seen to be gone:"
        f" {_counts(lost, asked.what)}."
    )
    return verdict(NAME, value, summary, _figures(age, asked.target, lost), found.evidence)


@dataclass(frozen=True)
class _Asked:
    target: timedelta
    at: Stamp
    what: str


def _missing(called_for: Expected, history: History, axis: Axis) -> list[datetime | None]:
    """When each change that is missing was acknowledged."""
    found = differences(called_for, history.recovered, axis)
    return [change.at for difference in found for change in difference.undone]


def _newest_missing(called_for: Expected, history: History, done: Harm) -> datetime | None:
    """When the newest change that is missing was acknowledged; only of interest when several calls landed."""
    if len(done.ends) == 1:
        return None
    return max(filter(None, _missing(called_for, history, Axis(done.ended))), default=None)


def _span(called_for: Expected, harm: Stamp) -> float:
    """Seconds from the oldest known write to the harm."""
    times = [at for at in acknowledged(called_for, Axis(harm)) if at is not None]
    return max(0.0, (harm.wall - min(times, default=harm.wall)).total_seconds())


def _untracked(scenario: LoadedScenario, history: History) -> str:
    """The tables of the service that nobody looked into, as a sentence; empty when there is none."""
    service = scenario.scenario.recover.service
    known = tracked_tables(scenario, service)
    tracked = {*known, *(f"public.{table}" for table in known)}
    there = {
        resource.name
        for entry in history.of(InventoryTaken)
        if entry.body.service == service and entry.body.moment == "before"
        for resource in entry.body.resources
        if resource.kind == "table"
    }
    names = sorted(there - tracked)
    if not names:
        return ""
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return f" Not tracked, so not looked into: {', '.join(names[:MOST_NAMED])}{more}."


def _counts(lost: Losses, what: str) -> str:
    parts = [f"{plural(lost.lost, what)} lost"]
    parts += [f"{n:,} {what}" for n, what in ((lost.torn, "torn"), (lost.resurrected, "resurrected")) if n]
    return ", ".join(parts) + _aside(lost)


def _aside(lost: Losses) -> str:
    asides = [
        f"{n:,} {what}"
        for n, what in (
            (lost.phantom, "phantom"),
            (lost.after_harm, "acknowledged after the harm and gone"),
            (lost.indeterminate, "indeterminate"),
        )
        if n
    ]
    return f" (and {', '.join(asides)})" if asides else ""


def _figures(measured: float, target: timedelta, lost: Losses) -> tuple[Figure, ...]:
    return (
        seconds("rpo", measured),
        target_seconds(target),
        rows("known", lost.known),
        rows("lost", lost.lost),
        rows("missing", lost.missing),
        rows("stale", lost.stale),
        rows("torn", lost.torn),
        rows("phantom", lost.phantom),
        rows("resurrected", lost.resurrected),
        rows("indeterminate", lost.indeterminate),
        rows("acked-after-harm", lost.after_harm),
        Figure(name="undone-writes", value=lost.undone, unit="count"),
    )
