"""How many rows some statements have written for good, as far as MariaDB tells it.

MariaDB answers each statement with the number of rows that it changed, whether they are committed or not, and
with whether a transaction is open after it. It does not say how a transaction ended; how often the session
committed and rolled back stands in its counters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

COUNTERS = """
    SHOW SESSION STATUS WHERE Variable_name LIKE 'Com\\_%' OR Variable_name LIKE 'Handler\\_%'
"""
WRITING = ("Handler_write", "Handler_update", "Handler_delete")
TAKING_BACK = ("Com_rollback", "Com_rollback_to_savepoint")
ROUTINES = ("Com_call_procedure", "Com_compound_sql")
UNCOUNTABLE = ("Com_xa_start", "Com_create_temporary_table")


class Step(NamedTuple):
    """One statement that was run.

    Attributes:
        changed: rows, as the server answered.
        open: a transaction was open after it.
    """

    changed: int
    open: bool


class UnclearWritesError(Exception):
    """The statements have run, and how many of their writes were kept cannot be told."""

    def __init__(self) -> None:
        super().__init__(
            "which of the writes were kept cannot be told; make each transaction a step of its own, without "
            "savepoints, XA, temporary tables, or a rollback inside of a routine"
        )


def kept_rows(steps: Sequence[Step], counters: Mapping[str, int]) -> int:
    """Rows that were written and committed when the session ended, which takes back what is open then.

    Args:
        steps: of a session, in their order.
        counters: of the same session, at its end; without any, nothing is known to be written.

    Raises:
        UnclearWritesError: some were taken back and some were not, or they went to temporary tables.
    """

    def count(names: Sequence[str]) -> int:
        return sum(counters.get(name, 0) for name in names)

    if not count(WRITING):
        return 0  # SELECT ... INTO @variable and CREATE DATABASE are answered with a number too
    alone, ended, pending, was_open = 0, 0, 0, False
    for step in steps:
        if step.open:
            pending += step.changed
        elif was_open:
            ended, pending = ended + pending + step.changed, 0
        else:
            alone += step.changed
        was_open = step.open
    taken_back = count(TAKING_BACK)
    if count(UNCOUNTABLE) or (taken_back and count(ROUTINES)):
        raise UnclearWritesError
    if taken_back and ended and counters.get("Com_commit"):
        raise UnclearWritesError
    return alone if taken_back else alone + ended
