"""Looks for the shortest way in which a principal can break an objective of its stack.

Hypothesis chooses the moves, and keeps what breaks something for the next time. Every sequence is played for
real in an arena, from the same beginning; after each call that changed something, what is left is looked at.
What breaks something is shortened move by move, since a sequence of moves is shorter to try than the choices
that Hypothesis made on the way to it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

from harness.clock import Clock, Stamp
from harness.errors import MissingToolError, StackLostError
from harness.facts import Action, Outcome
from harness.journal.explored import Breach
from harness.scenario.models import Objectives, Step
from harness.search.arena import Arena
from harness.search.knowledge import Knowledge, Repertoire
from harness.search.minimiser import minimise
from harness.search.moves import Move, MoveKind
from harness.search.remains import Remains, breaches

LOOKING: tuple[MoveKind, ...] = ("look",)
ACTING: tuple[MoveKind, ...] = ("destroy", "weaken")
WAITING: tuple[MoveKind, ...] = ("wait",)
EVERY_KIND = (*LOOKING, *ACTING, *WAITING)

ROUND = 500
"""Sequences after which Hypothesis begins anew, since it keeps each one that it has seen."""

MOST_FINDINGS = 3
"""Endings that are kept: where a run does not confirm the first, another may do."""


@dataclass(frozen=True)
class Budget:
    """When to stop looking, whichever comes first.

    Attributes:
        sequences: at most so many; None for no limit.
        seconds: at most so long; None for no limit.
        depth: calls of one sequence, at most.
        days: that may pass in one sequence, at most, since somebody notices by then.
    """

    sequences: int | None = None
    seconds: float | None = None
    depth: int = 10
    days: int = 0


@dataclass(frozen=True)
class Finding:
    """A sequence that breaks something.

    Attributes:
        steps: its calls, as a scenario has them.
        names: of the moves, for people.
        breaches: what it breaks.
        touched: how many things it changed on the way.
    """

    steps: tuple[Step, ...]
    names: tuple[str, ...]
    breaches: tuple[Breach, ...]
    touched: int


@dataclass
class Statistics:
    """How hard it has looked.

    Attributes:
        sequences, actions: that were played.
        deepest: calls of the longest sequence.
        tried: how often each move ended how, by its name and status.
        operations: how often each listed operation was tried, by service and name.
        landed: calls that were meant to change something and did, or that a guard refused.
        states: digests of what sequences left.
    """

    sequences: int = 0
    actions: int = 0
    deepest: int = 0
    tried: Counter[tuple[str, str]] = field(default_factory=Counter)
    operations: Counter[tuple[str, str]] = field(default_factory=Counter)
    landed: int = 0
    states: set[str] = field(default_factory=set)


class OutOfBudget(BaseException):
    """Ends a search from within; Hypothesis takes no exception of this sort for a failure."""


class Stopped(BaseException):
    """Ends a search from within, for the same reason: the stack can be used no more."""


@contextmanager
def _stopping() -> Iterator[None]:
    try:
        yield
    except StackLostError as error:
        raise Stopped(error.message) from error


class BrokenError(Exception):
    """An objective is broken: what Hypothesis looks for."""


class Trial:
    """One sequence, from the beginning.

    Args:
        arena: freshly reset.
        principal: who acts.
        objectives: that a trial can break.
        days: that may pass in it.
        repertoire: of the principal, from earlier trials.

    Attributes:
        steps, moves, outcomes: so far.
        finding: what broke something, once it has.
    """

    def __init__(
        self,
        arena: Arena,
        principal: str,
        objectives: Objectives,
        days: int = 0,
        repertoire: Repertoire | None = None,
    ) -> None:
        self._arena = arena
        self._objectives = objectives
        endpoints = arena.ground.endpoints
        self.knowledge = Knowledge(arena.loaded.stack, principal, endpoints, days, repertoire)
        self.steps: list[Step] = []
        self.moves: list[Move] = []
        self.outcomes: list[Outcome] = []
        self.finding: Finding | None = None

    def make(self, move: Move) -> Outcome:
        """Make a move, and learn from it what there is.

        Raises:
            StackLostError: it could not even be tried.
        """
        knowledge, step = self.knowledge, move.step
        surface, _, verb = step.do.partition(".")
        action = Action(
            number=len(self.steps) + 1,
            surface=surface,
            verb=verb,
            service=step.on,
            arguments=step.with_,
            harm=step.harm,
        )
        arguments = {name: knowledge.fill(value) for name, value in step.with_.items()}
        outcome = self._arena.perform(action, arguments, knowledge.principal)
        knowledge.note(move)
        self.steps.append(knowledge.learn(move, outcome.text) if outcome.status == "done" else step)
        self.moves.append(move)
        self.outcomes.append(outcome)
        return outcome

    def look(self) -> Remains:
        """What is left.

        Raises:
            StackLostError: it cannot be seen.
        """
        return self._arena.look(self.outcomes)

    def broken(self, left: Remains) -> tuple[Breach, ...]:
        """What it broke."""
        scenario = self._arena.loaded.scenario
        return breaches(self._objectives, self._arena.loaded.stack, scenario.recover.service, left)


class Exploration:
    """A search through the sequences of one principal.

    Args:
        arena: to play them in.
        principal: who acts.
        clock: for the budget.
        progress: is called after each sequence.

    Attributes:
        statistics: how hard it has looked.
        spent: the budget was, before the search came to its end.
        stopped: why the stack could be used no more; empty as long as it can.
    """

    def __init__(
        self, arena: Arena, principal: str, clock: Clock, progress: Callable[[Statistics], None]
    ) -> None:
        self._arena = arena
        self._principal = principal
        self._clock = clock
        self._progress = progress
        self._objectives = _triable(arena.loaded.objectives, principal)
        self._began = clock.stamp()
        self._budget = Budget()
        self._repertoire = Repertoire()
        self._broke: dict[str, Finding] = {}
        self.statistics = Statistics()
        self.spent = False
        self.stopped = ""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The shortest sequence that broke something for each call that it ended with, the best first."""
        return tuple(sorted(self._broke.values(), key=_rank))[:MOST_FINDINGS]

    @property
    def finding(self) -> Finding | None:
        """The best of them, so far."""
        return next(iter(self.findings), None)

    def search(self, budget: Budget, seed: int, database: Path | None) -> Finding | None:
        """Look until something is found or the budget is spent, and shorten what was found.

        Args:
            budget: of the search; shortening takes as long as it takes.
            seed: of its choices; the same one makes the same choices on the same stack.
            database: folder in which what broke something is kept, to be tried first the next time.

        Returns:
            The shortest sequence that broke something.

        Raises:
            MissingToolError: Hypothesis is not installed.
            KeyboardInterrupt: somebody stopped it; what was found is in ``findings``.
        """
        self.allow(budget)
        try:
            _run(self, budget, seed, database)
            if self.finding is not None:
                self._shorten(self.finding)
        except OutOfBudget:
            self.spent = True
        except Stopped as error:
            self.stopped = str(error)
        return self.finding

    def allow(self, budget: Budget) -> None:
        """From now on, so much may be played."""
        self._budget, self._began = budget, self._clock.stamp()

    def play(self, names: tuple[str, ...]) -> Finding | None:
        """Play moves by their names, from the beginning.

        Returns:
            What was broken, by the first move that broke anything; None when nothing was, or when a move
            could not be made.

        Raises:
            OutOfBudget: it was not played.
        """
        trial = self.begin()
        try:
            for name in names:
                move = _named(trial, name)
                if move is None:
                    return None
                self.make(trial, move)
        except BrokenError:
            return trial.finding
        finally:
            self.end(trial)
        return None

    def _shorten(self, found: Finding) -> None:
        """Leave out what is not needed, and end it with whatever breaks most, needs least, touches least."""
        self._keep(found)
        before = self._shortest(found.names)[:-1]
        for ending in self._endings(before):
            self.play((*before, ending))
        # Another ending may do with less before it, so that each has to be shortened to be compared.
        most = max(len(one.breaches) for one in self._broke.values())
        rivals = (one for one in self._broke.values() if len(one.breaches) == most)
        for names in tuple(dict.fromkeys(one.names for one in (*rivals, *self.findings))):
            self._shortest(names)

    def _shortest(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """What is left when none can be left out; whatever breaks something on the way is kept."""
        return minimise(names, lambda part: self.play(part) is not None)

    def _keep(self, found: Finding) -> None:
        known = self._broke.get(found.names[-1])
        if known is None or len(found.names) < len(known.names):
            self._broke[found.names[-1]] = found

    def _endings(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """What could be done after some moves; nothing is known when one of them cannot be made any more.

        Raises:
            OutOfBudget: they were not played.
        """
        trial = self.begin()
        try:
            for name in names:
                move = _named(trial, name)
                if move is None:
                    return ()
                with _stopping():
                    trial.make(move)
            return tuple(move.name for moves in trial.knowledge.choices(*ACTING) for move in moves)
        finally:
            self._reset()

    def begin(self) -> Trial:
        """The next sequence.

        Raises:
            OutOfBudget: there is none.
        """
        self._check_budget()
        return self._trial()

    def make(self, trial: Trial, move: Move) -> None:
        """One move of a sequence.

        Raises:
            BrokenError: it broke an objective.
            Stopped: the stack can be used no more.
        """
        with _stopping():
            outcome = trial.make(move)
        self._count(trial, move, outcome)
        if move.kind == "look" or not (outcome.status == "done" or outcome.touched):
            return
        with _stopping():
            left = trial.look()
        self.statistics.states.add(_digest(left))
        broken = trial.broken(left)
        if broken:
            names = tuple(one.name for one in trial.moves)
            trial.finding = Finding(tuple(trial.steps), names, broken, len(left.touched))
            self._keep(trial.finding)
            raise BrokenError(broken[0].objective)

    def end(self, trial: Trial) -> None:
        """Have the stack as it was for the next one.

        Raises:
            Stopped: there is no way to.
        """
        self.statistics.sequences += 1
        self.statistics.deepest = max(self.statistics.deepest, len(trial.steps))
        self._reset()
        self._progress(self.statistics)

    def _reset(self) -> None:
        if self.stopped:
            return  # it is told already, and every further try takes as long as the first
        try:
            with _stopping():
                self._arena.reset()
        except Stopped as error:
            self.stopped = str(error)
            raise

    def _trial(self) -> Trial:
        days = self._budget.days
        return Trial(self._arena, self._principal, self._objectives, days, self._repertoire)

    def _count(self, trial: Trial, move: Move, outcome: Outcome) -> None:
        del trial
        self.statistics.actions += 1
        self.statistics.tried[move.name, outcome.status] += 1
        if move.kind in ACTING and outcome.status != "failed":
            self.statistics.operations[move.step.on or "", move.operation or move.name] += 1
            self.statistics.landed += outcome.status == "refused" or bool(outcome.touched)

    def _check_budget(self) -> None:
        budget, done = self._budget, self.statistics
        if budget.sequences is not None and done.sequences >= budget.sequences:
            raise OutOfBudget
        if budget.seconds is not None and self._since(self._began) >= budget.seconds:
            raise OutOfBudget

    def _since(self, began: Stamp) -> float:
        return self._clock.stamp().since(began)


def _run(exploration: Exploration, budget: Budget, seed: int, database: Path | None) -> None:
    try:
        import hypothesis
        from hypothesis import HealthCheck, Phase, Verbosity
        from hypothesis.database import DirectoryBasedExampleDatabase
        from hypothesis.errors import Flaky
        from hypothesis.stateful import run_state_machine_as_test
    except ImportError as error:
        raise MissingToolError(
            "exploring needs the package hypothesis, which is not installed",
            hint="pip install 'ninelives[explore]'",
        ) from error
    example_database = DirectoryBasedExampleDatabase(database) if database is not None else None
    for number in count():
        settings = hypothesis.settings(
            max_examples=min(budget.sequences or ROUND, ROUND),
            stateful_step_count=budget.depth,
            deadline=None,
            database=example_database,
            phases=(Phase.generate,) if number else (Phase.reuse, Phase.generate),
            suppress_health_check=tuple(HealthCheck),
            verbosity=Verbosity.quiet,
            print_blob=False,
            report_multiple_bugs=False,
            derandomize=False,
        )
        machine = hypothesis.seed(f"{seed}.{number}" if number else seed)(_machine(exploration))
        before = exploration.statistics.sequences
        try:
            run_state_machine_as_test(machine, settings=settings)
        except BrokenError:
            return
        except Flaky:
            # A sequence that broke something once and not again; the run that has to confirm it decides.
            return
        if exploration.statistics.sequences - before < ROUND:
            return  # the whole budget was one round, or there is nothing else that could be tried


def _machine(exploration: Exploration) -> Any:
    from hypothesis import strategies as st
    from hypothesis.stateful import RuleBasedStateMachine, rule

    class Explorer(RuleBasedStateMachine):
        """One sequence; made by Hypothesis for each."""

        def __init__(self) -> None:
            super().__init__()
            self._trial = exploration.begin()

        @rule(data=st.data())
        def move(self, data: st.DataObject) -> None:
            """One rule for all: of several, Hypothesis would leave some out of most sequences altogether.

            First whether to look or to act, then with what, then what: whoever knows more has more to break,
            and a credential that opens little is as good as one that opens much.
            """
            looks, acts, waits = (self._trial.knowledge.choices(*kind) for kind in (LOOKING, ACTING, WAITING))
            kinds = tuple(filter(None, (looks, looks, acts, waits)))
            if not kinds:
                # Hypothesis takes a machine that can do nothing more for a mistake in it.
                return
            choices = data.draw(st.sampled_from(kinds))
            exploration.make(self._trial, data.draw(st.sampled_from(data.draw(st.sampled_from(choices)))))

        def teardown(self) -> None:
            exploration.end(self._trial)

    return Explorer


def _rank(finding: Finding) -> tuple[int, int, int]:
    """The one that breaks most comes first, of those the shortest, of those what has to touch least."""
    return -len(finding.breaches), len(finding.steps), finding.touched


def _triable(objectives: Objectives, principal: str) -> Objectives:
    """Those that a trial of that principal can break."""
    isolation = objectives.isolation
    if isolation is not None and isolation.principal != principal:
        return objectives.model_copy(update={"isolation": None})
    return objectives


def triable_names(objectives: Objectives, principal: str) -> tuple[str, ...]:
    """The objectives that a trial of that principal can break, by their names."""
    triable = _triable(objectives, principal)
    asked = {
        "backup-survival": triable.backup_survival,
        "isolation": triable.isolation,
        "rpo": triable.rpo,
    }
    return tuple(name for name, one in asked.items() if one is not None)


def _digest(left: Remains) -> str:
    return sha256(left.model_dump_json().encode()).hexdigest()[:16]


def _named(trial: Trial, name: str) -> Move | None:
    """What can be done in a trial under that name; None when it cannot be done any more."""
    every = (move for moves in trial.knowledge.choices(*EVERY_KIND) for move in moves)
    return next((move for move in every if move.name == name), None)
