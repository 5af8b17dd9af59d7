"""A run in containers that was killed: a sweep leaves nothing of it on the engine either."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from harness.facts import Lease
from harness.replicas.containers.engine import make_volume
from harness.seams.container_engine import objects_of
from tests.drills.command import SHOP, Installation, Running
from tests.faults.traces import traces

pytestmark = [pytest.mark.drill, pytest.mark.docker]
SHOP_DROPPED = SHOP / "dropped-table.yaml"
MEOW = Path(__file__).parents[2] / "scenarios" / "meow" / "as-it-happened.yaml"
NO_ENGINE = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}


@pytest.mark.parametrize(
    ("scenario", "phase", "event"),
    [(SHOP_DROPPED, "provision", "leased"), (SHOP_DROPPED, "recover", "leased"), (MEOW, "recover", "leased")],
)
def test_a_killed_run_is_swept_without_a_trace(
    installation: Installation, scenario: Path, phase: str, event: str
) -> None:
    run = kill_in(installation, phase, event, scenario)
    held = traces(run.folder.name, installation.work)
    swept = installation.call("sweep")
    assert (swept.returncode, swept.stderr) == (0, "")
    assert objects_of(run.folder.name) == ()
    assert held.left(run.folder.name, installation.work) == []


def test_without_its_engine_a_sweep_says_what_it_cannot_remove_and_the_next_does(
    installation: Installation,
) -> None:
    run = kill_in(installation, "steady-state", "workload-started")
    left = objects_of(run.folder.name)
    assert {line.partition(" ")[0] for line in left} == {"container", "volume", "network"}
    blind = Installation(installation.root, installation.cache, NO_ENGINE).call("sweep")
    assert blind.returncode == 4
    assert f"{run.folder.name}/shop may have left containers: no container engine answers" in blind.stderr
    assert f"docker ps --all --filter label=ninelives.run={run.folder.name}" in blind.stderr
    assert objects_of(run.folder.name) == left
    assert installation.call("sweep").returncode == 0
    assert objects_of(run.folder.name) == ()
    assert installation.at_work() == ()


def test_a_run_whose_directory_is_gone_is_found_on_the_engine(installation: Installation) -> None:
    """A reboot empties a temporary folder that lies in memory, and leaves volumes and stopped containers."""
    run = kill_in(installation, "steady-state", "workload-started")
    shutil.rmtree(installation.work / run.folder.name)
    elsewhere = Installation(installation.root / "elsewhere", installation.cache)
    assert elsewhere.call("sweep").stdout == "nothing to sweep\n"
    left = {line.partition(" ")[0] for line in objects_of(run.folder.name)}
    assert left == {"container", "volume", "network"}
    assert f"{run.folder.name}: removed" in installation.call("sweep").stdout
    assert objects_of(run.folder.name) == ()


def test_what_belongs_to_no_lease_that_was_noted_goes_too(installation: Installation) -> None:
    """A tool may keep a server of its own, such as a standby."""
    run = kill_in(installation, "steady-state", "workload-started")
    nobodys = Lease(run_id=run.folder.name, service="shop@nobody", kind="x", directory=installation.work)
    make_volume(nobodys, "data")
    assert installation.call("sweep").returncode == 0
    assert objects_of(run.folder.name) == ()


def kill_in(installation: Installation, phase: str, event: str, scenario: Path = SHOP_DROPPED) -> Running:
    run = installation.start("run", scenario, "--provider", "docker", "--quiet")
    run.wait_for(phase, event)
    run.kill()
    return run
