"""A run in plain sentences: what was deleted, what survived, what was lost, how long it took.

The text summary and the HTML report say the same, because both say this.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from harness.journal.events import (
    FaultSeen,
    Interrupted,
    RestoreTried,
    RunbookPlayed,
    SteadyStateChecked,
    WitnessTaken,
)
from harness.journal.record import Verdict
from harness.render.fidelity import faithful
from harness.render.story import Copy, Deed, Story, kinds, places
from harness.render.wording import duration, listing, number, quantity
from harness.scenario.models import VerdictValue

RPO, RTO = "rpo", "rto"

AROUND_RUNBOOK = ("provision", "verify", "reconnect")
"""Parts of a recovery that are not the runbook's own steps."""

MOST_STEPS = 12
"""Steps of a runbook that are named."""

LOSSES = {
    "torn": "torn",
    "resurrected": "resurrected",
    "phantom": "phantom",
    "indeterminate": "indeterminate",
    "acked-after-harm": "acknowledged after the harm",
}
"""Figures of the ``rpo`` verdict that count rows beside the lost ones, most serious first, in words."""


@dataclass(frozen=True)
class Headline:
    """One of the few figures that a reader must see first.

    Attributes:
        term: what it is: ``Deleted``.
        value: the figure, short.
        note: what belongs to it.
        verdict: how an objective judges it; None where none does.
    """

    term: str
    value: str
    note: str
    verdict: VerdictValue | None = None


@dataclass(frozen=True)
class Scene:
    """One moment of the run, for a list in order of time.

    Attributes:
        at: seconds from the origin.
        deed: the agent's action, if it is one.
        text: what happened, if it is not.
        tone: how it is marked.
    """

    at: float
    deed: Deed | None = None
    text: str = ""
    tone: Literal["plain", "bad", "good", "doubt"] = "plain"
    lines: tuple[int, ...] = ()


def result(story: Story) -> str:
    """The verdict over the run and whether it was expected: ``Breached, as the scenario expects``.

    A run that somebody stopped says so instead.
    """
    value = story.record.value.capitalize()
    if story.history.first(Interrupted) and story.history.problem is None:
        return "Interrupted: this run proves nothing"
    if not story.record.verdicts:
        return f"{value}: nothing was judged"
    if story.record.as_expected:
        return f"{value}, as the scenario expects"
    if story.record.value == "undecided":
        return f"{value}: this run proves nothing"
    return f"{value}, not as the scenario expects" if story.record.scenario.scenario.expect else value


def warnings(story: Story) -> tuple[str, ...]:
    """What must be read beside every figure: guards that do not exist yet, a stack that is not like
    production, and a record that is not whole."""
    said = [
        f"Hypothetical: the guard {name} was on, which no provider offers today: {full_stop(why)}"
        for name, why in story.hypothetical
    ]
    if story.scenario.fidelity is not None and story.scenario.fidelity.of("different"):
        said.append(faithful(story.scenario.fidelity))
    if story.interrupted:
        said.append("The run was interrupted, so the record ends before the drill does.")
    return tuple(said)


def lede(story: Story) -> str:
    """One or two sentences that tell the run."""
    if story.history.problem:
        return f"The record of this run cannot be trusted: {story.history.problem}."
    if not story.deeds:
        return _no_deed(story)
    if not story.harms:
        return _no_harm(story)
    return f"{_who(story)} {_what(story)} {_aftermath(story)}".strip()


def _no_deed(story: Story) -> str:
    faults = [entry.body for entry in story.history.of(FaultSeen)]
    if faults:
        return f"The run stopped before the agent acted. {_fault(faults[0])}"
    if story.interrupted:
        return "The run was interrupted before the agent acted, so there is nothing to judge."
    if story.record.scenario.scenario.agent.kind != "idle":
        return "The run stopped before the agent acted: not all was well."
    return "The agent did nothing. This is the run that shows that the stack is well when nobody harms it."


def _fault(fault: FaultSeen) -> str:
    if fault.users:
        return f"A mistake in the scenario's files: {fault.detail}"
    return f"Fault of the harness or a tool, {fault.kind}: {fault.detail}"


