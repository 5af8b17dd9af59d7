"""Customers of the application: they add executives to companies, and correct what they added."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from locust import task

from harness.workload import LedgerUser

COMPANIES = 1196


class Customer(LedgerUser):
    added: list[UUID]

    def on_start(self) -> None:
        super().on_start()
        self.added = []

    @task(3)
    def add(self) -> None:
        executive = self.key()
        with self.transaction() as tx:
            tx.insert(
                "executives",
                executive,
                company_id=self.random.randint(1, COMPANIES),
                name=f"Executive {str(executive)[:8]}",
                role="founder",
                updated_at=datetime.now(UTC),
            )
        if tx.acknowledged:
            self.added.append(executive)

    @task(1)
    def correct(self) -> None:
        if not self.added:
            return
        with self.transaction() as tx:
            tx.update(
                "executives",
                self.random.choice(self.added),
                role="chief executive",
                updated_at=datetime.now(UTC),
            )
