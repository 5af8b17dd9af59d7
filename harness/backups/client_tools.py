"""Runs PostgreSQL's client programs against one server, as its operator, and words their failures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.backups.programs import TOOL_SECONDS, refuse_failure
from harness.errors import Failure
from harness.facts import Endpoint
from harness.sandbox import Sandbox
from harness.seams.postgres_tools import binary, connection_environment, connection_options


@dataclass(frozen=True)
class ClientTool:
    """One program of PostgreSQL's.

    Attributes:
        name: ``pg_dump``, ``pg_basebackup``, ...
        sandbox: of the run.
        failure: what its failing raises.
        hint: what to do when it fails.
    """

    name: str
    sandbox: Sandbox
    failure: Failure
    hint: str

    def run(
        self,
        options: Sequence[str | Path],
        *,
        server: Endpoint | None = None,
        timeout: float = TOOL_SECONDS,
    ) -> str:
        """Run it to its end; returns what it printed.

        Args:
            options: but for those that say which server to ask.
            server: to connect to, as its operator.
            timeout: seconds.

        Raises:
            BackupError, RestoreError: it failed, or took too long; with the end of what it said.
            MissingToolError: it is not installed.
        """
        command = [binary(self.name), *(connection_options(server) if server else ()), *options]
        environment = connection_environment(server) if server else {}
        ran = self.sandbox.call(command, environment=environment, timeout=timeout, failure=self.failure)
        refuse_failure(ran, self.name, self.failure, self.hint)
        return ran.stdout
