"""Customers of a shop: orders that are placed, changed and taken back."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from locust import task

from harness.workload import LedgerUser


class Customer(LedgerUser):
    def on_start(self) -> None:
        self.placed: list[UUID] = []

    @task(4)
    def place(self) -> None:
        key = self.key()
        with self.transaction() as tx:
            now = datetime.now(UTC).replace(tzinfo=None)
            tx.insert("orders", key, item="book", pieces=2, note={"gift": True}, placed_at=now)
        if tx.acknowledged:
            self.placed.append(key)

    @task(2)
    def change(self) -> None:
        if self.placed:
            with self.transaction() as tx:
                key = self.random.choice(self.placed)
                for (pieces,) in tx.read("SELECT pieces FROM orders WHERE id = %s FOR UPDATE", str(key)):
                    tx.update("orders", key, pieces=int(str(pieces)) + 1)

    @task(1)
    def take_back(self) -> None:
        if self.placed:
            with self.transaction() as tx:
                tx.delete("orders", self.placed[-1])
            if tx.acknowledged:
                self.placed.pop()

    @task(1)
    def look(self) -> None:
        assert self.read("SELECT count(*) FROM orders")
