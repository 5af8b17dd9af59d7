"""What a search is about: the scenario that gives a stack its past, and a principal of it."""

from __future__ import annotations

from pathlib import Path

import yaml

from harness.errors import RequestError, ScenarioError
from harness.run.loading import load
from harness.scenario.discover import find_scenarios
from harness.scenario.models import LoadedScenario, Stack

SCENARIO_KEYS = frozenset({"id", "agent", "stack", "like"})
"""One of them is enough: another may be missing or misspelt, which the loader tells."""


def chosen(file: Path, guards: tuple[str, ...] | None) -> LoadedScenario:
    """The scenario to explore: the file itself, or for a stack the first scenario over it.

    Raises:
        ScenarioError: the file cannot be used.
        RequestError: it is neither, or a stack to which no scenario beside it gives a past.
    """
    keys = _keys(file)
    if keys is None or keys & SCENARIO_KEYS:
        return load(file, guards=guards)
    if "services" not in keys:
        raise RequestError(
            f"{file} is neither a scenario nor a stack",
            hint="a scenario has an `id` and a `stack`, or another that it is `like`; a stack has `services`",
        )
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


def _keys(file: Path) -> frozenset[str] | None:
    """At the top of a file; None when it is no YAML that can be read, of which the loader says more."""
    try:
        found = yaml.safe_load(file.read_bytes())
    except (OSError, ValueError, yaml.YAMLError):
        return None
    return frozenset(map(str, found)) if isinstance(found, dict) else frozenset()


def refuse_stranger(stack: Stack, principal: str) -> None:
    """Raises RequestError: the stack has no such principal."""
    if principal not in stack.principals:
        there = ", ".join(stack.principals) or "none"
        raise RequestError(f"the stack has no principal {principal!r}", hint=f"there are: {there}")
