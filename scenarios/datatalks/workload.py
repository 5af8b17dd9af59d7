"""What the course platform does all day: take homework, and take back what was handed in twice."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from locust import task

from harness.workload import LedgerUser


class CoursePlatform(LedgerUser):
    """One of its request handlers."""

    handed_in: list[UUID]

    def on_start(self) -> None:
        super().on_start()
        self.handed_in = []

    @task(6)
    def hand_in(self) -> None:
        """A student hands in a homework of three answers."""
        now, submission = datetime.now(UTC), self.key()
        with self.transaction() as tx:
            tx.insert(
                "submissions",
                submission,
                enrollment_id=self.random.randint(1, 300),
                homework=f"homework-{self.random.randint(1, 7)}",
                submitted_at=now,
            )
            for question in (1, 2, 3):
                tx.insert(
                    "answers",
                    self.key(),
                    submission_id=submission,
                    question=question,
                    answer=f"answer to question {question}",
                    answered_at=now,
                )
        if tx.acknowledged:
            self.handed_in.append(submission)

    @task(1)
    def hand_in_again(self) -> None:
        """A student thinks better of it: the later homework counts."""
        if not self.handed_in:
            return
        submission = self.handed_in.pop(self.random.randrange(len(self.handed_in)))
        with self.transaction() as tx:
            tx.update("submissions", submission, submitted_at=datetime.now(UTC))
