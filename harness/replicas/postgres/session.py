"""Connections to a replica, made from its endpoint and from nothing else.

libpq fills what a caller leaves out from the user's environment and home directory (PGHOSTADDR,
PGPASSFILE, ``~/.pgpass``, ...), so every parameter that could lead elsewhere is given.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from select import select

import psycopg
from psycopg import pq
from psycopg.conninfo import make_conninfo
from psycopg.pq.abc import PGconn

from harness.clock import SystemClock
from harness.errors import DatabaseError
from harness.facts import OPERATOR, Endpoint

CONNECT_SECONDS = 10
APPLICATION_NAME = "ninelives"


def parameters(endpoint: Endpoint, *, database: str | None = None) -> dict[str, str | int]:
    """What libpq needs to reach exactly this endpoint as its operator; holds the password.

    Args:
        endpoint: of a PostgreSQL replica.
        database: another one than the endpoint's own.
    """
    credential = endpoint.credentials[OPERATOR]
    return {
        "host": endpoint.host,
        "hostaddr": endpoint.host,
        "port": endpoint.port,
        "dbname": database or endpoint.name,
        "user": credential.name,
        "password": credential.secret.reveal(),
        "passfile": os.devnull,
        "require_auth": "scram-sha-256",
        "channel_binding": "disable",
        "sslmode": "disable",
        "gssencmode": "disable",
        "target_session_attrs": "any",
        "load_balance_hosts": "disable",
        "client_encoding": "UTF8",
        "application_name": APPLICATION_NAME,
        "options": "",
        "connect_timeout": CONNECT_SECONDS,
    }


@contextmanager
def session(
    endpoint: Endpoint, *, database: str | None = None, autocommit: bool = False
) -> Iterator[psycopg.Connection]:
    """A connection as the operator, for the length of the block; committed when the block ends well.

    Raises:
        DatabaseError: it does not answer, or refused a statement.
    """
    try:
        with psycopg.connect(**parameters(endpoint, database=database), autocommit=autocommit) as connection:  # type: ignore[arg-type]
            yield connection
    except psycopg.Error as error:
        raise DatabaseError(
            f"{endpoint.service}: {explain(error)}",
            hint=f"the server's own log is {endpoint.lease.directory / 'postgres.log'} while the run lasts",
        ) from error


def explain(error: psycopg.Error) -> str:
    """The server's message in one line, with the line of the script it speaks of where it gives one."""
    message = error.diag.message_primary or str(error) or type(error).__name__
    detail = error.diag.message_detail
    return " ".join(f"{message}: {detail}".split()) if detail else " ".join(message.split())


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
    conninfo = make_conninfo(**parameters(endpoint))  # type: ignore[arg-type]
    deadline = _Deadline(endpoint, seconds)
    connection = pq.PGconn.connect_start(conninfo.encode())
    try:
        _connect(connection, deadline)
        connection.nonblocking = 1
        connection.send_query(statement)
        _check_answer(connection, deadline)
    except psycopg.Error as error:
        raise deadline.no_answer(explain(error)) from error
    finally:
        connection.finish()


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
