"""``ninelives explore``, from a file to a result: bring up, search, shorten, confirm by a run, tell."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from harness.clock import Clock, SystemClock
from harness.errors import HarnessError, in_one_line
from harness.journal.explored import Explored
from harness.journal.rebuilds import counted
from harness.render.wording import plain, quantity
from harness.run.place import Place, in_memory
from harness.scenario.models import LoadedScenario
from harness.seams.lookup import lookup
from harness.search.arena import Arena
from harness.search.chosen import chosen, refuse_stranger
from harness.search.confirmation import confirmed
from harness.search.exploration import Budget, Exploration, Statistics, triable_names
from harness.search.explored import Found, never_tried, tried_of
from harness.search.kinds import kind_of
from harness.search.recording import Recording, Searched


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
        HarnessError: the stack does not come up, or the result cannot be written.
        ScenarioError: the files cannot be used.
        RequestError: the stack has no such principal, or nothing that could be explored.
    """
    loaded = chosen(wish.file, wish.guards)
    refuse_stranger(loaded.stack, wish.principal)
    clock = SystemClock()
    database = place.cache / "explored" / _digest(loaded, wish.principal)
    found = before = Found((), _nothing(loaded, wish))
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
            for known in confirmed(found, loaded, record.folder, place):
                explored = known
        except KeyboardInterrupt:
            explored = explored.model_copy(update={"interrupted": True})
        except HarnessError as error:
            # It may have been an hour's search; only the run of what it found is missing.
            explored = _unplayed(explored, f": {in_one_line(error)}")
        except Exception:
            record.keep(_unplayed(explored))
            raise
        return record.keep(explored)


def _unplayed(explored: Explored, reason: str = "") -> Explored:
    return explored.model_copy(update={"why": f"{explored.why}, but no run could be made of it{reason}"})


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
    kinds = {name: kind_of(endpoint.kind) for name, endpoint in stack.ground.endpoints.items()}
    surfaces = {name: lookup("surfaces", kind.surface) for name, kind in kinds.items() if kind is not None}
    try:
        exploration.search(wish.budget, wish.seed, database)
    except KeyboardInterrupt:
        interrupted = True
    told, seconds = exploration.statistics, stack.seconds
    ended = interrupted or bool(exploration.stopped)
    landed = told.landed > 0
    nothing = Explored(
        scenario=stack.loaded.id,
        guards=stack.loaded.scenario.guards,
        principal=wish.principal,
        seed=wish.seed,
        objectives=triable_names(stack.loaded.objectives, wish.principal),
        value="held" if landed and not ended else "undecided",
        why=_why(told),
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
        moves=(),
        breaches=(),
        file="",
        run="",
        tried=tried_of(told),
        never=never_tried(told, surfaces),
        interrupted=interrupted,
    )
    return Found(exploration.findings, nothing, _cut_short(exploration))


def _why(told: Statistics) -> str:
    """Of a search that found nothing."""
    played = plain(quantity(told.sequences, "sequence"))
    if not told.landed:
        return f"no call that could have harmed anything landed or was refused ({played})"
    return f"nothing was found in {played}"


def _cut_short(exploration: Exploration) -> str:
    """Of calls that nobody could shorten to the end."""
    if exploration.stopped:
        return ", perhaps fewer: the stack was lost before they were shortened"
    if exploration.spent:
        return ", perhaps fewer: the budget was spent while they were shortened"
    return ""


def _digest(loaded: LoadedScenario, principal: str) -> str:
    """What the choices of a search mean something for."""
    return sha256(f"{loaded.digest} {loaded.scenario.guards} {principal}".encode()).hexdigest()[:16]
