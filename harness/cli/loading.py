"""Scenario files, all at once, so that every mistake in them is told before the first is drilled."""

from __future__ import annotations

import re
from pathlib import Path

from harness.errors import Problem, RequestError, ScenarioError
from harness.run.loading import NO_GUARD, expecting_all_held, load, load_idle
from harness.scenario.discover import is_scenario
from harness.scenario.models import LoadedScenario

STACK_KEY = re.compile(rb"^services:", re.MULTILINE)
SCENARIO_KEY = re.compile(rb"^(?:agent|stack|like):", re.MULTILINE)


def named_guards(option: str | None) -> tuple[str, ...] | None:
    """Names as the option ``--guards`` has them; none of ``none``, and None when it was not given."""
    if option is None:
        return None
    return () if option == NO_GUARD else tuple(name.strip() for name in option.split(","))


def load_all(
    files: tuple[Path, ...], guards: tuple[str, ...] | None = None, *, idle: bool = False
) -> tuple[LoadedScenario, ...]:
    """Load every scenario before the first is drilled.

    Args:
        files: of the scenarios.
        guards: on in each of them instead of its own; then it is to hold, whatever it says it expects.
        idle: an agent that does nothing acts instead of its own; then too.

    Raises:
        RequestError: one of them is a stack.
        ScenarioError: with the problems of all the files.
    """
    for file in files:
        _refuse_stack(file)
    loaded: list[LoadedScenario] = []
    problems: list[Problem] = []
    for file in files:
        try:
            loaded.append(_load(file, guards, idle=idle))
        except ScenarioError as error:
            problems.extend(error.problems)
    if problems:
        raise ScenarioError(tuple(dict.fromkeys(problems)))
    return tuple(loaded)


def _load(file: Path, guards: tuple[str, ...] | None, *, idle: bool) -> LoadedScenario:
    if idle:
        return load_idle(file, guards=guards)
    return load(file) if guards is None else expecting_all_held(load(file, guards=guards))


def _refuse_stack(file: Path) -> None:
    """Every key of a stack would be told as a mistake in a scenario.

    Raises:
        RequestError: the file is a stack.
    """
    try:
        text = file.read_bytes()
    except OSError:
        return  # the loader says what is wrong with it
    if STACK_KEY.search(text) and not SCENARIO_KEY.search(text):
        beside = sorted(path.name for path in file.parent.glob("*.y*ml") if is_scenario(path))
        some = f"; beside it: {', '.join(beside[:5])}" if beside else ""
        raise RequestError(
            f"{file} is a stack, not a scenario",
            hint=f"name a scenario, a file with `stack: {file.name}` in it{some}",
        )
