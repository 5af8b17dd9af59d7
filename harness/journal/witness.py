"""Rows on file: the witness, and what a recovered service holds otherwise than it should.

``witness.jsonl`` has one JSON array a row, ``[table, key, hash, time]``; ``recovered.jsonl`` the same
with a null hash for a row that is missing, and only for rows that differ. ``hash`` is a signed 64-bit
number, ``time`` an ISO date or null.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import file_digest, sha256
from itertools import islice
from pathlib import Path
from typing import NamedTuple, Protocol

from pydantic_core import from_json, to_json

from harness.errors import JournalError
from harness.facts import Fingerprint, TableFingerprint
from harness.journal.bulk import collector_paused

BATCH = 4096
"""Lines that are put together before they are written, hashed or parsed."""


class Row(NamedTuple):
    """What is known of one row.

    Attributes:
        hash: of the whole row; None when the row is not there.
        time: of its last write; None when that is not known.
    """

    hash: int | None
    time: datetime | None


Rows = Mapping[str, Mapping[str, Row]]
"""Rows by table and key."""

TableRead = tuple[str, Iterable[tuple[str, int, datetime | None]]]
"""A table as a database told it: its name, and key, hash and time of every row."""


class Lines(NamedTuple):
    """Some rows of a table as lines of a file of rows.

    Attributes:
        text: the lines, each with its end.
        rows: how many.
        total: the sum of their hashes.
    """

    text: bytes
    rows: int
    total: int


class Calls(Protocol):
    """What should be there."""

    @property
    def tables(self) -> tuple[str, ...]: ...

    def states(self, table: str) -> dict[str, int | None]: ...


@dataclass(frozen=True)
class Written:
    """A file of rows.

    Attributes:
        rows: how many lines it has.
        sha256: of the file, in hex.
        content: of everything that was read, whether it was written or not.
    """

    rows: int
    sha256: str
    content: Fingerprint


class Tally:
    """Counts rows and adds up their hashes, table by table."""

    def __init__(self) -> None:
        self._rows: Counter[str] = Counter()
        self._sums: Counter[str] = Counter()

    def add(self, table: str, total: int, rows: int = 1) -> None:
        """So many more rows, whose hashes add up to ``total``; with both negative, fewer."""
        self._rows[table] += rows
        self._sums[table] += total

    def fingerprint(self) -> Fingerprint:
        """The content so far; tables without a row are left out."""
        return Fingerprint(
            tables=tuple(
                TableFingerprint(table=table, rows=rows, digest=table_digest(rows, self._sums[table]))
                for table, rows in sorted(self._rows.items())
                if rows
            )
        )


def table_digest(rows: int, total: int) -> str:
    """The digest of a table: its rows, and the sum of their hashes modulo 2**64, both in hex."""
    return f"{rows:x}-{total % 2**64:016x}"


def write_rows(path: Path, tables: Iterable[TableRead]) -> Written:
    """Write every row, as the witness does.

    Raises:
        JournalError: the file cannot be written.
    """
    return write_lines(path, ((table, lines_of(table, rows)) for table, rows in tables))


def lines_of(table: str, rows: Iterable[tuple[str, int, datetime | None]]) -> Iterator[Lines]:
    """Rows of a table as lines."""
    rest = iter(rows)
    while batch := list(islice(rest, BATCH)):
        text = b"".join(_line(table, key, hash_, time) for key, hash_, time in batch)
        yield Lines(text, len(batch), sum(row[1] for row in batch))


def write_lines(path: Path, tables: Iterable[tuple[str, Iterable[Lines]]]) -> Written:
    """Write every row, as the witness does, where somebody has put them into lines already.

    Raises:
        JournalError: the file cannot be written.
    """
    tally, digest, count = Tally(), sha256(), 0
    with _writable(path) as take:
        for table, parts in tables:
            for lines in parts:
                digest.update(lines.text)
                take(lines.text)
                tally.add(table, lines.total, lines.rows)
                count += lines.rows
    return Written(count, digest.hexdigest(), tally.fingerprint())


def write_differences(path: Path, tables: Iterable[TableRead], calls_for: Calls) -> Written:
    """Write the rows that are not as they should be, and those that are missing.

    Args:
        path: the file.
        tables: every row that is there.
        calls_for: what witness and ledger call for.

    Raises:
        JournalError: the file cannot be written.
    """
    tally = Tally()

    def lines() -> Iterator[bytes]:
        unread = set(calls_for.tables)
        for table, rows in tables:
            unread.discard(table)
            missing, count, total = calls_for.states(table), 0, 0
            for key, hash_, time in rows:
                count += 1
                total += hash_
                if missing.pop(key, None) != hash_:
                    yield _line(table, key, hash_, time)
            tally.add(table, total, count)
            yield from _missing(table, missing)
        for table in sorted(unread):
            yield from _missing(table, calls_for.states(table))

    count, digest = _write(path, lines())
    return Written(count, digest, tally.fingerprint())


def read_witness(path: Path) -> Rows:
    """Read a file of rows, the witness or the differences of a recovery.

    The one that was read last is not read again while it has the same content: a drill compares with the
    witness once for each copy, and judges by it.

    Raises:
        JournalError: it is missing, cannot be read, or is not what it should be.
    """
    return _read_rows(path, digest_file(path))


@lru_cache(maxsize=1)
def _read_rows(path: Path, digest: str) -> Rows:
    del digest  # tells one content from another
    found: dict[str, dict[str, Row]] = {}
    number = 0
    try:
        with path.open("rb") as file, collector_paused():
            for line in file:
                number += 1
                table, key, hash_, time = from_json(line, cache_strings="none")  # no key comes twice
                rows = found.setdefault(table, {})
                if key in rows:
                    raise ValueError(f"{table} {key} stands there twice")
                rows[key] = Row(hash_, None if time is None else _instant(time))
    except OSError as error:
        raise _unreadable(path, error) from error
    except (ValueError, TypeError) as error:
        raise JournalError(
            f"line {number} of {path} makes no sense: {error}", hint="it was changed; play the drill again"
        ) from error
    return found


def _instant(text: str) -> datetime:
    """A date that compares with others; one without a zone is UTC, as the sessions that read it are."""
    time = datetime.fromisoformat(text)
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time


def digest_file(path: Path) -> str:
    """SHA-256 of a file, in hex.

    Raises:
        JournalError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> JournalError:
    return JournalError(
        f"cannot read {path}: {error}", hint="check that the run folder is whole and readable"
    )


