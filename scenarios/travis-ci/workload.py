"""People who come back, each with a cookie, and people who come for the first time."""

from __future__ import annotations

from datetime import UTC, datetime

from locust import task

from harness.workload import LedgerUser


class Visitor(LedgerUser):
    """A browser. Its cookie outlives whatever happens to the database."""

    login = ""
    cookie: int | None = None

    @task(3)
    def come_back(self) -> None:
        """Sign in by the cookie's number; a number that nobody has means that the visitor is new."""
        if self.cookie is None or not self.read("SELECT FROM users WHERE id = %s", self.cookie):
            self.sign_up(self.login or f"person-{self.key()}")
            return
        with self.transaction() as tx:
            tx.insert("sign_ins", self.key(), user_id=self.cookie, login=self.login, at=datetime.now(UTC))

    @task(1)
    def come_anew(self) -> None:
        """Somebody else sits down at this browser."""
        self.sign_up(f"person-{self.key()}")

    def sign_up(self, login: str) -> None:
        """Get the next number. When no account was made, the cookie stays as it is."""
        ((number,),) = self.read("SELECT nextval('users_id_seq')")
        now = datetime.now(UTC)
        with self.transaction() as tx:
            tx.insert("users", number, login=login, created_at=now)
            tx.insert("sign_ins", self.key(), user_id=number, login=login, at=now)
        if tx.acknowledged:
            self.login, self.cookie = login, int(str(number))
