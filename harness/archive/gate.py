"""Whether what the history shows is enough for a policy. Pure, but for what it asks of the history."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from difflib import get_close_matches
from functools import cache
from statistics import median

from harness.archive.database import Archive, Failure
from harness.archive.kept import Kept
from harness.archive.policy import (
    RESTORE_CADENCE,
    RETESTS,
    Framework,
    Policy,
    Regression,
    Required,
    RestoreCadence,
    Retests,
    Waiver,
)
from harness.controls.catalogue import frameworks, observations
from harness.facts import Fact
from harness.journal.claims import OUTCOMES, Claim, checks_of, claims_of
from harness.journal.claims import Check as Seen
from harness.render.wording import amount, duration, plain, quantity
from harness.scenario.models import VerdictValue, format_duration

RESTORED = "O2"
"""The observation of the catalogue that a copy was restored and its content is equal."""

HISTORY_RULE = "history"
LOOKS = (10, 1000)
"""So many runs are looked through for one that tested a restore; more if the first ones decide nothing."""

SKEW = timedelta(hours=1)
"""So far ahead may the clock of a machine be. A run from later than that would be recent for ever."""

WITHOUT = 2
"""So many times as many runs are looked at as are compared, since those without the figure do not count."""


MOST_NAMED = 10
"""Runs that a rule names, where it is about many."""

Latest = Callable[[str], Kept | None]
"""The newest run of a scenario that counts, if there is one."""


class Check(Fact):
    """What came of one rule.

    Attributes:
        rule: its name.
        value: ``held``, ``breached`` or ``undecided``.
        saw: what it saw.
        runs: in which runs, the newest first.
        do: what to do; empty when it held.
        waiver: in force, if there is one; the rule does not count then.
    """

    rule: str
    value: VerdictValue
    saw: str
    runs: tuple[str, ...] = ()
    do: str = ""
    waiver: Waiver | None = None

    @property
    def counts(self) -> bool:
        """Whether the gate goes by it."""
        return self.value == "held" or self.waiver is None


class Decision(Fact):
    """What came of a policy.

    Attributes:
        at: when it was asked.
        value: ``held`` when the gate lets pass; else breached beats undecided.
        checks: one for each rule.
        expired: waivers whose last day is over.
    """

    at: datetime
    value: VerdictValue
    checks: tuple[Check, ...]
    expired: tuple[Waiver, ...]


def decide(policy: Policy, past: Archive, now: datetime, problem: str | None = None) -> Decision:
    """Hold a policy against the history.

    Args:
        policy: the rules.
        past: the history.
        now: when that is.
        problem: why the history does not have every run, if it does not.
    """
    expired = tuple(one for one in policy.waivers if one.until < now.date())
    waivers = {one.rule: one for one in policy.waivers if one not in expired}
    found = tuple(
        check.model_copy(update={"waiver": waivers.get(check.rule)}) for check in _checks(policy, past, now)
    )
    if problem is not None:
        do = "bring runs.jsonl back from a copy; runs after that line are not looked at"
        found = (*found, Check(rule=HISTORY_RULE, value="undecided", saw=problem, do=do))
    values = {check.value for check in found if check.counts}
    worst: VerdictValue = "held"
    if values != {"held"} and values:
        worst = "breached" if "breached" in values else "undecided"
    return Decision(at=now, value=worst, checks=found, expired=expired)


def _checks(policy: Policy, past: Archive, now: datetime) -> Iterator[Check]:
    until = now + SKEW
    # Several rules are about the newest run of one scenario.
    latest = cache(lambda scenario: next(iter(past.newest(1, scenario, counting=True, until=until)), None))
    for required in policy.required:
        yield _required(required, past, latest, now)
    cadence, retests = _over_many(policy, past, now)
    yield from (*cadence, *retests)
    beside = tuple(_seen(cadence, retests))
    for framework in policy.frameworks:
        yield from _framework(framework, past, latest, now, beside)
    for regression in policy.regressions:
        yield _regression(regression, past, latest, until)


def observed(policy: Policy, past: Archive, now: datetime) -> tuple[Seen, ...]:
    """What only a history can show, as far as a policy asks for it: tests within their period, retests.

    Args:
        policy: with the periods.
        past: the history.
        now: when that is.
    """
    return tuple(_seen(*_over_many(policy, past, now)))


def _over_many(policy: Policy, past: Archive, now: datetime) -> tuple[tuple[Check, ...], tuple[Check, ...]]:
    """The rules on when restoring was tested, and on what was tested again."""
    return (
        tuple(_restore_cadence(rule, past, now) for rule in policy.restore_cadence),
        tuple(_retests(rule, past, now) for rule in policy.retests),
    )


def _seen(cadence: Iterable[Check], retests: Iterable[Check]) -> Iterator[Seen]:
    for check in cadence:
        yield from _observed(check, RESTORE_CADENCE)
    for check in retests:
        if check.runs:  # where nothing has failed, nothing was tested again, and that shows nothing
            yield from _observed(check, RETESTS)


def _required(rule: Required, past: Archive, latest: Latest, now: datetime) -> Check:
    run = latest(rule.scenario)
    if run is None:
        saw = "no run of it has ended" if past.newest(1, rule.scenario) else "no run of it is recorded"
        return Check(rule=rule.rule, value="breached", saw=saw, do=_to_play(rule.scenario, past))
    age = now - run.started
    value, saw = _came_out(rule, run)
    saw = f"{saw}, {_ago(age)}"
    do = (
        ""
        if value == "held"
        else f"look at the report of {run.run_id}, mend what it names, and play it again"
    )
    if age > rule.every:
        value, saw = "breached", f"{saw}; {format_duration(rule.every)} allowed"
        do = f"play {rule.scenario}"
    return Check(rule=rule.rule, value=value, saw=saw, runs=(run.run_id,), do=do)


def _to_play(scenario: str, past: Archive) -> str:
    """What to do about a scenario of which no run has ended: its name may be misspelt."""
    near = get_close_matches(scenario, set(past.scenarios()) - {scenario}, n=1)
    return f"play {scenario}" + (f", or write {near[0]} if that is meant" if near else "")


def _came_out(rule: Required, run: Kept) -> tuple[VerdictValue, str]:
    if run.problem is not None:
        return "undecided", f"not to be trusted: {run.problem}"
    if rule.must == "hold":
        return run.value, run.value
    surprises = [one for one in run.verdicts if one.surprises]
    if not surprises and run.as_expected:
        return "held", "as expected"
    told = ", ".join(f"{one.objective} {one.value}" for one in surprises) or "no verdict"
    undecided = {one.value for one in surprises} <= {"undecided"} and run.value != "breached"
    return "undecided" if undecided else "breached", f"not as expected: {told}"


def _restore_cadence(rule: RestoreCadence, past: Archive, now: datetime) -> Check:
    for run in _that_restored(rule, past, now):
        outcomes = {check.outcome for check in checks_of(run.witnessed, (RESTORED,))}
        when = _ago(now - run.started)
        if "failed" in outcomes:
            saw = f"a copy did not restore, or not with its content, {when}"
            do = f"look at the copies in the report of {run.run_id}, and mend the backups"
            return Check(rule=rule.rule, value="breached", saw=saw, runs=(run.run_id,), do=do)
        if "passed" in outcomes:
            saw = f"a copy was restored and compared {when}"
            return Check(rule=rule.rule, value="held", saw=saw, runs=(run.run_id,))
    saw = f"no run has restored and compared a copy in the last {format_duration(rule.every)}"
    do = f"play {rule.scenario or 'a scenario'} with the objective backup-survival"
    return Check(rule=rule.rule, value="breached", saw=saw, do=do)


def _that_restored(rule: RestoreCadence, past: Archive, now: datetime) -> Iterator[Kept]:
    """Runs of the period that can have tested a restore, the newest first."""
    counted = observations()[RESTORED].counted
    assert counted is not None
    looked = 0
    for count in LOOKS:
        runs = past.newest(
            count,
            rule.scenario,
            counting=True,
            objective=counted.objective,
            since=now - rule.every,
            until=now + SKEW,
        )
        yield from (run for run in runs[looked:] if run.problem is None)
        if len(runs) < count:
            return
        looked = count


def _retests(rule: Retests, past: Archive, now: datetime) -> Check:
    failures = past.failures(rule.scenario, since=now - rule.over, until=now + SKEW)
    late, waiting = [], []
    for one in failures:
        if (one.retested or now) - one.started > rule.within:
            late.append(one)
        elif one.retested is None:
            waiting.append(one)
    period, within = format_duration(rule.over), format_duration(rule.within)
    if not failures:
        saw = f"every run of the last {period} that ended was as expected"
        return Check(rule=rule.rule, value="held", saw=saw)
    told = plain(f"{quantity(len(failures), 'run')} of the last {period} not as expected")
    if late:
        saw = f"{told}; after {len(late)} of them came none within {within} that was"
        return Check(rule=rule.rule, value="breached", saw=saw, runs=_named(late), do=_to_retest(late))
    if waiting:
        saw = f"{told}; after {len(waiting)} of them came none yet that was, and {within} are not over"
        return Check(rule=rule.rule, value="undecided", saw=saw, runs=_named(waiting), do=_to_retest(waiting))
    saw = f"{told}; after each came one within {within} that was"
    return Check(rule=rule.rule, value="held", saw=saw, runs=_named(failures))


def _to_retest(failures: Sequence[Failure]) -> str:
    open_ones = sorted({one.scenario for one in failures if one.retested is None})
    if not open_ones:
        return "nothing makes up for it; waive it with a reason until it is out of the period"
    return f"mend what the reports name, and play {', '.join(open_ones)}"


def _named(failures: Sequence[Failure]) -> tuple[str, ...]:
    return tuple(one.run_id for one in failures[:MOST_NAMED])


def _observed(check: Check, gate: str) -> Iterator[Seen]:
    """What a rule says of the observations that only a gate can make."""
    for name, observation in observations().items():
        if observation.gate == gate:
            yield Seen(
                observation=name,
                run=next(iter(check.runs), ""),
                objective=gate,
                outcome=OUTCOMES[check.value],
            )


def _framework(
    rule: Framework, past: Archive, latest: Latest, now: datetime, beside: tuple[Seen, ...]
) -> Iterator[Check]:
    """A control that is contradicted breaches, one that is not tested is undecided."""
    newest = [run for one in rule.scenarios or past.scenarios() if (run := latest(one)) is not None]
    runs = [run.witnessed for run in newest if run.problem is None and run.started >= now - rule.every]
    said = {claim.id: claim for claim in claims_of(runs, (frameworks()[rule.framework],), beside)}
    if rule.controls:
        for name, control in zip(rule.rules, rule.controls, strict=True):
            yield _of_control(name, said[control])
        return
    yield _of_framework(rule.rules[0], tuple(said.values()))


def _of_control(rule: str, claim: Claim) -> Check:
    checks = claim.population
    saw = (
        f"{claim.says}: {checks.passed} of {quantity(checks.planned, 'check')} passed, {checks.failed} failed"
    )
    if claim.hypothetical:
        saw += f", in part with a guard that no provider offers: {', '.join(claim.hypothetical)}"
    if claim.says == "supports":
        return Check(rule=rule, value="held", saw=plain(saw), runs=claim.runs)
    if claim.says == "contradicts":
        return Check(rule=rule, value="breached", saw=plain(saw), runs=claim.runs, do=_mend(claim.runs))
    return Check(rule=rule, value="undecided", saw=plain(saw), runs=claim.runs, do=_to_see(claim))


def _mend(runs: tuple[str, ...]) -> str:
    if not runs:  # it is about a run that was not made
        return f"see the rule {RESTORE_CADENCE}"
    return "look at the reports of these runs, and mend what failed"


def _to_see(claim: Claim) -> str:
    """What would decide a control that was not tested."""
    rules = [gate for name in claim.unseen if (gate := observations()[name].gate) is not None]
    runs = [name for name in claim.unseen if observations()[name].gate is None]
    ways = [f"a rule {' or '.join(rules)} in the policy"] if rules else []
    if runs:
        ways.append(f"a scenario that sees {' or '.join(runs)}, as docs/controls.md tells of objectives")
    return f"it takes {', or '.join(ways)}"


def _of_framework(rule: str, said: tuple[Claim, ...]) -> Check:
    against = [claim for claim in said if claim.says == "contradicts"]
    supported = [claim for claim in said if claim.says == "supports"]
    runs = tuple(dict.fromkeys(run for claim in against or supported for run in claim.runs))
    saw = f"{len(supported)} of {len(said)} controls supported, {len(against)} contradicted"
    if against:
        saw += f": {', '.join(claim.id for claim in against)}"
        return Check(rule=rule, value="breached", saw=saw, runs=runs, do=_mend(runs))
    if not supported:
        do = "play scenarios that are evidence for it; `ninelives controls` tells which controls take what"
        return Check(rule=rule, value="undecided", saw=saw, do=do)
    return Check(rule=rule, value="held", saw=saw, runs=runs)


def _regression(rule: Regression, past: Archive, latest: Latest, until: datetime) -> Check:
    name = rule.figure or rule.objective
    newest = latest(rule.scenario)
    if newest is None:
        do = _to_play(rule.scenario, past)
        return Check(rule=rule.rule, value="undecided", saw="no run of it has ended", do=do)
    figure = newest.figure(rule.objective, name)
    if newest.problem is not None or figure is None or math.isnan(figure.value):
        return _without_figure(rule, newest, name)
    look = 1 + rule.last * WITHOUT
    rest = past.newest(look, rule.scenario, counting=True, provider=newest.provider, until=until)
    before = [run for run in rest if run != newest and _is_comparable(run, rule, name)][: rule.last]
    named = (newest.run_id, *(run.run_id for run in before))
    if len(before) < rule.at_least:
        saw = f"{amount(figure)}; only {quantity(len(before), 'run')} before it to compare with"
        do = f"play {rule.scenario} until there are {rule.at_least}, or write a smaller at-least"
        return Check(rule=rule.rule, value="undecided", saw=plain(saw), runs=named, do=do)
    middle = figure.model_copy(update={"value": median(_values(before, rule, name))})
    most = middle.model_copy(update={"value": middle.value * (1 + rule.may_grow)})
    saw = (
        f"{amount(figure)}; the median of {quantity(len(before), 'run')} before it is {amount(middle)}, "
        f"and {amount(most)} allowed{_changed(newest, before)}"
    )
    if figure.value <= most.value:
        return Check(rule=rule.rule, value="held", saw=plain(saw), runs=named)
    do = f"`ninelives compare {before[0].run_id} {newest.run_id}` tells what else has changed"
    return Check(rule=rule.rule, value="breached", saw=plain(saw), runs=named, do=do)


def _without_figure(rule: Regression, newest: Kept, name: str) -> Check:
    """Undecided, but where the objective is breached: a service that never came back has no time for that."""
    verdict = newest.verdict(rule.objective)
    value: VerdictValue = "undecided"
    saw = newest.problem or f"the newest run has no figure {name} of {rule.objective}"
    if newest.problem is None and verdict is not None:
        value = "breached" if verdict.value == "breached" else "undecided"
        saw += f", which is {verdict.value}"
    do = f"look at the report of {newest.run_id}, or name a figure of its verdicts.json"
    return Check(rule=rule.rule, value=value, saw=saw, runs=(newest.run_id,), do=do)


def _is_comparable(run: Kept, rule: Regression, name: str) -> bool:
    figure = run.figure(rule.objective, name)
    return run.problem is None and figure is not None and math.isfinite(figure.value)


def _values(runs: list[Kept], rule: Regression, name: str) -> list[float]:
    figures = (run.figure(rule.objective, name) for run in runs)
    return [figure.value for figure in figures if figure is not None]


def _changed(newest: Kept, before: list[Kept]) -> str:
    others = sum(run.digest != newest.digest for run in before)
    return f" ({others} of them with other files of the scenario)" if others else ""


def _ago(age: timedelta) -> str:
    return f"{duration(max(age.total_seconds(), 0))} ago"
