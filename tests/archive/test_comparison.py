"""``compare``: which verdicts turned, which figures moved, and why that may mean nothing."""

from __future__ import annotations

from typing import Any

import pytest

from harness.archive.comparison import compare
from harness.archive.words import comparison_text
from tests.archive.runs import kept, verdict


@pytest.mark.parametrize(
    ("before", "after", "value"),
    [
        ("held", "held", "held"),
        ("held", "breached", "breached"),
        ("undecided", "breached", "breached"),
        ("breached", "held", "held"),
        ("breached", "breached", "held"),
        ("breached", "undecided", "held"),
        ("held", "undecided", "undecided"),
    ],
)
def test_it_is_worse_when_less_is_known_to_hold(before: str, after: str, value: str) -> None:
    compared = compare(kept(1, verdict("rto", before)), kept(2, verdict("rto", after)))
    assert compared.value == value


def test_an_objective_that_is_not_judged_any_more_is_undecided() -> None:
    compared = compare(kept(1, verdict("rto"), verdict("rpo")), kept(2, verdict("rto")))
    assert compared.value == "undecided"
    assert "rpo  held -> not judged, worse" in comparison_text(compared)


@pytest.mark.parametrize("changes", [{"ended": False}, {"problem": "a line was changed"}])
def test_a_run_that_proves_nothing_is_no_better_than_a_breach(changes: dict[str, Any]) -> None:
    before = kept(1, verdict("rto", "breached"))
    assert compare(before, kept(2, verdict("rto", "held"), **changes)).value == "undecided"
    assert compare(before, kept(2, verdict("rto", "held"))).value == "held"


def test_figures_that_moved_are_told_and_others_not() -> None:
    one, two = kept(1, verdict(rto=60.0, target=300.0)), kept(2, verdict(rto=75.0, target=300.0))
    told = comparison_text(compare(one, two))
    assert "rto: 1m -> 1m15s (+25 %)" in told
    assert "target" not in told
    never = comparison_text(compare(one, kept(3, verdict("rto", "breached", rto=float("inf")))))
    assert "rto: 1m -> unbounded\n" in never


def test_what_makes_figures_differ_by_itself_is_told() -> None:
    other = kept(2, digest="d2", provider="docker", version="0.2.0", ended=False)
    notes = compare(kept(1), other).notes
    assert len(notes) == 4
    assert compare(kept(1), kept(1)).notes == ()
