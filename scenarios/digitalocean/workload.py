"""Customers at the control panel: they make machines, and switch them off and on."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from locust import task

from harness.workload import LedgerUser


class Customer(LedgerUser):
    machines: list[UUID]

    def on_start(self) -> None:
        super().on_start()
        self.machines = []

    @task(2)
    def make(self) -> None:
        now, machine = datetime.now(UTC), self.key()
        with self.transaction() as tx:
            tx.insert("machines", machine, region="fra", state="new", updated_at=now)
            tx.insert("events", self.key(), machine_id=machine, what="create", at=now)
        if tx.acknowledged:
            self.machines.append(machine)

    @task(1)
    def switch(self) -> None:
        if not self.machines:
            return
        now, machine = datetime.now(UTC), self.random.choice(self.machines)
        state = self.random.choice(("active", "off"))
        with self.transaction() as tx:
            tx.update("machines", machine, state=state, updated_at=now)
            tx.insert("events", self.key(), machine_id=machine, what=state, at=now)
