"""``rto``: from the harm to the first verified answer of the recovered service at its own endpoint.

RTO = detect + decide + the time measured from the start of the recovery to that answer. Detect and decide
are people's: a part that the scenario declares is assumed, and marked so. When it declares neither, the time
measured from the beginning of the first destructive call that landed to the start of the recovery stands for
both; when it declares one, that measured time stands for the other. A service that was never damaged is
recovered in 0 s; one that never came back breaches, and so does one that came back from a copy which does not
hold what it was taken of, or with not one row as it was acknowledged: no answer of it is a verified one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta

from harness.journal.events import (
    AgentEnded,
    ContentCompared,
    Part,
    Recovered,
    RecoveryStarted,
    ServiceSeen,
)
from harness.journal.history import Entry, History
from harness.journal.record import Figure, Verdict
from harness.objectives.content import altered_tables
from harness.objectives.harm import harm
from harness.objectives.judging import (
    CannotSayError,
    judged,
    noun,
    said,
    seconds,
    target_seconds,
    verdict,
    with_target,
    within,
)
from harness.scenario.models import LoadedScenario

NAME = "rto"
PEOPLE: tuple[Part, ...] = ("detect", "decide")
ROUNDING = 0.001
"""Seconds that are not worth a line of their own."""


class RtoObjective:
    """The service must serve again within this time."""

    def judge(self, scenario: LoadedScenario, history: History) -> Verdict:
        """Held when the recovery, people's part included, took no longer than the target."""
        return judged(NAME, scenario.objectives.rto, scenario, history, _measure)

    def tightest(self, scenario: LoadedScenario) -> LoadedScenario | None:
        """No time at all is allowed."""
        return with_target(scenario, rto=timedelta(0))


def _measure(target: timedelta, scenario: LoadedScenario, history: History) -> Verdict:
    started = _started(scenario, history)
    if not started.body.needed:
        return _not_needed(target, scenario, history, started)
    recovered = _recovered(history, started)
    done = harm(history)
    evidence = (*done.lines, started.n, recovered.n)
    if not recovered.body.ok:
        summary = f"The service never came back: {recovered.body.detail or 'the recovery failed'}."
        return verdict(NAME, "breached", summary, (target_seconds(target),), evidence)
    if _nothing_is_right(history):
        summary = f"What came back was never right: not one {noun(scenario)} is as it was acknowledged."
        return verdict(NAME, "breached", summary, (target_seconds(target),), evidence)
    altered = _altered(history, recovered)
    if altered:
        summary = f"What came back was never right: {', '.join(altered)} is not what was backed up."
        return verdict(NAME, "breached", summary, (target_seconds(target),), evidence)
    people = _people(started, started.at.since(done.began))
    machine = recovered.body.at.since(started.at)
    parts = _parts(recovered, machine)
    total = sum(figure.value for figure in people) + machine
    value = within(total, target)
    summary = (
        f"Back after {said(total)}, {'within' if value == 'held' else 'more than'} the {said(target)} "
        f"allowed: {said(machine)} of it measured in the recovery"
        + "".join(f", {said(figure.value)} {figure.basis} to {figure.name}" for figure in people)
        + "."
    )
    return verdict(
        NAME, value, summary, (seconds("rto", total), target_seconds(target), *people, *parts), evidence
    )


def _started(scenario: LoadedScenario, history: History) -> Entry[RecoveryStarted]:
    started, target = history.last(RecoveryStarted), scenario.scenario.recover.service
    if started is None or started.body.service != target:
        raise CannotSayError(f"the recovery of {target} never began")
    declared = {
        part: time.total_seconds() for part, time in scenario.scenario.recover.assume if time is not None
    }
    if dict(started.body.assumed) != declared:
        raise CannotSayError("the record assumes other times than the scenario declares", (started.n,))
    return started


def _not_needed(
    target: timedelta, scenario: LoadedScenario, history: History, started: Entry[RecoveryStarted]
) -> Verdict:
    service = scenario.scenario.recover.service
    ended = history.last(AgentEnded)
    seen = [
        entry
        for entry in history.of(ServiceSeen)
        if entry.body.service == service and (ended is None or entry.n > ended.n)
    ]
    if not seen:
        raise CannotSayError(f"nobody looked at {service} after the agent was done", (started.n,))
    if any(entry.body.damaged or not entry.body.alive for entry in seen):
        raise CannotSayError(
            f"{service} is damaged, and was not recovered", (*(e.n for e in seen), started.n)
        )
    figures = (seconds("rto", 0.0), target_seconds(target))
    lines = (*(entry.n for entry in seen), started.n)
    return verdict(
        NAME, "held", "The service was never damaged; nothing had to be recovered.", figures, lines
    )


def _recovered(history: History, started: Entry[RecoveryStarted]) -> Entry[Recovered]:
    recovered = history.last(Recovered)
    if recovered is None or recovered.n < started.n or recovered.body.service != started.body.service:
        raise CannotSayError(f"the recovery of {started.body.service} never ended", (started.n,))
    if not started.at.mono <= recovered.body.at.mono <= recovered.at.mono:
        raise CannotSayError(
            "the first answer is not stamped between the start of the recovery and its record",
            (started.n, recovered.n),
        )
    return recovered


def _nothing_is_right(history: History) -> bool:
    """Whether rows were to come back, and not one that the witness saw is there as it should be."""
    deleted = {
        (write.table, write.key)
        for call in history.ledger.calls
        for write in call.writes
        if write.op == "delete"
    }

    def wanted() -> Iterator[tuple[str, str]]:
        return (
            (table, key)
            for table, rows in history.witness.items()
            for key in rows
            if (table, key) not in deleted
        )

    right = any(key not in history.recovered.get(table, {}) for table, key in wanted())
    return not right and next(wanted(), None) is not None


def _altered(history: History, recovered: Entry[Recovered]) -> tuple[str, ...]:
    """Tables that did not come back as they were when the copy was taken."""
    compared = [e for e in history.of(ContentCompared) if e.body.point_id == recovered.body.point_id]
    return next((tables for tables in (altered_tables(history, e) for e in compared) if tables), ())


def _people(started: Entry[RecoveryStarted], waited: float) -> tuple[Figure, ...]:
    """Detect and decide: what is declared is assumed, what is not was waited for.

    Args:
        started: the start of the recovery, with what the scenario declares.
        waited: seconds from the harm to that start.
    """
    assumed = tuple(
        Figure(name=part, value=started.body.assumed[part], unit="s", basis="assumed")
        for part in PEOPLE
        if part in started.body.assumed
    )
    open_parts = [part for part in PEOPLE if part not in started.body.assumed]
    return (*assumed, seconds(" and ".join(open_parts), waited)) if open_parts else assumed


def _parts(recovered: Entry[Recovered], machine: float) -> tuple[Figure, ...]:
    """The measured parts in their order, and what no part accounts for: tries that failed, mostly."""
    timed: Mapping[str, float] = recovered.body.parts
    rest = machine - sum(timed.values())
    if rest < -ROUNDING or any(value < 0 for value in timed.values()):
        raise CannotSayError("the parts of the recovery take longer than the whole", (recovered.n,))
    others = (seconds("other", rest),) if rest > ROUNDING else ()
    return (*(seconds(part, took) for part, took in timed.items()), *others)
