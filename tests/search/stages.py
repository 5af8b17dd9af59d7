"""Brings stacks up for tests of searches, and has them searched."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

from harness.clock import SystemClock
from harness.facts import Action, Outcome
from harness.journal.explored import Explored
from harness.journal.writer import Journal
from harness.run.loading import load
from harness.run.place import in_memory, usual_place
from harness.sandbox import Sandbox
from harness.search.arena import Arena
from harness.search.exploration import Budget, Exploration
from harness.search.explore import Wish, search

SHOP = Path(__file__).parent.parent / "drills" / "shop"
OF_THE_SHOP = ("schema.sql", "slice.sql", "workload.py")
SEED = 5


@contextmanager
def folder_for_servers() -> Iterator[Path]:
    """A new folder that the account of servers may enter."""
    made = Path(mkdtemp(prefix="ninelives-search-"))
    made.chmod(0o711)
    try:
        yield made
    finally:
        shutil.rmtree(made)


@contextmanager
def brought_up(
    file: Path, sandbox: Sandbox, guards: tuple[str, ...] | None = None, *, days_pass: bool = False
) -> Iterator[Arena]:
    """The stack of a scenario, in memory, with these guards or its own; for trials in which time passes."""
    with folder_for_servers() as folder:
        place, clock = in_memory(usual_place(folder / "reports", cache=sandbox.cache)), SystemClock()
        with (
            Journal(place.reports / "run", clock) as journal,
            Arena(
                load(file, guards=guards), place, folder.name, journal, clock, days_pass=days_pass
            ) as stack,
        ):
            yield stack


def pass_days(stack: Arena, principal: str, count: int) -> Outcome:
    """Let some days pass in a trial."""
    action = Action(number=1, surface="time", verb="pass")
    outcome = stack.perform(action, {"for": f"{count}d"}, principal)
    assert outcome.status == "done", outcome.detail
    return outcome


def broken_by(stack: Arena, principal: str, moves: tuple[str, ...], *, days: int) -> set[str]:
    """The objectives that a sequence breaks, in which so many days may pass."""
    exploration = Exploration(stack, principal, SystemClock(), lambda _: None)
    exploration.allow(Budget(days=days))
    found = exploration.play(moves)
    return {breach.objective for breach in found.breaches} if found else set()


def explored(stack: Arena, principal: str, budget: Budget, database: Path) -> Explored:
    """What a search comes to, with a seed that is always the same.

    Args:
        stack: that is up.
        principal: who acts.
        budget: shortening included.
        database: folder for what broke something; a new one knows nothing of earlier searches.
    """
    wish = Wish(stack.loaded.file, principal, None, budget, SEED)
    return search(stack, wish, database, SystemClock(), lambda _: None).explored


def laid_out(stack: Path, to: Path) -> Path:
    """A copy of a stack's folder, with what it lacks taken over from the shop of the drills.

    Args:
        stack: the folder.
        to: is not there yet; scenarios may be written into it.
    """
    shutil.copytree(stack, to)
    for name in OF_THE_SHOP:
        if not (to / name).exists():
            shutil.copy(SHOP / name, to)
    return to
