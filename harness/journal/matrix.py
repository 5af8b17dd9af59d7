"""One scenario judged under many sets of its guards, and what follows from that.

Nothing is assumed of guards: two may be worth nothing alone and everything together, and one may undo
another. So every statement is about sets that were played, and says nothing of those that were not.
"""

from __future__ import annotations

from itertools import chain

from harness.facts import Fact
from harness.journal.record import Verdict, overall
from harness.scenario.models import VerdictValue

FILE = "guards.json"


class GuardNote(Fact):
    """A guard of the stack.

    Attributes:
        name: of the guard.
        why: what it does.
        hypothetical: why no provider offers it; None when one does.
    """

    name: str
    why: str
    hypothetical: str | None = None


class Trial(Fact):
    """The scenario, played under one set of guards.

    Attributes:
        guards: that were on, in the stack's order.
        run_id: names its run folder; empty when it was not played.
        verdicts: as judged.
        problem: why there are none that count; empty when there are.
    """

    guards: tuple[str, ...]
    run_id: str = ""
    verdicts: tuple[Verdict, ...] = ()
    problem: str = ""

    def value_of(self, objective: str) -> VerdictValue:
        """The verdict on an objective; undecided when nobody judged it."""
        found = (verdict.value for verdict in self.verdicts if verdict.objective == objective)
        return "undecided" if self.problem else next(found, "undecided")

    @property
    def value(self) -> VerdictValue:
        """The verdict over the whole run."""
        return "undecided" if self.problem else overall(self.verdicts)


class GuardMatrix(Fact):
    """Which guard saves what, and which sets of them save everything.

    Attributes:
        scenario: its id.
        title: what it is about.
        guards: all that the stack has, in its order.
        trials: one for each set that was tried.
        left_out: how many sets were not, because there was no room for more runs.
        interrupted: somebody ended it before all were played.
    """

    scenario: str
    title: str
    guards: tuple[GuardNote, ...]
    trials: tuple[Trial, ...]
    left_out: int = 0
    interrupted: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Of the guards."""
        return tuple(guard.name for guard in self.guards)

    @property
    def objectives(self) -> tuple[str, ...]:
        """Every objective that was judged in some trial, in the order of judging."""
        judged = chain.from_iterable(trial.verdicts for trial in self.trials)
        return tuple(dict.fromkeys(verdict.objective for verdict in judged))

    def under(self, *guards: str) -> Trial | None:
        """The trial with exactly these guards on; None when it was not tried."""
        return self._by_guards.get(frozenset(guards))

    def without(self, *guards: str) -> Trial | None:
        """The trial with every guard on but these."""
        return self.under(*(name for name in self.names if name not in guards))

    @property
    def whole(self) -> Trial | None:
        """The trial with every guard on."""
        return self.without()

    @property
    def value(self) -> VerdictValue:
        """What comes of the drill when everything that the stack offers is switched on."""
        return "undecided" if self.whole is None else self.whole.value

    def saved_by(self, guard: str) -> tuple[str, ...]:
        """The objectives that hold with this guard alone, and are breached without any."""
        return self._won(self.under(), self.under(guard))

    def lost_without(self, guard: str) -> tuple[str, ...]:
        """The objectives that hold with every guard, and are breached with every one but this."""
        return self._won(self.without(guard), self.whole)

    @property
    def idle(self) -> tuple[str, ...]:
        """The guards that changed no verdict, whichever others were on."""
        return tuple(name for name in self.names if self._changes_nothing(name))

    @property
    def redundant(self) -> tuple[str, ...]:
        """The guards that change something, but nothing once every other one is on."""
        return tuple(
            name
            for name in self.names
            if name not in self.idle and self._alike(self.whole, self.without(name))
        )

    @property
    def beyond_failing(self) -> tuple[str, ...]:
        """The objectives that hold with every guard off: this drill proves no guard for them."""
        bare = self.under()
        return tuple(name for name in self.objectives if bare and bare.value_of(name) == "held")

    @property
    def smallest(self) -> tuple[tuple[str, ...], ...]:
        """The sets under which everything holds and of which no smaller part does, the smallest first."""
        holding = {frozenset(trial.guards): trial.guards for trial in self.trials if trial.value == "held"}
        return tuple(
            guards
            for own, guards in sorted(holding.items(), key=lambda each: (len(each[0]), each[1]))
            if not any(other < own for other in holding)
        )

    @property
    def _by_guards(self) -> dict[frozenset[str], Trial]:
        return {frozenset(trial.guards): trial for trial in self.trials}

    def _won(self, before: Trial | None, after: Trial | None) -> tuple[str, ...]:
        if before is None or after is None:
            return ()
        return tuple(
            name
            for name in self.objectives
            if before.value_of(name) == "breached" and after.value_of(name) == "held"
        )

    def _changes_nothing(self, guard: str) -> bool:
        pairs = [
            (self._by_guards.get(guards - {guard}), trial)
            for guards, trial in self._by_guards.items()
            if guard in guards
        ]
        played = [(off, on) for off, on in pairs if off is not None]
        return bool(played) and all(self._alike(off, on) for off, on in played)

    def _alike(self, left: Trial | None, right: Trial | None) -> bool:
        """Whether two trials came to the same, as far as both came to anything."""
        if left is None or right is None:
            return False
        values = [(left.value_of(name), right.value_of(name)) for name in self.objectives]
        return bool(values) and all(one == other != "undecided" for one, other in values)
