"""Working directories: found again when their run died, left alone while it lives."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from harness.errors import ProvisionError
from harness.facts import Lease
from harness.run.place import (
    OWNER_FILE,
    Owner,
    Place,
    abandoned_runs,
    name_run,
    note_lease,
    point_latest,
    workplace,
)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(reports=tmp_path / "reports", work=tmp_path / "work", cache=tmp_path / "cache")


def test_a_living_run_is_not_abandoned(place: Place) -> None:
    with workplace(place, "alive") as sandbox:
        assert sandbox.root.is_dir()
        assert abandoned_runs(place) == ()
    assert not sandbox.root.exists()


def test_a_dead_run_is_found_with_its_leases(place: Place) -> None:
    root = place.work / "dead"
    root.mkdir(parents=True)
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    owner = Owner.of_this_process("dead").model_copy(update={"pid": child.pid})
    child.kill()
    child.wait()
    (root / OWNER_FILE).write_text(owner.model_dump_json())
    lease = Lease(run_id="dead", service="db", kind="postgres", directory=root / "db")
    (root / "leases.jsonl").write_text(lease.model_dump_json() + '\n{"run_id": "dead", "serv')
    (found,) = abandoned_runs(place)
    assert found.run_id == "dead"
    assert found.leases == (lease,)


def test_a_process_id_that_was_given_to_another_process_counts_as_dead(place: Place) -> None:
    root = place.work / "older"
    root.mkdir(parents=True)
    ours = Owner.of_this_process("older")
    (root / OWNER_FILE).write_text(ours.model_copy(update={"started": ours.started - 100}).model_dump_json())
    assert [run.run_id for run in abandoned_runs(place)] == ["older"]


def test_a_lease_that_points_outside_of_the_run_is_not_acted_upon(place: Place, tmp_path: Path) -> None:
    root = place.work / "forged"
    root.mkdir(parents=True)
    lease = Lease(run_id="forged", service="db", kind="postgres", directory=tmp_path / "precious")
    (root / "leases.jsonl").write_text(lease.model_dump_json() + "\n")
    (found,) = abandoned_runs(place)
    assert found.leases == ()


def test_a_lease_is_on_disk_when_it_has_been_noted(place: Place) -> None:
    with workplace(place, "run") as sandbox:
        lease = Lease(run_id="run", service="db", kind="postgres", directory=sandbox.root / "db")
        note_lease(sandbox, lease)
        assert lease.model_dump_json() in (sandbox.root / "leases.jsonl").read_text()


def test_a_work_folder_that_is_a_link_is_refused(place: Place, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    place.work.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ProvisionError, match="not a directory of ours"), workplace(place, "run"):
        pass


def test_two_runs_of_one_second_have_different_names() -> None:
    now = datetime(2026, 4, 24, 12, 0, tzinfo=UTC)
    names = {name_run("pocketos/as-it-happened", now) for _ in range(20)}
    assert len(names) > 15
    assert all(name.startswith("20260424T120000Z-pocketos-as-it-happened-") for name in names)


def test_latest_points_at_the_newest_run(place: Place) -> None:
    for run in ("one", "two"):
        (place.reports / run).mkdir(parents=True)
        point_latest(place, run)
    assert (place.reports / "latest").resolve() == (place.reports / "two").resolve()
    assert sorted(path.name for path in place.reports.iterdir()) == ["latest", "one", "two"]
