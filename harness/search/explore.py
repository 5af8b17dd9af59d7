"""``ninelives explore``, from a file to a result: bring up, search, shorten, confirm by a run, tell."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from harness.clock import Clock, SystemClock
from harness.journal.explored import Explored
from harness.journal.rebuilds import counted
from harness.journal.record import RunRecord
from harness.run.drill import drill
from harness.run.loading import load
from harness.run.place import Place, in_memory
from harness.scenario.models import LoadedScenario
from harness.seams.lookup import lookup
from harness.search.arena import Arena
from harness.search.chosen import chosen, refuse_stranger
from harness.search.exploration import Budget, Exploration, Finding, Statistics, triable_names
from harness.search.explored import never_tried, save_scenario, tried_of
from harness.search.kinds import kind_of
from harness.search.recording import Recording, Searched

TRIES = 3
"""Runs that may be undecided before a finding counts as not confirmed."""


@dataclass(frozen=True)
class Wish:
    """What is to be explored.

    Attributes:
        file: a scenario, or a stack with a scenario beside it.
        principal: who acts.
        guards: to switch on instead of the scenario's own; None for those.
        budget: when to stop.
        seed: of the choices.
    """

    file: Path
    principal: str
    guards: tuple[str, ...] | None
    budget: Budget
    seed: int


def explore(wish: Wish, place: Place, progress: Callable[[Statistics], None]) -> Searched[Explored]:
    """Look for what a principal can break, and keep what was found.

    Args:
        wish: what and how long.
        place: where to write and work; in memory unless somebody has chosen where.
        progress: is called after each sequence.

    Raises:
        HarnessError: the stack does not come up, or something cannot be written.
        ScenarioError: the files cannot be used.
        RequestError: the stack has no such principal, or nothing that could be explored.
    """
    loaded = chosen(wish.file, wish.guards)
    refuse_stranger(loaded.stack, wish.principal)
    clock = SystemClock()
    database = place.cache / "explored" / _digest(loaded, wish.principal)
    found = before = Found(None, _nothing(loaded, wish))
    with Recording(loaded, f"explore-{wish.principal}", place, clock) as record:
        try:
            with (
                suppress(KeyboardInterrupt),
                Arena(
                    loaded,
                    in_memory(place),
                    record.folder.name,
                    record.journal,
                    clock,
                    days_pass=wish.budget.days > 0,
                ) as stack,
            ):
                found = search(stack, wish, database, clock, progress)
        except Exception:
            if found is not before:
                # Something of the stack could not be removed, which is no reason to lose what was found.
                record.keep(found.explored)
            raise
        explored = found.explored
        try:
            if found.finding is not None:
                file = save_scenario(found.finding, loaded, wish.principal, loaded.folder)
                explored = explored.model_copy(update={"file": str(file)})
                explored = explored if explored.interrupted else _confirmed(explored, file, place)
        except KeyboardInterrupt:
            explored = explored.model_copy(update={"interrupted": True})
        except Exception:
            # It may have been an hour's search; only the run of what it found is missing.
            told = f"{explored.why}, but no run could be made of it"
            record.keep(explored.model_copy(update={"why": told}))
            raise
        return record.keep(explored)


def _nothing(loaded: LoadedScenario, wish: Wish) -> Explored:
    """Of a search that somebody ended before the stack was up."""
    return Explored(
        scenario=loaded.id,
        guards=loaded.scenario.guards,
        principal=wish.principal,
        seed=wish.seed,
        value="undecided",
        why="the stack was not up yet",
        seconds=0.0,
        sequences=0,
        actions=0,
        deepest=0,
        states=0,
        split={},
        rebuilt=0,
        moves=(),
        breaches=(),
        file="",
        run="",
        tried=(),
        never=(),
        interrupted=True,
    )


@dataclass(frozen=True)
class Found:
    """What a search comes to, before a run has confirmed anything.

    Attributes:
        finding: what broke something, as short as it can be; None when nothing did.
        explored: the result as far as it can be told.
    """

    finding: Finding | None
    explored: Explored


def search(
    stack: Arena, wish: Wish, database: Path, clock: Clock, progress: Callable[[Statistics], None]
) -> Found:
    """Search a stack that is up, until something is found, the budget is spent, or somebody stops it.

    Args:
        stack: freshly reset.
        wish: who acts, how long, and with which seed.
        database: folder in which what broke something is kept.
        clock: for the budget.
        progress: is called after each sequence.

    Raises:
        MissingToolError: Hypothesis is not installed.
    """
    exploration = Exploration(stack, wish.principal, clock, progress)
    began, interrupted = clock.stamp(), False
    # Asked now: of a stack that does not come up again, nothing would be left to ask.
    kinds = tuple(kind_of(endpoint.kind) for endpoint in stack.ground.endpoints.values())
    surfaces = {kind.surface: lookup("surfaces", kind.surface) for kind in kinds if kind is not None}
    try:
        exploration.search(wish.budget, wish.seed, database)
    except KeyboardInterrupt:
        interrupted = True
    told, seconds = exploration.statistics, stack.seconds
    finding = exploration.finding
    ended = interrupted or bool(exploration.stopped)
    landed = told.landed > 0
    explored = Explored(
        scenario=stack.loaded.id,
        guards=stack.loaded.scenario.guards,
        principal=wish.principal,
        seed=wish.seed,
        objectives=triable_names(stack.loaded.objectives, wish.principal),
        value="held" if landed and finding is None and not ended else "undecided",
        why=_why(exploration),
        seconds=clock.stamp().since(began),
        sequences=told.sequences,
        actions=told.actions,
        deepest=told.deepest,
        states=len(told.states),
        landed=told.landed,
        split={"reset": seconds.reset, "actions": seconds.actions, "checks": seconds.checks},
        rebuilt=stack.rebuilt,
        rebuilds=counted(stack.rebuilds),
        stopped=exploration.stopped,
        moves=finding.names if finding else (),
        breaches=finding.breaches if finding else (),
        file="",
        run="",
        tried=tried_of(told),
        never=never_tried(told, surfaces),
        interrupted=interrupted,
    )
    return Found(finding, explored)


def _why(exploration: Exploration) -> str:
    finding, told = exploration.finding, exploration.statistics
    if finding is not None:
        broken = ", ".join(breach.objective for breach in finding.breaches)
        return f"{len(finding.steps)} calls break {broken}{_perhaps_fewer(exploration)}"
    if not told.landed:
        return f"no call that could have harmed anything landed or was refused ({told.sequences:,} sequences)"
    return f"nothing was found in {told.sequences:,} sequences"


def _perhaps_fewer(exploration: Exploration) -> str:
    """Of calls that nobody could shorten to the end."""
    if exploration.stopped:
        return ", perhaps fewer: the stack was lost before they were shortened"
    if exploration.spent:
        return ", perhaps fewer: the budget was spent while they were shortened"
    return ""


def _confirmed(explored: Explored, file: Path, place: Place) -> Explored:
    """Play what was found in a run of its own, from nothing: what that run breaks too is confirmed."""
    played, told = explored, ""
    for _ in range(TRIES):
        drilled = drill(load(file), place)
        if isinstance(drilled.fault, KeyboardInterrupt):
            return explored.model_copy(update={"interrupted": True})
        played = explored.model_copy(update={"run": str(drilled.folder)}).judged(drilled.record.verdicts)
        told = f", {unconfirmed_by(drilled.record)}"
        if played.confirmed:
            partly = len(played.confirmed) < len(played.breaches)
            told = f", of which a run confirms {', '.join(played.confirmed)}" if partly else ""
            break
    return played.model_copy(update={"why": played.why + told})


def unconfirmed_by(record: RunRecord) -> str:
    """What is told of a run that broke nothing of what was found: that, and what it says itself."""
    said = next((verdict.summary for verdict in record.verdicts if verdict.value == record.value), "")
    return f"but no run confirms it: {said}" if said else "but no run confirms it"


def _digest(loaded: LoadedScenario, principal: str) -> str:
    """What the choices of a search mean something for."""
    return sha256(f"{loaded.digest} {loaded.scenario.guards} {principal}".encode()).hexdigest()[:16]
