"""The base class of the users in a scenario's locustfile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any, ClassVar
from uuid import UUID

import gevent  # type: ignore[import-untyped]
from locust import User
from locust.env import Environment
from locust.exception import RescheduleTask, StopUser

from harness.errors import JournalError
from harness.journal.ledger import Operation, Write
from harness.seams.items import ItemClient, ItemRefusedError, ItemUnansweredError
from harness.seams.postgres_client import Row
from harness.workload.postgres import PostgresTransaction
from harness.workload.store import Store
from harness.workload.transaction import Transaction
from harness.workload.work import OwnClientFactory, Work

BACK_OFF = 0.1
"""Seconds that a user waits after a transaction or a read that went wrong."""

LEAST_PAUSE = 0.01
"""Seconds after a task that wrote nothing, which so costs none of the rate."""

CATCH_UP = 0.5
"""Seconds by which a user that was held up may be behind; what is behind further is not made up for."""


class LedgerEnvironment(Environment):
    """Locust's environment, with the work that all users share.

    Attributes:
        work: the child process sets it before any user is made.
    """

    work: Work


class LedgerUser(User):
    """A user whose every write is in the ledger, and whose pace keeps to the scenario's rate.

    Attributes:
        number: counts from 0; no two users of a run have the same.
        random: random numbers of its own, the same in every run of the scenario.
    """

    item_client: ClassVar[OwnClientFactory | None] = None
    """For a service that the harness does not know: makes the application's own client of it."""

    abstract = True
    environment: LedgerEnvironment

    def __init__(self, environment: LedgerEnvironment) -> None:
        super().__init__(environment)
        self._work = environment.work
        self.number = self._work.enlist()
        self.random = Random(f"{self._work.assignment.seed}/{self.number}")  # noqa: S311 - not a secret
        stagger = self.number % self._work.assignment.users / self._work.assignment.users
        self._due = self._now() + stagger * self._work.interval
        self._spent = 0
        self._failed = False

    def key(self) -> UUID:
        """A new key for a row: a random UUID, the same in every run of the scenario."""
        return UUID(int=self.random.getrandbits(128), version=4)

    @contextmanager
    def transaction(self, name: str = "transaction") -> Iterator[Transaction]:
        """Write rows, all or none of them::

            with self.transaction() as tx:
                tx.insert("bookings", self.key(), seats=2)
            if tx.acknowledged: ...

        What the server or the line to it does wrong ends the block quietly, since that is what a drill is
        about; the ledger has it. What is wrong with the locustfile itself raises as usual.

        Args:
            name: under which locust's statistics count it.

        Raises:
            WorkloadError: a table is not tracked.
        """
        transaction = self._transaction()
        began = self._now()
        try:
            with transaction:
                yield transaction
        finally:
            self._spent += 1
            self._failed = self._failed or transaction.error is not None
            self._report("SQL", name, began, transaction.error)

    def put(self, collection: str, key: object, body: bytes) -> bool:
        """Put a new item into a service that holds items.

        Args:
            collection: a tracked one.
            key: of an item that is not there yet, for instance made with ``key``.
            body: its content.

        Returns:
            Whether the service has acknowledged it. What it or the line to it does wrong is in the ledger.

        Raises:
            WorkloadError: the collection is not tracked.
        """
        return self._write("insert", collection, key, lambda client: client.put(collection, str(key), body))

    def replace(self, collection: str, key: object, body: bytes) -> bool:
        """Give an item that is there another content; otherwise as ``put``."""
        return self._write("update", collection, key, lambda client: client.put(collection, str(key), body))

    def remove(self, collection: str, key: object) -> bool:
        """Remove an item that is there; otherwise as ``put``."""
        return self._write("delete", collection, key, lambda client: client.delete(collection, str(key)))

    def get(self, collection: str, key: object) -> bytes | None:
        """The content of an item; None when there is none. When there is no answer, the task ends.

        Raises:
            RescheduleTask: the service did not answer, or refused. Locust goes on with the next task.
        """
        began = self._now()
        try:
            with self._work.items.lend() as client:
                body = client.get(collection, str(key))
        except (ItemRefusedError, ItemUnansweredError) as error:
            self._failed = True
            self._report("item", "get", began, error)
            raise RescheduleTask from error
        self._report("item", "get", began, None)
        return body

    def _write(
        self, op: Operation, collection: str, key: object, call: Callable[[ItemClient], int | None]
    ) -> bool:
        self._work.key_column(collection)
        began, user = self._now(), str(self.number)
        number = self._work.ledger.sent(user, [Write(collection, str(key), op)])
        error: Exception | None = None
        try:
            with self._work.items.lend() as client:
                hash_ = call(client)
            found = [] if hash_ is None else [Write(collection, str(key), op, hash_)]
            self._work.ledger.acked(number, user, found)
        except (ItemRefusedError, ItemUnansweredError) as caught:
            error = caught
            note = (
                self._work.ledger.refused if isinstance(error, ItemRefusedError) else self._work.ledger.broken
            )
            note(number, user, str(error))
            self._work.complain(str(error))
        except JournalError as lost:
            self._work.lose_ledger(lost)
            raise StopUser from lost
        self._spent += 1
        self._failed = self._failed or error is not None
        self._report("item", op, began, error)
        return error is None

    def _transaction(self) -> Transaction:
        if self._work.assignment.database.kind != "mariadb":
            return PostgresTransaction(self._work, str(self.number))
        # Whoever has no MariaDB need not have its client either.
        from harness.workload.mariadb import MariadbTransaction

        return MariadbTransaction(self._work, str(self.number))

    def read(self, statement: str, *values: object) -> list[Row]:
        """Rows of a query, outside of any transaction. When the database does not answer, the task ends.

        Args:
            statement: with ``%s`` for each value; it must not write.
            values: in order.

        Raises:
            RescheduleTask: the database did not answer, or refused the query. Locust goes on with the
                user's next task, as after a return.
        """
        began = self._now()
        connections = self._work.connections
        try:
            rows = connections.read(statement, values)
        except connections.errors as error:
            self._failed = True
            self._report("SQL", "read", began, error)
            raise RescheduleTask from error
        self._report("SQL", "read", began, None)
        return rows

    def store(self, service: str) -> Store:
        """The records of a third party, which outlive the disaster; ``put(key, body)`` adds one.

        Args:
            service: of kind s3 in the stack.

        Raises:
            WorkloadError: there is none of that name that the application may use.
        """
        return self._work.store(service)

    def wait_time(self) -> float:
        """Wait until this user's next transaction is due and the gate is open.

        Locust calls it after each task, and may end the user while it waits.

        Returns:
            0: the waiting is done.
        """
        now = self._now()
        self._due = max(self._due + self._spent * self._work.interval, now - CATCH_UP)
        pause = BACK_OFF if self._failed else LEAST_PAUSE if not self._spent else 0.0
        self._spent, self._failed = 0, False
        gevent.sleep(max(self._due - now, pause))
        if not self._work.gate.is_set():
            self._work.gate.wait()
            self._due = self._now()
        return 0.0

    def _now(self) -> float:
        return self._work.clock.stamp().mono

    def _report(self, kind: str, name: str, began: float, error: Exception | None) -> None:
        """Tell locust, whose own statistics and listeners may be used as ever."""
        event: Any = self.environment.events.request
        event.fire(
            request_type=kind,
            name=name,
            response_time=(self._now() - began) * 1000,
            response_length=0,
            exception=error,
            context={},
        )
