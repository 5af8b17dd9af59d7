"""Sessions of the operator on a replica, and the question whether it answers at all."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from select import select

import psycopg
from psycopg import pq
from psycopg.conninfo import make_conninfo
from psycopg.pq.abc import PGconn

from harness.clock import SystemClock
from harness.errors import DatabaseError
from harness.facts import OPERATOR, Endpoint
from harness.seams.postgres_client import GIVEN, Connection, connect, unheard_environment

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
        raise DatabaseError(
            f"{endpoint.service}: {explain(error)}",
            hint=f"the server's own log is {endpoint.lease.directory / 'postgres.log'} while the run lasts",
        ) from error


def explain(error: psycopg.Error) -> str:
    """The server's message in one line, with the line of the script where it names one."""
    message = error.diag.message_primary or str(error) or type(error).__name__
    where = LINE.search(str(error))
    parts = (f"line {where[1]}:" if where else "", message, error.diag.message_detail or "")
    return " ".join(" ".join(parts).split())


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
    return make_conninfo(
        **GIVEN,
        host=endpoint.host,
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
