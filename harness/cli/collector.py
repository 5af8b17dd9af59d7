"""The garbage collector, in a process that lives for one command."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

YOUNGEST = 500_000
"""Objects that are made before the youngest are looked through; Python's own setting is 700. A drill makes
fewer, most of them by importing."""


@contextmanager
def rare_collections() -> Iterator[None]:
    """Collect cyclic garbage seldom inside the block.

    Importing and reading make objects that stay, and a command makes next to no cycles: looking for some as
    often as Python does was an eighth of all processor time of a drill (measured).
    """
    before = gc.get_threshold()
    gc.set_threshold(YOUNGEST, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def leave_the_rest() -> None:
    """For the last moments of a process: what is left goes with it, and is looked through no more.

    Python would do so several times on its way out, which took as long as judging the run (measured).
    """
    gc.freeze()
