"""People's uploads: photos, and documents that are saved again."""

from locust import task

from harness.workload import LedgerUser


class Person(LedgerUser):
    @task(2)
    def photo(self) -> None:
        self.put("photos", self.key(), self.random.randbytes(4_000))

    @task(1)
    def document(self) -> None:
        key = self.key()
        if self.put("documents", key, self.random.randbytes(1_000)):
            self.replace("documents", key, self.random.randbytes(1_200))
