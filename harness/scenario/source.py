"""Reads the text of one file that a user wrote, whatever really lies at that path."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import sys
from difflib import get_close_matches
from pathlib import Path

from harness.errors import Problem, ScenarioError

YAML_LIMIT = 1_000_000
SQL_LIMIT = 4_000_000

UNFIT = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]"
)
"""Characters that no reviewer sees: controls, line breaks that editors do not count, marks that turn the
direction of writing (CVE-2021-42574), halves of surrogate pairs, byte order marks."""


def read_text(path: Path, limit: int = YAML_LIMIT) -> str:
    """The text of a regular file in UTF-8.

    Args:
        path: of the file; a link is followed.
        limit: bytes; of a longer file nothing is read.

    Raises:
        ScenarioError: it is missing, unreadable, not a regular file, too long, or not plain UTF-8 text.
    """
    return _decoded(read_bytes(path, limit), path)


def read_bytes(path: Path, limit: int) -> bytes:
    """The content of a regular file; devices and pipes are never opened, so nothing can hang.

    Raises:
        ScenarioError: as ``read_text``, but for what is in it.
    """
    try:
        _refuse_unless_regular(path, path.stat(), limit)
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            _refuse_unless_regular(path, os.fstat(descriptor), limit)
            content = file.read(limit + 1)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None
    if len(content) > limit:
        raise _too_long(path, limit)
    return content


def hash_file(path: Path) -> str:
    """SHA-256, in hex, of a regular file of any size; it is never in memory as a whole.

    Raises:
        ScenarioError: it is missing, unreadable or not a regular file.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            _refuse_unless_regular(path, os.fstat(descriptor), sys.maxsize)
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None


def _refuse_unless_regular(path: Path, status: os.stat_result, limit: int) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise _refusal(path, "this is a folder", "name a file in it")
    if not stat.S_ISREG(status.st_mode):
        raise _refusal(
            path, "this is not a regular file", "a pipe or device cannot be read again; use a file"
        )
    if status.st_size > limit:
        raise _too_long(path, limit)


def _unreadable(path: Path, error: Exception) -> ScenarioError:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return _refusal(path, "there is no such file", nearest_file(path))
    if isinstance(error, PermissionError):
        return _refusal(path, "not allowed to read it", "give yourself the right to read it (chmod u+r)")
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return _refusal(path, f"cannot be read: {reason}", "check the path, and the links on the way to it")


def in_repository(path: Path) -> str:
    """A file as its repository names it: from the top of the work tree; its bare name where there is none."""
    place = path.absolute()
    top = next((folder for folder in place.parents if (folder / ".git").exists()), place.parent)
    return place.relative_to(top).as_posix()


def nearest_file(path: Path) -> str:
    """A hint for a path where there is no file: the one that may have been meant."""
    try:
        others = sorted(entry.name for entry in path.parent.iterdir())
    except (OSError, ValueError):
        return f"there is no folder {path.parent.name!r} either; paths start at the scenario's folder"
    near = get_close_matches(path.name, others, n=1)
    return f"did you mean {near[0]}?" if near else "check the spelling; paths start at the scenario's folder"


def _too_long(path: Path, limit: int) -> ScenarioError:
    return _refusal(
        path, f"longer than {limit // 1_000_000} MB", "nobody can review that; keep data out of this file"
    )


def _refusal(path: Path, message: str, hint: str) -> ScenarioError:
    return ScenarioError((Problem(str(path), 1, 1, "", message, hint),))


def _decoded(content: bytes, path: Path) -> str:
    if content.startswith(b"\xef\xbb\xbf"):
        raise _refusal(path, "begins with a byte order mark", "save it as UTF-8 without one")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _not_utf8(content, error.start, path) from None
    unfit = UNFIT.search(text)
    if unfit:
        line, column = _place(text, unfit.start())
        message = f"contains the character U+{ord(unfit[0]):04X}, which cannot be seen"
        hint = "delete it: reviewers must see everything that a file says"
        raise ScenarioError((Problem(str(path), line, column, "", message, hint),))
    return text


def _not_utf8(content: bytes, start: int, path: Path) -> ScenarioError:
    line, column = _place(content[:start].decode("utf-8"), start)
    wide = content[:2] in (b"\xff\xfe", b"\xfe\xff")
    hint = "it is saved as UTF-16; save it as UTF-8" if wide else "save it as UTF-8"
    message = f"byte {content[start]:#04x} at offset {start} is not UTF-8"
    return ScenarioError((Problem(str(path), line, column, "", message, hint),))


def _place(text: str, offset: int) -> tuple[int, int]:
    """Line and column, from 1, as editors count: lines end with LF, CR LF or CR."""
    lines = re.split("\r\n|\r|\n", text[:offset])
    return len(lines), len(lines[-1]) + 1
