"""What is left of a sequence still breaks, and nothing more can be left out of it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness.search.minimiser import minimise

needs = st.sets(st.integers(0, 11), max_size=5)
sequences = st.lists(st.integers(0, 11), max_size=12)


@given(sequences, st.lists(needs, min_size=1, max_size=3))
def test_what_is_left_breaks_and_each_of_it_is_needed(sequence: list[int], ways: list[set[int]]) -> None:
    """It breaks when all elements of any one way are there."""

    def breaks(part: tuple[int, ...]) -> bool:
        return any(way <= set(part) for way in ways)

    if not breaks(tuple(sequence)):
        sequence = [*sequence, *sorted(ways[0])]
    left = minimise(sequence, breaks)
    assert breaks(left)
    for leave in range(len(left)):
        assert not breaks((*left[:leave], *left[leave + 1 :]))


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
    assert len(set(asked)) == len(asked)


def test_what_breaks_by_itself_leaves_nothing() -> None:
    assert minimise(("list", "read", "delete"), lambda _: True) == ()
