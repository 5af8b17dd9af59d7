"""The shipped drill about a prune: what it takes, and that it runs in containers whatever is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex

import pytest

from harness.journal.events import ActionEnded, PointMissing, PointSeen, RestoreTried, RunStarted
from harness.journal.history import read_history
from harness.run.loading import load
from harness.run.place import Place
from harness.scenario.load import load_scenario
from harness.scenario.models import ScriptedAgent, Step
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


@pytest.mark.drill
@pytest.mark.docker
def test_copies_are_gone_with_the_volume_that_they_lay_on(stage: Place) -> None:
    """The bucket's server is gone too, so its copies are missing by what the engine lists, not by a guess."""
    drilled = play(load_scenario(FOLDER / "compose-down.yaml"), stage)
    values = {verdict.objective: verdict.value for verdict in drilled.record.verdicts}
    assert values == dict.fromkeys(("isolation", "rpo", "rto"), "breached"), drilled
    history = read_history(drilled.folder)
    seen = {entry.body.point.id for entry in history.of(PointSeen)}
    assert len(list(history.of(PointMissing))) == 2
    assert not seen & {entry.body.point_id for entry in history.of(PointMissing)}


@pytest.mark.drill
@pytest.mark.docker
def test_copies_whose_volume_is_there_are_not_gone_because_nobody_answers(stage: Place) -> None:
    gone = [
        {"do": "docker.rm", "on": "runner", "with": {"name": name, "force": True}, "harm": True}
        for name in ("desk", "dumps")
    ]
    steps = tuple(Step.model_validate(step) for step in gone)
    agent = ScriptedAgent(kind="scripted", as_="builder", goal="Make room.", steps=steps)
    drilled = play(load(FOLDER / "as-it-happens.yaml", agent=agent), stage)
    assert drilled.record.value == "undecided", drilled
    assert not list(read_history(drilled.folder).of(PointMissing))