def _no_harm(story: Story) -> str:
    meant = [deed for deed in story.deeds if deed.action.harm]
    if not meant:
        actions = quantity(len(story.deeds), "action")
        return f"The agent, as {story.principal}, took {actions}; none of them was meant to destroy anything."
    refused = [deed for deed in meant if deed.outcome and deed.outcome.status == "refused"]
    if len(refused) == len(meant):
        return (
            f"The agent, as {story.principal}, made {quantity(len(meant), 'destructive call')}, "
            f"and the stack refused {'it' if len(meant) == 1 else 'them all'}."
        )
    if any(deed.outcome and deed.outcome.status == "done" for deed in meant):
        return (
            "A destructive call was done, but the system reports nothing that it changed, "
            "so the run proves nothing."
        )
    missed = quantity(len(meant) - len(refused), "destructive call")
    return f"{missed} of the agent never reached the target, which says nothing about guards."


def _who(story: Story) -> str:
    if not story.leads:
        return f"The agent, as {story.principal},"
    lead = story.leads[0]
    owner = f"the credential of {lead.owner}" if lead.owner else f"a credential ({lead.value})"
    return f"The agent, as {story.principal}, found {owner} in {lead.place} and"


def _what(story: Story) -> str:
    things = kinds(story.deleted) or "something that no system named"
    calls = quantity(len(story.harms), "call")
    # A statement that changes rows and one that deletes them count them alike.
    verb = "changed or deleted" if any(r.kind == "rows" for r in story.deleted) else "destroyed"
    if len(story.harms) == 1 and story.harms[0].outcome:
        outcome = story.harms[0].outcome
        return f"{verb} {things} with {calls} that took {duration(outcome.ended.since(outcome.began))}."
    return f"{verb} {things} with {calls} in {duration(story.harm_seconds)}."


def _aftermath(story: Story) -> str:
    if story.recovered is None:
        return "Nothing was recovered."
    if not story.recovered.ok:
        log = f" What the runbook printed is in {story.runbook.log}." if story.runbook else ""
        return _failure(story) + log
    seconds = story.recovery_seconds
    took = f" {duration(seconds)} after the harm" if seconds is not None else ""
    return f"In this run the service answered again{took}{_source(story)}.{_sum(story.verdict(RTO))}"


def _failure(story: Story) -> str:
    failed = story.failed_recovery
    assert failed is not None
    reason = full_stop(failed.detail or "no copy could be restored")
    return f"The recovery failed, and {failed.service} did not come back: {reason}"


def _sum(verdict: Verdict | None) -> str:
    """What a recovery time is made of, when not all of it was measured."""
    total, people = verdict.figure(RTO) if verdict else None, _assumed(verdict)
    if total is None or not people:
        return ""
    return (
        f" The recovery time is {duration(total.value - people)} that were measured "
        f"and {duration(people)} that people are assumed to take."
    )


def _assumed(verdict: Verdict | None) -> float:
    """Seconds of a recovery time that nobody measured."""
    return sum(f.value for f in verdict.figures if f.basis == "assumed") if verdict else 0.0


def _source(story: Story) -> str:
    used = next((copy for copy in story.copies if copy.used), None)
    if used is None:
        strategy = story.scenario.scenario.recover.strategy
        script = f" {story.runbook.script}" if story.runbook else ""
        return {
            "newest-surviving": ", with what was left of it",
            "reconstruct": ", rebuilt from records of a third party",
            "runbook": f", restored by the team's own runbook{script}",
        }.get(strategy, "")
    age = story.age(used)
    old = f" that was {duration(max(age, 0))} old" if age is not None and used.point.kind != "undo" else ""
    return f", from a copy of {used.point.protection}{old}"


def headlines(story: Story) -> tuple[Headline, ...]:
    """Deleted, survived, lost, and the two objectives against what was measured."""
    return (
        _deleted(story),
        _survived(story),
        _lost(story),
        _against(story, RPO, "Recovery point"),
        _against(story, RTO, "Recovery time"),
    )


