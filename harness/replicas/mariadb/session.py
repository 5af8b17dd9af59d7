"""Sessions of the operator on a MariaDB replica."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pymysql
from pymysql.constants import CR, ER
from pymysql.cursors import Cursor

from harness.errors import DatabaseError, StatementError
from harness.facts import OPERATOR, Endpoint
from harness.replicas.mariadb.server import LOG_FILE
from harness.seams.mariadb_client import Connection, connect

LINE = re.compile(r"at line (\d+)$")
STATE = (ER.ACCESS_DENIED_ERROR, ER.BAD_DB_ERROR, ER.DISK_FULL, ER.LOCK_WAIT_TIMEOUT, ER.CON_COUNT_ERROR)
"""Codes that tell of the server's state, and not of what was asked."""


@contextmanager
def session(
    endpoint: Endpoint,
    *,
    database: str | None = None,
    seconds: float | None = None,
    cursor: type[Cursor] = Cursor,
) -> Iterator[Connection[Cursor]]:
    """A transaction of the operator, committed when the block ends well.

    Args:
        endpoint: of a MariaDB replica.
        database: another one than the endpoint's own; empty for none.
        seconds: for connecting and for each answer; None for as long as an answer takes.
        cursor: of what class its cursors are.

    Raises:
        DatabaseError: it does not answer, or its state does not let it.
        StatementError: it refused a statement for what that says.
    """
    try:
        connection = connect(
            endpoint,
            endpoint.credentials[OPERATOR],
            database=database,
            seconds=seconds or 10.0,
            statement_seconds=seconds,
            cursor=cursor,
        )
        with connection:
            connection.begin()
            yield connection
            connection.commit()
    except pymysql.Error as error:
        raise _refusal(endpoint, error) from error


def said(error: pymysql.Error) -> str:
    """The server's message in one line."""
    return " ".join(str(error.args[-1] if error.args else error).split())


def _refusal(endpoint: Endpoint, error: pymysql.Error) -> DatabaseError:
    code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    message = f"{endpoint.service} at {endpoint.host}:{endpoint.port}: {said(error)}"
    hint = f"the server's own log is {endpoint.lease.directory / LOG_FILE}"
    if code == 0 or (code >= CR.CR_ERROR_FIRST and code <= CR.CR_ERROR_LAST) or code in STATE:
        return DatabaseError(message, hint=hint)
    where = LINE.search(said(error))
    return StatementError(message, hint=hint, reason=said(error), line=int(where[1]) if where else None)
