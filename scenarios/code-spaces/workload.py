"""What the hosting service does all day: take what developers commit."""

from __future__ import annotations

from datetime import UTC, datetime

from locust import task

from harness.workload import LedgerUser


class HostingService(LedgerUser):
    """One of its request handlers."""

    @task
    def commit(self) -> None:
        """A developer commits a revision."""
        revision = self.key()
        with self.transaction() as tx:
            tx.insert(
                "revisions",
                revision,
                project_id=self.random.randint(1, 100),
                author=f"developer-{self.random.randint(0, 19)}",
                message=f"change {str(revision)[:8]}",
                committed_at=datetime.now(UTC),
            )
