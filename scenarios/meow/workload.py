"""Visitors of a shop: sessions that are kept alive, and carts that fill."""

from __future__ import annotations

from uuid import UUID

from locust import task

from harness.workload import LedgerUser


class Visitor(LedgerUser):
    def on_start(self) -> None:
        self.session: UUID | None = None

    @task(3)
    def visit(self) -> None:
        if self.session is None:
            key = self.key()
            if self.put("session", key, self.random.randbytes(200)):
                self.session = key
        else:
            self.replace("session", self.session, self.random.randbytes(200))

    @task(1)
    def fill_cart(self) -> None:
        self.put("cart", self.key(), self.random.randbytes(600))

    @task(1)
    def leave(self) -> None:
        if self.session is not None and self.remove("session", self.session):
            self.session = None
