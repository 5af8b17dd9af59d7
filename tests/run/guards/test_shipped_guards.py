"""Each shipped guard does what it is for, and something notices when it does not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from harness.run.place import Place
from harness.sandbox import Sandbox

from .mutations import MUTATIONS
from .stand import stand
from .table import SHIPPED, TRIALS, Effect, Trial

IN_CONTAINERS = "docker-prune/"
"""A folder whose stack needs a container engine."""


@pytest.fixture
def place(stage: Place, sandbox: Sandbox) -> Place:
    """Work is done where the servers of other tests are: in memory, where there is enough."""
    return replace(stage, work=sandbox.root / "work")


def failing(trial: Trial, effects: tuple[Effect, ...], folder: Path, place: Place) -> list[str]:
    """What the guard, alone in its stack, does not do."""
    with stand(folder / f"{trial.scenario}.yaml", (trial.name,), trial.protections, place) as ground:
        return [why for effect in effects if (why := effect.proof(ground))]


@pytest.mark.drill
@pytest.mark.parametrize(
    "trial",
    [
        pytest.param(
            trial,
            id=trial.guard,
            marks=[pytest.mark.docker] if trial.guard.startswith(IN_CONTAINERS) else [],
        )
        for trial in TRIALS
    ],
)
def test_a_guard_does_what_it_is_for_until_its_effect_is_taken_out(
    trial: Trial, place: Place, tmp_path: Path
) -> None:
    assert failing(trial, trial.effects, trial.folder, place) == []
    for effect in trial.effects:
        with effect.taken_away(trial.folder, tmp_path) as folder:
            assert len(failing(trial, (effect,), folder, place)) == 1, effect.mutation


def test_every_shipped_guard_has_its_place_in_the_table() -> None:
    """One that has none could stand in a stack and do nothing: write its effect down in table.py."""
    shipped = {
        f"{file.parent.name}/{guard}"
        for file in SHIPPED.glob("*/stack.yaml")
        for guard in yaml.safe_load(file.read_text(encoding="utf-8")).get("guards", {})
    }
    assert sorted(trial.guard for trial in TRIALS) == sorted(shipped)
    assert all(trial.effects for trial in TRIALS)


def test_every_mutation_is_used_and_changes_something_that_is_there() -> None:
    used = {
        effect.mutation for trial in TRIALS for effect in trial.effects if isinstance(effect.mutation, str)
    }
    assert used == MUTATIONS.keys()
    for mutation in MUTATIONS.values():
        owner, name = mutation.place()
        there = getattr(owner, name)
        assert mutation.alter(there) != there
