"""People who sign up, start projects and comment on them."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from locust import task

from harness.workload import LedgerUser


class Person(LedgerUser):
    account: UUID | None = None
    projects: list[UUID]

    def on_start(self) -> None:
        super().on_start()
        self.projects = []

    @task(3)
    def start_project(self) -> None:
        now, project = datetime.now(UTC), self.key()
        owner = self.account or self.key()
        with self.transaction() as tx:
            if self.account is None:
                tx.insert("users", owner, name=f"user-{str(owner)[:8]}", created_at=now)
            tx.insert("projects", project, owner_id=owner, name=f"project-{str(project)[:8]}", updated_at=now)
        if tx.acknowledged:
            self.account = owner
            self.projects.append(project)

    @task(3)
    def comment(self) -> None:
        if not self.projects:
            return
        with self.transaction() as tx:
            tx.insert(
                "comments",
                self.key(),
                project_id=self.random.choice(self.projects),
                note="Could you add a test?",
                created_at=datetime.now(UTC),
            )

    @task(1)
    def rename(self) -> None:
        if not self.projects:
            return
        project = self.random.choice(self.projects)
        with self.transaction() as tx:
            tx.update("projects", project, name=f"renamed-{self.key()}", updated_at=datetime.now(UTC))
