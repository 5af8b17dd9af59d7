"""Servers and the workload that die on their own prove nothing about the stack, and end the run cleanly."""

from __future__ import annotations

import json
from dataclasses import replace

import psutil
import pytest

from tests.drills.command import SHOP, Installation, Running, wait_until
from tests.faults.traces import Traces, traces

POSTMASTER = "ninelives.lease="
WORKLOAD = "harness.workload.child"


@pytest.mark.drill
@pytest.mark.parametrize("victim", [POSTMASTER, WORKLOAD], ids=["server", "workload"])
def test_what_dies_in_the_steady_state_leaves_the_run_undecided(
    installation: Installation, victim: str
) -> None:
    run = installation.start("run", SHOP / "guarded.yaml", "--quiet")
    run.wait_for("backfill", "point-taken")
    process, held = find(run, victim), traces(run.folder.name, installation.work)
    run.wait_for("steady-state", "workload-started")
    process.kill()
    run.must_be_in("steady-state")
    code, out, err = run.end()
    assert (code, err) == (2, "")
    assert_nothing_held(installation, run, held)
    assert out.startswith("UNDECIDED")
    assert not any(event["event"] == "agent-started" for event in run.events())


@pytest.mark.drill
def test_a_workload_that_is_killed_while_the_agent_acts_vouches_for_nothing(
    installation: Installation,
) -> None:
    """Nothing was damaged, but writes after its death were never made: no loss would have been seen."""
    run = installation.start("run", SHOP / "guarded.yaml", "--quiet")
    run.wait_for("backfill", "point-taken")
    process, held = find(run, WORKLOAD), traces(run.folder.name, installation.work)
    run.wait_for("act", "agent-started")
    process.kill()
    code, _, _ = run.end()
    assert code == 2
    assert_nothing_held(installation, run, held)


def find(run: Running, text: str) -> psutil.Process:
    """The process of this run with a text among its arguments."""

    def look() -> psutil.Process | None:
        for process in psutil.process_iter(["cmdline", "cwd"]):
            ours = (process.info["cwd"] or "").startswith(f"{run.installation.work}/{run.folder.name}")
            if ours and any(part.startswith(text) for part in process.info["cmdline"] or ()):
                return process
        return None

    found = wait_until(look, text)
    assert isinstance(found, psutil.Process)
    return found


def assert_nothing_held(installation: Installation, run: Running, held: Traces) -> None:
    """Every verdict is undecided, and nothing is left."""
    verdicts = json.loads((run.folder / "verdicts.json").read_text())["verdicts"]
    assert verdicts
    assert {verdict["value"] for verdict in verdicts} == {"undecided"}
    # A server that is killed with SIGKILL cannot give its System V segment back; that is the killer's doing.
    beside_memory = replace(held, segments=frozenset())
    assert beside_memory.left(run.folder.name, installation.work) == []
    assert installation.at_work() == ()
