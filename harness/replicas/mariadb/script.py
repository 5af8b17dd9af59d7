"""Puts values into SQL text for MariaDB: ``:name`` outside of quotes and comments becomes a literal."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from difflib import get_close_matches

from pymysql.cursors import Cursor

from harness.errors import StatementError
from harness.seams.mariadb_client import Connection

TOKEN = re.compile(
    r"""
      (?P<comment>--\s[^\n]*|\#[^\n]*|/\*.*?\*/)
    | (?P<string>'(?:[^'\\]|''|\\.)*'|"(?:[^"\\]|""|\\.)*")
    | (?P<identifier>`(?:[^`]|``)*`)
    | (?P<assignment>:=)
    | (?P<end>;)
    | (?P<variable>:(?P<name>[A-Za-z_]\w*))
    """,
    re.VERBOSE | re.DOTALL,
)


def first_lines(script: str) -> list[int]:
    """The line on which each statement of a script begins, counted from 1.

    MariaDB counts lines from the beginning of the statement that it refuses. A semicolon within the body of
    a routine counts too, so that behind one the lines are too late.
    """
    ends = [match.start() for match in TOKEN.finditer(script) if match["end"]]
    begins = [0, *(end + 1 for end in ends)]
    return [script.count("\n", 0, _skip_blank(script, at)) + 1 for at in begins]


def _skip_blank(script: str, at: int) -> int:
    return at + len(script[at:]) - len(script[at:].lstrip())


def render(script: str, values: Mapping[str, object], connection: Connection[Cursor]) -> str:
    """The script with its values put in.

    Args:
        script: SQL, any number of statements.
        values: by name, without the colon; a time is written in UTC.
        connection: tells how values are written.

    Raises:
        StatementError: a name has no value.
    """

    def put_in(match: re.Match[str]) -> str:
        name = match["name"]
        if name is None:
            return match[0]
        if name not in values:
            raise _unknown(name, script.count("\n", 0, match.start()) + 1, values)
        value = values[name]
        if isinstance(value, datetime) and value.tzinfo is not None:
            value = value.astimezone(UTC).replace(tzinfo=None)
        return str(connection.escape(value, connection.encoders))

    return TOKEN.sub(put_in, script)


def _unknown(name: str, line: int, values: Mapping[str, object]) -> StatementError:
    near = get_close_matches(name, values, n=1)
    there = ", ".join(f":{name}" for name in values) or "no values at all"
    hint = f"did you mean :{near[0]}?" if near else f"there are: {there}"
    return StatementError(
        f"line {line} of the SQL speaks of :{name}, which has no value",
        hint=hint,
        reason=f"it speaks of :{name}, which has no value; {hint}",
        line=line,
    )
