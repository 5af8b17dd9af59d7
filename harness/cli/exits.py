"""Exit codes, and which one a run gets."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

from harness.run.drill import Drilled


class Exit(IntEnum):
    """What the command says to whoever called it."""

    AS_EXPECTED = 0
    BREACHED = 1
    UNDECIDED = 2
    USAGE = 3
    FAULT = 4
    INTERRUPTED = 130


WORST_FIRST = (Exit.INTERRUPTED, Exit.FAULT, Exit.USAGE, Exit.BREACHED, Exit.UNDECIDED, Exit.AS_EXPECTED)


def exit_of(drilled: Drilled) -> Exit:
    """The exit code of one run."""
    if isinstance(drilled.fault, KeyboardInterrupt):
        return Exit.INTERRUPTED
    if drilled.fault is not None:
        return Exit.FAULT
    surprises = {verdict.value for verdict in drilled.record.surprises}
    if not surprises:
        return Exit.AS_EXPECTED
    return Exit.UNDECIDED if surprises == {"undecided"} else Exit.BREACHED


def worst(codes: Iterable[Exit]) -> Exit:
    """The code that stands for several runs."""
    present = set(codes)
    return next(code for code in WORST_FIRST if code in present)
