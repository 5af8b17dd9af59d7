"""What ``pg_restore --no-owner --no-acl`` does for archives, for the plain SQL of ``pg_dump``.

Roles of the original do not exist in a replica, so every statement that gives something to one is left out,
line by line as pg_dump writes them. The same words may stand in the rows of a COPY, in the body of a
function or in a text over several lines; so this follows where statements begin.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache

COPY = re.compile(rb"COPY .* FROM stdin;\r?\n")
END_OF_COPY = b"\\."
GIVES_AWAY = re.compile(
    rb"(?:ALTER .* OWNER TO .+|ALTER DEFAULT PRIVILEGES .+|GRANT .+|REVOKE .+|SET SESSION AUTHORIZATION .+"
    rb");\s*"
)
TOKEN = re.compile(rb"--|/\*|;|[eE]?'|\"|\$(?:[A-Za-z_\x80-\xff][\w\x80-\xff]*)?\$")
"""Where something begins that may hold a semicolon, and the semicolon itself (PostgreSQL 18, section 4.1)."""

META_COMMAND = b"\\"
RESTRICTS = re.compile(rb"\\(?:un)?restrict \w+\s*")
"""With which pg_dump keeps meta-commands out of its own dumps; who loads one cannot rely on what it says."""


def without_owners(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The lines of a dump, with an empty one for each that says whose something is, or what ``psql`` may do.

    Args:
        lines: with their ends.

    Yields:
        As many lines, so that their numbers stay what they are in the dump.
    """
    place = _Place()
    rest = iter(lines)
    for line in rest:
        if place.between and (GIVES_AWAY.fullmatch(line) or RESTRICTS.fullmatch(line)):
            yield b"\n"
            continue
        yield line
        if place.between and COPY.fullmatch(line):
            yield from _rows(rest)
        elif not (place.between and line.startswith(META_COMMAND)):
            place.pass_over(line)


def _rows(lines: Iterator[bytes]) -> Iterator[bytes]:
    """As they are, up to the end of the COPY."""
    for line in lines:
        yield line
        if line.rstrip(b"\r\n") == END_OF_COPY:
            return


class _Place:
    """Where in a script we are."""

    def __init__(self) -> None:
        self._begun = False
        self._to_its_end: re.Pattern[bytes] | None = None

    @property
    def between(self) -> bool:
        """A statement has ended, and no other has begun; nor has a comment."""
        return not self._begun and self._to_its_end is None

    def pass_over(self, line: bytes) -> None:
        """Read on to the end of a line."""
        position = 0
        while position < len(line):
            if self._to_its_end is not None:
                inside = self._to_its_end.match(line, position)
                if inside is None:
                    return
                position, self._to_its_end = inside.end(), None
            token = TOKEN.search(line, position)
            end = token.start() if token else len(line)
            self._begun = self._begun or bool(line[position:end].strip())
            if token is None or token[0] == b"--":
                return
            position = token.end()
            self._meet(token[0])

    def _meet(self, token: bytes) -> None:
        self._begun = token != b";" and (self._begun or token != b"/*")
        if token != b";":
            self._to_its_end = _to_the_end_of(token)


@cache
def _to_the_end_of(token: bytes) -> re.Pattern[bytes]:
    """From after a token to the end of what it begins."""
    if token in (b"e'", b"E'"):
        return re.compile(rb"(?:\\.|[^\\])*?'", re.DOTALL)
    return re.compile(rb".*?" + re.escape(b"*/" if token == b"/*" else token), re.DOTALL)
