"""Work that outlives its call: copying a backup, restoring it. Its status can be asked for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from harness.replicas.railway.refusals import PROBLEM, ApiError
from harness.replicas.railway.state import Estate, Workflow

LOG = logging.getLogger(__name__)


class Workflows:
    """Starts workflows on the running event loop and keeps how they went."""

    def __init__(self, estate: Estate) -> None:
        self._estate = estate
        self._tasks: set[asyncio.Task[None]] = set()

    def open(self) -> Workflow:
        """A workflow that nothing works on yet, for work that must know its id."""
        return self._estate.add(Workflow(created_at=self._estate.now()))

    def run(self, workflow: Workflow, work: Coroutine[Any, Any, object]) -> Workflow:
        """Let it work in the background."""
        task = asyncio.get_running_loop().create_task(self._follow(workflow, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return workflow

    def start(self, work: Coroutine[Any, Any, object]) -> Workflow:
        """Open a workflow and let it work."""
        return self.run(self.open(), work)

    async def settle(self) -> None:
        """Wait until nothing is under way."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _follow(self, workflow: Workflow, work: Coroutine[Any, Any, object]) -> None:
        try:
            await work
        except ApiError as error:
            workflow.status, workflow.error = "Error", str(error)
        except Exception:
            LOG.exception("workflow %s failed", workflow.id)
            workflow.status, workflow.error = "Error", PROBLEM
        else:
            workflow.status = "Complete"
