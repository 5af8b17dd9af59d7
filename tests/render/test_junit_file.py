"""junit.xml: what CI systems read."""

from __future__ import annotations

from pathlib import Path

import pytest
from junitparser import JUnitXml, TestCase, TestSuite
from odd_runs import ODD_RUNS

from harness.journal.record import RunRecord
from harness.render.junit import JUnitReporter


def suite_of(record: RunRecord, out: Path) -> TestSuite:
    suites = list(JUnitXml.fromfile(str(JUnitReporter().render(record, out))))
    assert len(suites) == 1
    return suites[0]


def kinds(case: TestCase) -> list[str]:
    return [type(result).__name__ for result in case.result]


def properties(suite: TestSuite) -> dict[str, str]:
    return {entry.name: entry.value for entry in suite.properties()}


def test_a_breach_that_was_expected_passes_and_says_that_it_was_a_breach(
    pocketos: RunRecord, tmp_path: Path
) -> None:
    suite = suite_of(pocketos, tmp_path)
    assert (suite.tests, suite.failures, suite.errors) == (len(pocketos.verdicts), 0, 0)
    rpo = next(case for case in suite if case.name == "rpo")
    assert rpo.classname == "pocketos/as-it-happened"
    assert "rpo: breached (expected: breached)" in rpo.system_out


def test_run_and_objectives_stand_in_the_properties(pocketos: RunRecord, tmp_path: Path) -> None:
    said = properties(suite_of(pocketos, tmp_path))
    assert said["run-id"] == pocketos.run_id
    assert (said["rpo-objective"], said["rto-objective"]) == ("15m", "5m")
    assert float(said["rto-measured-seconds"]) == pytest.approx(93.91)


def test_a_breach_that_was_not_expected_is_a_failure_with_the_whole_message_as_text(tmp_path: Path) -> None:
    record = ODD_RUNS["no recovery"](tmp_path / "run")
    suite = suite_of(record, tmp_path)
    rto = next(case for case in suite if case.name == "rto")
    assert kinds(rto) == ["Failure"]
    assert "rto: breached (expected: held). The service never came back" in rto.result[0].text
    assert suite.failures == len(record.surprises) == 1


def test_an_objective_that_held_though_a_breach_was_expected_is_a_failure(
    pocketos: RunRecord, tmp_path: Path
) -> None:
    held = tuple(verdict.model_copy(update={"value": "held"}) for verdict in pocketos.verdicts)
    record = RunRecord(pocketos.run_id, pocketos.scenario, pocketos.history, held)
    rpo = next(case for case in suite_of(record, tmp_path) if case.name == "rpo")
    assert kinds(rpo) == ["Failure"]


def test_an_undecided_objective_is_an_error(tmp_path: Path) -> None:
    suite = suite_of(ODD_RUNS["missed blow"](tmp_path / "run"), tmp_path)
    assert suite.errors == suite.tests > 0
    assert all(kinds(case) == ["Error"] for case in suite)


def test_a_run_without_verdicts_is_an_error_not_an_empty_success(tmp_path: Path) -> None:
    suite = suite_of(ODD_RUNS["only started"](tmp_path / "run"), tmp_path)
    assert (suite.tests, suite.errors) == (1, 1)


def test_every_odd_run_is_well_formed(odd_run: RunRecord, tmp_path: Path) -> None:
    suite = suite_of(odd_run, tmp_path)
    passed = suite.tests - suite.failures - suite.errors
    assert passed == len(odd_run.verdicts) - len(odd_run.surprises)
