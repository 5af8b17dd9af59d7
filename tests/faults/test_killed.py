"""The harness killed with SIGKILL: whatever it was doing, nothing is left after a sweep."""

from __future__ import annotations

from pathlib import Path
from signal import SIGCONT, SIGSTOP

import pytest

from harness.journal.history import read_history
from tests.drills.command import SHOP, Installation, MissedError, Running
from tests.faults.traces import Traces, traces

ATTEMPTS = 8
"""A phase of 50 ms can be over before the signal lands; such a run proves nothing, and another is played."""

# Phase, event in it after which to kill, scenario; between them these have every kind of replica.
MOMENTS = [
    ("provision", "leased", "emptied-dump"),
    ("provision", "provisioned", "dropped-table"),
    ("backfill", "point-taken", "dropped-table"),
    ("steady-state", "workload-started", "emptied-dump"),
    ("act", "action-decided", "emptied-dump"),
    ("assess", "inventory-taken", "emptied-dump"),
    ("recover", "leased", "emptied-dump"),
    ("verify", "", "emptied-dump"),
    ("prove", "leased", "dropped-table"),
    ("teardown", "", "emptied-dump"),
    ("teardown", "released", "emptied-dump"),
]


@pytest.mark.drill
@pytest.mark.parametrize(
    ("phase", "event", "scenario"), MOMENTS, ids=[f"{phase}-{event}" for phase, event, _ in MOMENTS]
)
def test_a_killed_run_is_swept_without_a_trace(
    installation: Installation, phase: str, event: str, scenario: str
) -> None:
    run, held = kill_in(installation, phase, event, SHOP / f"{scenario}.yaml")
    run_id = run.folder.name
    swept = installation.call("sweep")
    assert (swept.returncode, swept.stderr) == (0, "")
    assert f"{run_id}: removed" in swept.stdout
    assert held.left(run_id, installation.work) == []
    assert installation.at_work() == ()
    assert installation.call("sweep").stdout == "nothing to sweep\n"
    assert_undecided(installation, run.folder)


@pytest.mark.drill
def test_the_next_run_removes_what_a_killed_one_left(installation: Installation) -> None:
    killed, held = kill_in(installation, "steady-state", "workload-started", SHOP / "emptied-dump.yaml")
    after = installation.call("run", SHOP / "deleted-volume.yaml", "--quiet")
    assert f"removed what the killed run {killed.folder.name} had left" in after.stderr
    assert after.returncode == 0
    assert held.left(killed.folder.name, installation.work) == []


def kill_in(installation: Installation, phase: str, event: str, scenario: Path) -> tuple[Running, Traces]:
    """Play a drill and kill it in a phase, for certain."""
    for _ in range(ATTEMPTS):
        run = installation.start("run", scenario, "--quiet")
        try:
            return run, _stop_and_kill(run, phase, event)
        except MissedError:
            run.kill()
            assert installation.call("sweep").returncode == 0
    pytest.fail(f"{phase} was over before it could be killed, {ATTEMPTS} times")


def _stop_and_kill(run: Running, phase: str, event: str) -> Traces:
    """Kill a run in a phase, when it has processes; in teardown, where those go first, when it has files.

    Stopped, it cannot leave the phase meanwhile.
    """
    run.wait_for(phase, event)
    run.send(SIGSTOP)
    run.must_be_in(phase)
    held = traces(run.folder.name, run.installation.work)
    there = held.left(run.folder.name, run.installation.work) if phase == "teardown" else held.processes
    if not there:
        run.send(SIGCONT)
        return _stop_and_kill(run, phase, event)
    run.kill()
    return held


def assert_undecided(installation: Installation, folder: Path) -> None:
    """The record is readable, says that it is cut off, and decides nothing."""
    problem = read_history(folder).problem
    assert problem is not None
    assert "killed" in problem or "half a line" in problem or "vouches" in problem
    judged = installation.call("judge", folder)
    assert judged.returncode == 2
    assert judged.stdout.startswith("UNDECIDED")
    assert "held  " not in judged.stdout
    assert "breached  " not in judged.stdout
