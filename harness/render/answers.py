"""Reports of searches: the same files as of a run, made from the result alone.

``verdicts.json`` and ``junit.xml`` have the values and words of a run's; what must hold is expected to hold.
In JUnit a breach is a failure, an undecided verdict an error, and what is told and not judged passes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from junitparser import Error, Failure, JUnitXml, TestCase, TestSuite
from pydantic import Field

from harness.journal.answer import Answer, Note, Result
from harness.journal.explored import Explored
from harness.journal.matrix import GuardMatrix
from harness.journal.radius import BlastRadius
from harness.journal.record import Verdict
from harness.render import html, json, junit, pdf, text
from harness.render.explored import answer as explored_answer
from harness.render.explored import explored_page, explored_text
from harness.render.guards import answer as guards_answer
from harness.render.guards import matrix_page, matrix_text
from harness.render.json import Entry, FigureEntry, VerdictEntry
from harness.render.radius import answer as radius_answer
from harness.render.radius import radius_page, radius_text
from harness.render.wording import amount, clean, plain
from harness.scenario.models import VerdictValue

REPORTS = ("text", "json", "junit", "html")
FORMATS = (*REPORTS, "pdf")
LONGEST = 4000


class NoteEntry(Entry):
    """What is told and not judged."""

    name: str
    text: str


class AnswerFile(Entry):
    """verdicts.json of a search."""

    schema_: Literal[1] = Field(1, alias="schema")
    run_id: str
    verb: str
    subject: str
    value: VerdictValue
    as_expected: bool
    problem: str | None = Field(description="why the record cannot be trusted; null when it can")
    interrupted: bool
    headline: str
    guards: tuple[str, ...] = Field(description="switched on; for `guards` those that there are")
    figures: tuple[FigureEntry, ...] = Field(description="how hard it looked")
    verdicts: tuple[VerdictEntry, ...]
    notes: tuple[NoteEntry, ...]


def answer_of(result: Result) -> Answer:
    """A result in the words of a run."""
    match result:
        case GuardMatrix():
            return guards_answer(result)
        case BlastRadius():
            return radius_answer(result)
        case Explored():
            return explored_answer(result)


def text_of(result: Result, width: int) -> str:
    """A result for a terminal of ``width`` columns; ends in a newline."""
    match result:
        case GuardMatrix():
            return matrix_text(result, width)
        case BlastRadius():
            return radius_text(result, width)
        case Explored():
            return explored_text(result, width)


def page_of(result: Result) -> str:
    """A result as a page."""
    match result:
        case GuardMatrix():
            return matrix_page(result)
        case BlastRadius():
            return radius_page(result)
        case Explored():
            return explored_page(result)


def write_reports(
    result: Result, run_id: str, folder: Path, reports: Sequence[str] = REPORTS
) -> tuple[Path, ...]:
    """Write reports of a search.

    Args:
        result: what it found.
        run_id: the name of the folder that has the evidence.
        folder: is there.
        reports: which of ``FORMATS``.

    Returns:
        The files.

    Raises:
        OSError: one cannot be written.
        MissingToolError: what prints the page is not on this machine.
    """
    return tuple(_write(name, result, run_id, folder) for name in reports)


def _write(report: str, result: Result, run_id: str, folder: Path) -> Path:
    match report:
        case "text":
            path = folder / text.FILE
            path.write_text(text_of(result, text.WIDTH), encoding="utf-8")
        case "json":
            path = folder / json.FILE
            told = answer_file(answer_of(result), run_id).model_dump_json(indent=2, by_alias=True)
            path.write_text(told + "\n", encoding="utf-8")
        case "junit":
            path = folder / junit.FILE
            document = JUnitXml("ninelives")
            document.add_testsuite(_suite(answer_of(result), run_id))
            document.write(str(path), pretty=True)
        case "pdf":
            path = folder / pdf.FILE
            path.write_bytes(pdf.document(page_of(result), run_id))
        case _:
            path = folder / html.FILE
            path.write_text(page_of(result), encoding="utf-8", newline="\n")
    return path


def answer_file(answer: Answer, run_id: str) -> AnswerFile:
    """The content of verdicts.json."""
    return AnswerFile(
        run_id=run_id,
        verb=answer.verb,
        subject=answer.subject,
        value=answer.value,
        as_expected=answer.value == "held",
        problem=answer.problem,
        interrupted=answer.interrupted,
        headline=answer.headline,
        guards=answer.guards,
        figures=tuple(FigureEntry.of(figure) for figure in answer.figures),
        verdicts=tuple(_verdict(verdict) for verdict in answer.verdicts),
        notes=tuple(NoteEntry(name=note.name, text=note.text) for note in answer.notes),
    )


def _verdict(verdict: Verdict) -> VerdictEntry:
    return VerdictEntry(
        objective=verdict.objective,
        value=verdict.value,
        expected="held",
        as_expected=verdict.value == "held",
        summary=verdict.summary,
        figures=tuple(FigureEntry.of(figure) for figure in verdict.figures),
        evidence=verdict.evidence,
    )


def _suite(answer: Answer, run_id: str) -> TestSuite:
    suite = TestSuite(_text(f"{answer.subject}, {answer.verb}"))
    for name, value in (
        ("run-id", run_id),
        ("verdict", answer.value),
        ("headline", answer.headline),
        ("guards", ", ".join(answer.guards) or "none"),
        *((figure.name, plain(amount(figure))) for figure in answer.figures),
    ):
        suite.add_property(_text(name), _text(value))
    cases = [_case(answer, verdict) for verdict in answer.verdicts] or [_nothing_judged(answer)]
    suite.add_testcases([*cases, *(_told(answer, note) for note in answer.notes)])
    return suite


def _case(answer: Answer, verdict: Verdict) -> TestCase:
    case = TestCase(_text(verdict.objective), classname=_text(answer.subject), time=0.0)
    told = _text(f"{verdict.objective}: {verdict.value} (expected: held). {verdict.summary}")
    if verdict.value == "held":
        case.system_out = told
        return case
    kind = Error if verdict.value == "undecided" else Failure
    result = kind(told.partition("\n")[0], verdict.value)
    result.text = told
    case.result = [result]
    return case


def _nothing_judged(answer: Answer) -> TestCase:
    """A search that came to no verdict: it is in error, whatever the reason."""
    nothing = Verdict(objective=answer.verb, value="undecided", summary=answer.headline)
    return _case(answer, nothing)


def _told(answer: Answer, note: Note) -> TestCase:
    case = TestCase(_text(note.name), classname=_text(answer.subject), time=0.0)
    case.system_out = _text(note.text)
    return case


def _text(said: str) -> str:
    return plain(clean(said, LONGEST))
