"""Working directories: found again when their run died, left alone while it lives."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from unittest.mock import patch

import pytest

from harness.errors import ProvisionError
from harness.facts import Lease
from harness.run.place import (
    OWNER_FILE,
    Abandoned,
    Place,
    abandoned_runs,
    clear,
    name_run,
    note_lease,
    point_latest,
    workplace,
)
from harness.run.sweep import Swept, sweep


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(reports=tmp_path / "reports", work=tmp_path / "work", cache=tmp_path / "cache")


def test_a_living_run_is_not_abandoned(place: Place) -> None:
    with workplace(place, "alive") as sandbox:
        assert sandbox.root.is_dir()
        assert abandoned_runs(place) == ()
    assert not sandbox.root.exists()


DIE_AT_WORK = """
import os, signal, sys
from pathlib import Path
from harness.facts import Lease
from harness.run.place import Place, note_lease, workplace

work = Path(sys.argv[1])
with workplace(Place(work / "reports", work, work / "cache"), "dead") as sandbox:
    note_lease(sandbox, Lease(run_id="dead", service="db", kind="postgres", directory=sandbox.root / "db"))
    with (sandbox.root / "leases.jsonl").open("a") as leases:
        leases.write('{"run_id": "dead", "serv')
    os.kill(os.getpid(), signal.SIGKILL)
"""


def die_at_work(place: Place) -> Path:
    """A run's working directory, left by a process that was killed; it had a lease, and half of another."""
    subprocess.run([sys.executable, "-c", DIE_AT_WORK, place.work], check=False)
    return place.work / "dead"


def test_a_dead_run_is_found_with_its_leases(place: Place) -> None:
    root = die_at_work(place)
    lease = Lease(run_id="dead", service="db", kind="postgres", directory=root / "db")
    assert abandoned_runs(place) == (Abandoned(root, "dead", (lease,)),)


def test_only_the_dead_are_swept(place: Place) -> None:
    root = die_at_work(place)
    with workplace(place, "alive") as sandbox:
        assert [swept.run_id for swept in sweep(place)] == ["dead"]
        assert sandbox.root.is_dir()
    assert not root.exists()


def test_a_folder_that_is_no_run_is_never_swept(place: Place) -> None:
    die_at_work(place)
    (place.work / "thesis").mkdir()
    (place.work / "thesis" / "chapter-1").write_text("It was a dark and stormy night.")
    sweep(place)
    assert (place.work / "thesis" / "chapter-1").exists()
    assert not (place.work / "dead").exists()


def test_a_run_that_has_just_begun_is_never_taken_for_a_dead_one(place: Place) -> None:
    begun, stop = [], Event()

    def begin() -> None:
        for number in range(20):
            with workplace(place, f"run-{number}") as sandbox:
                begun.append(sandbox.root.is_dir() and (sandbox.root / OWNER_FILE).exists())
        stop.set()

    with ThreadPoolExecutor(1) as pool:
        beginning = pool.submit(begin)
        swept: list[Swept] = []
        while not stop.is_set() and not beginning.done():
            swept += sweep(place)
        beginning.result()
    assert (swept, begun) == ([], [True] * 20)


def test_what_is_left_of_a_directory_that_was_being_removed_is_found(place: Place) -> None:
    root = die_at_work(place)
    (root / "db").mkdir()
    removed: list[Path] = []

    def die_half_way(path: Path, **_: object) -> None:
        removed.append(path)
        raise KeyboardInterrupt

    with patch("harness.run.place.shutil.rmtree", die_half_way), pytest.raises(KeyboardInterrupt):
        clear(root)
    assert removed
    assert [run.run_id for run in abandoned_runs(place)] == ["dead"]


@pytest.mark.parametrize("directory", ["{outside}", "{root}/../../precious"])
def test_a_lease_that_points_outside_of_the_run_is_not_acted_upon(
    place: Place, tmp_path: Path, directory: str
) -> None:
    root = die_at_work(place)
    outside = Path(directory.format(outside=tmp_path / "precious", root=root))
    lease = Lease(run_id="forged", service="db", kind="postgres", directory=outside)
    (root / "leases.jsonl").write_text(lease.model_dump_json() + "\n")
    (found,) = abandoned_runs(place)
    assert found.leases == ()


def test_what_belongs_to_somebody_else_is_not_swept(place: Place, tmp_path: Path) -> None:
    die_at_work(place)
    link = Place(place.reports, tmp_path / "link", place.cache)
    link.work.symlink_to(place.work)
    with pytest.raises(ProvisionError, match="not a directory of ours"):
        sweep(link)


def test_processes_that_belong_to_no_replica_end_with_the_run(place: Place) -> None:
    with workplace(place, "run") as sandbox:
        stray = sandbox.start(["sleep", "600"], log=sandbox.root / "log", directory=sandbox.root)
    assert stray.wait(10) != 0


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
