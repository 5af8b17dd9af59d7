"""Sessions of the operator on a replica, and the question whether it answers at all."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from select import select

import psycopg
from psycopg import pq
from psycopg.pq.abc import PGconn

from harness.clock import SystemClock
from harness.errors import DatabaseError, StatementError
from harness.facts import OPERATOR, Endpoint
from harness.seams.postgres_client import Connection, address, connect, unheard_environment

NOT_THE_STATEMENT = frozenset({"08", "25", "28", "40", "53", "55", "57", "58", "F0", "XX"})
"""Classes of SQLSTATE that tell of the server's state, the disk or others who use it (PostgreSQL 18,
appendix A); every other is about what was asked."""

LINE = re.compile(r"^LINE (\d+):", re.MULTILINE)


@contextmanager
def session(
    endpoint: Endpoint, *, database: str | None = None, settings: Mapping[str, str] | None = None
) -> Iterator[Connection]:
    """A transaction of the operator, committed when the block ends well.

    Args:
        endpoint: of a PostgreSQL replica.
        database: another one than the endpoint's own.
        settings: server settings of the session.

    Raises:
        DatabaseError: it does not answer, or refused a statement.
        StatementError: it refused a statement for what that says.
    """
    operator = endpoint.credentials[OPERATOR]
    try:
        connection = connect(
            endpoint.port, operator.name, operator.secret, database or endpoint.name, settings=settings
        )
        connection.autocommit = False
        with connection:
            yield connection
    except psycopg.Error as error:
        raise _refusal(endpoint, error) from error


def _refusal(endpoint: Endpoint, error: psycopg.Error) -> DatabaseError:
    message = f"{endpoint.service}: {explain(error)}"
    hint = f"the server's own log is {endpoint.lease.directory / 'postgres.log'}"
    if error.sqlstate is None or error.sqlstate[:2] in NOT_THE_STATEMENT:
        return DatabaseError(message, hint=hint)
    # Without a position, the line that the text names is one of a function's body.
    where = LINE.search(str(error)) if error.diag.statement_position else None
    return StatementError(message, hint=hint, reason=_said(error), line=int(where[1]) if where else None)


def explain(error: psycopg.Error) -> str:
    """The server's message in one line, with the line of the script where it names one."""
    where = LINE.search(str(error))
    return f"line {where[1]}: {_said(error)}" if where else _said(error)


def _said(error: psycopg.Error) -> str:
    message = error.diag.message_primary or str(error) or type(error).__name__
    return " ".join(f"{message} {error.diag.message_detail or ''}".split())


def answer_within(endpoint: Endpoint, statement: bytes, seconds: float) -> None:
    """Connect anew, run one statement and have its answer, all within a time limit.

    psycopg's own limit for connecting is never below two seconds, so this drives libpq itself.

    Args:
        endpoint: to ask, as its operator.
        statement: without parameters.
        seconds: for everything together.

    Raises:
        DatabaseError: no answer, an error for an answer, or too late.
    """
    deadline = _Deadline(endpoint, seconds)
    with unheard_environment():
        connection = pq.PGconn.connect_start(_conninfo(endpoint).encode())
    try:
        _connect(connection, deadline)
        connection.nonblocking = 1
        connection.send_query(statement)
        _check_answer(connection, deadline)
    except psycopg.Error as error:
        raise deadline.no_answer(explain(error)) from error
    finally:
        connection.finish()


def _conninfo(endpoint: Endpoint) -> str:
    operator = endpoint.credentials[OPERATOR]
    return address(
        port=str(endpoint.port),
        user=operator.name,
        password=operator.secret.reveal(),
        dbname=endpoint.name,
        options="",
        application_name="ninelives",
        connect_timeout="0",
    )


class _Deadline:
    def __init__(self, endpoint: Endpoint, seconds: float) -> None:
        self._endpoint = endpoint
        self._seconds = seconds
        self._clock = SystemClock()
        self._began = self._clock.stamp()

    def await_socket(self, socket: int, *, read: bool, write: bool) -> None:
        left = self._seconds - self._clock.stamp().since(self._began)
        ready = select([socket] if read else [], [socket] if write else [], [], max(left, 0))
        if not any(ready):
            raise self.no_answer(f"no answer within {self._seconds:g} s")

    def no_answer(self, why: str) -> DatabaseError:
        return DatabaseError(
            f"{self._endpoint.service} at {self._endpoint.host}:{self._endpoint.port}: {why}",
            hint="the server is down, hangs, or has lost its data",
        )


def _connect(connection: PGconn, deadline: _Deadline) -> None:
    while (status := connection.connect_poll()) != pq.PollingStatus.OK:
        if status == pq.PollingStatus.FAILED:
            raise deadline.no_answer(" ".join(connection.get_error_message().split()))
        reading = status == pq.PollingStatus.READING
        deadline.await_socket(connection.socket, read=reading, write=not reading)


def _check_answer(connection: PGconn, deadline: _Deadline) -> None:
    while connection.flush():
        deadline.await_socket(connection.socket, read=True, write=True)
        connection.consume_input()
    while connection.is_busy():
        deadline.await_socket(connection.socket, read=True, write=False)
        connection.consume_input()
    result = connection.get_result()
    if result is None or result.status not in (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK):
        raise deadline.no_answer(result.get_error_message() if result else "the connection was closed")
