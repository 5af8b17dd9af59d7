"""Writes the journal: one JSON line an event, each sealed, each carrying the hash of the one before."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Self, cast

from pydantic import ValidationError

from harness.clock import Clock
from harness.errors import JournalError
from harness.facts import Fact
from harness.interrupts import deferred_interrupts
from harness.journal.events import Event, Line

JOURNAL_FILE = "journal.jsonl"
FIRST_PREV = "0" * 64


def sealed(line: bytes) -> str:
    """The ``own`` hash that belongs to a line.

    Args:
        line: bytes without the newline, ending in ``"own":""}``.
    """
    return sha256(line).hexdigest()


def is_written(folder: Path) -> bool:
    """Whether a process still writes the journal of a run folder; the kernel knows, however that one ends.

    Raises:
        JournalError: it cannot be opened.
    """
    try:
        with (folder / JOURNAL_FILE).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    except OSError as error:
        raise JournalError(
            f"cannot read {folder / JOURNAL_FILE}: {error}", hint="check the permissions of the folder"
        ) from error
    return False


class Journal:
    """The append-only record of one run.

    Threads may write at the same time: each line is one write(2), numbered and stamped under a lock.
    After a failed write the journal takes nothing more, so that no gap can pass for a whole record.

    Args:
        folder: the run folder; made if it is not there.
        clock: where stamps come from.
        listeners: called with each line after it is written, in order, under the lock.

    Attributes:
        folder: the run folder.
        path: the journal's file in it.

    Raises:
        JournalError: the file cannot be made, or is there already.
    """

    def __init__(self, folder: Path, clock: Clock, listeners: Sequence[Callable[[Line], None]] = ()) -> None:
        self.folder = folder
        self.path = folder / JOURNAL_FILE
        self._clock = clock
        self._listeners = tuple(listeners)
        self._lock = threading.RLock()
        self._n = 0
        self._prev = FIRST_PREV
        self._folder_synced = False
        self._failure = ""
        self._fd = self._open(folder)

    def _open(self, folder: Path) -> int:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
            fcntl.flock(fd, fcntl.LOCK_EX)  # for as long as somebody writes: see `is_written`
        except FileExistsError as error:
            raise JournalError(
                f"{self.path} is there already", hint="every run needs a folder of its own; choose another"
            ) from error
        except OSError as error:
            raise self._unwritable(error) from error
        return fd

    def write(self, event: Event | Fact) -> Line:
        """Append one event.

        Returns:
            The line as it was written; ``line.n`` is what verdicts cite.

        Raises:
            JournalError: the disk is full or gone, the journal is closed, or the event could not be
                read back.
        """
        with self._lock:
            # A line that was written and not counted would be followed by one with the same number.
            with deferred_interrupts():
                line, data = self._next(event)
                self._append(data)
                self._n, self._prev = line.n, sha256(data).hexdigest()
            for listener in self._listeners:
                listener(line)
            return line

    def sync(self) -> None:
        """Wait until every line is on the disk; the first time, the folder's entry too.

        Raises:
            JournalError: the disk refuses.
        """
        with self._lock:
            self._must_be_open()
            try:
                os.fsync(self._fd)
                if not self._folder_synced:
                    _sync_folder(self.path.parent)
                    _sync_folder(self.path.parent.parent)
                    self._folder_synced = True
            except OSError as error:
                raise self._fail(error) from error

    def close(self) -> None:
        """Sync what is whole and close. Idempotent.

        Raises:
            JournalError: the disk refuses the last sync.
        """
        with self._lock:
            if self._fd < 0:
                return
            try:
                if not self._failure:
                    self.sync()
            finally:
                os.close(self._fd)
                self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _next(self, event: Event | Fact) -> tuple[Line, bytes]:
        """The next line, as a value and as bytes, read back once: what no reader takes is not written."""
        draft = Line.model_construct(
            n=self._n + 1, at=self._clock.stamp(), prev=self._prev, body=cast("Event", event), own=""
        )
        try:
            unsealed = draft.model_dump_json().encode()
            own = sealed(unsealed)
            data = unsealed[: -len('"}')] + own.encode() + b'"}'
            Line.model_validate_json(data)
        except (ValidationError, ValueError) as error:
            raise JournalError(
                f"an event {type(event).__name__} cannot be written so that it can be read again: {error}",
                hint="this is a defect of the part that made the event; please report it",
            ) from error
        return draft.model_copy(update={"own": own}), data

    def _append(self, data: bytes) -> None:
        self._must_be_open()
        rest = data + b"\n"
        try:
            # A short write means that there is no more room; the one after it says why.
            while rest:
                rest = rest[os.write(self._fd, rest) :]
        except OSError as error:
            raise self._fail(error) from error

    def _must_be_open(self) -> None:
        if self._fd < 0:
            raise JournalError(f"{self.path} is closed", hint="write events while the run lasts")
        if self._failure:
            raise JournalError(
                f"{self.path} takes nothing more since a write failed: {self._failure}",
                hint="make room and start the run again; what is there can still be read",
            )

    def _fail(self, error: OSError) -> JournalError:
        self._failure = str(error)
        return self._unwritable(error)

    def _unwritable(self, error: OSError) -> JournalError:
        return JournalError(
            f"cannot write {self.path}: {error}",
            hint="check free space, quota and permissions of that folder (`df -h`); then run again",
        )


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
