"""Invariants: checked after the recovery, or not at all."""

from __future__ import annotations

from typing import Any

import pytest

from harness.journal.events import InvariantChecked, Recovered
from harness.journal.record import Verdict
from harness.objectives.invariants import InvariantsObjective

from .drills import Run, scenario

TWO = {"invariants": {"sums": "SELECT 1", "days": "SELECT 2"}}


def judge(*checks: InvariantChecked | tuple[float, InvariantChecked]) -> Verdict:
    run = Run().without(InvariantChecked).add(*[c if isinstance(c, tuple) else (42.0, c) for c in checks])
    return InvariantsObjective().judge(scenario(objectives=TWO), run.history())


def checked(name: str, rows: int = 0, **more: Any) -> InvariantChecked:
    return InvariantChecked(name=name, rows=rows, **more)


def test_all_that_return_no_row_hold() -> None:
    verdict = judge(checked("sums"), checked("days"))
    assert verdict.value == "held"
    assert verdict.summary == "2 invariants hold after the recovery."


def test_one_that_returns_rows_breaches_and_is_named() -> None:
    verdict = judge(checked("sums"), checked("days", 3))
    assert verdict.value == "breached"
    assert "days (3 rows)" in verdict.summary


def test_a_breach_is_a_breach_beside_one_that_could_not_be_checked() -> None:
    assert judge(checked("sums", error="no such table"), checked("days", 3)).value == "breached"


def test_of_a_service_that_never_came_back_nothing_holds() -> None:
    run = Run().without(InvariantChecked).change(Recovered, ok=False)
    verdict = InvariantsObjective().judge(scenario(objectives=TWO), run.history())
    assert verdict.value == "breached"
    assert "never came back" in verdict.summary
    assert verdict.evidence


@pytest.mark.parametrize(
    ("checks", "reason"),
    [
        ([checked("sums")], "days was never checked"),
        ([checked("sums"), checked("days", error="no such table")], "no such table"),
        ([checked("sums"), (15.0, checked("days"))], "days was never checked after the recovery"),
        ([checked("sums"), (32.0, checked("days"))], "days was never checked after the recovery"),
    ],
)
def test_one_that_was_not_checked_after_the_recovery_leaves_it_undecided(
    checks: list[Any], reason: str
) -> None:
    verdict = judge(*checks)
    assert verdict.value == "undecided"
    assert reason in verdict.summary
