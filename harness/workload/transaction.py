"""One transaction of the workload, noted in the ledger before and after its commit."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType
from typing import Any

import psycopg
from locust.exception import InterruptTaskSet, RescheduleTask, RescheduleTaskImmediately, StopTest, StopUser
from psycopg.pq import TransactionStatus
from psycopg.types.json import Jsonb

from harness.errors import JournalError
from harness.journal.ledger import Operation, Write
from harness.seams.postgres_client import Connection, Row
from harness.workload import statements
from harness.workload.connections import answer_in_time
from harness.workload.work import Work

OPEN = (TransactionStatus.INTRANS, TransactionStatus.INERROR)
LEAVING = (InterruptTaskSet, RescheduleTask, RescheduleTaskImmediately, StopTest, StopUser)
"""What a task raises to be done early; nothing is wrong then."""


class Transaction:
    """Writes rows of tracked tables, all or none of them.

    Made by ``LedgerUser.transaction``; a block that is left well commits, one that raises rolls back. What
    the server or the line to it does wrong ends the block quietly: see ``acknowledged``.

    Args:
        work: what all users share.
        user: who writes, for the ledger.

    Attributes:
        acknowledged: the server has confirmed the commit.
        error: why it was not confirmed; None when it was, or while it goes on.
    """

    def __init__(self, work: Work, user: str) -> None:
        self.acknowledged = False
        self.error: Exception | None = None
        self._work = work
        self._user = user
        self._writes: list[Write] = []
        self._lent = ExitStack()
        self._connection: Connection | None = None

    def insert(self, table: str, key: object, /, **values: object) -> None:
        """Insert one row.

        Args:
            table: a tracked table.
            key: made by the client, for instance with ``LedgerUser.key``.
            values: of the other columns; a dict becomes ``jsonb``.
        """
        column = self._work.key_column(table)
        statement = statements.insert(table, column, tuple(values))
        self._write("insert", table, statement, (key, *values.values()))

    def update(self, table: str, key: object, /, **values: object) -> bool:
        """Change columns of one row.

        Returns:
            Whether there is such a row.
        """
        column = self._work.key_column(table)
        statement = statements.update(table, column, tuple(values))
        return self._write("update", table, statement, (*values.values(), key))

    def delete(self, table: str, key: object, /) -> bool:
        """Delete one row.

        Returns:
            Whether there was such a row.
        """
        statement = statements.delete(table, self._work.key_column(table))
        return self._write("delete", table, statement, (key,))

    def read(self, statement: str, *values: object) -> list[Row]:
        """Rows of a query, as this transaction sees them.

        Args:
            statement: with ``%s`` for each value; it may lock rows, and must not write any.
            values: in order.
        """
        return self._run(statement.encode(), values).fetchall()

    def __enter__(self) -> Transaction:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> bool:
        try:
            if error is None:
                self._commit()
                return False
            return self._abandon(error)
        except JournalError as lost:
            self._work.lose_ledger(lost)
            raise StopUser from lost
        finally:
            self._give_back()

    def _write(self, op: Operation, table: str, statement: bytes, values: tuple[object, ...]) -> bool:
        adapted = tuple(Jsonb(value) if isinstance(value, dict) else value for value in values)
        row: Any = self._run(statement, adapted).fetchone()
        if row is None:
            return False
        key, hash_ = row
        self._writes.append(Write(table, key, op, hash_))
        return True

    def _run(self, statement: bytes, values: tuple[object, ...]) -> psycopg.Cursor[Row]:
        connection = self._begin()
        with answer_in_time():
            return connection.execute(statement, values or None)

    def _begin(self) -> Connection:
        """The connection, with the transaction begun.

        Not before the first statement, so that it is the block that ends when there is no connecting.
        """
        if self._connection is None:
            self._connection = self._lent.enter_context(self._work.connections.lend())
            with answer_in_time():
                self._connection.execute(b"BEGIN")
        return self._connection

    def _commit(self) -> None:
        if self._connection is None:
            self.acknowledged = True
            return
        number = self._work.ledger.sent(self._user, self._writes)
        try:
            with answer_in_time():
                answer = self._connection.execute(b"COMMIT").statusmessage
        except psycopg.Error as error:
            self._fail(number, error, certain=_is_certain(error))
            return
        if answer != "COMMIT":
            # The server answers ROLLBACK when a statement failed and the block went on regardless.
            self._fail(
                number, psycopg.OperationalError("rolled back, as a statement had failed"), certain=True
            )
            return
        self._work.ledger.acked(number, self._user, self._writes)
        self.acknowledged = True

    def _abandon(self, error: BaseException) -> bool:
        """No commit was sent, so nothing was written for certain. Whether the block ends quietly."""
        if not isinstance(error, Exception) or isinstance(error, LEAVING):
            return False
        number = self._work.ledger.sent(self._user, self._writes)
        self._fail(number, error, certain=True)
        return isinstance(error, psycopg.Error)

    def _fail(self, number: int, error: Exception, *, certain: bool) -> None:
        self.error = error
        words = _words(error)
        note = self._work.ledger.refused if certain else self._work.ledger.broken
        note(number, self._user, words)
        self._work.complain(words)

    def _give_back(self) -> None:
        connection = self._connection
        if connection is not None and connection.info.transaction_status in OPEN:
            try:
                with answer_in_time():
                    connection.execute(b"ROLLBACK")
            except psycopg.Error:
                # A connection that cannot even roll back is not lent again; the server rolls back for it.
                connection.close()
        self._lent.close()


def _is_certain(error: psycopg.Error) -> bool:
    """Whether an error in answer to COMMIT says that nothing was written.

    An ERROR does: the server has rolled back. A FATAL or PANIC may have come after the commit was made
    durable and before it was answered, as may the end of the connection.
    """
    return error.diag.severity_nonlocalized == "ERROR"


def _words(error: Exception) -> str:
    if not isinstance(error, psycopg.Error):
        return f"the locustfile raised {type(error).__name__}"
    message = " ".join((error.diag.message_primary or str(error) or type(error).__name__).split())
    return f"{message} ({error.sqlstate})" if error.sqlstate else message
