"""Sessions come and go."""

from __future__ import annotations

from locust import task

from harness.workload import LedgerUser


class Visitor(LedgerUser):
    """One request handler."""

    @task
    def begin(self) -> None:
        self.put("session", self.key(), self.random.randbytes(100))
