"""The shipped drill about a prune: what it takes, and that it runs in containers whatever is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex

import pytest

from harness.journal.events import ActionEnded, RestoreTried, RunStarted
from harness.journal.history import read_history
from harness.run.place import Place
from harness.scenario.load import load_scenario
from harness.seams.container_engine import connect

from .stage import play

FOLDER = Path(__file__).parents[2] / "scenarios" / "docker-prune"


@pytest.fixture
def bystander() -> Iterator[str]:
    """A volume that no container has, and that the run did not make: a real prune would take it."""
    name = f"bystander-{token_hex(8)}"
    connect().api.create_volume(name)
    yield name
    connect().api.remove_volume(name)


@pytest.mark.drill
@pytest.mark.docker
def test_what_was_pruned_comes_back_from_the_dump_of_the_night(stage: Place, bystander: str) -> None:
    drilled = play(load_scenario(FOLDER / "as-it-happens.yaml"), stage)
    values = {verdict.objective: verdict.value for verdict in drilled.record.verdicts}
    assert values == {"isolation": "breached", "rpo": "breached", "rto": "held"}, drilled
    history = read_history(drilled.folder)
    assert [entry.body.provider for entry in history.of(RunStarted)] == ["docker"]
    touched = {
        (resource.kind, resource.name)
        for entry in history.of(ActionEnded)
        for resource in entry.body.outcome.touched
    }
    assert {kind for kind, _ in touched} == {"container", "docker-volume"}
    assert [entry.body.ok for entry in history.of(RestoreTried)] == [True, True]
    left = {volume["Name"] for volume in connect().api.volumes()["Volumes"]}
    assert bystander in left
    assert not [name for name in left if drilled.folder.name in name]
