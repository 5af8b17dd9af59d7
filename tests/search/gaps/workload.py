"""Orders come in; some are corrected, some are withdrawn."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from locust import task

from harness.workload import LedgerUser


class Shop(LedgerUser):
    """One request handler."""

    placed: list[UUID]

    def on_start(self) -> None:
        super().on_start()
        self.placed = []

    @task(6)
    def order(self) -> None:
        key = self.key()
        with self.transaction() as tx:
            tx.insert("orders", key, amount=self.random.randint(1, 99), placed_at=datetime.now(UTC))
        if tx.acknowledged:
            self.placed.append(key)

    @task(2)
    def correct(self) -> None:
        if self.placed:
            with self.transaction() as tx:
                tx.update("orders", self.random.choice(self.placed), amount=5, placed_at=datetime.now(UTC))

    @task(1)
    def withdraw(self) -> None:
        if self.placed:
            with self.transaction() as tx:
                tx.delete("orders", self.placed.pop())
