"""What runs say of controls: that they support one, contradict it, or do not test it; never more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from harness.controls.catalogue import SEPARATOR, Control, Framework, Observation, frameworks, observations
from harness.facts import Fact
from harness.journal.record import RunRecord, Verdict

Says = Literal["supports", "contradicts", "not tested"]
Outcome = Literal["passed", "failed", "not tested", "aborted"]
OUTCOMES: dict[str, Outcome] = {"held": "passed", "breached": "failed", "undecided": "not tested"}


class Population(Fact):
    """How many checks a claim rests on; a check is one observation in one run.

    Attributes:
        planned: that the runs' scenarios asked for.
        run: those whose run came to its end.
        passed, failed, not_tested: of these, by what was seen; not tested is what stayed undecided.
        aborted: those whose run was cut short.
    """

    planned: int
    run: int
    passed: int
    failed: int
    not_tested: int
    aborted: int


class Claim(Fact):
    """What runs say of one control.

    Attributes:
        framework, id, asks: which one, and what it asks for.
        says: contradicts when any check failed, else supports when any passed.
        seen: the observations behind that.
        unseen: those that would be about it, and that no check of these runs decided.
        population: of its checks.
        runs: those that had any.
        hypothetical: those of them whose stack had a guard that no provider offers.
    """

    framework: str
    id: str
    asks: str
    says: Says
    seen: tuple[str, ...]
    unseen: tuple[str, ...]
    population: Population
    runs: tuple[str, ...]
    hypothetical: tuple[str, ...]


class Check(Fact):
    """One observation in one run, or over many of them.

    Attributes:
        observation: its short name.
        run: the run's folder; empty for what no single run could show.
        objective: whose verdict decided it, or the rule of a gate that did.
        outcome: what was seen.
    """

    observation: str
    run: str
    objective: str
    outcome: Outcome


@dataclass(frozen=True)
class Witnessed:
    """What a claim needs of a run.

    Attributes:
        run_id: names it.
        ended: it came to its end.
        controls: that its scenario lists; all of them without any.
        hypothetical: its stack had a guard on that no provider offers.
        supposed: it only shows what would have been; see ``is_supposed``.
        verdicts: one for each objective.
    """

    run_id: str
    ended: bool
    controls: tuple[str, ...]
    hypothetical: bool
    supposed: bool
    verdicts: tuple[Verdict, ...]

    @classmethod
    def of(cls, record: RunRecord) -> Witnessed:
        """The same run, as a claim needs it."""
        scenario, guards = record.scenario.scenario, record.scenario.stack.guards
        return cls(
            run_id=record.run_id,
            ended=not record.history.cut_short,
            controls=scenario.controls,
            hypothetical=any(guards[name].hypothetical for name in scenario.guards),
            supposed=is_supposed(record),
            verdicts=record.verdicts,
        )


def claims(
    records: Iterable[RunRecord], named: Iterable[Framework] | None = None, beside: Iterable[Check] = ()
) -> tuple[Claim, ...]:
    """What judged runs say of controls; see ``claims_of``."""
    return claims_of(map(Witnessed.of, records), named, beside)


def claims_of(
    witnessed: Iterable[Witnessed],
    named: Iterable[Framework] | None = None,
    beside: Iterable[Check] = (),
) -> tuple[Claim, ...]:
    """What runs say of every control, or of those alone that their scenarios name.

    Args:
        witnessed: the runs.
        named: the frameworks to tell of; all that are shipped without it.
        beside: checks that were made over many runs.

    Returns:
        In the order of the catalogue. A run whose scenario lists shipped controls is evidence for those only,
        and one that ``is_supposed`` is evidence for none.
    """
    runs, more = tuple(witnessed), tuple(beside)
    listed = tuple(frameworks().values()) if named is None else tuple(named)
    return tuple(_claim(one, control, runs, more) for one in listed for control in one.controls)


def is_supposed(record: RunRecord) -> bool:
    """Whether a run only shows what would have been: nobody deleted, or other guards were on than are."""
    return bool(record.scenario.replaced) or record.scenario.scenario.agent.kind == "idle"


def _claim(
    framework: Framework, control: Control, every: tuple[Witnessed, ...], beside: tuple[Check, ...]
) -> Claim:
    name = f"{framework.framework}{SEPARATOR}{control.id}"
    about = tuple(one for one in every if _is_for(one, name))
    made = (
        *(check for one in about for check in checks_of(one, control.shown_by)),
        *(check for check in beside if check.observation in control.shown_by),
    )
    decided = {check.observation for check in made if check.outcome in ("passed", "failed")}
    runs = tuple(dict.fromkeys(check.run for check in made if check.run))
    return Claim(
        framework=framework.framework,
        id=control.id,
        asks=control.asks,
        says=_says(made),
        seen=tuple(one for one in control.shown_by if one in decided),
        unseen=tuple(one for one in control.shown_by if one not in decided),
        population=_population(made),
        runs=runs,
        hypothetical=tuple(one.run_id for one in about if one.run_id in runs and one.hypothetical),
    )


def is_evidence_for(record: RunRecord, control: str) -> bool:
    """Whether a run is evidence for a control: for every one, unless its scenario lists shipped ones.

    A run that ``is_supposed`` is evidence for none.

    Args:
        record: the run.
        control: such as ``nist-800-53:CP-9(7)``.
    """
    return _is_for(Witnessed.of(record), control)


def _is_for(run: Witnessed, control: str) -> bool:
    shipped = frameworks()
    listed = {one for one in run.controls if one.partition(SEPARATOR)[0] in shipped}
    return not run.supposed and (not listed or control in listed)


def checks(record: RunRecord, wanted: Iterable[str]) -> Iterator[Check]:
    """The checks that a run made, or was to make, of some observations.

    Args:
        record: the run, judged.
        wanted: short names of observations.
    """
    return checks_of(Witnessed.of(record), wanted)


def checks_of(run: Witnessed, wanted: Iterable[str]) -> Iterator[Check]:
    """What a run has seen of some observations.

    Args:
        run: the run.
        wanted: observations of the catalogue.
    """
    for name in wanted:
        for verdict in run.verdicts:
            outcome = _outcome(observations()[name], verdict)
            if outcome is not None:
                yield Check(
                    observation=name,
                    run=run.run_id,
                    objective=verdict.objective,
                    outcome=outcome if run.ended else "aborted",
                )


def _outcome(observation: Observation, verdict: Verdict) -> Outcome | None:
    """What a verdict says of an observation; None when it is about something else.

    A copy that was deleted did not fail to restore, so a breached verdict decides nothing by itself where it
    is the copies that count.
    """
    counted = observation.counted
    if counted is None or verdict.objective != counted.objective:
        return OUTCOMES[verdict.value] if verdict.objective in observation.objectives else None
    if verdict.value == "undecided":
        return "not tested"
    if _any(verdict, counted.wrong):
        return "failed"
    return "passed" if _any(verdict, counted.right) else "not tested"


def _any(verdict: Verdict, names: tuple[str, ...]) -> bool:
    figures = (verdict.figure(name) for name in names)
    return any(figure is not None and figure.value > 0 for figure in figures)


def _says(checks: tuple[Check, ...]) -> Says:
    outcomes = {check.outcome for check in checks}
    if "failed" in outcomes:
        return "contradicts"
    return "supports" if "passed" in outcomes else "not tested"


def _population(checks: tuple[Check, ...]) -> Population:
    outcomes = [check.outcome for check in checks]
    aborted = outcomes.count("aborted")
    return Population(
        planned=len(outcomes),
        run=len(outcomes) - aborted,
        passed=outcomes.count("passed"),
        failed=outcomes.count("failed"),
        not_tested=outcomes.count("not tested"),
        aborted=aborted,
    )
