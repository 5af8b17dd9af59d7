"""People's mail: what comes in, what goes out, and what is thrown away."""

from __future__ import annotations

from uuid import UUID

from locust import task

from harness.workload import LedgerUser


class Mailbox(LedgerUser):
    received: list[UUID]

    def on_start(self) -> None:
        super().on_start()
        self.received = []

    @task(4)
    def receive(self) -> None:
        message = self.key()
        if self.put("received", message, self.random.randbytes(2_000)):
            self.received.append(message)

    @task(2)
    def send(self) -> None:
        self.put("sent", self.key(), self.random.randbytes(1_000))

    @task(1)
    def throw_away(self) -> None:
        if self.received:
            self.remove("received", self.received.pop())
