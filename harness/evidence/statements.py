"""What is signed: two in-toto statements about one manifest.

The first says in a vocabulary that others know how the objectives came out: held is passed, breached is
failed, undecided is warned. What the scenario expected plays no part in it, since whoever reads it must not
have to know that a breach was meant to happen. The second has the figures, and what was expected.
"""

from __future__ import annotations

from datetime import datetime
from typing import Generic, Literal, TypeVar

from pydantic import Field

from harness.evidence.manifest import Manifest, Part, started
from harness.journal.record import RunRecord, Verdict
from harness.journal.writer import JOURNAL_FILE
from harness.scenario.models import LoadedScenario, VerdictValue
from harness.scenario.tightening import names_in_force

PAYLOAD_TYPE = "application/vnd.in-toto+json"
TEST_RESULT = "https://in-toto.io/attestation/test-result/v0.1"
FIGURES = "urn:ninelives:measured-figures:v0.1"
NO_JOURNAL = f"there is no {JOURNAL_FILE}: the run was stopped before it began"

P = TypeVar("P", bound=Part)


class Digest(Part):
    """Of a resource."""

    sha256: str


class Resource(Part):
    """Something by its digest, as in-toto describes it."""

    name: str
    digest: Digest


class TestResult(Part):
    """The predicate ``test-result`` v0.1 of in-toto."""

    __test__ = False  # not a class of tests, whatever pytest takes its name for

    result: Literal["PASSED", "WARNED", "FAILED"]
    configuration: tuple[Resource, ...]
    url: str | None = None
    passed: tuple[str, ...] = Field(alias="passedTests")
    warned: tuple[str, ...] = Field(alias="warnedTests")
    failed: tuple[str, ...] = Field(alias="failedTests")


class FigurePart(Part):
    """One number of a verdict."""

    name: str
    value: float
    unit: str
    basis: str


class VerdictPart(Part):
    """What is said of one objective."""

    objective: str
    value: VerdictValue
    expected: VerdictValue
    summary: str
    figures: tuple[FigurePart, ...]
    evidence: tuple[int, ...] = Field(description="numbers of lines of journal.jsonl")


class Figures(Part):
    """Our own predicate: the measured figures."""

    run: str
    number: int
    started: datetime | None = None
    value: VerdictValue
    as_expected: bool
    whole: bool = Field(description="whether the record has nothing wrong with it")
    problem: str | None = Field(None, description="what is wrong with it, in words")
    verdicts: tuple[VerdictPart, ...]


class Statement(Part, Generic[P]):
    """An in-toto statement, version 1."""

    type_: Literal["https://in-toto.io/Statement/v1"] = Field(
        "https://in-toto.io/Statement/v1", alias="_type"
    )
    subject: tuple[Resource, ...]
    predicate_type: str = Field(alias="predicateType")
    predicate: P


RESULTS: dict[VerdictValue, Literal["PASSED", "WARNED", "FAILED"]] = {
    "held": "PASSED",
    "undecided": "WARNED",
    "breached": "FAILED",
}


def test_result(
    scenario: LoadedScenario, record: RunRecord | None, manifest: Manifest, url: str | None
) -> TestResult:
    """The first statement's predicate.

    Args:
        scenario: what was played.
        record: the judged run; None when it has no journal, and then nothing is decided.
        manifest: of its folder.
        url: of the job that played it, if there is one.
    """
    values = _values(scenario, record)
    part = manifest.scenario
    return TestResult(
        result=RESULTS[record.value if record else "undecided"],
        configuration=(
            Resource(name=part.id, digest=Digest(sha256=part.sha256)),
            Resource(name="scenario.json", digest=Digest(sha256=part.resolved_sha256)),
            Resource(name=f"ninelives {manifest.tool.signed}", digest=Digest(sha256=manifest.tool.sha256)),
        ),
        url=url,
        passed=tuple(name for name, value in values.items() if value == "held"),
        warned=tuple(name for name, value in values.items() if value == "undecided"),
        failed=tuple(name for name, value in values.items() if value == "breached"),
    )


def figures(scenario: LoadedScenario, record: RunRecord | None, manifest: Manifest) -> Figures:
    """The second statement's predicate; arguments as for ``test_result``."""
    begun = record.history.entries[0] if record and record.history.entries else None
    problem = record.history.problem if record else NO_JOURNAL
    return Figures(
        run=manifest.run.enrolled.run_id,
        number=manifest.run.number,
        started=begun.at.wall if begun and record and started(record.history) else None,
        value=record.value if record else "undecided",
        as_expected=record.as_expected if record else False,
        whole=problem is None,
        problem=problem,
        verdicts=tuple(verdict_part(scenario, verdict) for verdict in record.verdicts) if record else (),
    )


def _values(scenario: LoadedScenario, record: RunRecord | None) -> dict[str, VerdictValue]:
    if record is None:
        return dict.fromkeys(names_in_force(scenario.objectives), "undecided")
    return {verdict.objective: verdict.value for verdict in record.verdicts}


def verdict_part(scenario: LoadedScenario, verdict: Verdict) -> VerdictPart:
    """A verdict, as statements have it."""
    return VerdictPart(
        objective=verdict.objective,
        value=verdict.value,
        expected=scenario.scenario.expect.get(verdict.objective, "held"),
        summary=verdict.summary,
        figures=tuple(
            FigurePart(name=figure.name, value=figure.value, unit=figure.unit, basis=figure.basis)
            for figure in verdict.figures
        ),
        evidence=verdict.evidence,
    )
