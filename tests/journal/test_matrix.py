"""What follows from the verdicts under many sets of guards, and nothing more."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain, combinations

from hypothesis import given
from hypothesis import strategies as st

from harness.journal.matrix import GuardMatrix, GuardNote, Trial
from harness.journal.record import Verdict
from harness.scenario.models import VerdictValue

Judge = Callable[[frozenset[str]], dict[str, VerdictValue]]


def trial(guards: Iterable[str], values: dict[str, VerdictValue], problem: str = "") -> Trial:
    verdicts = tuple(Verdict(objective=name, value=value, summary="") for name, value in values.items())
    return Trial(guards=tuple(guards), verdicts=verdicts, problem=problem)


def matrix_of(names: str, judge: Judge, sets: Iterable[Iterable[str]] | None = None) -> GuardMatrix:
    """Every set of the guards (a letter each), or some, judged."""
    every = chain.from_iterable(combinations(names, size) for size in range(len(names) + 1))
    return GuardMatrix(
        scenario="shop/x",
        title="X",
        guards=tuple(GuardNote(name=name, why="why") for name in names),
        trials=tuple(trial(guards, judge(frozenset(guards))) for guards in sets or every),
    )


def held_if(rpo: bool, rto: bool = True) -> dict[str, VerdictValue]:
    return {"rpo": "held" if rpo else "breached", "rto": "held" if rto else "breached"}


def test_one_guard_is_enough_and_another_does_nothing() -> None:
    matrix = matrix_of("ab", lambda on: held_if("a" in on))
    assert matrix.smallest == (("a",),)
    assert matrix.saved_by("a") == matrix.lost_without("a") == ("rpo",)
    assert matrix.idle == ("b",)
    assert matrix.redundant == ()
    assert matrix.beyond_failing == ("rto",)


def test_two_that_do_the_same_are_each_redundant() -> None:
    matrix = matrix_of("ab", lambda on: held_if(bool(on)))
    assert matrix.smallest == (("a",), ("b",))
    assert matrix.redundant == ("a", "b")
    assert matrix.idle == ()
    assert matrix.lost_without("a") == ()


def test_two_that_are_worth_something_together_only() -> None:
    matrix = matrix_of("abc", lambda on: held_if({"a", "b"} <= on))
    assert matrix.smallest == (("a", "b"),)
    assert matrix.saved_by("a") == matrix.saved_by("b") == ()
    assert matrix.lost_without("a") == matrix.lost_without("b") == ("rpo",)
    assert matrix.idle == ("c",)


def test_a_guard_that_undoes_another() -> None:
    matrix = matrix_of("ab", lambda on: held_if(on == {"a"}))
    assert matrix.smallest == (("a",),)
    assert matrix.value == "breached"
    assert matrix.idle == ()


def test_objectives_are_saved_one_by_one() -> None:
    matrix = matrix_of("ab", lambda on: held_if("a" in on, "b" in on))
    assert matrix.smallest == (("a", "b"),)
    assert (matrix.saved_by("a"), matrix.saved_by("b")) == (("rpo",), ("rto",))
    assert matrix.beyond_failing == ()


def test_nothing_is_said_of_what_was_not_decided() -> None:
    def judge(on: frozenset[str]) -> dict[str, VerdictValue]:
        return {"rpo": "undecided" if on else "breached"}

    matrix = matrix_of("a", judge)
    assert matrix.value == "undecided"
    assert matrix.smallest == matrix.saved_by("a") == matrix.lost_without("a") == ()
    assert matrix.idle == matrix.redundant == ()


def test_a_trial_with_a_problem_decides_nothing_whatever_its_verdicts_say() -> None:
    broken = trial("a", {"rpo": "held"}, problem="the disk is full")
    assert broken.value == broken.value_of("rpo") == "undecided"
    assert trial("a", {"rpo": "held"}).value_of("rto") == "undecided"


def test_a_set_that_was_not_played_is_no_evidence() -> None:
    matrix = matrix_of("ab", lambda on: held_if(bool(on)), sets=("", "a"))
    assert matrix.value == "undecided"
    assert matrix.redundant == ()
    assert matrix.lost_without("b") == ()
    assert matrix.smallest == (("a",),)


@given(st.dictionaries(st.frozensets(st.sampled_from("abcd")), st.sampled_from(["held", "breached"])))
def test_the_smallest_sets_hold_and_no_part_of_them_does(values: dict[frozenset[str], VerdictValue]) -> None:
    def judge(on: frozenset[str]) -> dict[str, VerdictValue]:
        return {"rpo": values.get(on, "breached")}

    holding = {on for on, value in values.items() if value == "held"}
    smallest = {frozenset(found) for found in matrix_of("abcd", judge).smallest}
    assert smallest <= holding
    assert all(not other < found for found in smallest for other in holding)
    assert all(any(found <= other for found in smallest) for other in holding)
