"""One transaction of the workload, noted in the ledger before and after its commit, wherever it goes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import TracebackType
from typing import ClassVar

from locust.exception import InterruptTaskSet, RescheduleTask, RescheduleTaskImmediately, StopTest, StopUser

from harness.errors import JournalError
from harness.journal.ledger import Operation, Write
from harness.workload.work import Work

LEAVING = (InterruptTaskSet, RescheduleTask, RescheduleTaskImmediately, StopTest, StopUser)
"""What a task raises to be done early; nothing is wrong then."""

Row = tuple[object, ...]


class NotCommittedError(Exception):
    """The server has not confirmed a commit.

    Args:
        error: what it or the line to it did instead.
        certain: nothing was written for certain.
    """

    def __init__(self, error: Exception, *, certain: bool) -> None:
        super().__init__(str(error))
        self.error = error
        self.certain = certain


class Transaction(ABC):
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

    errors: ClassVar[tuple[type[Exception], ...]]
    """What the database's client raises when the server or the line to it does wrong."""

    def __init__(self, work: Work, user: str) -> None:
        self.acknowledged = False
        self.error: Exception | None = None
        self._work = work
        self._user = user
        self._writes: list[Write] = []

    def insert(self, table: str, key: object, /, **values: object) -> None:
        """Insert one row.

        Args:
            table: a tracked table.
            key: made by the client, for instance with ``LedgerUser.key``.
            values: of the other columns; a dict becomes JSON.
        """
        self._write("insert", table, key, values)

    def update(self, table: str, key: object, /, **values: object) -> bool:
        """Change columns of one row.

        Returns:
            Whether there is such a row.
        """
        return self._write("update", table, key, values)

    def delete(self, table: str, key: object, /) -> bool:
        """Delete one row.

        Returns:
            Whether there was such a row.
        """
        return self._write("delete", table, key, {})

    @abstractmethod
    def read(self, statement: str, *values: object) -> list[Row]:
        """Rows of a query, as this transaction sees them.

        Args:
            statement: with ``%s`` for each value; it may lock rows, and must not write any.
            values: in order.
        """

    @abstractmethod
    def _change(
        self, op: Operation, table: str, column: str, key: object, values: Mapping[str, object]
    ) -> tuple[str, int] | None:
        """Write one row; its key as text and its hash, as the witness has them. None when it is not there."""

    @abstractmethod
    def _begun(self) -> bool:
        """Whether anything was sent at all."""

    @abstractmethod
    def _send_commit(self) -> None:
        """Commit, and wait for the answer.

        Raises:
            NotCommittedError: it was not confirmed.
        """

    @abstractmethod
    def _give_back(self) -> None:
        """Roll back what is still open, and give the connection back."""

    @abstractmethod
    def _words(self, error: Exception) -> str:
        """What an error of the client says, in one line."""

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

    def _write(self, op: Operation, table: str, key: object, values: Mapping[str, object]) -> bool:
        written = self._change(op, table, self._work.key_column(table), key, values)
        if written is None:
            return False
        self._writes.append(Write(table, written[0], op, written[1]))
        return True

    def _commit(self) -> None:
        if not self._begun():
            self.acknowledged = True
            return
        number = self._work.ledger.sent(self._user, self._writes)
        try:
            self._send_commit()
        except NotCommittedError as failure:
            self._fail(number, failure.error, certain=failure.certain)
            return
        self._work.ledger.acked(number, self._user, self._writes)
        self.acknowledged = True

    def _abandon(self, error: BaseException) -> bool:
        """No commit was sent, so nothing was written for certain. Whether the block ends quietly."""
        if not isinstance(error, Exception) or isinstance(error, LEAVING):
            return False
        number = self._work.ledger.sent(self._user, self._writes)
        self._fail(number, error, certain=True)
        return isinstance(error, self.errors)

    def _fail(self, number: int, error: Exception, *, certain: bool) -> None:
        self.error = error
        quiet = isinstance(error, self.errors)
        words = self._words(error) if quiet else f"the locustfile raised {type(error).__name__}"
        note = self._work.ledger.refused if certain else self._work.ledger.broken
        note(number, self._user, words)
        self._work.complain(words)
