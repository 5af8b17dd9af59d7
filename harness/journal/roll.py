"""The roll of runs: one line a run, numbered, each with the hash of the one before.

A run is on the roll before it touches anything, whatever becomes of it. So whoever shows the runs that went
well shows by their numbers that there are others.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from itertools import islice
from pathlib import Path
from secrets import token_hex

from pydantic import Field, ValidationError

from harness.errors import JournalError
from harness.facts import Fact
from harness.interrupts import deferred_interrupts

ROLL_FILE = "runs.jsonl"
MANIFEST_FILE = "manifest.json"
"""What a run folder has when it is signed."""
FIRST_PREV = "0" * 64


class Enrolled(Fact):
    """One line of the roll."""

    roll: str = Field(description="made up when the roll was begun, so that two rolls differ")
    number: int = Field(description="of the run, from 1")
    run_id: str
    scenario: str
    at: datetime
    prev: str = Field(description="SHA-256, in hex, of the line before; 64 zeros for the first")

    @property
    def digest(self) -> str:
        """SHA-256, in hex, of this line."""
        return sha256(self.model_dump_json().encode()).hexdigest()


def enroll(reports: Path, run_id: str, scenario: str, at: datetime) -> Enrolled:
    """Give a run its number. On disk when this returns; two processes at once get two numbers.

    Args:
        reports: the folder of all runs; the roll lies in it.
        run_id, scenario: what is numbered.
        at: now.

    Raises:
        JournalError: the roll cannot be read or written. No number was given then.
    """
    with _locked(reports / ROLL_FILE) as fd, deferred_interrupts():
        last = _last(fd, reports / ROLL_FILE)
        enrolled = Enrolled(
            roll=last.roll if last else token_hex(8),
            number=last.number + 1 if last else 1,
            run_id=run_id,
            scenario=scenario,
            at=at,
            prev=last.digest if last else FIRST_PREV,
        )
        rest = _written(enrolled)
        while rest:
            rest = rest[os.write(fd, rest) :]
        os.fsync(fd)
    return enrolled


def read_roll(reports: Path) -> tuple[tuple[Enrolled, ...], str | None]:
    """Every run that was given a number in a folder of reports.

    Returns:
        The lines up to the first that is not as it was written, and what is wrong with that one. A folder
        without a roll has none.

    Raises:
        JournalError: it cannot be read.
    """
    path = reports / ROLL_FILE
    try:
        *lines, rest = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return (), None
    except OSError as error:
        raise _unusable(path, error) from error
    read: list[Enrolled] = []
    for n, text in enumerate(lines, start=1):
        try:
            line = Enrolled.model_validate_json(text)
        except ValidationError:
            return tuple(read), f"line {n} of {ROLL_FILE} is not as it was written"
        if not _follows(line, read[-1] if read else None):
            return tuple(read), _broken(n)
        read.append(line)
    # A run that died while it wrote its line never had a number; the next one writes over it.
    return tuple(read), None if not rest else f"line {len(read) + 1} of {ROLL_FILE} is cut off"


@dataclass(frozen=True)
class Stretch:
    """Some lines of a roll, one after the other.

    Attributes:
        lines: whole ones, each following from the one before.
        end: where the next one begins, in bytes from the beginning of the roll.
        problem: what is wrong with the line there; None when nothing is, or when none is there yet.
    """

    lines: tuple[Enrolled, ...]
    end: int
    problem: str | None = None


def first_of_roll(reports: Path) -> Enrolled | None:
    """The first line of the roll in a folder of reports; None where there is no roll, or none to be used.

    Raises:
        JournalError: it cannot be read.
    """
    lines = read_on(reports, 0, None, 1).lines
    return lines[0] if lines else None


def has_line(reports: Path, line: Enrolled, end: int) -> bool:
    """Whether the roll in a folder of reports still has a line where it was.

    Not so when the folder has another copy of the roll, to which other runs were added. The lines before it
    are not read.

    Args:
        reports: the folder of all runs.
        line: as it was read.
        end: where it ended, in bytes from the beginning of the roll.

    Raises:
        JournalError: it cannot be read.
    """
    text = _written(line)
    try:
        with (reports / ROLL_FILE).open("rb") as file:
            if not len(text) <= end <= os.fstat(file.fileno()).st_size:
                return False
            file.seek(end - len(text))
            return file.read(len(text)) == text
    except OSError as error:
        raise _unusable(reports / ROLL_FILE, error) from error


def read_on(reports: Path, start: int, before: Enrolled | None, most: int) -> Stretch:
    """Read on in a roll, so that nobody has to read a long one whole.

    Args:
        reports: the folder of all runs.
        start: bytes from its beginning to where the next line begins.
        before: the line that ends there; None at the beginning.
        most: how many lines to read.

    Raises:
        JournalError: it cannot be read.
    """
    try:
        with (reports / ROLL_FILE).open("rb") as file:
            file.seek(start)
            texts = [*islice(file, most)]
    except FileNotFoundError:
        return Stretch((), start)
    except OSError as error:
        raise _unusable(reports / ROLL_FILE, error) from error
    lines: list[Enrolled] = []
    last = before
    for text in texts:
        if not text.endswith(b"\n"):
            break  # it is being written, or was cut off and will be written over
        n = (last.number if last else 0) + 1
        try:
            line = Enrolled.model_validate_json(text)
        except ValidationError:
            return Stretch(tuple(lines), start, f"line {n} of {ROLL_FILE} is not as it was written")
        if not _follows(line, last):
            return Stretch(tuple(lines), start, _broken(n))
        lines.append(line)
        last = line
        start += len(text)
    return Stretch(tuple(lines), start)


def _written(line: Enrolled) -> bytes:
    return line.model_dump_json().encode() + b"\n"


def _broken(n: int) -> str:
    return f"line {n} of {ROLL_FILE} does not follow: a line was changed or removed"


def _follows(line: Enrolled, before: Enrolled | None) -> bool:
    if before is None:
        return line.number == 1 and line.prev == FIRST_PREV
    return (line.roll, line.number, line.prev) == (before.roll, before.number + 1, before.digest)


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield fd
        finally:
            os.close(fd)
    except OSError as error:
        raise _unusable(path, error) from error


def _last(fd: int, path: Path) -> Enrolled | None:
    """The last whole line. What was cut off while it was written is removed: nobody has that number."""
    size = os.fstat(fd).st_size
    # One line is far below this; only the end is read, however many runs there were.
    tail = os.pread(fd, LONGEST_TAIL, max(size - LONGEST_TAIL, 0))
    whole, _, cut = tail.rpartition(b"\n")
    if cut:
        os.ftruncate(fd, size - len(cut))
    if not whole:
        return None
    try:
        return Enrolled.model_validate_json(whole.rpartition(b"\n")[2])
    except ValidationError as error:
        raise JournalError(
            f"the last line of {path} is not as it was written, so no run can be numbered after it",
            hint="bring it back from a copy; or move it away: a new roll begins, as auditors will see",
        ) from error


LONGEST_TAIL = 64 * 1024
"""Bytes from the end of a roll that surely hold its last line: ids are file names."""


def _unusable(path: Path, error: OSError) -> JournalError:
    return JournalError(
        f"cannot use {path}, which numbers the runs: {error}",
        hint="check free space and permissions of that folder, or choose another with --reports",
    )
