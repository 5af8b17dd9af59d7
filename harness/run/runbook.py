"""Plays the team's own restore script. It finds an empty server at the service's address."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from harness.facts import Endpoint
from harness.journal.events import RunbookPlayed
from harness.run.compare import unreadable
from harness.run.ground import Ground
from harness.run.logs import FOLDER, LONGEST
from harness.run.restore import Stopwatch
from harness.seams.scripts import Script, script_environment

LOG = "runbook.log"
KEPT = f"{FOLDER}/{LOG}"
FIRST_STEP = "restore"
OURS = ("detect", "decide", "provision", "verify", "reconnect", "other")


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
    directory, log = endpoint.lease.directory / "runbook", endpoint.lease.directory / LOG
    directory.mkdir()
    program = ground.plan.loaded.folder.resolve() / name
    script = Script(program, ground.sandbox, ground.clock, timeout.total_seconds())
    watch(FIRST_STEP)
    clean = ground.redactor().clean_log
    try:
        ran = script.run(directory, log, script_environment(endpoint, ground.endpoints), _own(watch))
    finally:
        _keep(ground, log, clean)
    watch("verify")
    complaint = f"{clean(ran.complaint)} (see {KEPT})" if ran.complaint else ""
    missing = "" if complaint else unreadable(ground, endpoint)
    detail = complaint or (missing and f"the runbook ended well, and the service is not back: {missing}")
    ground.journal.write(
        RunbookPlayed(
            script=name,
            exit_code=ran.exit_code,
            seconds=ground.clock.stamp().since(began),
            log=KEPT,
            detail=detail,
        )
    )
    return detail


def _own(watch: Stopwatch) -> Callable[[str], None]:
    """A step that is called like one of the harness's own parts must not be added to it."""
    return lambda step: watch(f"own-{step}" if step in OURS else step)


def _keep(ground: Ground, log: Path, clean: Callable[[str], str]) -> None:
    """Keep what the script said with the run, also when somebody stops it."""
    if not log.exists():
        return
    kept = ground.journal.folder / KEPT
    kept.parent.mkdir(exist_ok=True)
    kept.write_text(clean(log.read_bytes().decode(errors="replace"))[-LONGEST:], encoding="utf-8")
