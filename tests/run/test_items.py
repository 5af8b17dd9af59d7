"""Drills about a service that does not speak SQL: what is counted is what really happened to the files."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from harness.errors import ScenarioError
from harness.journal.events import ActionEnded, ContentVerified, Line, WitnessTaken
from harness.journal.history import read_history
from harness.journal.ledger import read_ledger
from harness.run.drill import Drilled
from harness.run.ground import Ground
from harness.run.place import Place
from harness.run.traffic import LEDGER
from harness.scenario.load import load_scenario
from harness.scenario.models import LoadedScenario

from .stage import play

FOLDER = Path(__file__).parents[2] / "scenarios" / "gemini-cli"
COLLECTIONS = ("notes", "photos")


def files(root: Path) -> dict[str, bytes]:
    """Every file below the collections, read without any of the harness's code."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for folder in COLLECTIONS
        for path in (root / folder).rglob("*")
        if path.is_file()
    }


def scenario(tmp_path: Path, name: str, **changes: object) -> LoadedScenario:
    """A shipped scenario with parts of it changed."""
    folder = tmp_path / "gemini-cli"
    shutil.copytree(FOLDER, folder, ignore=shutil.ignore_patterns("__pycache__"))
    file = folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | changes))
    return load_scenario(file)


def verdicts(drilled: Drilled) -> dict[str, str]:
    return {verdict.objective: verdict.value for verdict in drilled.record.verdicts}


@pytest.mark.drill
def test_what_a_drill_on_files_counts_is_what_the_disk_says(stage: Place, tmp_path: Path) -> None:
    before: dict[str, bytes] = {}
    after: dict[str, bytes] = {}
    moved: list[str] = []

    def look_on(ground: Ground, line: Line) -> None:
        if isinstance(line.body, WitnessTaken):
            before.update(files(ground.endpoints["project"].path))
        if isinstance(line.body, ActionEnded):
            moved.extend(resource.name for resource in line.body.outcome.touched)
        if isinstance(line.body, ContentVerified):
            after.update(files(ground.endpoints["project"].path))

    drilled = play(scenario(tmp_path, "hardened"), stage, look_on)

    assert verdicts(drilled) == {"rpo": "held", "rto": "held"}, drilled
    assert set(moved) == {"sorted", *(f"notes/past-0000000{number}" for number in (0, 2, 4))}
    # Everything that had been acknowledged and is not there, or not as it was, counts as lost.
    history = read_history(drilled.folder)
    ledger = read_ledger(drilled.folder / LEDGER)
    (harm, *_) = [e.body.outcome for e in history.of(ActionEnded) if e.body.outcome.touched]
    written = {
        f"{write.table}/{write.key}"
        for call in ledger.acknowledged()
        if call.ended <= harm.began.mono
        for write in call.writes
    }
    known = before.keys() | written
    lost = {name for name in known if name not in after}
    assert lost, "nothing was written in the last quarter of an hour"
    (rpo,) = (verdict for verdict in drilled.record.verdicts if verdict.objective == "rpo")
    assert f"{len(lost)} files lost" in rpo.summary, (rpo.summary, len(lost))
    changed = {name for name in before.keys() & after.keys() if before[name] != after[name]}
    assert not changed, "what came back is not what was there"


@pytest.mark.drill
def test_without_a_copy_what_the_harm_has_left_is_kept_and_only_the_rest_is_lost(stage: Place) -> None:
    before: dict[str, bytes] = {}
    after: dict[str, bytes] = {}

    def look_on(ground: Ground, line: Line) -> None:
        if isinstance(line.body, WitnessTaken):
            before.update(files(ground.endpoints["project"].path))
        if isinstance(line.body, ContentVerified):
            after.update(files(ground.endpoints["project"].path))

    drilled = play(load_scenario(FOLDER / "as-it-happened.yaml"), stage, look_on)

    assert verdicts(drilled) == {"rpo": "breached", "rto": "held"}, drilled
    assert before.keys() - after.keys() == {f"notes/past-0000000{number}" for number in (0, 2, 4)}
    (rpo,) = (verdict for verdict in drilled.record.verdicts if verdict.objective == "rpo")
    (lost,) = (figure.value for figure in rpo.figures if figure.name == "lost")
    assert lost == 3, rpo.summary


@pytest.mark.drill
def test_nothing_is_refused_to_whoever_has_the_grant_and_everything_to_who_has_not(
    stage: Place, tmp_path: Path
) -> None:
    folder = tmp_path / "gemini-cli"
    shutil.copytree(FOLDER, folder, ignore=shutil.ignore_patterns("__pycache__"))
    stack = yaml.safe_load((folder / "stack.yaml").read_text())
    stack["principals"]["cli"]["grants"]["project"] = "reader"
    (folder / "stack.yaml").write_text(yaml.safe_dump(stack))
    drilled = play(load_scenario(folder / "as-it-happened.yaml"), stage)
    statuses = [entry.body.outcome.status for entry in read_history(drilled.folder).of(ActionEnded)]
    assert statuses == ["done", "refused", "refused", "refused"]
    assert verdicts(drilled) == {"rpo": "held", "rto": "held"}, drilled


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"history": {"service": "project", "span": "1d", "rows": 9, "slice": "s.sql"}}, "history.slice"),
        ({"recover": {"service": "project", "strategy": "runbook", "run": "x.sh"}}, "recover.run"),
        ({"objectives": {"rpo": "1h", "invariants": {"none": "SELECT 1"}}}, "objectives.invariants"),
    ],
)
def test_what_asks_for_sql_of_a_volume_is_told_where(
    tmp_path: Path, changes: dict[str, object], place: str
) -> None:
    with pytest.raises(ScenarioError) as caught:
        scenario(tmp_path, "as-it-happened", **changes)
    found = {(problem.key, problem.message) for problem in caught.value.problems}
    assert (place, "'project' does not speak SQL") in found
