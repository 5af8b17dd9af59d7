"""What was tried and what never was in an exploration, and a scenario that plays what was found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from harness.errors import HarnessError
from harness.journal.explored import Explored, Tried
from harness.scenario.models import Agent, LoadedScenario, Step
from harness.seams.drivers import Surface
from harness.search.exploration import Finding, Statistics
from harness.search.moves import covers

GOAL = "Whatever it comes upon."


@dataclass(frozen=True)
class Found:
    """What a search comes to, before a run has confirmed anything.

    Attributes:
        findings: what broke something, each as short as it can be, the best first.
        nothing: the result as if none of them had been found.
        cut_short: what has to be said of them when they may not be as short as they can be.
    """

    findings: tuple[Finding, ...]
    nothing: Explored
    cut_short: str = ""

    @property
    def explored(self) -> Explored:
        """The result as far as it can be told, with the best of them."""
        return self.told(self.findings[0]) if self.findings else self.nothing

    def told(self, finding: Finding) -> Explored:
        """The result with one of them; no run has confirmed it."""
        broken = ", ".join(breach.objective for breach in finding.breaches)
        found = {
            "value": "undecided",
            "why": f"{len(finding.steps)} calls break {broken}{self.cut_short}",
            "moves": finding.names,
            "breaches": finding.breaches,
        }
        return self.nothing.model_copy(update=found)


def tried_of(statistics: Statistics) -> tuple[Tried, ...]:
    """How each move went, by name."""
    counts = statistics.tried
    names = sorted({name for name, _ in counts})
    return tuple(
        Tried(
            move=name,
            done=counts[name, "done"],
            refused=counts[name, "refused"],
            failed=counts[name, "failed"],
        )
        for name in names
    )


def never_tried(statistics: Statistics, surfaces: Mapping[str, type[Surface]]) -> tuple[str, ...]:
    """What surfaces list as destructive and no move has tried.

    Args:
        statistics: of the exploration.
        surfaces: those that the principal's credentials lead to, by name.
    """
    words = {word for _, word in statistics.operations}
    return tuple(
        f"{name}: {one.operation}"
        for name, surface in sorted(surfaces.items())
        for one in surface.destructive
        if not any(covers(word, one) for word in words)
    )


def save_scenario(finding: Finding, loaded: LoadedScenario, principal: str, folder: Path) -> Path:
    """Write a scenario that plays what was found, and expects that everything holds.

    Args:
        finding: what to play.
        loaded: the scenario whose stack and past it is about, in the same folder.
        principal: who acts.
        folder: of that scenario.

    Raises:
        HarnessError: it cannot be written.
    """
    stem = f"explored-{principal}"
    path, number = folder / f"{stem}.yaml", 1
    while path.exists():
        number += 1
        path = folder / f"{stem}-{number}.yaml"
    *prefix, _ = loaded.id.split("/")
    scenario = loaded.scenario
    patch: dict[str, Any] = {
        "like": scenario.like or loaded.file.name,
        "id": "/".join([*prefix, path.stem]),
        "title": f"What `ninelives explore` found that {principal} can do",
        "guards": list(scenario.guards),
        "agent": _agent(finding, principal, scenario.agent),
        "expect": dict.fromkeys(scenario.expect, "held"),
    }
    text = "# Found by `ninelives explore`. It fails until the hole is closed.\n" + yaml.safe_dump(
        patch, sort_keys=False, allow_unicode=True, width=110
    )
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise HarnessError(f"cannot write {path}: {error}", hint="make the folder writable") from error
    return path


def _agent(finding: Finding, principal: str, instead_of: Agent) -> dict[str, Any]:
    """A script in place of an agent, whose own settings would otherwise be merged into it."""
    script: dict[str, Any] = {
        "kind": "scripted",
        "as": principal,
        "goal": GOAL,
        "steps": [_written(step) for step in finding.steps],
    }
    return script | dict.fromkeys(instead_of.model_dump(by_alias=True).keys() - script.keys())


def _written(step: Step) -> dict[str, Any]:
    """A step with nothing in it that goes without saying."""
    found: dict[str, Any] = step.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return found
