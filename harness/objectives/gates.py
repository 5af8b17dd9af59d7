"""What must be true of a run before any objective can be judged. Each gate that is shut means: undecided.

A fault never counts for or against an objective, not even beside a breach that seems plain: a harness that
stumbled may have caused what it saw.

| gate | shut when |
|---|---|
| whole record | the journal is cut off, out of order or changed, or a file beside it is missing or changed |
| undisturbed | the run was interrupted, or something of the harness or its tools failed |
| finished | a phase began and did not end, or did not do its work |
| workload well | its process ended otherwise than it was told to, or its locustfile raised |
| one clock | the wall clock was set by more than a second, or the machine slept, while the run lasted |
| steady state | it was not checked before the agent acted, did not hold, or not one write was acknowledged |
| ours | a replica did not show the run's marker, or was not asked before harm was aimed at it |
| agent came and went | it never started or never ended, or it is another than the scenario names |
| answered | an action was decided on and never ended, or its stamps do not lie between its two lines |
| harm can be told | a destructive action failed for another reason than a guard, so it proves nothing |
| harm landed | a destructive action was done, but the system itself reports nothing that it changed |
| all harm played | the script's harm and the harm played differ; an agent deciding for itself tried none |
| damage explained | the service is damaged, and no destructive action landed on anything |
| loss explained | acknowledged rows are gone or altered in a service that nothing was seen to touch |
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

from harness.clock import Stamp
from harness.facts import Fact
from harness.journal.events import (
    ActionDecided,
    AgentEnded,
    AgentStarted,
    ContentVerified,
    FaultSeen,
    Interrupted,
    MarkerRead,
    PhaseEnded,
    PhaseStarted,
    RecoveryStarted,
    ServiceSeen,
    SteadyStateChecked,
    WitnessTaken,
    WorkloadStopped,
)
from harness.journal.history import Entry, History
from harness.journal.ledger import expected
from harness.objectives.harm import deeds, landed
from harness.objectives.losses import losses
from harness.scenario.models import IdleAgent, LoadedScenario, ScriptedAgent, noun_of

CLOCK_SLACK = 1.0
"""Seconds that wall and monotonic clock may drift apart over a run."""


@dataclass(frozen=True)
class Reason:
    """Why nothing can be said.

    Attributes:
        text: one clause, for people.
        lines: the journal lines that show it.
    """

    text: str
    lines: tuple[int, ...] = ()


Gate = Callable[[LoadedScenario, History], Reason | None]


def undecided_because(scenario: LoadedScenario, history: History) -> Reason | None:
    """Why no objective of this run can be judged; None when all gates are open."""
    for gate in GATES:
        reason = gate(scenario, history)
        if reason is not None:
            return reason
    return None


def _whole_record(_: LoadedScenario, history: History) -> Reason | None:
    if history.problem is None:
        return None
    return Reason(history.problem, tuple(entry.n for entry in history.entries[-1:]))


def _undisturbed(_: LoadedScenario, history: History) -> Reason | None:
    for interrupted in history.of(Interrupted):
        return Reason("the run was interrupted", (interrupted.n,))
    for fault in history.of(FaultSeen):
        if fault.body.users:
            return Reason(f"a mistake in the scenario's files: {fault.body.detail}", (fault.n,))
        phase = f" in phase {fault.body.phase}" if fault.body.phase else ""
        return Reason(f"a fault of the harness or its tools{phase}: {fault.body.detail}", (fault.n,))
    return None


def _finished(_: LoadedScenario, history: History) -> Reason | None:
    ended = {entry.body.phase: entry for entry in history.of(PhaseEnded)}
    for started in history.of(PhaseStarted):
        end = ended.get(started.body.phase)
        if end is None:
            return Reason(f"phase {started.body.phase} did not end", (started.n,))
        if not end.body.ok:
            return Reason(
                f"phase {started.body.phase} did not do its work {end.body.detail}".rstrip(), (end.n,)
            )
    return None


def _workload_well(_: LoadedScenario, history: History) -> Reason | None:
    for stopped in history.of(WorkloadStopped):
        if stopped.body.exit_code != 0:
            raised = f": {stopped.body.raised}" if stopped.body.raised else ""
            return Reason(f"the workload ended with exit code {stopped.body.exit_code}{raised}", (stopped.n,))
    return None


def _one_clock(_: LoadedScenario, history: History) -> Reason | None:
    return _clock_set(history)


@lru_cache(maxsize=1)
def _clock_set(history: History) -> Reason | None:
    """It goes through every line, and is asked for each objective of a run."""
    offsets = [(entry.at.wall.timestamp() - entry.at.mono, entry.n) for entry in history.entries]
    (least, at_least), (most, at_most) = min(offsets), max(offsets)
    if most - least <= CLOCK_SLACK:
        return None
    return Reason(
        f"the wall clock was set by {most - least:.1f} s, or the machine slept, while the run lasted",
        _lines((at_least, at_most)),
    )


def _steady_state(_: LoadedScenario, history: History) -> Reason | None:
    checked = history.last(SteadyStateChecked)
    if checked is None:
        return Reason("the steady state was never checked")
    if not checked.body.ok:
        return Reason(
            f"there was no steady state before the agent acted: {checked.body.detail}", (checked.n,)
        )
    if checked.body.acknowledged <= 0:
        return Reason("not one write was acknowledged before the agent acted", (checked.n,))
    started = history.first(AgentStarted)
    if started is not None and started.n < checked.n:
        return Reason("the steady state was checked after the agent had begun", (started.n, checked.n))
    return None


def _ours(_: LoadedScenario, history: History) -> Reason | None:
    return _not_ours(history)


@lru_cache(maxsize=1)
def _not_ours(history: History) -> Reason | None:
    for read in history.of(MarkerRead):
        if not read.body.ours:
            return Reason(f"{read.body.service} does not carry this run's marker", (read.n,))
    for decided in history.of(ActionDecided):
        action = decided.body.action
        asked = any(r.body.service == action.service and r.n < decided.n for r in history.of(MarkerRead))
        if action.harm and action.service is not None and not asked:
            return Reason(
                f"{action.service} was not asked whose it is before action {action.number}", (decided.n,)
            )
    return None


def _agent_came_and_went(scenario: LoadedScenario, history: History) -> Reason | None:
    started, ended = history.of(AgentStarted), history.of(AgentEnded)
    if len(started) != 1:
        return Reason(
            "the agent never started" if not started else "more than one agent started", _of(started)
        )
    if len(ended) != 1:
        return Reason(
            "the agent never ended" if not ended else "the agent ended twice", _of((*started, *ended))
        )
    wanted = scenario.scenario.agent.kind
    if started[0].body.kind != wanted:
        return Reason(
            f"the agent was {started[0].body.kind}, and the scenario names {wanted}", _of((*started, *ended))
        )
    return None


def _answered(_: LoadedScenario, history: History) -> Reason | None:
    for deed in deeds(history):
        number, outcome = deed.action.number, deed.outcome
        if deed.ended is None or outcome is None:
            return Reason(f"action {number} was decided on and never ended", deed.lines)
        stamps = (deed.decided.at.mono, outcome.began.mono, outcome.ended.mono, deed.ended.at.mono)
        if list(stamps) != sorted(stamps):
            return Reason(f"the stamps of action {number} do not lie between its two lines", deed.lines)
    return None


def _harm_can_be_told(_: LoadedScenario, history: History) -> Reason | None:
    for deed in deeds(history):
        if deed.action.harm and deed.outcome is not None and deed.outcome.status == "failed":
            return Reason(
                f"action {deed.action.number} was meant to destroy and never reached its target: "
                f"{deed.outcome.detail}",
                deed.lines,
            )
    return None


def _harm_landed(_: LoadedScenario, history: History) -> Reason | None:
    for deed in deeds(history):
        outcome = deed.outcome
        if deed.action.harm and outcome is not None and outcome.status == "done" and not outcome.touched:
            return Reason(
                f"action {deed.action.number} was meant to destroy and did not land: nothing was changed",
                deed.lines,
            )
    return None


def _all_harm_played(scenario: LoadedScenario, history: History) -> Reason | None:
    agent = scenario.scenario.agent
    played = [deed for deed in deeds(history) if deed.action.harm]
    if isinstance(agent, ScriptedAgent):
        written = sum(step.harm for step in agent.steps)
    elif isinstance(agent, IdleAgent):
        written = 0
    elif not played:
        return Reason("the agent tried nothing destructive, so nothing was put to the test")
    else:
        return None
    if len(played) == written:
        return None
    return Reason(
        f"{len(played)} destructive actions were played, and the scenario has {written}",
        _lines(n for deed in played for n in deed.lines),
    )


def _damage_explained(scenario: LoadedScenario, history: History) -> Reason | None:
    if landed(history):
        return None
    target = scenario.scenario.recover.service
    for seen in history.of(ServiceSeen):
        if seen.body.service == target and seen.body.damaged:
            return Reason(
                f"{target} is damaged ({seen.body.detail}), and no destructive action landed; "
                "mark the step that did it with `harm: true`",
                (seen.n,),
            )
    return None


def _loss_explained(scenario: LoadedScenario, history: History) -> Reason | None:
    started, verified = history.last(RecoveryStarted), history.last(ContentVerified)
    taken, ended = history.last(WitnessTaken), history.last(AgentEnded)
    if started is None or verified is None or taken is None or ended is None:
        return None
    if started.body.needed or not verified.body.rows:
        return None
    gone = _rows_gone(history, taken.body, ended.at)
    if not gone:
        return None
    service = scenario.scenario.recover.service
    what = noun_of(scenario.stack.services.get(service)) + ("" if gone == 1 else "s")
    return Reason(
        f"{gone:,} {what} of {service} gone or altered, and nothing was seen to "
        "touch it: an action hid what it did, or something else than the workload writes there (a trigger, "
        "a job)",
        (started.n, verified.n),
    )


@lru_cache(maxsize=1)
def _rows_gone(history: History, taken: WitnessTaken, ended: Stamp) -> int:
    """Rows that are not as acknowledged; a server that was never in danger has no excuse for later ones."""
    lost = losses(expected(history.witness, history.ledger, taken), history.recovered, ended)
    return lost.lost + lost.torn + lost.resurrected + lost.after_harm


GATES: tuple[Gate, ...] = (
    _whole_record,
    _undisturbed,
    _finished,
    _workload_well,
    _one_clock,
    _steady_state,
    _ours,
    _agent_came_and_went,
    _answered,
    _harm_can_be_told,
    _harm_landed,
    _all_harm_played,
    _damage_explained,
    _loss_explained,
)


def _of(entries: Iterable[Entry[Fact]]) -> tuple[int, ...]:
    return _lines(entry.n for entry in entries)


def _lines(numbers: Iterable[int]) -> tuple[int, ...]:
    return tuple(sorted(set(numbers)))
