"""Scenario files, all at once, so that every mistake in them is told before the first is drilled."""

from __future__ import annotations

from pathlib import Path

from harness.errors import Problem, ScenarioError
from harness.run.loading import load
from harness.scenario.models import LoadedScenario


def load_all(files: tuple[Path, ...]) -> tuple[LoadedScenario, ...]:
    """Load every scenario before the first is drilled.

    Raises:
        ScenarioError: with the problems of all the files.
    """
    loaded: list[LoadedScenario] = []
    problems: list[Problem] = []
    for file in files:
        try:
            loaded.append(load(file))
        except ScenarioError as error:
            problems.extend(error.problems)
    if problems:
        raise ScenarioError(tuple(dict.fromkeys(problems)))
    return tuple(loaded)
