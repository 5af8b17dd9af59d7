"""What to do about it: concrete advice derived from the verdicts and from what the journal shows.

Each piece of advice names what was seen, what to change, and the guards of the stack that would change it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from harness.journal.events import FaultSeen
from harness.render.narrative import full_stop, said
from harness.render.story import Copy, Story
from harness.render.wording import duration, listing, quantity
from harness.scenario.models import Guard

Subject = Literal["copies", "credentials", "services"]

_SUBJECTS: dict[str, Subject] = {
    "protections": "copies",
    "principals": "credentials",
    "services": "services",
}


@dataclass(frozen=True)
class Remedy:
    """A guard of the stack that is not switched on.

    Attributes:
        name, why: as the stack says.
        hypothetical: why no provider offers it today; None when one does.
    """

    name: str
    why: str
    hypothetical: str | None


@dataclass(frozen=True)
class Advice:
    """One thing to do.

    Attributes:
        headline: what to do, in one line.
        reason: what was seen that calls for it.
        objectives: the verdicts it would change.
        remedies: guards of this stack that address it.
    """

    headline: str
    reason: str
    objectives: tuple[str, ...] = ()
    remedies: tuple[Remedy, ...] = ()


Rule = Callable[[Story], Iterable[Advice]]


def advise(story: Story) -> tuple[Advice, ...]:
    """All advice for a run, the most pressing first."""
    rules: tuple[Rule, ...] = (
        _doubts,
        _shared_fate,
        _unrestorable,
        _found_credentials,
        _isolation,
        _failed_recovery,
        _liftable_locks,
        _old_copies,
        _slow_recovery,
        _fast_agent,
        _broken_rules,
        _silent_log,
        _lone_deletions,
    )
    advice = tuple(piece for rule in rules for piece in rule(story))
    return advice or tuple(_nothing_to_do(story))


def idle_guards(story: Story) -> Mapping[str, Guard]:
    """The guards of the stack that this run was played without."""
    on = set(story.scenario.scenario.guards)
    return {name: guard for name, guard in story.scenario.base.guards.items() if name not in on}


def _remedies(story: Story, *subjects: Subject) -> tuple[Remedy, ...]:
    return tuple(
        Remedy(name, guard.why, guard.hypothetical)
        for name, guard in idle_guards(story).items()
        if any(_SUBJECTS.get(part) in subjects for part in guard.patch)
    )


def _value(story: Story, objective: str) -> str | None:
    verdict = story.verdict(objective)
    return verdict.value if verdict else None


def _doubts(story: Story) -> Iterable[Advice]:
    if story.record.value != "undecided" and not story.history.problem:
        return
    if story.history.problem:
        yield Advice("Play the drill again", f"The record cannot be trusted: {story.history.problem}.")
        return
    faults = [entry.body for entry in story.history.of(FaultSeen)]
    undecided = tuple(v.objective for v in story.record.verdicts if v.value == "undecided")
    for fault in faults[:3]:
        yield Advice(
            fault.hint or "Remove the fault and play the drill again",
            f"{fault.kind}: {fault.detail}",
            undecided,
        )
    strays = [d for d in story.deeds if d.action.harm and d.outcome and d.outcome.status == "failed"]
    for deed in strays[:3]:
        detail = deed.outcome.detail if deed.outcome else ""
        yield Advice(
            f"Correct action {deed.action.number} of the scenario",
            f"It was meant to destroy something and never reached its target: {detail}. "
            "A blow that missed says nothing about the guards.",
            undecided,
        )
    if not faults and not strays:
        yield Advice(
            "Find out what is missing before you trust this stack",
            " ".join(said(story, v) for v in story.record.verdicts if v.value == "undecided")
            or "Nothing was judged: the scenario names no objective, or the run ended too early.",
            undecided,
        )


def _shared_fate(story: Story) -> Iterable[Advice]:
    gone = [copy for copy in story.with_fate("gone") if copy.point.shares_fate]
    if not gone:
        return
    places = listing(sorted({copy.point.place for copy in gone}))
    yield Advice(
        "Keep one copy under another identity, with a lock",
        f"{quantity(len(gone), 'copy', 'copies')} in {places} lay with the data and went with it: "
        "what deletes the source deletes them. A copy counts only if the credentials that reach the source "
        "cannot delete it; a compliance lock holds even against its owner.",
        _breached(story, "backup-survival", "rpo"),
        _remedies(story, "copies"),
    )


def _unrestorable(story: Story) -> Iterable[Advice]:
    bad = [c for c in story.with_fate("survived") if c.restored is False or c.differing]
    if not bad:
        return
    yield Advice(
        "Restore your copies on a schedule, and compare what comes back",
        f"{quantity(len(bad), 'copy', 'copies')} survived and could not be used: {_defects(bad)}.",
        _breached(story, "backup-survival", "rpo", "rto"),
    )


def _defects(copies: list[Copy]) -> str:
    said = []
    for copy in copies[:3]:
        failed = next((r.detail for r in copy.restores if not r.ok), "")
        said.append(f"{copy.point.id}: {failed or 'differs in ' + listing(copy.differing or ())}")
    return "; ".join(said)


def _found_credentials(story: Story) -> Iterable[Advice]:
    for lead in story.leads:
        owner = f" of {lead.owner}" if lead.owner else ""
        yield Advice(
            f"Revoke the credential{owner} and take it out of {lead.place}",
            "The agent found it there and destroyed with it. Put its successor where the task at hand "
            "cannot read it, and give it only the calls that its own task needs.",
            _breached(story, "isolation"),
            _remedies(story, "credentials"),
        )


def _isolation(story: Story) -> Iterable[Advice]:
    verdict = story.verdict("isolation")
    if verdict is None or verdict.value != "breached":
        return
    if not story.leads:
        yield Advice(
            f"Narrow the grants of {story.principal}",
            said(story, verdict),
            ("isolation",),
            _remedies(story, "credentials"),
        )


def _failed_recovery(story: Story) -> Iterable[Advice]:
    failed, runbook = story.failed_recovery, story.runbook
    if failed is None:
        return
    objectives = _breached(story, "rpo", "rto")
    if runbook is not None:
        yield Advice(
            f"Mend {runbook.script}: it did not bring {failed.service} back",
            f"{full_stop(failed.detail)} What the script printed is in {runbook.log} of the run folder.",
            objectives,
        )
        return
    yield Advice(
        f"Have something that {failed.service} can be recovered from",
        f"It did not come back: {full_stop(failed.detail or 'no copy could be restored')}",
        objectives,
        _remedies(story, "copies"),
    )


def _old_copies(story: Story) -> Iterable[Advice]:
    verdict, objective = story.verdict("rpo"), story.scenario.objectives.rpo
    if verdict is None or verdict.value != "breached" or objective is None or story.failed_recovery:
        return
    most = duration(objective.total_seconds())
    ship = story.noun == "row"
    yield Advice(
        "Ship changes all the time, not once in a while" if ship else f"Copy at least once in {most}",
        f"{said(story, verdict)} A copy every so often loses all that happened since"
        + (f"; to lose at most {most}, ship the write-ahead log as it is written." if ship else "."),
        ("rpo",),
        _remedies(story, "copies"),
    )


def _slow_recovery(story: Story) -> Iterable[Advice]:
    verdict = story.verdict("rto")
    if verdict is None or verdict.value != "breached" or story.failed_recovery:
        return
    parts = story.recovered.parts if story.recovered else {}
    longest = max(parts, key=lambda part: parts[part], default=None)
    tail = f" The longest part was {longest}, {duration(parts[longest])}." if longest else ""
    yield Advice("Shorten the recovery", said(story, verdict) + tail, ("rto",))


def _on_breach(objective: str, headline: str, why: str, *subjects: Subject) -> Rule:
    """Advice that is the same whatever it was that breached an objective."""

    def rule(story: Story) -> Iterable[Advice]:
        verdict = story.verdict(objective)
        if verdict is not None and verdict.value == "breached":
            yield Advice(headline, f"{said(story, verdict)} {why}", (objective,), _remedies(story, *subjects))

    return rule


_liftable_locks = _on_breach(
    "immutability",
    "Lock copies so that their owner cannot delete them either",
    "What an administrator can delete, whoever has that key can delete too.",
    "copies",
)
_fast_agent = _on_breach(
    "containment",
    "Put a delay or a second pair of eyes before deletions",
    "No person reacts in that time; only the system can.",
    "services",
)
_broken_rules = _on_breach(
    "invariants",
    "Check the data before you open the doors again",
    "What came back contradicts itself; reconcile it with records that others keep.",
)
_silent_log = _on_breach(
    "audit-trail",
    "Have statements logged, each under a name of its own",
    "Without it nobody can tell afterwards who destroyed what.",
    "services",
)
_lone_deletions = _on_breach(
    "dual-control",
    "Have a second person confirm deletions",
    "Whoever gets hold of that credential needs nobody else.",
    "services",
)


def _nothing_to_do(story: Story) -> Iterable[Advice]:
    if any(verdict.value == "breached" for verdict in story.record.verdicts):
        for verdict in story.record.verdicts:
            if verdict.value == "breached":
                yield Advice(f"Look into {verdict.objective}", said(story, verdict), (verdict.objective,))
        return
    assumed = [n for n in story.scenario.scenario.guards if story.scenario.base.guards[n].hypothetical]
    if assumed:
        yield Advice(
            "Do not rely on this result yet",
            f"It holds with {listing(assumed)} in place, which no provider offers today.",
        )
        return
    yield Advice(
        "Keep it so: play this drill on a schedule",
        "Every objective held. It says so for this stack, on this day; grants and schedules drift.",
    )


def _breached(story: Story, *objectives: str) -> tuple[str, ...]:
    return tuple(name for name in objectives if _value(story, name) == "breached")
