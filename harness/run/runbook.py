"""Plays the team's own restore script. It finds an empty server at the service's address."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from harness.errors import DatabaseError
from harness.facts import Endpoint
from harness.journal.events import RunbookPlayed
from harness.run.backfill import content
from harness.run.ground import Ground
from harness.run.logs import FOLDER, LONGEST
from harness.run.redact import Redactor
from harness.run.restore import Stopwatch
from harness.seams.scripts import Script, script_environment

LOG = "runbook.log"
FIRST_STEP = "restore"


def play_runbook(ground: Ground, endpoint: Endpoint, name: str, timeout: timedelta, watch: Stopwatch) -> str:
    """Run the script to its end and look whether what it should have restored is there.

    Args:
        ground: the run.
        endpoint: the empty server at the service's address.
        name: of the script, in the scenario's folder.
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
    program = ground.plan.loaded.folder.resolve() / name
    script = Script(program, ground.sandbox, ground.clock, timeout.total_seconds())
    watch(FIRST_STEP)
    ran = script.run(directory, directory / LOG, script_environment(endpoint, ground.endpoints), watch)
    watch("verify")
    clean = Redactor(ground.endpoints.values()).clean_log
    detail = clean(ran.complaint) or _missing(ground, endpoint)
    ground.journal.write(
        RunbookPlayed(
            script=name,
            exit_code=ran.exit_code,
            seconds=ground.clock.stamp().since(began),
            log=_keep(ground, clean(ran.output[-LONGEST:])),
            detail=detail,
        )
    )
    return detail


def _missing(ground: Ground, endpoint: Endpoint) -> str:
    try:
        content(ground, endpoint.service, endpoint)
    except DatabaseError as error:
        return f"the runbook ended well, and the service is not back: {error.message}"
    return ""


def _keep(ground: Ground, text: str) -> str:
    """Keep what the script said with the run; returns the file's name in the run folder."""
    kept: Path = ground.journal.folder / FOLDER / LOG
    kept.parent.mkdir(exist_ok=True)
    kept.write_text(text, encoding="utf-8")
    return f"{FOLDER}/{LOG}"
