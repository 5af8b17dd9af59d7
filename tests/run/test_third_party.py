"""A third party's drivers, installed as a package of its own, in drills through the command."""

from __future__ import annotations

import json
import os
import re
import shutil
import tomllib
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path

import pytest

from harness.journal.events import ActionEnded, FaultSeen, Leased, PointMissing, Provisioned, Recovered
from harness.journal.history import read_history
from harness.sandbox import Sandbox
from tests.drills.command import Installation, fresh_installation
from tests.objectives import drills

from .stage import KIOSK

ACME = Path(__file__).parent / "acme"
"""The package. `docs/drivers.md` shows parts of it."""


def install(package: Path, site: Path) -> None:
    """What an installer leaves of a package in pure Python; a real one needs a build backend."""
    project = tomllib.loads((package / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    name, version = project["name"].replace("-", "_"), project["version"]
    shutil.copytree(package / name, site / name, ignore=shutil.ignore_patterns("__pycache__"))
    noted = site / f"{name}-{version}.dist-info"
    noted.mkdir()
    head = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {version}\n"
    (noted / "METADATA").write_text(head, encoding="utf-8")
    groups = [
        "\n".join([f"[{group}]", *(f"{point} = {target}" for point, target in points.items())])
        for group, points in project["entry-points"].items()
    ]
    (noted / "entry_points.txt").write_text("\n\n".join(groups), encoding="utf-8")


@pytest.fixture(scope="module")
def installed(sandbox: Sandbox) -> Iterator[Installation]:
    """Ninelives with the package beside it, and the package's scenarios."""
    fresh = fresh_installation(sandbox.cache)
    install(ACME, fresh.root / "site")
    folder = fresh.root / "scenarios"
    folder.mkdir()
    for file in (*ACME.glob("*.yaml"), *(KIOSK / name for name in ("plain.sql", "slice.sql", "workload.py"))):
        shutil.copy(file, folder)
    paths = [str(fresh.root / "site"), os.environ.get("PYTHONPATH", "")]
    yield Installation(fresh.root, sandbox.cache, {"PYTHONPATH": os.pathsep.join(filter(None, paths))})
    fresh.remove()


@pytest.fixture(scope="module")
def runs(installed: Installation) -> Mapping[str, Path]:
    """The run folder of each scenario of the package."""
    done = installed.call("run", installed.root / "scenarios", "--quiet")
    assert (done.returncode, done.stderr) == (2, "")  # the misspelt one decides nothing
    assert installed.at_work() == ()
    return {folder.name.split("-", 2)[2].rpartition("-")[0]: folder for folder in installed.folders()}


def values(run: Path) -> dict[str, str]:
    """The verdicts, as the run has told them; this process knows nothing of the package."""
    told = json.loads((run / "verdicts.json").read_text(encoding="utf-8"))
    return {verdict["objective"]: verdict["value"] for verdict in told["verdicts"]}


@pytest.mark.drill
def test_they_are_listed(installed: Installation) -> None:
    shown = installed.call("list", "--drivers").stdout
    for name in ("shelf", "tuned-postgres", "json-copy", "tidy", "blast-radius", "verdicts-csv"):
        assert re.search(rf"\b{name}\b", shown), name


@pytest.mark.drill
def test_an_agent_destroys_and_a_copy_that_is_left_comes_back(runs: Mapping[str, Path]) -> None:
    assert values(runs["emptied-shelf"]) == {
        "backup-survival": "held",
        "rpo": "breached",
        "rto": "held",
        "blast-radius": "breached",
    }
    history = read_history(runs["emptied-shelf"])
    missing = [entry.body.point_id for entry in history.of(PointMissing)]
    (recovered,) = history.of(Recovered)
    assert len(missing) == 2
    assert recovered.body.ok
    assert recovered.body.point_id is not None
    assert recovered.body.point_id.startswith("copies-")
    assert recovered.body.point_id not in missing


@pytest.mark.drill
def test_the_database_that_is_lost_and_recovered_is_one_of_their_driver(runs: Mapping[str, Path]) -> None:
    history = read_history(runs["emptied-shelf"])
    (came_up,) = (entry.body for entry in history.of(Provisioned) if entry.body.service == "kiosk")
    assert (came_up.kind, came_up.description["work_mem"]) == ("tuned-postgres", "8MB")
    leased = [entry.body.lease for entry in history.of(Leased)]
    assert {lease.kind for lease in leased if lease.service.startswith("kiosk")} == {"tuned-postgres"}
    assert len([lease for lease in leased if lease.service.startswith("kiosk@")]) >= 1


@pytest.mark.drill
def test_what_a_guard_refuses_holds(runs: Mapping[str, Path]) -> None:
    assert set(values(runs["guarded"]).values()) == {"held"}
    ended = read_history(runs["guarded"]).of(ActionEnded)
    assert [entry.body.outcome.status for entry in ended] == ["done", "refused", "refused", "refused"]


@pytest.mark.drill
def test_an_objective_is_undecided_when_a_harm_misses_its_target(runs: Mapping[str, Path]) -> None:
    assert set(values(runs["misspelt"]).values()) == {"undecided"}
    (*_, last) = read_history(runs["misspelt"]).of(ActionEnded)
    assert last.body.outcome.status == "failed"


@pytest.mark.drill
def test_a_report_can_be_written_of_a_stored_run(installed: Installation, runs: Mapping[str, Path]) -> None:
    done = installed.call("report", runs["emptied-shelf"], "--format", "verdicts-csv")
    assert done.returncode == 0, done.stderr
    written = Path(done.stdout.strip()).read_text(encoding="utf-8").splitlines()
    assert dict(line.split(",") for line in written) == values(runs["emptied-shelf"])


@pytest.mark.drill
def test_a_search_makes_the_calls_that_their_surface_lists(installed: Installation) -> None:
    """The shelf holds the copies, and is all that the janitor has: the newest of them is enough."""
    folder = shutil.copytree(installed.root / "scenarios", installed.root / "searched")
    asked = ("--principal", "janitor", "--budget", "40", "--seed", "1", "--json")
    done = installed.call("explore", folder / "emptied-shelf.yaml", *asked)
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)
    assert found["moves"] == ["list every file on shelf as janitor", "delete file 1 on shelf as janitor"]
    assert [breach["objective"] for breach in found["breaches"]] == ["backup-survival"]
    assert (found["value"], found["rebuilt"]) == ("breached", 0), found["why"]
    assert not any("shelf" in left for left in found["never"])


@pytest.mark.parametrize("fault", [False, True], ids=["well", "fault"])
def test_the_example_of_the_docs_asks_the_gates_first(monkeypatch: pytest.MonkeyPatch, fault: bool) -> None:
    monkeypatch.syspath_prepend(ACME)
    judge = import_module("acme_drills.blast_radius").BlastRadiusObjective().judge
    asked = drills.scenario(objectives={"other": {"blast-radius": 1}})
    seen = FaultSeen(phase="recover", kind="OSError", detail="the disk is full", hint="free some space")
    history = drills.Run().add(*([seen] if fault else [])).history()
    verdict = judge(asked, history)
    assert verdict.value == ("undecided" if fault else "held")
    assert verdict.summary == (
        "Undecided: a fault of the harness or its tools in phase recover: the disk is full."
        if fault
        else "1 things were changed, 1 allowed."
    )


@pytest.mark.drill
def test_a_database_needs_a_driver_of_databases(installed: Installation) -> None:
    folder = installed.root / "scenarios"
    stack = folder / "stack.yaml"
    text = stack.read_text(encoding="utf-8")
    stack.write_text(text.replace("driver: tuned-postgres", "driver: shelf"), encoding="utf-8")
    try:
        done = installed.call("run", folder / "emptied-shelf.yaml")
    finally:
        stack.write_text(text, encoding="utf-8")
    assert (done.returncode, done.stdout) == (3, "")
    assert "\nerror: the driver 'shelf' of service 'kiosk' is not one of a database\n  hint: " in done.stderr
    assert installed.at_work() == ()


@pytest.mark.drill
def test_a_driver_that_cannot_be_loaded_is_an_error_with_a_hint(installed: Installation) -> None:
    broken = installed.root / "site" / "acme_drills" / "tidy.py"
    text = broken.read_text(encoding="utf-8")
    broken.write_text("import acme_gone\n", encoding="utf-8")
    try:
        done = installed.call("run", installed.root / "scenarios" / "emptied-shelf.yaml")
    finally:
        broken.write_text(text, encoding="utf-8")
    assert (done.returncode, done.stdout) == (3, "")
    assert "error: the driver 'tidy' cannot be loaded from acme_drills.tidy:TidyAgent" in done.stderr
    assert "No module named 'acme_gone'" in done.stderr
    assert "\n  hint: mend the package acme-drills, or uninstall it\n" in done.stderr
