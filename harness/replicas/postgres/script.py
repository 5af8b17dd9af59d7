"""Puts values into SQL text: ``:name`` outside of quotes and comments becomes a literal."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from psycopg import sql

from harness.errors import StatementError
from harness.seams.postgres_client import Connection

TOKEN = re.compile(
    r"""
      (?P<line_comment>--[^\n]*)
    | (?P<block_comment>/\*)
    | (?P<escape_string>\b[eE]'(?:[^'\\]|''|\\.)*')
    | (?P<string>'(?:[^']|'')*')
    | (?P<identifier>"(?:[^"]|"")*")
    | (?P<dollar>(?<![\w$])\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?\$(?P=tag)\$)
    | (?P<cast>::|:=)
    | (?P<variable>:(?P<name>[A-Za-z_]\w*))
    | (?P<bracket>[\[\]])
    """,
    re.VERBOSE | re.DOTALL,
)
COMMENT_EDGE = re.compile(r"/\*|\*/")


def render(script: str, values: Mapping[str, object], connection: Connection) -> str:
    """The script with its values put in.

    The syntax is psql's, but for a value that is always a literal. As in psql, a name that has no value is
    left alone where it can be the bound of an array slice.

    Args:
        script: SQL, any number of statements.
        values: by name, without the colon.
        connection: tells how values are written.

    Raises:
        StatementError: a name has no value.
    """
    return "".join(_pieces(script, values, connection))


def _pieces(script: str, values: Mapping[str, object], connection: Connection) -> Iterator[str]:
    position = depth = 0
    while match := TOKEN.search(script, position):
        yield script[position : match.start()]
        position = match.end()
        text = match[0]
        if match.lastgroup == "block_comment":
            position = _comment_end(script, match.start())
            text = script[match.start() : position]
        elif match.lastgroup == "bracket":
            depth += 1 if text == "[" else -1
        elif match["variable"] and (match["name"] in values or depth == 0):
            text = _literal(match["name"], script, match.start(), values, connection)
        yield text
    yield script[position:]


def _comment_end(script: str, start: int) -> int:
    """Block comments nest (PostgreSQL 18, section 4.1.5)."""
    depth = 0
    for edge in COMMENT_EDGE.finditer(script, start):
        depth += 1 if edge[0] == "/*" else -1
        if depth == 0:
            return edge.end()
    return len(script)


def _literal(name: str, script: str, at: int, values: Mapping[str, object], connection: Connection) -> str:
    if name in values:
        return sql.Literal(values[name]).as_string(connection)
    near = get_close_matches(name, values, n=1)
    line = script.count("\n", 0, at) + 1
    hint = f"did you mean :{near[0]}?" if near else f"there are: {_listed(values)}"
    raise StatementError(
        f"line {line} of the SQL speaks of :{name}, which has no value",
        hint=hint,
        reason=f"it speaks of :{name}, which has no value; {hint}",
        line=line,
    )


def _listed(values: Mapping[str, object]) -> str:
    return ", ".join(f":{name}" for name in values) or "no values at all"
