"""Runs a script of the team's own, with the addresses and credentials that whoever is on call would have.

The environment is built from nothing but ``script_environment`` and the user's ``PATH``. A line that the
script prints as ``::step:: <name>`` begins a step.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.clock import Clock
from harness.facts import OPERATOR, Endpoint
from harness.sandbox import Sandbox, end_session, has_ended
from harness.seams.container_engine import container_name
from harness.seams.postgres_tools import installation

STEP = re.compile(rb"::step:: +([a-z][a-z0-9-]{0,31})\s*")
POLL_SECONDS = 0.01
TAIL_BYTES = 4096
LAST_LINES = 3


@dataclass(frozen=True)
class Script:
    """A script and where it runs.

    Attributes:
        program: the script; it says itself what runs it.
        sandbox: how to start it.
        clock: where time comes from.
        timeout: seconds after which it is killed.
    """

    program: Path
    sandbox: Sandbox
    clock: Clock
    timeout: float

    def run(
        self,
        directory: Path,
        log: Path,
        environment: Mapping[str, str],
        on_step: Callable[[str], None] = lambda _: None,
    ) -> Ran:
        """Run it to its end; nothing that it has started outlives it.

        Args:
            directory: its working directory, inside a lease's.
            log: file that what it prints is added to.
            environment: what it is told, besides ``PATH``.
            on_step: told the name of each step as it begins.

        Raises:
            ProvisionError: it cannot be started.
        """
        start = log.stat().st_size if log.exists() else 0
        began = self.clock.stamp()
        process = self.sandbox.start(
            [self.program], log=log, directory=directory, environment={**environment, **_path()}
        )
        lines = _Lines(log, start)
        late = False
        try:
            while not has_ended(process) and not late:
                self.clock.sleep(POLL_SECONDS)
                for step in lines.steps():
                    on_step(step)
                late = self.clock.stamp().since(began) > self.timeout
        finally:
            end_session(process)
        for step in lines.steps():
            on_step(step)
        return Ran(self, process.returncode, late, log, start)


@dataclass(frozen=True)
class Ran:
    """A script that has ended.

    Attributes:
        script: what was run.
        exit_code: of its process; negative for a signal.
        late: it was killed because it took too long.
        log: what it printed, both streams.
        start: where in there this run begins.
    """

    script: Script
    exit_code: int
    late: bool
    log: Path
    start: int

    @property
    def output(self) -> str:
        """What this run printed."""
        with self.log.open("rb") as file:
            file.seek(self.start)
            return file.read().decode(errors="replace")

    @property
    def complaint(self) -> str:
        """Why it did not do its work, as far as it says so itself; empty when it ended well.

        The last lines that it printed are in it, with whatever secrets the script prints.
        """
        name = self.script.program.name
        if self.late:
            return f"{name} was not done after {self.script.timeout:g} s"
        if self.exit_code:
            return f"{name} ended with exit code {self.exit_code}: {self.last_words or 'it said nothing'}"
        return ""

    @property
    def last_words(self) -> str:
        """The last lines that are not empty; none of them cut, so that no half of a secret is left over."""
        with self.log.open("rb") as file:
            begin = max(self.start, self.log.stat().st_size - TAIL_BYTES)
            file.seek(begin)
            lines = file.read().decode(errors="replace").splitlines()
        whole = lines if begin == self.start else lines[1:]
        return " | ".join([line.strip() for line in whole if line.strip()][-LAST_LINES:])


def script_environment(target: Endpoint, others: Mapping[str, Endpoint]) -> dict[str, str]:
    """What a script is told: PostgreSQL's own variables for a server of its kind, and every service.

    A service ``vault`` is told as ``VAULT_...``: its name in capitals, ``_`` for ``-``. Credentials are the
    operator's.

    Args:
        target: the server that the script is about.
        others: every service, by name.
    """
    own = _database(target) if target.kind == "postgres" else {}
    told = {f"PG{name}": value for name, value in own.items()}
    for service, endpoint in {**others, target.service: target}.items():
        prefix = service.upper().replace("-", "_")
        told |= {f"{prefix}_{name}": value for name, value in _access(endpoint).items()}
    return told


def _access(endpoint: Endpoint) -> Mapping[str, str]:
    """What a client of its kind asks for; nothing of a service that no client can reach from a script."""
    credential = endpoint.credentials.get(OPERATOR)
    if credential is None or credential.kind == "mount":
        return {"PATH": str(endpoint.path)}
    if credential.kind == "password":
        return _database(endpoint)
    if credential.kind == "access-key":
        name = {"REGION": endpoint.name} if endpoint.kind == "aws" else {"BUCKET": endpoint.name}
        keys = {"ACCESS_KEY": credential.name, "SECRET_KEY": credential.secret.reveal()}
        return {"ENDPOINT": endpoint.url, **name, **keys}
    if credential.kind == "account-token":
        return {"ENDPOINT": endpoint.url, "TOKEN": credential.secret.reveal()}
    if credential.kind == "socket":
        container = container_name(endpoint.lease)
        return {"HOST": endpoint.host, "PORT": str(endpoint.port), "CONTAINER": container}
    return {}


def _database(endpoint: Endpoint) -> dict[str, str]:
    credential = endpoint.credentials[OPERATOR]
    return {
        "HOST": endpoint.host,
        "PORT": str(endpoint.port),
        "DATABASE": endpoint.name,
        "USER": credential.name,
        "PASSWORD": credential.secret.reveal(),
    }


def _path() -> dict[str, str]:
    """PostgreSQL's programs, then the user's own path: a script needs the user's tools."""
    return {"PATH": f"{installation() / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}


class _Lines:
    """The whole lines that have been added to a log since it was last asked."""

    def __init__(self, log: Path, start: int) -> None:
        self._log = log
        self._read = start

    def steps(self) -> Iterator[str]:
        with self._log.open("rb") as file:
            file.seek(self._read)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.splitlines():
            match = STEP.fullmatch(line)
            if match:
                yield match[1].decode()
