"""People at work: new notes and photos, and notes that are edited again."""

from locust import task

from harness.workload import LedgerUser


class Author(LedgerUser):
    @task(3)
    def note(self) -> None:
        key = self.key()
        if self.put("notes", key, self.random.randbytes(500)):
            self.replace("notes", key, self.random.randbytes(700))

    @task(1)
    def photo(self) -> None:
        self.put("photos", self.key(), self.random.randbytes(20_000))
