"""Transactions on PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.types.json import Jsonb

from harness.journal.ledger import Operation
from harness.seams.postgres_client import Connection
from harness.workload import statements
from harness.workload.connections import Connections, answer_in_time
from harness.workload.transaction import NotCommittedError, Row, Transaction
from harness.workload.work import Work

OPEN = (TransactionStatus.INTRANS, TransactionStatus.INERROR)


class PostgresTransaction(Transaction):
    """A transaction on PostgreSQL; a dict becomes ``jsonb``."""

    errors = (psycopg.Error,)

    def __init__(self, work: Work, user: str) -> None:
        super().__init__(work, user)
        assert isinstance(work.connections, Connections)
        self._connections = work.connections
        self._lent = ExitStack()
        self._connection: Connection | None = None

    def read(self, statement: str, *values: object) -> list[Row]:
        """Rows of a query, as this transaction sees them."""
        return self._run(statement.encode(), values).fetchall()

    def _change(
        self, op: Operation, table: str, column: str, key: object, values: Mapping[str, object]
    ) -> tuple[str, int] | None:
        adapted = tuple(Jsonb(value) if isinstance(value, dict) else value for value in values.values())
        if op == "insert":
            statement, given = statements.insert(table, column, tuple(values)), (key, *adapted)
        elif op == "update":
            statement, given = statements.update(table, column, tuple(values)), (*adapted, key)
        else:
            statement, given = statements.delete(table, column), (key,)
        row: Any = self._run(statement, given).fetchone()
        return None if row is None else (row[0], row[1])

    def _run(self, statement: bytes, values: tuple[object, ...]) -> psycopg.Cursor[Row]:
        connection = self._begin()
        with answer_in_time():
            return connection.execute(statement, values or None)

    def _begin(self) -> Connection:
        """The connection, with the transaction begun.

        Not before the first statement, so that it is the block that ends when there is no connecting.
        """
        if self._connection is None:
            self._connection = self._lent.enter_context(self._connections.lend())
            with answer_in_time():
                self._connection.execute(b"BEGIN")
        return self._connection

    def _begun(self) -> bool:
        return self._connection is not None

    def _send_commit(self) -> None:
        assert self._connection is not None
        try:
            with answer_in_time():
                answer = self._connection.execute(b"COMMIT").statusmessage
        except psycopg.Error as error:
            raise NotCommittedError(error, certain=_is_certain(error)) from error
        if answer != "COMMIT":
            # The server answers ROLLBACK when a statement failed and the block went on regardless.
            failed = psycopg.OperationalError("rolled back, as a statement had failed")
            raise NotCommittedError(failed, certain=True)

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

    def _words(self, error: Exception) -> str:
        assert isinstance(error, psycopg.Error)
        message = " ".join((error.diag.message_primary or str(error) or type(error).__name__).split())
        return f"{message} ({error.sqlstate})" if error.sqlstate else message


def _is_certain(error: psycopg.Error) -> bool:
    """Whether an error in answer to COMMIT says that nothing was written.

    An ERROR does: the server has rolled back. A FATAL or PANIC may have come after the commit was made
    durable and before it was answered, as may the end of the connection.
    """
    return error.diag.severity_nonlocalized == "ERROR"
