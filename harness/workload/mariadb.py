"""Transactions on MariaDB."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from threading import BoundedSemaphore
from uuid import UUID

import pymysql
from gevent import Timeout  # type: ignore[import-untyped]
from pymysql.constants import CR
from pymysql.cursors import Cursor

from harness.journal.ledger import Operation
from harness.seams.mariadb_client import (
    Column,
    Connection,
    column_of,
    columns_of,
    connect,
    key_text,
    quoted,
    row_hash,
    signed,
)
from harness.workload.assignment import Access
from harness.workload.connections import MOST, PATIENCE
from harness.workload.transaction import NotCommittedError, Row, Transaction
from harness.workload.work import Work


class NoAnswerError(pymysql.OperationalError):
    """The server is there, and does not answer."""


class PausedError(pymysql.OperationalError):
    """The service is being recovered; nothing is to be sent to it."""


class MariadbConnections:
    """Lends connections, each to one user at a time. What comes back broken is thrown away.

    Args:
        access: the database, and who the application is.
    """

    errors = (pymysql.Error,)

    def __init__(self, access: Access) -> None:
        self._access = access
        self._idle: list[Connection[Cursor]] = []
        self._free = BoundedSemaphore(MOST)
        self._generation = 0
        self._paused = False
        self._columns: dict[str, list[Column]] = {}

    @contextmanager
    def lend(self) -> Iterator[Connection[Cursor]]:
        """A connection outside of any transaction, for the length of the block.

        Raises:
            PausedError: between ``pause`` and ``resume``.
            pymysql.Error: there is no connecting.
        """
        with self._free:
            if self._paused:
                raise PausedError("the service is being recovered")
            generation, sound = self._generation, False
            connection = self._idle.pop() if self._idle else self._connect()
            try:
                yield connection
                sound = connection.open
            finally:
                if sound and generation == self._generation:
                    self._idle.append(connection)
                else:
                    _throw_away(connection)

    def read(self, statement: str, values: Sequence[object]) -> list[Row]:
        """Rows of a query, outside of any transaction.

        Raises:
            pymysql.Error: the server or the line to it does wrong.
        """
        with self.lend() as connection, answer_in_time(), connection.cursor() as cursor:
            cursor.execute(statement, tuple(values) or None)
            return list(cursor.fetchall())

    def columns(self, connection: Connection[Cursor], table: str) -> list[Column]:
        """The columns of a table, asked for once."""
        if table not in self._columns:
            with answer_in_time():
                self._columns = columns_of(connection, self._access.name)
        return self._columns.get(table, [])

    def pause(self) -> None:
        """Lend none any more, and none that exists now ever again: another server is about to answer."""
        self._paused = True
        self._generation += 1
        while self._idle:
            _throw_away(self._idle.pop())

    def resume(self) -> None:
        """Lend again."""
        self._paused = False

    def _connect(self) -> Connection[Cursor]:
        with answer_in_time():
            return connect(self._access.endpoint, self._access.credential)


@contextmanager
def answer_in_time() -> Iterator[None]:
    """Give a server that hangs ``PATIENCE`` seconds.

    Raises:
        NoAnswerError: they are over. The connection is good for nothing then.
    """
    with Timeout(PATIENCE, NoAnswerError(f"no answer within {PATIENCE:g} s")):
        yield


class MariadbTransaction(Transaction):
    """A transaction on MariaDB; a dict becomes JSON, a UUID text."""

    errors = (pymysql.Error,)

    def __init__(self, work: Work, user: str) -> None:
        super().__init__(work, user)
        assert isinstance(work.connections, MariadbConnections)
        self._connections = work.connections
        self._lent = ExitStack()
        self._connection: Connection[Cursor] | None = None
        self._open = False

    def read(self, statement: str, *values: object) -> list[Row]:
        """Rows of a query, as this transaction sees them."""
        return self._run(statement, values)[1]

    def _change(
        self, op: Operation, table: str, column: str, key: object, values: Mapping[str, object]
    ) -> tuple[str, int] | None:
        known, name = _adapted(key), quoted(table)
        if op == "delete":
            before = self._row(table, column, known)
            changed, _ = self._run(f"DELETE FROM {name} WHERE {quoted(column)} = %s", (known,))  # noqa: S608
            return before if changed else None
        given = tuple(_adapted(value) for value in values.values())
        if op == "insert":
            columns = ", ".join(quoted(each) for each in (column, *values))
            places = ", ".join(["%s"] * (len(given) + 1))
            self._run(f"INSERT INTO {name} ({columns}) VALUES ({places})", (known, *given))  # noqa: S608
        else:
            changes = ", ".join(f"{quoted(each)} = %s" for each in values)
            self._run(f"UPDATE {name} SET {changes} WHERE {quoted(column)} = %s", (*given, known))  # noqa: S608
        return self._row(table, column, known)

    def _row(self, table: str, column: str, key: object) -> tuple[str, int] | None:
        """Key and hash of a row as it is now, locked until the transaction ends."""
        columns = self._connections.columns(self._begin(), table)
        wanted = f"{key_text(column_of(columns, column))}, {row_hash(columns)}"
        where = f"FROM {quoted(table)} WHERE {quoted(column)} = %s FOR UPDATE"
        _, rows = self._run(f"SELECT {wanted} {where}", (key,))
        return (str(rows[0][0]), signed(rows[0][1])) if rows else None

    def _run(self, statement: str, values: Sequence[object]) -> tuple[int, list[Row]]:
        connection = self._begin()
        with answer_in_time(), connection.cursor() as cursor:
            changed = cursor.execute(statement, tuple(values) or None)
            return changed, list(cursor.fetchall())

    def _begin(self) -> Connection[Cursor]:
        """The connection, with the transaction begun; not before the first statement."""
        if self._connection is None:
            self._connection = self._lent.enter_context(self._connections.lend())
            with answer_in_time():
                self._connection.begin()
            self._open = True
        return self._connection

    def _begun(self) -> bool:
        return self._connection is not None

    def _send_commit(self) -> None:
        assert self._connection is not None
        try:
            with answer_in_time():
                self._connection.commit()
        except pymysql.Error as error:
            raise NotCommittedError(error, certain=_is_certain(error)) from error
        self._open = False

    def _give_back(self) -> None:
        connection = self._connection
        if connection is not None and self._open:
            try:
                with answer_in_time():
                    connection.rollback()
            except pymysql.Error:
                # A connection that cannot even roll back is not lent again; the server rolls back for it.
                _throw_away(connection)
        self._lent.close()

    def _words(self, error: Exception) -> str:
        code = error.args[0] if len(error.args) > 1 else None
        message = " ".join(str(error.args[-1] if error.args else error).split())
        return f"{message} ({code})" if code else message


def _adapted(value: object) -> object:
    if isinstance(value, dict):
        return json.dumps(value)
    return str(value) if isinstance(value, UUID) else value


def _is_certain(error: pymysql.Error) -> bool:
    """Whether an error in answer to COMMIT says that nothing was written: one of the server's own does.

    One of the client's, such as a lost connection, may have come after the commit was made durable.
    """
    code = error.args[0] if error.args else None
    return isinstance(code, int) and not CR.CR_ERROR_FIRST <= code <= CR.CR_ERROR_LAST


def _throw_away(connection: Connection[Cursor]) -> None:
    with suppress(pymysql.Error):
        connection.close()
