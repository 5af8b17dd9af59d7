"""The application's connections to its database, shared by all users of the workload."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from threading import BoundedSemaphore
from typing import Protocol

import psycopg
from gevent import Timeout  # type: ignore[import-untyped]
from psycopg.pq import TransactionStatus

from harness.seams.postgres_client import HASH_SETTINGS, Connection, Row, connect
from harness.workload.assignment import Access

MOST = 50
"""Connections at once; a server admits only so many, and a commit takes milliseconds."""

PATIENCE = 5.0
"""Seconds for one answer of the server, after which the connection counts as lost."""


class NoAnswerError(psycopg.OperationalError):
    """The server is there, and does not answer."""


class PausedError(psycopg.OperationalError):
    """The service is being recovered; nothing is to be sent to it."""


class SqlConnections(Protocol):
    """Connections to a database that speaks SQL, of whatever kind."""

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """What its client raises when the server or the line to it does wrong."""
        ...

    def read(self, statement: str, values: Sequence[object]) -> list[Row]:
        """Rows of a query, outside of any transaction."""
        ...

    def pause(self) -> None:
        """Lend none any more, and none that exists now ever again."""
        ...

    def resume(self) -> None:
        """Lend again."""
        ...


class Connections:
    """Lends connections to PostgreSQL, each to one user at a time. What comes back broken is thrown away.

    Args:
        access: the database, and who the application is.
    """

    errors = (psycopg.Error,)

    def __init__(self, access: Access) -> None:
        self._access = access
        self._idle: list[Connection] = []
        self._free = BoundedSemaphore(MOST)
        self._generation = 0
        self._paused = False

    @contextmanager
    def lend(self) -> Iterator[Connection]:
        """A connection in autocommit mode, outside of any transaction, for the length of the block.

        Raises:
            PausedError: between ``pause`` and ``resume``.
            psycopg.Error: there is no connecting.
        """
        with self._free:
            if self._paused:
                raise PausedError("the service is being recovered")
            generation = self._generation
            connection = self._idle.pop() if self._idle else self._connect()
            try:
                yield connection
            finally:
                if generation == self._generation and _is_sound(connection):
                    self._idle.append(connection)
                else:
                    _throw_away(connection)

    def read(self, statement: str, values: Sequence[object]) -> list[Row]:
        """Rows of a query, outside of any transaction.

        Raises:
            psycopg.Error: the server or the line to it does wrong.
        """
        with self.lend() as connection, answer_in_time():
            return connection.execute(statement.encode(), values or None).fetchall()

    def pause(self) -> None:
        """Lend none any more, and none that exists now ever again: another server is about to answer."""
        self._paused = True
        self._generation += 1
        while self._idle:
            _throw_away(self._idle.pop())

    def resume(self) -> None:
        """Lend again."""
        self._paused = False

    def _connect(self) -> Connection:
        access = self._access
        with answer_in_time():
            return connect(
                access.port,
                access.user,
                access.credential.secret,
                access.name,
                settings=HASH_SETTINGS,
                application="ninelives workload",
            )


@contextmanager
def answer_in_time() -> Iterator[None]:
    """Give a server that hangs ``PATIENCE`` seconds.

    Raises:
        NoAnswerError: they are over. The connection is good for nothing then.
    """
    with Timeout(PATIENCE, NoAnswerError(f"no answer within {PATIENCE:g} s")):
        yield


def _is_sound(connection: Connection) -> bool:
    return not connection.closed and connection.info.transaction_status == TransactionStatus.IDLE


def _throw_away(connection: Connection) -> None:
    with suppress(psycopg.Error):
        connection.close()
