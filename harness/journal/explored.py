"""What an exploration comes to: what it found, whether a run confirmed that, and how hard it has looked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.facts import Fact
from harness.journal.rebuilds import Rebuild
from harness.journal.record import Verdict
from harness.scenario.models import VerdictValue

FILE = "explored.json"


class Breach(Fact):
    """An objective that a trial broke.

    Attributes:
        objective: its name.
        why: one sentence.
    """

    objective: str
    why: str


class Doubted(Fact):
    """Another sequence that was found, and that no run confirmed.

    Attributes:
        moves: names of its calls.
        breaches: what a trial of it broke.
        why: one sentence for people, with what the run said.
        file: a scenario that plays them.
        run: folder of the run that played it last; empty when none did.
    """

    moves: tuple[str, ...]
    breaches: tuple[Breach, ...]
    why: str
    file: str
    run: str


class Tried(Fact):
    """How often a move was made, and how it ended.

    Attributes:
        move: its name.
        done, refused, failed: how often.
    """

    move: str
    done: int
    refused: int
    failed: int


class Explored(Fact):
    """One exploration.

    Attributes:
        scenario: whose stack and past it was about.
        guards: that were switched on.
        principal: who acted.
        seed: of the choices.
        objectives: that a trial of this principal could break.
        value: breached when a run confirmed anything of what was found; held when nothing was found although
            calls landed or were refused, and neither anybody nor anything stopped it; undecided otherwise.
        why: one sentence for people.
        seconds: that it took, without bringing the stack up.
        sequences, actions, deepest, states: how hard it looked; states are different remains.
        landed: calls that were meant to harm and did something, or that a guard refused.
        split: seconds for reset, actions and checks.
        rebuilt: how often the stack had to be made again.
        rebuilds: why, each reason once.
        stopped: why the stack could be used no more before the search was over; empty when it was over.
        moves: names of the calls that were found; empty when none were.
        breaches: what they break.
        file: the scenario that plays them; empty when none was written.
        before: it was there already, with the same calls.
        apart: why that does not lie beside the stack, and what to do; empty when it could be written there.
        run: folder of the run that played it last; empty when none did.
        confirmed: objectives that it was found to break, and that this run broke too.
        doubted: what else was found, and played by runs that did not confirm it.
        tried: every move that was made.
        never: operations that surfaces list, each with the service that no move tried it on.
        interrupted: somebody stopped it.
    """

    scenario: str
    guards: tuple[str, ...]
    principal: str
    seed: int
    objectives: tuple[str, ...] = ()
    value: VerdictValue
    why: str
    seconds: float
    sequences: int
    actions: int
    deepest: int
    states: int
    landed: int = 0
    split: Mapping[str, float]
    rebuilt: int
    rebuilds: tuple[Rebuild, ...] = ()
    stopped: str = ""
    moves: tuple[str, ...]
    breaches: tuple[Breach, ...]
    file: str
    before: bool = False
    apart: str = ""
    run: str
    confirmed: tuple[str, ...] = ()
    doubted: tuple[Doubted, ...] = ()
    tried: tuple[Tried, ...]
    never: tuple[str, ...]
    interrupted: bool

    @property
    def rate(self) -> float:
        """Sequences a minute; 0 when none was played."""
        return self.sequences / self.seconds * 60 if self.seconds else 0.0

    def doubt(self) -> Doubted:
        """What was found here, as it is told beside something else that was."""
        return Doubted(moves=self.moves, breaches=self.breaches, why=self.why, file=self.file, run=self.run)

    def judged(self, run: Sequence[Verdict]) -> Explored:
        """The same with its value as it follows from what is recorded.

        Args:
            run: verdicts of the run of the saved scenario; empty when there was none. What it breaks besides
                is another matter: a trial has not shown that these calls are what breaks it.
        """
        broken = {verdict.objective for verdict in run if verdict.value == "breached"}
        confirmed = tuple(one.objective for one in self.breaches if one.objective in broken)
        return self.model_copy(update={"confirmed": confirmed, "value": self._value(confirmed)})

    def _value(self, confirmed: tuple[str, ...]) -> VerdictValue:
        if self.moves:
            return "breached" if confirmed else "undecided"
        whole = not (self.interrupted or self.stopped)
        return "held" if self.landed and whole else "undecided"
