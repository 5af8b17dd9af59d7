"""People who keep score: they make boards and write points on them."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from locust import task

from harness.workload import LedgerUser


class Scorer(LedgerUser):
    boards: list[UUID]

    def on_start(self) -> None:
        super().on_start()
        self.boards = []

    @task(1)
    def make(self) -> None:
        board = self.key()
        with self.transaction() as tx:
            tx.insert("boards", board, name=f"Board {str(board)[:8]}", updated_at=datetime.now(UTC))
        if tx.acknowledged:
            self.boards.append(board)

    @task(3)
    def score(self) -> None:
        if not self.boards:
            return
        now, board = datetime.now(UTC), self.random.choice(self.boards)
        with self.transaction() as tx:
            if tx.update("boards", board, updated_at=now):
                points = self.random.randint(1, 10)
                tx.insert("scores", self.key(), board_id=board, player="anonymous", points=points, at=now)
