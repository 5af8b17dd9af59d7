"""What was tried and what never was in an exploration, and a scenario that plays what was found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from harness.errors import HarnessError
from harness.journal.explored import Explored, Tried
from harness.render.wording import plain, quantity
from harness.scenario.models import Agent, LoadedScenario, Step
from harness.seams.drivers import Surface
from harness.search.exploration import Finding, Statistics
from harness.search.moves import untried

GOAL = "Whatever it comes upon."
FAILS = "It fails until the hole is closed."
NAMES = ("id", "title")
"""What a scenario is called, by key."""


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
        calls = plain(quantity(len(finding.names), "call"))
        breaks = "breaks" if len(finding.names) == 1 else "break"
        found = {
            "value": "undecided",
            "why": f"{calls} {breaks} {broken}{self.cut_short}",
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
        surfaces: by service, how each is called.

    Returns:
        Each as ``dumps: DeleteBucket``.
    """
    return tuple(
        f"{service}: {name}"
        for service, surface in sorted(surfaces.items())
        for name in untried(surface, {name for on, name in statistics.operations if on == service})
    )


def save_scenario(
    finding: Finding, loaded: LoadedScenario, principal: str, folder: Path, note: str = FAILS
) -> Path:
    """Write a scenario that plays what was found, and expects that everything holds.

    Args:
        finding: what to play.
        loaded: the scenario whose stack and past it is about.
        principal: who acts.
        folder: of that scenario, or any other, from which it has to be copied there to be played.
        note: what the file says of itself.

    Raises:
        HarnessError: it cannot be written.
    """
    stem = f"explored-{principal}"
    path, number = folder / f"{stem}.yaml", 1
    while path.exists():
        number += 1
        path = folder / f"{stem}-{number}.yaml"
    *prefix, _ = loaded.id.split("/")
    name = {
        "id": "/".join([*prefix, path.stem]),
        "title": f"What `ninelives explore` found that {principal} can do",
    }
    played = _patch(finding, loaded, principal)
    patch = {"like": played["like"], **name, **played}
    text = f"# Found by `ninelives explore`. {note}\n" + yaml.safe_dump(
        patch, sort_keys=False, allow_unicode=True, width=110
    )
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise HarnessError(f"cannot write {path}: {error}", hint="make the folder writable") from error
    return path


def saved_before(finding: Finding, loaded: LoadedScenario, principal: str, folder: Path) -> Path | None:
    """A scenario that is there already and plays the same, whatever its name and its comments say.

    Args:
        finding, loaded, principal, folder: as for ``save_scenario``.
    """
    wanted = _patch(finding, loaded, principal)
    return next((path for path in sorted(folder.glob("*.yaml")) if _played_by(path) == wanted), None)


def _played_by(path: Path) -> object:
    """What stands in a file but for its name; None when it is no mapping that can be read."""
    try:
        found = yaml.safe_load(path.read_bytes())
    except (OSError, ValueError, yaml.YAMLError):
        return None
    return {key: found[key] for key in found if key not in NAMES} if isinstance(found, dict) else None


def _patch(finding: Finding, loaded: LoadedScenario, principal: str) -> dict[str, Any]:
    """A scenario that plays what was found, but for its name."""
    scenario = loaded.scenario
    return {
        "like": scenario.like or loaded.file.name,
        "guards": list(scenario.guards),
        "agent": _agent(finding, principal, scenario.agent),
        "expect": dict.fromkeys(scenario.expect, "held"),
    }


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
