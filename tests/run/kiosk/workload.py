"""Orders come in, some are corrected, some old ones are cancelled. Every transaction places an order.

So whoever looks for new orders sees the very first write that the service takes after its recovery.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

from locust import task

from harness.workload import LedgerUser
from harness.workload.transaction import Transaction

NEVER_ANSWERED = Decimal("13.13")
OLDEST = "SELECT id FROM orders ORDER BY placed_at OFFSET %s LIMIT 1"


class Customer(LedgerUser):
    """Places orders; the first customer's first one is never answered."""

    placed: list[UUID]

    def on_start(self) -> None:
        super().on_start()
        self.placed = []
        if self.number == 0:
            with self.transaction() as tx:
                tx.insert("orders", self.key(), amount=NEVER_ANSWERED, placed_at=datetime.now(UTC))

    @task(6)
    def order(self) -> None:
        with self.transaction() as tx:
            key = self._place(tx)
        if tx.acknowledged:
            self.placed.append(key)

    @task(2)
    def correct(self) -> None:
        with self.transaction() as tx:
            self._place(tx)
            if self.placed:
                tx.update("orders", self.random.choice(self.placed), amount=5, placed_at=datetime.now(UTC))

    @task(1)
    def withdraw(self) -> None:
        with self.transaction() as tx:
            self._place(tx)
            if self.placed:
                tx.delete("orders", self.placed.pop())

    @task(1)
    def cancel_an_old_one(self) -> None:
        with self.transaction() as tx:
            self._place(tx)
            for (key,) in tx.read(OLDEST, self.random.randint(0, 40)):
                tx.delete("orders", key)

    def _place(self, tx: Transaction) -> UUID:
        key = self.key()
        tx.insert("orders", key, amount=self.random.randint(20, 99), placed_at=datetime.now(UTC))
        return key
