"""Orders come in."""

from __future__ import annotations

from datetime import UTC, datetime

from locust import task

from harness.workload import LedgerUser


class Shop(LedgerUser):
    """One request handler."""

    @task
    def order(self) -> None:
        with self.transaction() as tx:
            tx.insert("orders", self.key(), amount=self.random.randint(1, 99), placed_at=datetime.now(UTC))
