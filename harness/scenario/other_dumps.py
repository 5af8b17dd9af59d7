"""Backup files of what is not PostgreSQL: what shows of one in its first and last bytes.

A look, not a proof: a server loads it next. But MariaDB's client takes the end of a file for the end of a
dump, so that a file that was cut between two statements would load with rows missing and exit code 0.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from gzip import BadGzipFile, GzipFile
from io import BufferedReader
from pathlib import Path

from harness.errors import DumpError
from harness.scenario.dump_file import AGAIN, ENCRYPTED, GZIP

HEAD_BYTES, TAIL_BYTES, CHUNK = 4096, 400, 1 << 20
SQL_HEADS = (b"-- MariaDB dump", b"-- MySQL dump", b"/*M!999999", b"/*!999999")
"""How mysqldump and mariadb-dump begin; the last two since they guard against their own client's commands."""

COMPLETED = b"\n-- Dump completed"
RDB_HEADS = (b"REDIS0", b"VALKEY")


def check_mariadb_dump(path: Path, name: str) -> None:
    """Look at a dump of ``mysqldump`` or ``mariadb-dump``, gzipped or not.

    Raises:
        DumpError: it is empty, encrypted, cut off, or something else.
    """
    with _readable(name):
        head, tail = _ends(path)
        _refuse_sealed(head, name)
        if not head.startswith(SQL_HEADS):
            raise DumpError(
                f"{name} is no dump of mysqldump or mariadb-dump",
                hint="data.dump takes what they write, also gzipped; SQL of your own is a `schema`",
            )
        if COMPLETED not in tail:
            raise DumpError(f"{name} is cut off: it does not end with '-- Dump completed'", hint=AGAIN)


def check_rdb(path: Path, name: str) -> None:
    """Look at an RDB file of Redis or Valkey.

    Raises:
        DumpError: it is empty, encrypted, or something else.
    """
    with _readable(name):
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
        _refuse_sealed(head, name)
        if not head.startswith(RDB_HEADS):
            raise DumpError(f"{name} is no RDB file", hint="data.dump takes what SAVE and BGSAVE write")


def unpacked(path: Path) -> Iterator[bytes]:
    """The content of a dump, gzipped or not, piece by piece."""
    with _open(path) as file:
        while chunk := file.read(CHUNK):
            yield chunk


CHECKS: dict[str, Callable[[Path, str], None]] = {"mariadb": check_mariadb_dump, "valkey": check_rdb}
"""By the kind of the service."""


def _ends(path: Path) -> tuple[bytes, bytes]:
    head = tail = b""
    for chunk in unpacked(path):
        head = head or chunk[:HEAD_BYTES]
        tail = (tail + chunk)[-TAIL_BYTES:]
    return head, tail


def _open(path: Path) -> GzipFile | BufferedReader:
    with path.open("rb") as file:
        packed = file.read(len(GZIP)) == GZIP
    return GzipFile(path) if packed else path.open("rb")


def _refuse_sealed(head: bytes, name: str) -> None:
    if not head:
        raise DumpError(f"{name} is empty", hint=AGAIN)
    for program, sign in ENCRYPTED:
        if sign.match(head):
            raise DumpError(
                f"{name} is encrypted, with {program}", hint="name the file as it is when decrypted"
            )


@contextmanager
def _readable(name: str) -> Iterator[None]:
    try:
        yield
    except (EOFError, zlib.error, BadGzipFile) as error:
        raise DumpError(f"{name} is cut off or damaged: {error}", hint=AGAIN) from error
    except OSError as error:
        raise DumpError(f"{name} cannot be read: {error.strerror or error}", hint="check the file") from error
