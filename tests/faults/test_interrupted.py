"""Ctrl-C and SIGTERM: the run ends cleanly, says so, and decides nothing."""

from __future__ import annotations

from signal import SIGHUP, SIGINT, SIGTERM, Signals

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
    ("provision", "ctrl-c"),
    ("provision", "sigterm"),
    ("backfill", "ctrl-c"),
    ("steady-state", "ctrl-c"),
    ("steady-state", "sigint"),
    ("steady-state", "sigterm"),
    ("act", "ctrl-c"),
    ("act", "sigterm"),
    ("recover", "ctrl-c"),
    ("prove", "hangup"),
]


@pytest.mark.drill
@pytest.mark.parametrize(("phase", "how"), CASES, ids=["-".join(case) for case in CASES])
def test_an_interrupted_run_ends_cleanly_and_decides_nothing(
    installation: Installation, phase: str, how: str
) -> None:
    run = installation.start("run", SHOP / "dropped-table.yaml", "--quiet")
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
        wait_until(lambda: True, "the next turn")
    assert sent > 1
    err = assert_ended_cleanly(run, held)
    assert "still cleaning up" in err


@pytest.mark.drill
@pytest.mark.parametrize("number", [SIGINT, SIGTERM], ids=["sigint", "sigterm"])
def test_an_interrupt_during_teardown_does_not_cut_it_short(
    installation: Installation, number: Signals
) -> None:
    run = installation.start("run", SHOP / "emptied-dump.yaml", "--quiet")
    run.wait_for("prove")
    held = look(run)
    run.wait_for("teardown")
    run.send_group(number)
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
    assert out.startswith("UNDECIDED")
    judged = run.installation.call("judge", run.folder)
    assert judged.returncode == 2
    assert "held  " not in judged.stdout
    assert "breached  " not in judged.stdout
    return err
