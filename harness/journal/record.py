"""A judged run: what every report is made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import ConfigDict

from harness.facts import Fact
from harness.journal.history import History
from harness.scenario.models import LoadedScenario, VerdictValue


class Figure(Fact):
    """One number of a verdict, with its unit and where it comes from.

    ``basis`` is ``measured`` (observed in this run), ``assumed`` (declared in the scenario) or
    ``target`` (what the objective asks for).
    """

    # Without it, JSON has null for what has no end.
    model_config = ConfigDict(ser_json_inf_nan="strings")

    name: str
    value: float
    unit: Literal["s", "rows", "copies", "actions", "share", "bytes", "count"]
    basis: Literal["measured", "assumed", "target"] = "measured"


class Verdict(Fact):
    """What is to be said of one objective.

    Attributes:
        objective: its name.
        value: ``held``, ``breached`` or ``undecided``.
        summary: one sentence for people.
        figures: the numbers behind it.
        evidence: numbers of the journal lines that prove it; empty only when there was no evidence.
    """

    objective: str
    value: VerdictValue
    summary: str
    figures: tuple[Figure, ...] = ()
    evidence: tuple[int, ...] = ()

    def figure(self, name: str) -> Figure | None:
        """The figure of that name, if there is one."""
        return next((figure for figure in self.figures if figure.name == name), None)


def overall(verdicts: tuple[Verdict, ...]) -> VerdictValue:
    """Over a run, breached beats undecided beats held; no verdict at all is undecided."""
    values = {verdict.value for verdict in verdicts}
    if "breached" in values:
        return "breached"
    return "held" if values == {"held"} else "undecided"


@dataclass(frozen=True)
class RunRecord:
    """A run, judged. Made from the run folder alone.

    Attributes:
        run_id: the run folder's name.
        scenario: as resolved for the run.
        history: the journal, ledger and witness.
        verdicts: one for each objective.
    """

    run_id: str
    scenario: LoadedScenario
    history: History
    verdicts: tuple[Verdict, ...]

    def __repr__(self) -> str:
        verdicts = ", ".join(f"{verdict.objective} {verdict.value}" for verdict in self.verdicts)
        return f"<run {self.run_id}: {verdicts}>"

    @property
    def value(self) -> VerdictValue:
        """The verdict over the whole run."""
        return overall(self.verdicts)

    @property
    def surprises(self) -> tuple[Verdict, ...]:
        """The verdicts that differ from what the scenario expects (held, where it says nothing)."""
        expect = self.scenario.scenario.expect
        return tuple(v for v in self.verdicts if expect.get(v.objective, "held") != v.value)

    @property
    def as_expected(self) -> bool:
        """Whether each objective got the verdict that the scenario expects."""
        return bool(self.verdicts) and not self.surprises
