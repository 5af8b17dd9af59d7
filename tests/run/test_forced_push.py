"""A forced push in whole drills: what is counted is what git itself says of the repository."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from harness.journal.events import ActionEnded, ContentVerified, Line, WitnessTaken
from harness.journal.history import read_history
from harness.journal.ledger import read_ledger
from harness.run.ground import Ground
from harness.run.place import Place
from harness.run.traffic import LEDGER
from harness.scenario.load import load_scenario

from .stage import play

FOLDER = Path(__file__).parents[2] / "scenarios" / "forced-push"

pytestmark = pytest.mark.drill


def files(repository: Path) -> set[str]:
    """The files of the branch, asked without any of the harness's code."""
    told = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-tree", "-r", "--name-only", "refs/heads/main"],
        cwd=repository,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(told.stdout.split())


def test_the_commits_that_a_push_has_dropped_are_counted(stage: Place) -> None:
    before: set[str] = set()
    after: set[str] = set()
    pushed: set[str] = set()

    def look_on(ground: Ground, line: Line) -> None:
        repository = ground.endpoints["code"].path if "code" in ground.endpoints else Path()
        if isinstance(line.body, WitnessTaken):
            before.update(files(repository))
        if isinstance(line.body, ActionEnded) and line.body.number == 4:
            pushed.update(files(repository))
        if isinstance(line.body, ContentVerified):
            after.update(files(repository))

    drilled = play(load_scenario(FOLDER / "as-it-happened.yaml"), stage, look_on)
    verdicts = {verdict.objective: verdict for verdict in drilled.record.verdicts}
    assert {name: verdict.value for name, verdict in verdicts.items()} == {"rpo": "breached", "rto": "held"}
    assert len(before - pushed) >= 90, "a hundred commits were dropped, of as many files"

    history = read_history(drilled.folder)
    (*_, harm) = [entry.body.outcome for entry in history.of(ActionEnded)]
    assert [(resource.kind, resource.name) for resource in harm.touched] == [("branch", "main")]
    written = {
        write.key
        for call in read_ledger(drilled.folder / LEDGER).acknowledged()
        if call.ended <= harm.began.mono
        for write in call.writes
    }
    lost = (before | written) - after
    assert lost
    assert f"{len(lost)} items lost" in verdicts["rpo"].summary


def test_a_protected_branch_loses_nothing(stage: Place) -> None:
    drilled = play(load_scenario(FOLDER / "hardened.yaml"), stage)
    assert {verdict.objective: verdict.value for verdict in drilled.record.verdicts} == {
        "rpo": "held",
        "rto": "held",
    }
    ended = [entry.body.outcome for entry in read_history(drilled.folder).of(ActionEnded)]
    assert [outcome.status for outcome in ended] == ["done", "done", "done", "refused"]
