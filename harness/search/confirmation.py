"""Plays what a search found in runs of their own, from nothing: what such a run breaks too is confirmed.

A trial is no run: it has no traffic, and nobody else is at work. Where a run refuses the best that was found,
the next best is played, until one is confirmed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness.journal.explored import Explored
from harness.journal.record import RunRecord
from harness.run.drill import drill
from harness.run.loading import load
from harness.run.place import Place
from harness.scenario.models import LoadedScenario
from harness.search.explored import Found, save_scenario

TRIES = 3
"""Runs that may be undecided before a finding counts as not confirmed."""


def confirmed(found: Found, loaded: LoadedScenario, folder: Path, place: Place) -> Iterator[Explored]:
    """Save and play what was found, the best first, until a run confirms one.

    Args:
        found: by the search; when somebody ended that, the best is saved and nothing is played.
        loaded: the scenario that was explored.
        folder: of the search; it gets the scenarios that no run confirms.
        place: for the runs.

    Yields:
        The result as far as it is known, after each step.

    Raises:
        HarnessError: a scenario cannot be saved, or a run could not even begin.
    """
    refused: list[Explored] = []
    for finding in found.findings:
        file = save_scenario(finding, loaded, found.explored.principal, loaded.folder)
        doubted = tuple(one.doubt() for one in refused)
        told = found.told(finding).model_copy(update={"file": str(file), "doubted": doubted})
        yield told
        if told.interrupted:
            return
        told = _played(told, file, place)
        yield told
        if told.confirmed or told.interrupted:
            return
        # It is none that fails until a hole is closed, so nobody wants it beside the stack.
        apart = save_scenario(finding, loaded, told.principal, folder)
        file.unlink(missing_ok=True)
        refused.append(told.model_copy(update={"file": str(apart)}))
        yield refused[-1]
    if refused:
        best, *others = refused
        yield best.model_copy(update={"doubted": tuple(one.doubt() for one in others)})


def _played(told: Explored, file: Path, place: Place) -> Explored:
    """Play what is saved, again as long as the run is undecided."""
    for _ in range(TRIES):
        drilled = drill(load(file), place)
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
