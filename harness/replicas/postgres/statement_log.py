"""What a server's own log says of statements: who ran which, and when (PostgreSQL 18, section 19.8)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime

from harness.seams.drivers import Logged

PREFIX = "%m [%p] %u@%d "
"""Of each line: time, process, role and database."""

ENTRY = re.compile(
    r"(?P<at>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}) UTC \[\d+\] (?P<role>[^@]*)@\S* "
    r"(?P<level>[A-Z]+\d?):  (?P<said>.*)"
)
STATEMENT = re.compile(r"(?:statement|execute [^:]*): (.*)", re.DOTALL)


def read_statements(log: str) -> Iterator[Logged]:
    """The statements in a log, in its order; a statement of several lines goes on in lines with a tab.

    Nothing but a newline ends a line: the server writes every other character as it came.
    """
    at, role, said = "", "", ""
    for line in (*log.split("\n"), None):
        if line is not None and line.startswith("\t"):
            said += f"\n{line[1:]}"
            continue
        statement = STATEMENT.fullmatch(said)
        if statement:
            yield Logged(datetime.fromisoformat(at).replace(tzinfo=UTC), role, statement[1])
        entry = ENTRY.fullmatch(line) if line is not None else None
        told = entry is not None and entry["level"] == "LOG"
        at, role, said = entry.group("at", "role", "said") if entry and told else ("", "", "")
