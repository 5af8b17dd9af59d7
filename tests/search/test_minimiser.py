"""What is left of a sequence still breaks, and nothing more can be left out of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.search.minimiser import minimise

needs = st.sets(st.integers(0, 11), max_size=5)
sequences = st.lists(st.integers(0, 11), max_size=12)
Part = tuple[int, ...]


def one_less(part: Part) -> list[Part]:
    """The parts that lack one more element."""
    return [(*part[:leave], *part[leave + 1 :]) for leave in range(len(part))]


def most_questions(length: int) -> int:
    """One round for each element that can be left out, each shorter than the one before."""
    return length * (length + 1) // 2


@given(sequences, st.lists(needs, min_size=1, max_size=3))
def test_what_is_left_breaks_and_each_of_it_is_needed(sequence: list[int], ways: list[set[int]]) -> None:
    """It breaks when all elements of any one way are there."""

    def breaks(part: Part) -> bool:
        return any(way <= set(part) for way in ways)

    if not breaks(tuple(sequence)):
        sequence = [*sequence, *sorted(ways[0])]
    left = minimise(sequence, breaks)
    assert breaks(left)
    assert not any(breaks(part) for part in one_less(left))


@given(st.integers(0, 7), st.sets(st.frozensets(st.integers(0, 6))))
def test_it_is_so_too_where_more_can_break_less(length: int, breaking: set[frozenset[int]]) -> None:
    """A call may undo what another one did: no order among parts can be counted on."""
    whole = tuple(range(length))
    ways = {*breaking, frozenset(whole)}
    left = minimise(whole, lambda part: frozenset(part) in ways)
    assert frozenset(left) in ways
    assert not any(frozenset(part) in ways for part in one_less(left))


@given(sequences, needs)
def test_the_order_stays_and_nothing_is_asked_twice(sequence: list[int], way: set[int]) -> None:
    whole = (*sequence, *sorted(way))
    numbered = tuple(enumerate(whole))
    asked: list[tuple[tuple[int, int], ...]] = []

    def breaks(part: tuple[tuple[int, int], ...]) -> bool:
        asked.append(part)
        return way <= {element for _, element in part}

    left = minimise(numbered, breaks)
    assert list(left) == sorted(left)
    assert len(set(asked)) == len(asked) <= most_questions(len(whole))
    assert numbered not in asked, "that it breaks is why it is minimised"


@given(st.integers(0, 12), st.data())
def test_an_answer_that_changes_from_time_to_time_misleads_it_only_so_far(
    length: int, data: st.DataObject
) -> None:
    """Whatever is said, it comes to an end, with something of which it was said that it breaks."""
    whole, said = tuple(range(length)), dict[Part, bool]()

    def breaks(part: Part) -> bool:
        assert part not in said
        said[part] = data.draw(st.booleans())
        return said[part]

    left = minimise(whole, breaks)
    assert left == whole or said[left]
    assert [said[part] for part in one_less(left)] == [False] * len(left)
    assert len(said) <= most_questions(length)


@given(st.integers(1, 12), st.integers(0, 11))
def test_an_element_that_comes_twice_is_left_once(length: int, element: int) -> None:
    assert minimise((element,) * length, lambda part: element in part) == (element,)


@pytest.mark.parametrize("end", [KeyboardInterrupt, RuntimeError])
def test_whoever_ends_it_from_within_is_heard_at_once(end: type[BaseException]) -> None:
    """Ctrl-C, or a stack that does not come back; what broke until then is known to who answers."""
    asked: list[tuple[str, ...]] = []

    def breaks(part: tuple[str, ...]) -> bool:
        asked.append(part)
        if len(asked) == 2:
            raise end
        return True

    with pytest.raises(end):
        minimise(("list", "read", "delete"), breaks)
    assert asked == [("list", "read"), ("list",)]


def test_what_breaks_by_itself_leaves_nothing() -> None:
    assert minimise(("list", "read", "delete"), lambda _: True) == ()


def test_of_nothing_nothing_is_asked() -> None:
    def breaks(part: Part) -> bool:
        raise AssertionError(part)

    assert minimise((), breaks) == ()
