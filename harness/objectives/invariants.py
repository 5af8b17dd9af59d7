"""``invariants``: SQL that must return no rows once the service is back.

Each statement must have been run after the recovery. One that returns rows breaches; one that could not be
run, or was not, leaves the objective undecided unless another breaches it. Of a service that never came back
nothing holds.
"""

from __future__ import annotations

from collections.abc import Mapping

from harness.journal.events import AgentEnded, InvariantChecked, Recovered
from harness.journal.history import Entry, History
from harness.journal.record import Figure, Verdict
from harness.objectives.judging import CannotSayError, WithoutTarget, judged, plural, rows, verdict
from harness.scenario.models import LoadedScenario

NAME = "invariants"


class InvariantsObjective(WithoutTarget):
    """What must be true of the data, is."""

    def judge(self, scenario: LoadedScenario, history: History) -> Verdict:
        """Held when every statement was run after the recovery and returned no row."""
        return judged(NAME, scenario.objectives.invariants, scenario, history, _measure)


def _measure(named: Mapping[str, str], _: LoadedScenario, history: History) -> Verdict:
    if not named:
        raise CannotSayError("no invariant is named")
    recovered = history.last(Recovered)
    if recovered is not None and not recovered.body.ok:
        told = "The service never came back, so nothing holds of its data."
        return verdict(NAME, "breached", told, tuple(_figures(named, {})), (recovered.n,))
    checks = {entry.body.name: entry for entry in history.of(InvariantChecked) if entry.n > _since(history)}
    lines = tuple(entry.n for name, entry in checks.items() if name in named)
    figures = tuple(_figures(named, checks))
    broken = [name for name in named if name in checks and checks[name].body.rows > 0]
    if broken:
        counts = ", ".join(f"{name} ({plural(checks[name].body.rows, 'row')})" for name in broken)
        return verdict(NAME, "breached", f"Broken after the recovery: {counts}.", figures, lines)
    for name in named:
        if name not in checks:
            raise CannotSayError(f"{name} was never checked after the recovery", lines)
        if checks[name].body.error:
            raise CannotSayError(f"{name} could not be checked: {checks[name].body.error}", lines)
    summary = f"{plural(len(named), 'invariant holds', 'invariants hold')} after the recovery."
    return verdict(NAME, "held", summary, figures, lines)


def _since(history: History) -> int:
    """The line after which a check counts: the end of the agent, and of the recovery if there was one."""
    ends = (history.last(AgentEnded), history.last(Recovered))
    return max((entry.n for entry in ends if entry is not None), default=0)


def _figures(named: Mapping[str, str], checks: Mapping[str, Entry[InvariantChecked]]) -> list[Figure]:
    checked = [name for name in named if name in checks and not checks[name].body.error]
    return [
        Figure(name="invariants", value=len(named), unit="count", basis="target"),
        Figure(name="checked", value=len(checked), unit="count"),
        Figure(name="broken", value=sum(checks[name].body.rows > 0 for name in checked), unit="count"),
        *(rows(f"{name}-rows", checks[name].body.rows) for name in checked),
    ]
