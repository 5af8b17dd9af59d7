"""What the tests look at: the ledger, the database, and waiting for something to happen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from harness.clock import SystemClock
from harness.facts import Endpoint
from harness.journal.ledger import Ledger, read_ledger
from harness.replicas.postgres import PostgresReplica

PATIENCE = 20.0


def wait_until(happened: Callable[[], bool], what: str) -> None:
    """Look every few milliseconds until something has happened."""
    clock = SystemClock()
    began = clock.stamp()
    while not happened():
        assert clock.stamp().since(began) < PATIENCE, f"not seen within {PATIENCE} s: {what}"
        clock.sleep(0.01)


def wait_for_acknowledgements(path: Path, count: int) -> None:
    """Wait for so many more acknowledged calls."""

    def acknowledged() -> int:
        return sum(1 for _ in read_ledger(path).acknowledged())

    wanted = acknowledged() + count
    wait_until(lambda: acknowledged() >= wanted, f"{count} more acknowledgements")


def written(ledger: Ledger, table: str) -> dict[str, int | None]:
    """The rows that the ledger calls for, with their hashes, in the order in which calls were sent."""
    rows: dict[str, int | None] = {}
    for call in ledger.calls:
        for write in call.writes if call.state == "acked" else ():
            if write.table == table and write.op == "delete":
                rows.pop(write.key)
            elif write.table == table:
                rows[write.key] = write.hash
    return rows


def stored(replica: PostgresReplica, endpoint: Endpoint, table: str, key: str, time: str) -> dict[str, int]:
    """The rows that the database holds, with their hashes, as the witness reads them."""
    return {row.key: row.hash for row in replica.rows(endpoint, table, key, time)}
