"""verdicts.json: the verdicts of a run for machines, in a stable order, with a schema version.

``VerdictsFile`` reads it back. Numbers that have no end are written as the string ``Infinity``.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from harness.journal.record import Figure, RunRecord
from harness.render.story import Story
from harness.scenario.models import VerdictValue

FILE = "verdicts.json"


class Entry(BaseModel):
    """A part of the file. Frozen; unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, ser_json_inf_nan="strings")


class ScenarioEntry(Entry):
    """What was played."""

    id: str
    title: str
    digest: str = Field(description="SHA-256 over scenario, stack and every file they name")
    strategy: str


class FigureEntry(Entry):
    """One number of a verdict."""

    name: str
    value: float
    unit: str
    basis: str

    @classmethod
    def of(cls, figure: Figure) -> FigureEntry:
        """The same figure, for the file."""
        return cls(name=figure.name, value=figure.value, unit=figure.unit, basis=figure.basis)


class VerdictEntry(Entry):
    """What is to be said of one objective, and what the scenario expects."""

    objective: str
    value: VerdictValue
    expected: str
    as_expected: bool
    summary: str
    figures: tuple[FigureEntry, ...]
    evidence: tuple[int, ...] = Field(description="numbers of lines of journal.jsonl")


class GuardEntry(Entry):
    """A guard that was switched on and that no provider offers today."""

    name: str
    why_hypothetical: str


class PhaseEntry(Entry):
    """How long one phase took, in seconds."""

    phase: str
    seconds: float
    ok: bool


class VerdictsFile(Entry):
    """The whole file."""

    schema_: Literal[1] = Field(1, alias="schema")
    run_id: str
    scenario: ScenarioEntry
    value: VerdictValue
    as_expected: bool
    problem: str | None = Field(description="why the record cannot be trusted; null when it can")
    interrupted: bool
    cut_short: bool = Field(False, description="by a kill, a fault or Ctrl-C")
    started: datetime | None
    seconds: float = Field(description="from the first line of the journal to the last")
    harness_cpu_seconds: float | None
    version: str | None = Field(description="of ninelives, at the time of the run")
    guards: tuple[str, ...] = Field(description="switched on")
    hypothetical_guards: tuple[GuardEntry, ...]
    phases: tuple[PhaseEntry, ...]
    verdicts: tuple[VerdictEntry, ...]


def verdicts_file(record: RunRecord) -> VerdictsFile:
    """The content of the file for one run."""
    story = Story(record)
    return VerdictsFile(
        run_id=record.run_id,
        scenario=_scenario(record),
        value=record.value,
        as_expected=record.as_expected,
        problem=record.history.problem,
        interrupted=story.interrupted,
        cut_short=record.history.cut_short,
        started=story.started.wall if story.started else None,
        seconds=round(story.seconds, 6),
        harness_cpu_seconds=story.ended.harness_cpu if story.ended else None,
        version=story.run.version if story.run else None,
        guards=record.scenario.scenario.guards,
        hypothetical_guards=tuple(GuardEntry(name=n, why_hypothetical=w) for n, w in story.hypothetical),
        phases=tuple(
            PhaseEntry(phase=span.name, seconds=round(span.seconds, 6), ok=span.ok) for span in story.phases
        ),
        verdicts=_verdicts(story),
    )


def _scenario(record: RunRecord) -> ScenarioEntry:
    scenario = record.scenario.scenario
    return ScenarioEntry(
        id=scenario.id,
        title=scenario.title,
        digest=record.scenario.digest,
        strategy=scenario.recover.strategy,
    )


def _verdicts(story: Story) -> tuple[VerdictEntry, ...]:
    return tuple(
        VerdictEntry(
            objective=verdict.objective,
            value=verdict.value,
            expected=story.expected(verdict),
            as_expected=story.expected(verdict) == verdict.value,
            summary=verdict.summary,
            figures=tuple(FigureEntry.of(figure) for figure in verdict.figures),
            evidence=verdict.evidence,
        )
        for verdict in story.record.verdicts
    )


def read_verdicts(path: Path) -> VerdictsFile:
    """Read a file that ``JsonReporter`` wrote.

    Raises:
        pydantic.ValidationError: it is not such a file, or of another schema version.
    """
    return VerdictsFile.model_validate_json(path.read_bytes())


class JsonReporter:
    """Writes verdicts.json."""

    files = (FILE,)

    def render(self, record: RunRecord, out: Path) -> Path:
        """Write it into the folder ``out`` and return its path."""
        path = out / FILE
        text = verdicts_file(record).model_dump_json(by_alias=True, indent=2)
        path.write_text(text + "\n", encoding="utf-8")
        return path
