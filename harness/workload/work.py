"""What all users of one child process share: the ledger, the connections, the gate, the clock."""

from __future__ import annotations

import logging
from collections.abc import Callable
from itertools import count
from threading import Event

from harness.clock import Clock
from harness.errors import JournalError, WorkloadError
from harness.journal.ledger import LedgerWriter
from harness.seams.items import ItemClient, ItemClientFactory
from harness.seams.lookup import lookup, names
from harness.seams.s3_client import open_client
from harness.workload.assignment import Access, Assignment
from harness.workload.connections import Connections, SqlConnections
from harness.workload.item_clients import ItemClients
from harness.workload.own_client import OwnClient, OwnItems
from harness.workload.store import Store

log = logging.getLogger(__name__)

MOST_COMPLAINTS = 50

OwnClientFactory = Callable[[str, int], OwnClient]
"""Given the service's host and port."""


class Work:
    """The work of one child process.

    Args:
        assignment: what it was told.
        clock: where stamps come from.
        give_up: called when the ledger cannot be written: nothing more may be sent then.

    Attributes:
        assignment, clock, ledger: as named.
        connections: to the database, for one that speaks SQL.
        items: clients of the service, for one that holds items.
        own_client: makes a client of the locustfile's own, for a service that holds items.
        gate: users pass it before each task; closed while the service is being recovered.

    Raises:
        JournalError: the ledger cannot be opened.
    """

    def __init__(self, assignment: Assignment, clock: Clock, give_up: Callable[[], None]) -> None:
        self.assignment = assignment
        self.clock = clock
        self.ledger = LedgerWriter(assignment.ledger, clock)
        self.connections = _connections(assignment.database)
        self.items = ItemClients(self._open_item_client)
        self.gate = Event()
        self._give_up = give_up
        self._complaints = count(1)
        self._numbers = count()
        self.own_client: OwnClientFactory | None = None
        self._stores = {
            access.lease.service: Store(open_client(access.endpoint, access.credential), access.name)
            for access in assignment.stores
        }

    @property
    def interval(self) -> float:
        """Seconds from one transaction of a user to its next."""
        return self.assignment.users / self.assignment.rate

    def go(self) -> None:
        """Let the users work."""
        self.connections.resume()
        self.items.resume()
        self.gate.set()

    def hold(self) -> None:
        """Hold the users at the gate; what is under way is not disturbed."""
        self.gate.clear()

    def pause(self) -> None:
        """Hold the users at the gate, and lend no connection; what is under way ends as it may."""
        self.hold()
        self.connections.pause()
        self.items.pause()

    def enlist(self) -> int:
        """The number of a new user, from 0."""
        return next(self._numbers)

    def key_column(self, table: str) -> str:
        """The key column of a tracked table; empty for a collection.

        Raises:
            WorkloadError: the table is not tracked, so nobody would notice what it loses.
        """
        try:
            return self.assignment.keys[table]
        except KeyError:
            known = ", ".join(sorted(self.assignment.keys)) or "none"
            raise WorkloadError(
                f"the locustfile writes to {table!r}, which is not a tracked table",
                hint=f"add it to `tables` or `collections` of the service in the stack; tracked are: {known}",
            ) from None

    def store(self, service: str) -> Store:
        """The store of a third party.

        Raises:
            WorkloadError: the stack has no such S3 service that the application may use.
        """
        try:
            return self._stores[service]
        except KeyError:
            known = ", ".join(sorted(self._stores)) or "none"
            raise WorkloadError(
                f"the locustfile uses the store {service!r}, which is not there",
                hint=f"name a service of kind s3 in the stack; there are: {known}",
            ) from None

    def _open_item_client(self) -> ItemClient:
        access = self.assignment.database
        if self.own_client is not None:
            return OwnItems(self.own_client(access.host, access.port))
        if access.kind not in names("clients"):
            raise WorkloadError(
                f"the locustfile puts items into {access.lease.service!r}, which is of kind {access.kind}",
                hint="write rows with `self.transaction()`; items are for services with collections",
            )
        make: ItemClientFactory = lookup("clients", access.kind)
        return make(access.endpoint, access.credential)

    def complain(self, words: str) -> None:
        """Put what went wrong into the child's log, as often as is of use; the ledger has all of it."""
        if next(self._complaints) <= MOST_COMPLAINTS:
            log.warning("not acknowledged: %s", words)

    def lose_ledger(self, error: JournalError) -> None:
        """End everything: a write that is not in the ledger must not be made."""
        log.critical("%s", error.message)
        self.pause()
        self._give_up()


def _connections(access: Access) -> SqlConnections:
    if access.kind != "mariadb":
        return Connections(access)
    # Whoever has no MariaDB need not have its client either.
    from harness.workload.mariadb import MariadbConnections

    return MariadbConnections(access)
