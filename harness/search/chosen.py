"""What a search is about: the scenario that gives a stack its past, and a principal of it."""

from __future__ import annotations

from pathlib import Path

from harness.errors import RequestError, ScenarioError
from harness.run.loading import load
from harness.scenario.discover import find_scenarios
from harness.scenario.models import LoadedScenario, Stack


def chosen(file: Path, guards: tuple[str, ...] | None) -> LoadedScenario:
    """The scenario to explore: the file itself, or for a stack the first scenario over it.

    Raises:
        ScenarioError: the file cannot be used.
        RequestError: it is a stack, and no scenario beside it gives it a past.
    """
    if file.name != "stack.yaml":
        return load(file, guards=guards)
    for beside in find_scenarios((file.parent,)):
        if beside.parent == file.parent:
            try:
                found = load(beside, guards=guards if guards is not None else ())
            except ScenarioError:
                continue
            if found.scenario.stack == file.name and found.scenario.like is None:
                return found
    raise RequestError(
        f"no scenario beside {file} gives its stack a past", hint="name a scenario instead of the stack"
    )


def refuse_stranger(stack: Stack, principal: str) -> None:
    """Raises RequestError: the stack has no such principal."""
    if principal not in stack.principals:
        there = ", ".join(stack.principals) or "none"
        raise RequestError(f"the stack has no principal {principal!r}", hint=f"there are: {there}")
