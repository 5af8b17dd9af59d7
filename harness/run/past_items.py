"""Makes up the past of a service that holds items: the same items in every run of a scenario."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from random import Random

from harness.seams.items import Item


@dataclass(frozen=True)
class Slice:
    """A part of the past.

    Attributes:
        start, end: in scenario time.
        first, last: numbers of the rows of the whole past that are in it; the last is not.
    """

    start: datetime
    end: datetime
    first: int
    last: int

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return self.last - self.first


def past_items(collections: Sequence[str], part: Slice, size: int) -> Iterator[Item]:
    """The items of one slice, spread evenly over its time, and over the collections in turn.

    Args:
        collections: their names.
        part: which items, dated when.
        size: of each content, in bytes.
    """
    for number in range(part.first, part.last):
        key = f"past-{number:08d}"
        body = Random(key).randbytes(size)  # noqa: S311 - not a secret
        time = part.start + (part.end - part.start) * ((number - part.first + 1) / part.rows)
        yield Item(collections[number % len(collections)], key, body, time)
