"""What a search through many trials or runs comes to, in the words of a run: values, verdicts, figures."""

from __future__ import annotations

from typing import Literal

from harness.facts import Fact
from harness.journal import explored, matrix, radius
from harness.journal.explored import Explored
from harness.journal.matrix import GuardMatrix
from harness.journal.radius import BlastRadius
from harness.journal.record import Figure, Verdict
from harness.scenario.models import VerdictValue

Verb = Literal["guards", "blast-radius", "explore"]
Result = GuardMatrix | BlastRadius | Explored
"""What a search found, as it is stored."""

RESULT_FILES: dict[str, type[Result]] = {
    matrix.FILE: GuardMatrix,
    radius.FILE: BlastRadius,
    explored.FILE: Explored,
}


def file_of(result: Result) -> str:
    """The name of the file that a result is stored in."""
    return next(name for name, kind in RESULT_FILES.items() if isinstance(result, kind))


class Note(Fact):
    """Something that is told and not judged.

    Attributes:
        name: of what it is about.
        text: what there is to say of it.
    """

    name: str
    text: str


class Answer(Fact):
    """What is to be said of a search; made from its result alone.

    Attributes:
        verb: that asked.
        subject: the scenario's id, or the stack's file.
        guards: that were on; for ``guards`` those that there are.
        value: over everything, as the exit code tells it.
        headline: the answer in one sentence.
        verdicts: what must hold, each with its value.
        figures: how hard it looked.
        notes: what else a CI system should show.
        interrupted: somebody ended it before it was done.
        problem: why the record cannot be trusted; None when it can.
    """

    verb: Verb
    subject: str
    guards: tuple[str, ...]
    value: VerdictValue
    headline: str
    verdicts: tuple[Verdict, ...]
    figures: tuple[Figure, ...] = ()
    notes: tuple[Note, ...] = ()
    interrupted: bool = False
    problem: str | None = None

    def doubted(self, problem: str) -> Answer:
        """The same of a record that is not as it was written: nothing is decided by it."""
        verdicts = tuple(
            Verdict(objective=verdict.objective, value="undecided", summary=problem)
            for verdict in self.verdicts
        )
        changes = {"value": "undecided", "headline": f"Undecided: {problem}.", "problem": problem}
        return self.model_copy(update={**changes, "verdicts": verdicts})
