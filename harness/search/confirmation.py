"""Plays what a search found in runs of their own, from nothing: what such a run breaks too is confirmed.

A trial is no run: it has no traffic, and nobody else is at work. Where a run refuses the best that was found,
the next best is played, until one is confirmed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HarnessError
from harness.journal.explored import Explored
from harness.journal.record import RunRecord
from harness.run.drill import drill
from harness.run.loading import expecting_all_held, load
from harness.run.place import Place
from harness.scenario.models import LoadedScenario, ScriptedAgent
from harness.search.exploration import Finding
from harness.search.explored import GOAL, Found, save_scenario, saved_before

TRIES = 3
"""Runs that may be undecided before a finding counts as not confirmed."""


def confirmed(found: Found, loaded: LoadedScenario, folder: Path, place: Place) -> Iterator[Explored]:
    """Save and play what was found, the best first, until a run confirms one.

    Args:
        found: by the search; when somebody ended that, the best is saved and nothing is played.
        loaded: the scenario that was explored.
        folder: of the search; it gets the scenarios that cannot lie beside the stack, or that no run
            confirms.
        place: for the runs.

    Yields:
        The result as far as it is known, after each step.

    Raises:
        HarnessError: a scenario can be saved nowhere, or a run could not even begin.
    """
    refused: list[Explored] = []
    for finding in found.findings:
        told = found.told(finding).model_copy(update={"doubted": tuple(one.doubt() for one in refused)})
        saved = _saved(finding, loaded, told.principal, folder)
        told = told.model_copy(update={"file": str(saved.file), "before": saved.before, "apart": saved.apart})
        yield told
        if told.interrupted:
            return
        told = _played(told, _to_play(saved, finding, loaded, told.principal), place)
        yield told
        if told.confirmed or told.interrupted:
            return
        if not (saved.before or saved.apart):
            # It is none that fails until a hole is closed, so nobody wants it beside the stack.
            aside = save_scenario(finding, loaded, told.principal, folder, "No run confirms it.")
            saved.file.unlink(missing_ok=True)
            told = told.model_copy(update={"file": str(aside)})
        refused.append(told)
        yield told
    if refused:
        best, *others = refused
        yield best.model_copy(update={"doubted": tuple(one.doubt() for one in others)})


@dataclass(frozen=True)
class _Saved:
    """A scenario that plays what was found.

    Attributes:
        file: that has it.
        before: it was there already.
        apart: why it does not lie beside the stack, and what to do; empty when it does.
    """

    file: Path
    before: bool = False
    apart: str = ""


def _saved(finding: Finding, loaded: LoadedScenario, principal: str, folder: Path) -> _Saved:
    """Beside the stack, or in another folder if there is no writing there."""
    there = saved_before(finding, loaded, principal, loaded.folder)
    if there is not None:
        return _Saved(there, before=True)
    try:
        return _Saved(save_scenario(finding, loaded, principal, loaded.folder))
    except HarnessError as error:
        file = save_scenario(finding, loaded, principal, folder)
        why = f"{error.message}; to play it again, copy it into {loaded.folder}"
        return _Saved(file, apart=why)


def _to_play(saved: _Saved, finding: Finding, loaded: LoadedScenario, principal: str) -> LoadedScenario:
    """What was saved. Beside one that lies apart there is no stack, so the same is put together."""
    if not saved.apart:
        return load(saved.file)
    agent = ScriptedAgent(kind="scripted", as_=principal, goal=GOAL, steps=finding.steps)
    return expecting_all_held(load(loaded.file, guards=loaded.scenario.guards, agent=agent))


def _played(told: Explored, scenario: LoadedScenario, place: Place) -> Explored:
    """Play it, again as long as the run is undecided."""
    for _ in range(TRIES):
        drilled = drill(scenario, place)
        if isinstance(drilled.fault, KeyboardInterrupt):
            return told.model_copy(update={"interrupted": True})
        played = told.model_copy(update={"run": str(drilled.folder)}).judged(drilled.record.verdicts)
        if played.confirmed or drilled.record.value != "undecided":
            break
    return played.model_copy(update={"why": played.why + _said(played, drilled.record)})


def _said(played: Explored, record: RunRecord) -> str:
    if not played.confirmed:
        return f", {unconfirmed_by(record)}"
    partly = len(played.confirmed) < len(played.breaches)
    return f", of which a run confirms {', '.join(played.confirmed)}" if partly else ""


def unconfirmed_by(record: RunRecord) -> str:
    """What is told of a run that broke nothing of what was found: that, and what it says itself."""
    said = next((verdict.summary for verdict in record.verdicts if verdict.value == record.value), "")
    return f"but no run confirms it: {said}" if said else "but no run confirms it"
