"""A help desk: tickets are opened and closed again."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from locust import task

from harness.workload import LedgerUser


class Clerk(LedgerUser):
    def on_start(self) -> None:
        self.mine: list[UUID] = []

    @task(2)
    def open(self) -> None:
        key = self.key()
        with self.transaction() as tx:
            tx.insert("tickets", key, subject="It does not print.", edited_at=datetime.now(UTC))
        if tx.acknowledged:
            self.mine.append(key)

    @task(1)
    def close(self) -> None:
        if self.mine:
            with self.transaction() as tx:
                tx.update("tickets", self.mine[0], open=False, edited_at=datetime.now(UTC))
            if tx.acknowledged:
                self.mine.pop(0)
