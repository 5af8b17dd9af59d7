"""Ctrl-C and SIGTERM: the run ends cleanly, says so, and decides nothing."""

from __future__ import annotations

import subprocess
import sys
import time
from signal import SIGHUP, SIGINT, SIGTERM

import pytest

from harness.journal.events import Interrupted
from harness.journal.history import read_history
from tests.drills.command import SHOP, Installation, Running, wait_until
from tests.faults.traces import Traces, processes_of, traces

MOMENTS = {"provision": "leased", "steady-state": "workload-started", "act": "agent-started"}
CALLS = {
    "ctrl-c": lambda run: run.send_group(SIGINT),
    "sigint": lambda run: run.send(SIGINT),
    "sigterm": lambda run: run.send(SIGTERM),
    "hangup": lambda run: run.send_group(SIGHUP),
}
CASES = [
    ("provision", "ctrl-c", "dropped-table"),
    ("provision", "sigterm", "emptied-dump"),
    ("backfill", "ctrl-c", "dropped-table"),
    ("steady-state", "ctrl-c", "emptied-dump"),
    ("steady-state", "sigint", "emptied-dump"),
    ("steady-state", "sigterm", "emptied-dump"),
    ("act", "ctrl-c", "emptied-dump"),
    ("act", "sigterm", "emptied-dump"),
    ("recover", "ctrl-c", "emptied-dump"),
    ("prove", "hangup", "dropped-table"),
]


@pytest.mark.drill
@pytest.mark.parametrize(("phase", "how", "scenario"), CASES, ids=["-".join(case[:2]) for case in CASES])
def test_an_interrupted_run_ends_cleanly_and_decides_nothing(
    installation: Installation, phase: str, how: str, scenario: str
) -> None:
    run = installation.start("run", SHOP / f"{scenario}.yaml", "--quiet")
    run.wait_for(phase, MOMENTS.get(phase, ""))
    held = look(run)
    CALLS[how](run)
    assert_ended_cleanly(run, held)


@pytest.mark.drill
def test_more_of_ctrl_c_does_not_cut_the_cleaning_short(installation: Installation) -> None:
    run = installation.start("run", SHOP / "emptied-dump.yaml", "--quiet")
    run.wait_for("steady-state", "workload-started")
    held = look(run)
    run.send_group(SIGINT)
    run.wait_for("teardown")
    sent = 0
    while run.process.poll() is None:
        run.send_group((SIGINT, SIGTERM)[sent % 2])
        sent += 1
        time.sleep(0.01)  # nobody presses keys faster
    assert sent > 1
    err = assert_ended_cleanly(run, held)
    assert "still cleaning up" in err


@pytest.mark.drill
def test_an_interrupt_during_teardown_does_not_cut_it_short(installation: Installation) -> None:
    run = installation.start("run", SHOP / "emptied-dump.yaml", "--quiet")
    run.wait_for("prove")
    held = look(run)
    run.wait_for("teardown")
    run.send_group(SIGTERM)
    assert_ended_cleanly(run, held)


def look(run: Running) -> Traces:
    """What the run has; waits until it has something."""
    run_id, work = run.folder.name, run.installation.work
    wait_until(lambda: processes_of(run_id, work), "a process of the run")
    return traces(run_id, work)


def assert_ended_cleanly(run: Running, held: Traces) -> str:
    """Exit code 130, nothing left, a whole record that says interrupted. Returns standard error."""
    code, out, err = run.end()
    assert code == 130, err
    assert "interrupted" in err
    assert "Traceback" not in err
    assert held.left(run.folder.name, run.installation.work) == []
    assert run.installation.at_work() == ()
    history = read_history(run.folder)
    assert history.problem is None
    assert history.of(Interrupted)
    assert out.startswith("INTERRUPTED")
    judged = run.installation.call("judge", run.folder)
    assert judged.returncode == 2
    assert "held  " not in judged.stdout
    assert "breached  " not in judged.stdout
    return err


CLEANS_UP = """
import time
from harness.interrupts import gentle_interrupts, ignore_interrupts

with gentle_interrupts():
    try:
        print("ready", flush=True)
        time.sleep(600)
    except KeyboardInterrupt:
        count = sum(range(3_000_000))
        print(count, flush=True)
        ignore_interrupts()
"""


def test_a_storm_of_signals_neither_stops_nor_delays_the_cleaning() -> None:
    """Nobody reads what it answers, and they come faster than it can answer."""
    child = subprocess.Popen(
        [sys.executable, "-c", CLEANS_UP], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    sent = 0
    while child.poll() is None:
        child.send_signal((SIGINT, SIGTERM, SIGHUP)[sent % 3])
        sent += 1
    out, err = child.communicate()
    assert sent > 100
    assert (child.returncode, out) == (0, f"{sum(range(3_000_000))}\n")
    assert set(err.splitlines()) == {"still cleaning up"}
