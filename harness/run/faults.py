"""What ends a run, in words that its reader can do something with."""

from __future__ import annotations

import errno
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath

from harness.errors import (
    DumpError,
    HarnessError,
    Problem,
    ScenarioError,
    ScenarioFileError,
    StatementError,
)
from harness.scenario.models import LoadedScenario
from harness.scenario.positions import KeyPath, dotted
from harness.scenario.whereabouts import place_of

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def in_plain_words(error: BaseException) -> BaseException:
    """The error itself, or a plain one for what a machine can do to any program.

    A full disk and a tool that hangs are no defect of ours, wherever in the harness they show.
    """
    if isinstance(error, OSError) and error.errno in NO_ROOM:
        where = f" {error.filename}" if error.filename else ""
        return HarnessError(
            f"cannot write{where}: {error.strerror}",
            hint="free some space, or choose another place with --work or --reports",
        )
    if isinstance(error, subprocess.TimeoutExpired):
        # Of its arguments nothing is said: they are long, and of no use to the reader.
        command = error.cmd if isinstance(error.cmd, str) else str(error.cmd[0])
        return HarnessError(
            f"{PurePath(command).name} did not end within {error.timeout:g} s, and was given up",
            hint="the machine may be overloaded, or its disk slow; run the drill again when it is not",
        )
    return error


@contextmanager
def blaming(place: Path | str, what: str, first_line: int | None = 1) -> Iterator[None]:
    """A statement that the database refuses within the block is the fault of the file that it stands in.

    Args:
        place: the file; where in it, if ``first_line`` is None.
        what: the statement is, for the message.
        first_line: of the file, that line 1 of what is sent is; None when its lines are none of the file's.

    Raises:
        ScenarioFileError: it was refused for what it says.
    """
    try:
        yield
    except StatementError as error:
        number = error.line + first_line - 1 if error.line and first_line is not None else 0
        line = f":{number}" if number >= 1 else ""
        raise ScenarioFileError(
            f"{place}{line}: the database refuses {what}: {error.reason}",
            hint="mend it; `ninelives run` checks it again before it plays anything",
        ) from error


@contextmanager
def blaming_dump(loaded: LoadedScenario, service: str) -> Iterator[None]:
    """A backup file that a service cannot be hydrated with is the fault of who names it.

    Raises:
        ScenarioError: with the place in the stack file.
    """
    try:
        yield
    except DumpError as error:
        path: KeyPath = ("services", service, "data", "dump")
        place = place_of(loaded, path)
        problem = Problem(place.file, place.line, place.column, dotted(path), error.message, error.hint)
        raise ScenarioError((problem,)) from error
