"""What a backup file is, told from its first and its last bytes: a dump of ``pg_dump``'s, or why it is none.

This is a look, not a proof: a file that passes is still loaded by PostgreSQL's own programs. But some of
what they take without a word shows here. ``psql`` takes the end of a file for the end of a COPY, and
``pg_restore`` does the same with the plain files of a directory, so that a file that was cut between two
lines loads with rows missing and exit code 0.
"""

from __future__ import annotations

import gzip
import re
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from harness.errors import DumpError

Format = Literal["archive", "plain", "gzip"]
"""``archive`` is what ``pg_restore`` reads: custom, directory and tar format."""

HEAD_BYTES = 4096
TAIL_BYTES = 1024
ARCHIVE = b"PGDMP"
CONTENTS = "toc.dat"
BEGINS = b"-- PostgreSQL database dump\n"
ENDS = b"-- PostgreSQL database dump complete\n"
TABLE_FILE = re.compile(r"[0-9]+\.dat")
TABLE_ENDINGS = (b"\\.\n\n\n", b";\n\n\n")
"""How the rows of a table end, written as COPY and as INSERT."""

EMPTY_TABLE = b"\n\n"
ENCRYPTED: tuple[tuple[str, re.Pattern[bytes]], ...] = (
    ("age", re.compile(rb"age-encryption\.org/|-----BEGIN AGE ENCRYPTED FILE-----")),
    ("gpg", re.compile(rb"-----BEGIN PGP MESSAGE-----|[\x84-\x87\x8c-\x8f\xc1\xc3\xd2]")),
    ("openssl", re.compile(rb"Salted__|U2FsdGVkX1")),
)
"""How files begin that were encrypted (RFC 4880, sections 4.2 and 4.3; openssl-enc(1); the age format)."""

COMPRESSED = (
    ("zstd", b"\x28\xb5\x2f\xfd"),
    ("xz", b"\xfd7zXZ\x00"),
    ("bzip2", b"BZh"),
    ("lz4", b"\x04\x22\x4d\x18"),
    ("zip", b"PK\x03\x04"),
)
GZIP = b"\x1f\x8b"
TAR_AT, TAR = 257, b"ustar"
OTHERS = (
    (b"-- PostgreSQL database cluster dump", "is of a whole cluster (pg_dumpall)", "dump one database"),
    (b"-- MySQL dump", "is a dump of MySQL", "a service of kind postgres takes dumps of PostgreSQL"),
    (b"-- MariaDB dump", "is a dump of MariaDB", "a service of kind postgres takes dumps of PostgreSQL"),
)
AGAIN = "take it again, or take an older one; and find out why: as a backup it is worth nothing"
KNOWN = "data.dump takes pg_dump's custom, directory, tar and plain formats; SQL of your own is a `schema`"


def dump_format(path: Path, name: str) -> Format:
    """Which format a dump has.

    Args:
        path: of a file or a directory that is there.
        name: of it in messages.

    Raises:
        DumpError: it is empty, cut off, encrypted, packed, or no dump of one PostgreSQL database.
    """
    try:
        return _of_directory(path, name) if path.is_dir() else _of_file(path, name)
    except OSError as error:
        raise DumpError(f"{name} cannot be read: {error.strerror or error}", hint="check the file") from error


def _of_file(path: Path, name: str) -> Format:
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        file.seek(max(0, path.stat().st_size - TAIL_BYTES))
        tail = file.read()
    _refuse_packed(head, name)
    if head.startswith(ARCHIVE):
        return "archive"
    if head[TAR_AT:].startswith(TAR):
        _refuse_cut_tar(path, tail, name)
        return "archive"
    if head.startswith(GZIP):
        _refuse_other_text(_unpacked_head(path, name), f"{name}, unpacked,")
        return "gzip"
    _refuse_other_text(head, name)
    if ENDS not in tail.replace(b"\r\n", b"\n"):
        raise cut_off(name)
    return "plain"


def cut_off(name: str) -> DumpError:
    """What to say of plain SQL without pg_dump's last line."""
    ending = ENDS.decode().strip()
    return DumpError(f"{name} is cut off: it does not end with {ending!r}", hint=AGAIN)


def _refuse_packed(head: bytes, name: str) -> None:
    if not head:
        raise DumpError(f"{name} is empty", hint=AGAIN)
    for tool, beginning in ENCRYPTED:
        if beginning.match(head):
            raise DumpError(
                f"{name} is encrypted ({tool})", hint="decrypt it first; a drill never takes a key of yours"
            )
    for tool, magic in COMPRESSED:
        if head.startswith(magic):
            raise DumpError(f"{name} is packed ({tool})", hint="unpack it first; only gzip is unpacked here")


def _refuse_other_text(head: bytes, name: str) -> None:
    for beginning, what, hint in OTHERS:
        if beginning in head:
            raise DumpError(f"{name} {what}", hint=hint)
    if BEGINS not in head.replace(b"\r\n", b"\n"):
        raise DumpError(f"{name} is no dump that pg_dump wrote", hint=KNOWN)


def _unpacked_head(path: Path, name: str) -> bytes:
    with unpacking(name), gzip.open(path) as file:
        return file.read(HEAD_BYTES)


@contextmanager
def unpacking(name: str) -> Iterator[None]:
    """That a gzip file read in the block is broken is said of the dump.

    Raises:
        DumpError: it is cut off, or not what was packed.
    """
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DumpError(f"{name} is no whole gzip file: {error}", hint=AGAIN) from error


def _refuse_cut_tar(path: Path, tail: bytes, name: str) -> None:
    try:
        with tarfile.open(path, "r:") as archive:
            members = archive.getmembers()
    except tarfile.TarError as error:
        raise DumpError(f"{name} is no whole tar file: {error}", hint=AGAIN) from error
    if not members or members[0].name != CONTENTS:
        raise DumpError(f"{name} is a tar file, and not one that pg_dump wrote", hint=f"unpack it; {KNOWN}")
    last = members[-1]
    if last.offset_data + last.size > path.stat().st_size or tail.strip(b"\0") or len(tail) < TAIL_BYTES:
        raise DumpError(f"{name} is cut off: the tar file has no end", hint=AGAIN)


def _of_directory(path: Path, name: str) -> Format:
    contents = path / CONTENTS
    if not contents.is_file():
        raise DumpError(f"{name} is a directory without {CONTENTS}, so no dump", hint=KNOWN)
    with contents.open("rb") as file:
        if not file.read(len(ARCHIVE)).startswith(ARCHIVE):
            raise DumpError(f"{name}/{CONTENTS} is no table of contents of pg_dump's", hint=AGAIN)
    for each in sorted(path.iterdir()):
        if TABLE_FILE.fullmatch(each.name) and not _ends_well(each):
            raise DumpError(f"{name}/{each.name} is cut off", hint=AGAIN)
    return "archive"


def _ends_well(file: Path) -> bool:
    """Whether the file of a table that is not packed ends as pg_dump ends it."""
    with file.open("rb") as content:
        content.seek(max(0, file.stat().st_size - TAIL_BYTES))
        tail = content.read()
    return tail.endswith(TABLE_ENDINGS) or tail == EMPTY_TABLE
