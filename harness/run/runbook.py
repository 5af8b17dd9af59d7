"""Plays the team's own restore script, with the addresses and credentials that whoever is on call would have.

The script finds an empty server at the service's address, with the service's roles and passwords. It runs in
a directory of its own, in an environment built from nothing but what ``environment_of`` lists. A line that it
prints as ``::step:: <name>`` begins a step, which is timed as a part of the recovery.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from harness.errors import DatabaseError
from harness.facts import OPERATOR, Endpoint
from harness.journal.events import RunbookPlayed
from harness.run.backfill import content
from harness.run.ground import Ground
from harness.run.logs import FOLDER, LONGEST
from harness.run.redact import Redactor
from harness.run.restore import Stopwatch
from harness.seams.postgres_tools import installation

STEP = re.compile(rb"::step:: +([a-z][a-z0-9-]{0,31})\s*")
LOG = "runbook.log"
POLL_SECONDS = 0.01
STEP_AT_FIRST = "restore"


def play_runbook(
    ground: Ground, endpoint: Endpoint, script: str, timeout: timedelta, watch: Stopwatch
) -> str:
    """Run the script to its end and look whether what it should have restored is there.

    Args:
        ground: the run.
        endpoint: the empty server at the service's address.
        script: its name in the scenario's folder.
        timeout: after this it is killed.
        watch: is told the steps.

    Returns:
        Why the service is not back; empty when it may be.

    Raises:
        ProvisionError: the script cannot be started.
    """
    began = ground.clock.stamp()
    directory = endpoint.lease.directory / "runbook"
    directory.mkdir()
    log = directory / LOG
    watch(STEP_AT_FIRST)
    process = ground.sandbox.start(
        [ground.plan.loaded.folder.resolve() / script],
        log=log,
        directory=directory,
        environment=environment_of(ground, endpoint),
    )
    detail = _follow(ground, process, log, timeout.total_seconds(), watch)
    watch("verify")
    detail = detail or _missing(ground, endpoint)
    kept = _keep(ground, log)
    ground.journal.write(
        RunbookPlayed(
            script=script,
            exit_code=process.returncode,
            seconds=ground.clock.stamp().since(began),
            log=kept,
            detail=detail,
        )
    )
    return detail


def environment_of(ground: Ground, endpoint: Endpoint) -> dict[str, str]:
    """What the script is told: PostgreSQL's own variables for the server to restore, and every service.

    A service ``vault`` is told as ``VAULT_...``: its name in capitals, ``_`` for ``-``. Credentials are the
    operator's.
    """
    told = {
        # The one variable of the user's own: without it the script would not find the user's tools.
        "PATH": f"{installation() / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        **{f"PG{name}": value for name, value in _database(endpoint).items()},
    }
    for service, there in {**ground.endpoints, endpoint.service: endpoint}.items():
        prefix = service.upper().replace("-", "_")
        told |= {f"{prefix}_{name}": value for name, value in _access(there).items()}
    return told


def _access(endpoint: Endpoint) -> Mapping[str, str]:
    if endpoint.kind == "postgres":
        return _database(endpoint)
    credential = endpoint.credentials.get(OPERATOR)
    if credential is None:
        return {"PATH": str(endpoint.path)}
    if endpoint.kind == "s3":
        return {
            "ENDPOINT": endpoint.url,
            "BUCKET": endpoint.name,
            "ACCESS_KEY": credential.name,
            "SECRET_KEY": credential.secret.reveal(),
        }
    return {"ENDPOINT": endpoint.url, "TOKEN": credential.secret.reveal()}


def _database(endpoint: Endpoint) -> dict[str, str]:
    credential = endpoint.credentials[OPERATOR]
    return {
        "HOST": endpoint.host,
        "PORT": str(endpoint.port),
        "DATABASE": endpoint.name,
        "USER": credential.name,
        "PASSWORD": credential.secret.reveal(),
    }


def _follow(
    ground: Ground, process: subprocess.Popen[bytes], log: Path, timeout: float, watch: Stopwatch
) -> str:
    """Time the steps until the script ends; nothing that it started outlives it."""
    began = ground.clock.stamp()
    lines = _Tail(log)
    late = False
    try:
        while process.poll() is None and not late:
            ground.clock.sleep(POLL_SECONDS)
            for step in lines.steps():
                watch(step)
            late = ground.clock.stamp().since(began) > timeout
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    for step in lines.steps():
        watch(step)
    if late:
        return f"the runbook was not done after {timeout:g} s"
    if process.returncode != 0:
        return f"the runbook ended with exit code {process.returncode}: {_last_words(ground, log)}"
    return ""


class _Tail:
    """The whole lines that have been added to a file since it was last asked."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0

    def steps(self) -> Iterator[str]:
        with self._path.open("rb") as file:
            file.seek(self._read)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.splitlines():
            match = STEP.fullmatch(line)
            if match:
                yield match[1].decode()


def _missing(ground: Ground, endpoint: Endpoint) -> str:
    try:
        content(ground, endpoint.service, endpoint)
    except DatabaseError as error:
        return f"the runbook ended well, and the service is not back: {error.message}"
    return ""


def _last_words(ground: Ground, log: Path) -> str:
    text = log.read_bytes()[-LONGEST:].decode(errors="replace")
    lines = [line for line in text.splitlines() if line.strip()]
    return Redactor(ground.endpoints.values()).clean_log(lines[-1][:300]) if lines else "it said nothing"


def _keep(ground: Ground, log: Path) -> str:
    """Keep what the script said with the run; returns the file's name in the run folder."""
    kept = ground.journal.folder / FOLDER / LOG
    kept.parent.mkdir(exist_ok=True)
    text = log.read_bytes()[-LONGEST:].decode(errors="replace")
    kept.write_text(Redactor(ground.endpoints.values()).clean_log(text), encoding="utf-8")
    return f"{FOLDER}/{LOG}"
