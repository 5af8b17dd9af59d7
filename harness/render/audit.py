"""What an auditor asks of one run: scope, period, objectives, result, doubts, proof.

Nothing here judges more than the verdicts do, and no sentence says that anybody complies with anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from harness.controls.catalogue import Framework, frameworks, observations
from harness.journal.claims import Claim, claims
from harness.journal.record import RunRecord
from harness.render.exhibits import Exhibit
from harness.render.fidelity import faithful
from harness.render.story import Story
from harness.render.wording import listing, moment, quantity
from harness.scenario.models import Objectives, format_duration
from harness.scenario.tightening import names_in_force

LIMITS = "A replica of a small size, on one machine, in one run. Method and limits has the rest."
NEVER = (
    "production itself",
    "other sites, their buildings and the links between them",
    "whether people notice and decide as fast as the scenario assumes",
    "what a provider keeps for itself and does not offer its customers",
)
"""What no replica can show, whatever the framework."""

TONES = {"supports": "held", "contradicts": "breached", "not tested": "undecided"}
"""How each thing that is said of a control is marked: as the verdict that leads to it."""


@dataclass(frozen=True)
class Answer:
    """One question of an auditor's, in a word or two, and the answer.

    Attributes:
        term, text: the two.
        exact: the answer is a digest or a command, to be copied as it is.
    """

    term: str
    text: str
    exact: bool = False


@dataclass(frozen=True)
class Chapter:
    """What a run says of one framework.

    Attributes:
        framework: with what no replica can show of it.
        claims: in the issuer's order.
        told: how many controls it supports, contradicts and does not test.
    """

    framework: Framework
    claims: tuple[Claim, ...]
    told: str


def answers(story: Story, evidence: Iterable[Exhibit], matrix: Iterable[Chapter]) -> tuple[Answer, ...]:
    """What stands on the first page.

    Args:
        story: the run.
        evidence: its files.
        matrix: what it says of controls.
    """
    journal = next(iter(evidence), None)
    run = story.record.run_id
    return (
        Answer("Scope", _scope(story)),
        Answer("Period", _period(story)),
        Answer("Objectives", _objectives(story.scenario.objectives)),
        Answer("Result", _result(story.record)),
        Answer("Controls", _controls(tuple(matrix))),
        Answer("Exceptions", "; ".join(_exceptions(story)) or "none"),
        Answer("Against production", faithful(story.scenario.fidelity)),
        Answer("Limits", LIMITS),
        Answer("Journal, SHA-256", journal.sha256 if journal else "the record is not stored", exact=True),
        Answer("Judge it again", f"ninelives judge reports/{run}", exact=True),
        Answer("Verify it, once signed", f"ninelives verify reports/{run} --key PUBLIC-KEY", exact=True),
    )


def chapters(record: RunRecord) -> tuple[Chapter, ...]:
    """What one run says of every framework that has controls, in alphabetical order of their short names."""
    every = tuple(frameworks().values())
    said = claims([record], every)
    found = ((one, tuple(c for c in said if c.framework == one.framework)) for one in every)
    return tuple(Chapter(one, about, _told(about)) for one, about in found if about)


def observed() -> tuple[tuple[str, str], ...]:
    """What drills can observe, by short name."""
    return tuple((name, one.says) for name, one in observations().items())


def _told(about: tuple[Claim, ...]) -> str:
    return ", ".join(f"{says} {sum(c.says == says for c in about)}" for says in TONES)


def _scope(story: Story) -> str:
    stack = story.scenario.stack
    parts = [
        f"{quantity(len(named), noun)} ({listing(named, 6)})"
        for noun, named in (
            ("service", tuple(stack.services)),
            ("principal", tuple(stack.principals)),
            ("protection", tuple(stack.protections)),
        )
        if named
    ]
    guards = listing(story.scenario.scenario.guards, 6)
    return f"{listing(parts)}; guards on: {guards or 'none'}."


def _period(story: Story) -> str:
    if story.started is None or story.finished is None:
        return "The record has no times."
    return f"{moment(story.started.wall)} to {moment(story.finished.wall)}."


def _objectives(asked: Objectives) -> str:
    said = [_objective(asked, name) for name in names_in_force(asked)]
    named = listing(said, len(said))
    return f"{named}; as stack and scenario ask. Who approved them stands in neither." if said else "none"


def _objective(asked: Objectives, name: str) -> str:
    for target, wanted in (("rpo", asked.rpo), ("rto", asked.rto), ("containment", asked.containment)):
        if name == target and wanted is not None:
            return f"{name} of at most {format_duration(wanted)}"
    if name == "backup-survival" and asked.backup_survival is not None:
        age = asked.backup_survival.max_age
        young = f", none older than {format_duration(age)}" if age else ""
        return f"{name} of {quantity(asked.backup_survival.copies, 'copy', 'copies')}{young}"
    if name == "isolation" and asked.isolation is not None:
        return f"{name} of {asked.isolation.principal}"
    return name


def _result(record: RunRecord) -> str:
    values = [verdict.value for verdict in record.verdicts]
    counts = ", ".join(f"{values.count(value)} {value}" for value in ("held", "breached", "undecided"))
    if not values:
        return "Nothing was judged."
    return f"{counts}; {'as' if record.as_expected else 'not as'} the scenario expects."


def _controls(matrix: tuple[Chapter, ...]) -> str:
    every = tuple(claim for chapter in matrix for claim in chapter.claims)
    return f"Of {quantity(len(every), 'control')} in {quantity(len(matrix), 'framework')}: {_told(every)}."


def _exceptions(story: Story) -> Iterator[str]:
    if story.history.problem:
        yield "the record is not whole"
    if story.interrupted:
        yield "the run was interrupted"
    elif story.ended is None:
        yield "the run has no end"
    undecided = [verdict.objective for verdict in story.record.verdicts if verdict.value == "undecided"]
    if undecided:
        yield f"undecided: {listing(undecided, 6)}"
    for name, _ in story.hypothetical:
        yield f"the guard {name} is offered by nobody today"
