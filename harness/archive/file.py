"""The history beside the run folders: one SQLite file, which is only a summary of these."""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, StaticPool, create_engine, event

from harness.archive.database import Archive, disposed, only_reads, reader_of
from harness.errors import HistoryError

FILE = "history.sqlite"
LOCK_FILE = ".history.lock"
ASIDE = ".aside"
PATIENCE = 120
"""Seconds to wait for another process that writes into the file."""

MAY_NOT_WRITE = {errno.EACCES, errno.EPERM, errno.EROFS}


@contextmanager
def opened_file(reports: Path) -> Iterator[Archive]:
    """The history beside the run folders; made if it is not there.

    Where nothing may be written, a copy of it in memory: it takes what is new as the file would, and is gone
    with the process.

    Args:
        reports: the folder of all runs.

    Raises:
        HistoryError: it cannot be used.
    """
    path = reports / FILE
    engine = _engine(path) if _may_write(path) else _engine_of_a_copy(path)
    event.listen(engine, "connect", _leave_transactions_to_us)
    event.listen(engine, "begin", _begin)
    hint = (
        "check free space and permissions of that folder, or make it anew from the run folders: "
        "`ninelives history --rebuild`; no run needs it"
    )
    with disposed(engine) as engine:
        archive = Archive(engine, reader_of(engine), str(path), hint)
        archive.check()
        yield archive


@contextmanager
def turn(reports: Path, *, alone: bool) -> Iterator[bool]:
    """Wait until nobody moves the history of a folder away, and, to do so alone, until nobody uses it.

    Args:
        reports: the folder of all runs.
        alone: to move it away.

    Yields:
        Whether somebody else has put another history there in the meantime.

    Raises:
        HistoryError: it cannot be waited for.
    """
    path = reports / FILE
    before = _identity(path)
    with ExitStack() as held:
        try:
            lock = os.open(reports / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            held.callback(os.close, lock)
            fcntl.flock(lock, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        except OSError as error:
            # Whoever may write nothing takes a copy in one go, and needs no turn.
            if alone or error.errno not in MAY_NOT_WRITE:
                raise _unusable(reports / LOCK_FILE, error) from error
        yield _identity(path) != before


def set_aside(reports: Path) -> Path | None:
    """Move the history beside the run folders away, whatever is the matter with it.

    Returns:
        Where it is now; None if there was none. An older one that was moved there is gone.

    Raises:
        HistoryError: it cannot be moved.
    """
    moved: Path | None = None
    try:
        # The journal of a file that was cut short belongs to that file, and would spoil another.
        for name in (FILE, f"{FILE}-journal"):
            path = reports / name
            if path.exists():
                aside = path.with_name(path.name + ASIDE)
                path.replace(aside)
                moved = moved or aside
    except OSError as error:
        raise _unusable(reports / FILE, error) from error
    return moved


def _may_write(path: Path) -> bool:
    return all(os.access(each, os.W_OK, effective_ids=True) for each in (path.parent, path) if each.exists())


def _engine(path: Path) -> Engine:
    return create_engine(URL.create("sqlite", database=str(path)), connect_args={"timeout": PATIENCE})


def _engine_of_a_copy(path: Path) -> Engine:
    def copied() -> sqlite3.Connection:
        copy = sqlite3.connect(":memory:")
        if path.exists():
            address = f"{path.absolute().as_uri()}?mode=ro"
            with closing(sqlite3.connect(address, timeout=PATIENCE, uri=True)) as kept:
                kept.backup(copy)
        return copy

    return create_engine("sqlite://", creator=copied, poolclass=StaticPool)


def _leave_transactions_to_us(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")


def _begin(connection: Connection) -> None:
    """Whoever reads first and writes then could find that another has written in between."""
    connection.exec_driver_sql("BEGIN" if only_reads(connection) else "BEGIN IMMEDIATE")


def _identity(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None


def _unusable(path: Path, error: OSError) -> HistoryError:
    return HistoryError(
        f"cannot use {path}: {error}", hint="check the permissions and the kind of that folder"
    )