def _line(table: str, key: str, hash_: int | None, time: datetime | None) -> bytes:
    return to_json((table, key, hash_, time)) + b"\n"


def _missing(table: str, states: Mapping[str, int | None]) -> Iterator[bytes]:
    return (_line(table, key, None, None) for key, state in states.items() if state is not None)


def _write(path: Path, lines: Iterable[bytes]) -> tuple[int, str]:
    digest, count = sha256(), 0
    with _writable(path) as take:
        for batch in _batches(lines):
            data = b"".join(batch)
            digest.update(data)
            count += len(batch)
            take(data)
    return count, digest.hexdigest()


@contextmanager
def _writable(path: Path) -> Iterator[Callable[[bytes], None]]:
    """What takes the bytes of a file. It is on the disk when the block is left."""

    def unwritable(error: OSError) -> JournalError:
        return JournalError(
            f"cannot write {path}: {error}", hint="check free space and permissions (`df -h`); then run again"
        )

    def take(data: bytes) -> None:
        rest = data
        try:
            while rest:
                rest = rest[file.write(rest) or 0 :]
        except OSError as error:
            raise unwritable(error) from error

    try:
        file = path.open("wb", buffering=0)
    except OSError as error:
        raise unwritable(error) from error
    with file:
        yield take
        try:
            os.fsync(file.fileno())
        except OSError as error:
            raise unwritable(error) from error


def _batches(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    rest = iter(lines)
    while batch := list(islice(rest, BATCH)):
        yield batch
