"""Sweeping: what cannot be removed is said, stays, and is in nobody's way."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import psutil
import pytest

from harness.errors import LeftoverError
from harness.facts import Lease
from harness.run.place import Place, note_lease
from harness.run.sweep import sweep, sweep_all
from harness.sandbox import MARK, Sandbox
from tests.run.test_place import die_at_work
from tests.workload.observing import wait_until

GONE = "acme-queue"
"""A kind of replica whose driver nobody has installed: nobody knows how to destroy one."""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(reports=tmp_path / "reports", work=tmp_path / "work", cache=tmp_path / "cache")


@pytest.fixture
def stuck(place: Place) -> Path:
    """A dead run of two replicas, the later of which cannot be destroyed."""
    root = die_at_work(place).rename(place.work / "stuck")
    (root / "leases.jsonl").unlink()
    for service, kind in (("db", "postgres"), ("queue", GONE)):
        lease = Lease(run_id="stuck", service=service, kind=kind, directory=root / service)
        note_lease(Sandbox("stuck", root, place.cache, None), lease)
        lease.directory.mkdir()
    return root


def test_what_cannot_be_destroyed_stays_and_stops_nothing_else(place: Place, stuck: Path) -> None:
    die_at_work(place)
    dead, left = sweep_all(place)
    assert (dead.run_id, dead.leftovers) == ("dead", ())
    (leftover,) = left.leftovers
    assert isinstance(leftover, LeftoverError)
    assert "stuck/queue" in leftover.message
    assert GONE in leftover.message
    assert str(stuck) in leftover.hint
    assert not (place.work / "dead").exists()
    assert sorted(path.name for path in stuck.iterdir() if path.is_dir()) == ["queue"]


def test_its_processes_end_all_the_same(place: Place, stuck: Path) -> None:
    sandbox = Sandbox("stuck", stuck, place.cache, None)
    stray = sandbox.start(["sleep", "600"], log=stuck / "log", directory=stuck / "queue")
    # Just after it was started the kernel shows no environment of it at all.
    wait_until(lambda: psutil.Process(stray.pid).environ().get(MARK) == "stuck", "it carries the mark")
    sweep_all(place)
    assert stray.wait(10) != 0


def test_a_copy_that_still_goes_on_is_ended_before_what_it_fills_is_removed(place: Place) -> None:
    root = die_at_work(place).rename(place.work / "busy")
    (root / "leases.jsonl").unlink()
    sandbox = Sandbox("busy", root, place.cache, None)
    lease = Lease(run_id="busy", service="files", kind="files", directory=root / "files")
    note_lease(sandbox, lease)
    lease.directory.mkdir()
    # Like every tool, it works in the run's directory, not in that of the replica that it fills.
    fill = "i=0; while mkdir -p files/$i; do i=$((i+1)); done"
    copy = sandbox.start(["sh", "-c", fill], log=root / "log", directory=root)
    wait_until(lambda: (lease.directory / "9").exists(), "it copies")
    (swept,) = sweep_all(place)
    assert swept.leftovers == ()
    assert copy.wait(10) != 0
    assert not root.exists()


def test_whoever_clears_the_way_is_warned_and_goes_on(
    place: Place, stuck: Path, caplog: pytest.LogCaptureFixture
) -> None:
    die_at_work(place)
    with caplog.at_level(logging.WARNING):
        assert [run.run_id for run in sweep(place)] == ["dead"]
    (warning,) = caplog.messages
    assert warning.startswith("warning: the killed run stuck is not gone: ")
    assert (
        f"\n  hint: install its driver again, then `ninelives sweep`; or end its processes and remove {stuck}"
        in warning
    )


def test_a_run_that_was_removed_by_hand_is_not_named_again(place: Place, stuck: Path) -> None:
    shutil.rmtree(stuck)
    assert sweep_all(place) == ()