def _deleted(story: Story) -> Headline:
    if not story.harms:
        return _nothing_deleted(story)
    sources = [r for r in story.deleted if "backup" not in r.kind]
    others = [r for r in story.deleted if "backup" in r.kind]
    first = kinds(sources or others) or quantity(len(story.harms), "action")
    term = "Changed or deleted" if any(r.kind == "rows" for r in story.deleted) else "Deleted"
    # An objective that compares inventories finds more: the tables on a volume go with it.
    calls = "1 call itself" if len(story.harms) == 1 else f"{quantity(len(story.harms), 'call')} themselves"
    note = f"what {calls} changed, by {story.principal}, in {duration(story.harm_seconds)}"
    also = f"and {kinds(others)}, " if sources and others else ""
    where = f"{places(story.deleted)}: " if story.deleted else ""
    return Headline(term, first, also + where + note)


def _nothing_deleted(story: Story) -> Headline:
    meant = [deed for deed in story.deeds if deed.action.harm]
    if any(deed.outcome is None for deed in meant):
        return Headline("Deleted", "unknown", "a destructive call did not end in the record")
    if story.history.problem:
        return Headline("Deleted", "unknown", "the record cannot be trusted")
    if not story.deeds:
        return Headline("Deleted", "nothing", "the agent did not act")
    refused = sum(1 for deed in meant if deed.outcome and deed.outcome.status == "refused")
    note = f"{quantity(refused, 'destructive call')} refused" if refused else "no destructive call landed"
    return Headline("Deleted", "nothing", note)


def _survived(story: Story) -> Headline:
    if not story.counted:
        return Headline("Survived", "\N{EM DASH}", "the copies were not counted")
    alive, total = story.with_fate("survived"), len(story.copies)
    verdict = story.verdict("backup-survival")
    value = f"{len(alive):,} of {quantity(total, 'copy', 'copies')}"
    return Headline("Survived", value, _newest(story, alive), verdict.value if verdict else None)


def _newest(story: Story, alive: tuple[Copy, ...]) -> str:
    if not alive:
        return "no copy is left" if story.copies else "there was no copy"
    newest = alive[0]
    age = story.age(newest)
    old = f", {duration(max(age, 0))} old at the harm" if age is not None else ""
    proof = {True: "; it restores", False: "; it does not restore", None: "; nobody restored it"}
    useless = sum(copy.restored is False for copy in alive[1:])
    others = f"; {quantity(useless, 'other')} {'does' if useless == 1 else 'do'} not" if useless else ""
    place = f" in {newest.point.place}" if newest.point.place != newest.point.protection else ""
    return f"newest: {newest.point.protection}{place}{old}{proof[newest.restored]}{others}"


def _lost(story: Story) -> Headline:
    verdict = story.verdict(RPO)
    lost = verdict.figure("lost") if verdict else None
    if verdict is None or lost is None:
        return Headline("Lost", "\N{EM DASH}", "what came back was not compared")
    counted = {name: figure.value for name in LOSSES if (figure := verdict.figure(name)) and figure.value}
    also = [f"{number(count)} {LOSSES[name]}" for name, count in counted.items()]
    beside = [f"not counted in it: {listing(also, len(LOSSES))}"] if also else []
    known = verdict.figure("known")
    of = [f"of {number(known.value)}"] if known else []
    note = "; ".join([*of, *beside])
    if lost.value == 0:
        return Headline("Lost", f"no {story.noun}", note or "everything came back")
    return Headline("Lost", quantity(lost.value, story.noun), note or "acknowledged, and gone")


def _against(story: Story, objective: str, term: str) -> Headline:
    verdict = story.verdict(objective)
    asked = getattr(story.scenario.objectives, objective)
    target = f"objective {duration(asked.total_seconds())}" if asked is not None else "no objective"
    figure = verdict.figure(objective) if verdict else None
    if objective == RTO and story.failed_recovery:
        note = f"{story.failed_recovery.service} did not come back; {target}"
        return Headline(term, "never", note, verdict.value if verdict else None)
    if figure is None:
        told = "not judged" if asked is None else f"{target}, not measured"
        return Headline(term, "\N{EM DASH}", told, verdict.value if verdict else None)
    people = _assumed(verdict)
    parts = f"{duration(people)} assumed + {duration(figure.value - people)} measured; "
    note = f"{parts}{target}" if people else target
    return Headline(term, duration(figure.value), note, verdict.value if verdict else None)


