"""Exit codes, and which one a run gets."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from traceback import format_exception
from typing import TYPE_CHECKING

from harness.errors import USERS_MISTAKES, HarnessError

if TYPE_CHECKING:
    # For types only: `ninelives --help` answers in a quarter of the time without it.
    from harness.journal.answer import Answer
    from harness.journal.record import RunRecord
    from harness.scenario.models import VerdictValue


class Exit(IntEnum):
    """What the command says to whoever called it."""

    AS_EXPECTED = 0
    BREACHED = 1
    UNDECIDED = 2
    USAGE = 3
    FAULT = 4
    INTERRUPTED = 130


WORST_FIRST = (Exit.INTERRUPTED, Exit.FAULT, Exit.USAGE, Exit.BREACHED, Exit.UNDECIDED, Exit.AS_EXPECTED)


def exit_of(record: RunRecord, fault: BaseException | None = None) -> Exit:
    """The exit code of one run, and of what stopped it."""
    if isinstance(fault, KeyboardInterrupt):
        return Exit.INTERRUPTED
    if fault is not None:
        return exit_of_error(fault)
    if record.as_expected:
        return Exit.AS_EXPECTED
    surprises = {verdict.value for verdict in record.surprises}
    undecided = surprises <= {"undecided"} and record.value != "breached"
    return Exit.UNDECIDED if undecided else Exit.BREACHED


def exit_of_answer(answer: Answer) -> Exit:
    """The exit code of a search that has just ended."""
    return Exit.INTERRUPTED if answer.interrupted else exit_of_value(answer.value)


def exit_of_value(value: VerdictValue) -> Exit:
    """The exit code of what must hold."""
    if value == "held":
        return Exit.AS_EXPECTED
    return Exit.BREACHED if value == "breached" else Exit.UNDECIDED


def exit_of_error(error: BaseException) -> Exit:
    """Whose mistake an error is: the user's, in a file or in what was asked, or the harness's."""
    return Exit.USAGE if isinstance(error, USERS_MISTAKES) else Exit.FAULT


def worst(codes: Iterable[Exit]) -> Exit:
    """The code that stands for several runs."""
    present = set(codes)
    return next(code for code in WORST_FIRST if code in present)


def explain(fault: BaseException) -> str:
    """A fault in words, with what to do about it."""
    from harness.run.faults import in_plain_words

    fault = in_plain_words(fault)
    if isinstance(fault, HarnessError):
        return str(fault)
    name = type(fault).__name__
    trace = "".join(format_exception(fault)).rstrip()
    return f"{name}: {fault}\n  hint: this is a defect of ninelives; please report it, with this:\n{trace}"
