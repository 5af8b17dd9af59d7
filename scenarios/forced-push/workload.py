"""Developers at work: files that are added, and changed again."""

from locust import task

from harness.workload import LedgerUser


class Developer(LedgerUser):
    @task
    def change(self) -> None:
        key = self.key()
        if self.put("main", key, self.random.randbytes(300)):
            self.replace("main", key, self.random.randbytes(300))