def scenes(story: Story) -> tuple[Scene, ...]:
    """The run from the steady state to the recovery, in order of time."""
    everything = sorted(_scenes(story), key=lambda scene: (scene.at, scene.lines))
    return tuple(everything)


def _scenes(story: Story) -> Iterator[Scene]:
    for checked in story.history.of(SteadyStateChecked):
        yield _steady(checked.body, story.offset(checked.at), checked.n)
    for taken in story.history.of(WitnessTaken):
        read = quantity(taken.body.content.rows, story.noun)
        text = f"The witness of {taken.body.service} was read: {read}."
        yield Scene(story.offset(taken.at), text=text, lines=(taken.n,))
    for deed in story.deeds:
        yield Scene(story.offset(deed.began), deed=deed, lines=deed.lines)
    for span in story.outages:
        yield Scene(span.start, text=f"{span.name} stopped answering.", tone="bad")
        if not span.open:
            text = f"{span.name} answered again, after {duration(span.seconds)}."
            yield Scene(span.end, text=text, tone="good")
    for tried in story.history.of(RestoreTried):
        if tried.body.purpose == "recovery":
            yield _restore(tried.body, story.offset(tried.at), tried.n)
    for played in story.history.of(RunbookPlayed):
        yield _runbook(story, played.body, story.offset(played.at), played.n)
    for fault in story.history.of(FaultSeen):
        text = _fault(fault.body)
        yield Scene(story.offset(fault.at), text=text, tone="doubt", lines=(fault.n,))
    if story.recovered:
        yield _recovery(story)


def _steady(checked: SteadyStateChecked, at: float, line: int) -> Scene:
    rate = checked.acknowledged / checked.seconds if checked.seconds > 0 else 0.0
    if checked.ok:
        writes = f"{number(round(rate))} writes a second acknowledged, {number(checked.failed)} failed"
        text = f"All was well: {writes}."
        return Scene(at, text=text, tone="good", lines=(line,))
    text = f"The steady state did not hold: {full_stop(checked.detail or 'not all was well')}"
    return Scene(at, text=text, tone="doubt", lines=(line,))


def _restore(tried: RestoreTried, at: float, line: int) -> Scene:
    took = duration(sum(tried.parts.values()))
    if tried.ok:
        return Scene(at, text=f"{tried.point_id} was restored in {took}.", tone="good", lines=(line,))
    return Scene(at, text=f"{tried.point_id} did not restore: {tried.detail}", tone="bad", lines=(line,))


def _runbook(story: Story, played: RunbookPlayed, at: float, line: int) -> Scene:
    log = f"What it printed is in {played.log}."
    took = duration(played.seconds)
    if played.detail:
        end = f"exit code {played.exit_code}, {took}"
        text = f"The runbook {played.script} did not bring the service back ({end}). {log}"
        return Scene(at, text=text, tone="bad", lines=(line,))
    parts = story.recovered.parts if story.recovered else {}
    steps = [f"{name} {duration(seconds)}" for name, seconds in parts.items() if name not in AROUND_RUNBOOK]
    told = f": {listing(steps, MOST_STEPS)}" if steps else ""
    text = f"The runbook {played.script} ended well after {took}{told}. {log}"
    return Scene(at, text=text, tone="good", lines=(line,))


def _recovery(story: Story) -> Scene:
    recovered = story.recovered
    assert recovered is not None
    at = story.offset(recovered.at)
    if not recovered.ok:
        return Scene(at, text=_failure(story), tone="bad")
    return Scene(at, text=f"{recovered.service} gave its first verified answer.", tone="good")


def said(story: Story, verdict: Verdict) -> str:
    """The summary of a verdict as a sentence, without the verdict itself, which stands beside it.

    It gets a capital, unless it begins with a name, such as that of a principal.
    """
    text = verdict.summary.removeprefix("Undecided: ").strip()
    first = text.partition(" ")[0]
    if first.isalpha() and first not in story.names:
        text = text[0].upper() + text[1:]
    return full_stop(text)


def full_stop(text: str) -> str:
    """The same text, ending as a sentence does."""
    text = text.strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."


__all__ = ["Headline", "Scene", "full_stop", "headlines", "lede", "result", "said", "scenes", "warnings"]
