"""Which guard would have saved you, and is each one needed: one scenario under sets of its stack's guards.

The sets are none, each guard alone, all but each, and all; then those in between, smaller ones first, but
for any that has a part under which everything holds already: it can be no smallest one.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

from harness.clock import SystemClock
from harness.errors import RequestError, ScenarioError
from harness.journal.matrix import GuardMatrix, GuardNote, Trial
from harness.run.loading import load
from harness.run.place import Place
from harness.scenario.models import LoadedScenario
from harness.seams.lookup import Provider
from harness.search.recording import Recording, Searched
from harness.search.side_by_side import Order, Outcome, SideBySide, processors

MOST_RUNS = 40
"""In all, if nothing is said."""

NO_GUARD = "no guard"

Player = Callable[[Iterable[Order]], Generator[Outcome]]
Listener = Callable[[Trial], None]


@dataclass(frozen=True)
class GuardWish:
    """What ``guards`` is asked for.

    Attributes:
        file: of the scenario; its own guards do not matter.
        provider: what replicas run on.
        jobs: runs at a time.
        most: runs in all; the first round is played whole in any case.
    """

    file: Path
    provider: Provider = "embedded"
    jobs: int = field(default_factory=processors)
    most: int = MOST_RUNS


def seek_guards(
    wish: GuardWish,
    place: Place,
    begin: Callable[[Order], None] = lambda _: None,
    tell: Listener = lambda _: None,
) -> Searched[GuardMatrix]:
    """Play a scenario under sets of guards, and keep what came of it.

    Args:
        wish: which, and how many.
        place: where to write and work.
        begin: is shown each order as its run begins.
        tell: is shown each trial as it ends.

    Raises:
        ScenarioError, ScenarioFileError: the file cannot be used, or what it names.
        RequestError: its stack has no guards.
        HarnessError: something cannot be written.
    """
    player = SideBySide(place, wish.provider, wish.jobs, begin)
    matrix = try_guards(wish.file, player.play, wish.most, tell)
    with Recording(load(wish.file), "guards", place, SystemClock(), wish.provider) as record:
        return record.keep(matrix)


def try_guards(file: Path, play: Player, most: int, tell: Listener = lambda _: None) -> GuardMatrix:
    """Play a scenario under sets of guards.

    Args:
        file: of the scenario; its own guards do not matter.
        play: plays orders, in any order.
        most: runs, at most; the first round is played whole in any case.
        tell: is shown each trial as it ends.

    Returns:
        What was found; when somebody interrupted it, what had been found until then.

    Raises:
        ScenarioError, ScenarioFileError: the file cannot be used, or what it names.
        RequestError: its stack has no guards.
    """
    written = load(file)
    notes = _notes(written)
    if not notes:
        raise RequestError(
            f"the stack of {written.id} has no guards",
            hint="write some under `guards:` in the stack; see docs/scenarios.md",
        )
    names = tuple(note.name for note in notes)
    trials: list[Trial] = []
    left_out, interrupted = 0, False
    try:
        for sets in _rounds(names, trials):
            room = len(sets) if not trials else max(most - len(trials), 0)
            left_out += len(sets[room:])
            with closing(_played(file, sets[:room], play)) as played:
                for trial in played:
                    trials.append(trial)
                    tell(trial)
    except KeyboardInterrupt:
        interrupted = True
    return GuardMatrix(
        scenario=written.id,
        title=written.scenario.title,
        guards=notes,
        trials=tuple(sorted(trials, key=lambda trial: _position(trial.guards, names))),
        left_out=left_out,
        interrupted=interrupted,
    )


def first_round(names: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """None, each alone, all but each, all; every set once."""
    alone = tuple((name,) for name in names)
    all_but = tuple(tuple(other for other in names if other != name) for name in names)
    return tuple(dict.fromkeys(((), *alone, *all_but, names)))


def _notes(written: LoadedScenario) -> tuple[GuardNote, ...]:
    return tuple(
        GuardNote(name=name, why=guard.why, hypothetical=guard.hypothetical)
        for name, guard in written.stack.guards.items()
    )


def _rounds(names: tuple[str, ...], trials: list[Trial]) -> Iterator[tuple[tuple[str, ...], ...]]:
    """Sets to try; each round is made when the trials of those before it are known."""
    yield first_round(names)
    for size in range(2, len(names) - 1):
        holding = [set(trial.guards) for trial in trials if trial.value == "held"]
        yield tuple(
            chosen
            for chosen in combinations(names, size)
            if not any(smaller <= set(chosen) for smaller in holding)
        )


def _played(file: Path, sets: Iterable[tuple[str, ...]], play: Player) -> Generator[Trial]:
    orders = []
    for guards in sets:
        try:
            load(file, guards=guards)
        except ScenarioError as error:
            # Each guard is sound, or the file would not have been loaded; these do not go together.
            yield Trial(guards=guards, problem=str(error))
        else:
            orders.append(Order(file, guards, name=" + ".join(guards) or NO_GUARD))
    with closing(play(orders)) as outcomes:
        for outcome in outcomes:
            yield _trial(outcome)


def _trial(outcome: Outcome) -> Trial:
    return Trial(
        guards=outcome.order.guards or (),
        run_id=outcome.run_id,
        verdicts=outcome.verdicts,
        problem=outcome.problem,
    )


def _position(guards: tuple[str, ...], names: tuple[str, ...]) -> tuple[int, tuple[int, ...]]:
    """Smaller sets first; those that lack only one guard in the order of what they lack."""
    on = tuple(names.index(name) for name in guards)
    off = tuple(n for n in range(len(names)) if n not in on)
    return len(on), off if len(off) == 1 < len(on) else on
