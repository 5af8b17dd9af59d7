"""Makes what breaks something as short as it can be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def minimise(sequence: Sequence[T], breaks: Callable[[tuple[T, ...]], bool]) -> tuple[T, ...]:
    """Leave out whatever is not needed.

    Args:
        sequence: that breaks something.
        breaks: whether a part of it, in the same order, still does; asked at most once for each part, and for
            a sequence of ``n`` at most ``n * (n + 1) / 2`` times. What it raises ends it.

    Returns:
        A part that breaks, and none of whose parts that lack one more element does.
    """
    left, asked = tuple(sequence), dict[tuple[int, ...], bool]()
    kept = tuple(range(len(left)))
    again = True
    while again:
        again = False
        # From the end, since what comes late needs what came early, and seldom the other way round.
        for leave in reversed(kept):
            part = tuple(number for number in kept if number != leave)
            if part not in asked:
                asked[part] = breaks(tuple(left[number] for number in part))
            if asked[part]:
                kept, again = part, True
    return tuple(left[number] for number in kept)
