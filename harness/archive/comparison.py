"""What differs between two runs. Pure."""

from __future__ import annotations

from harness.archive.kept import Kept, KeptVerdict
from harness.facts import Fact
from harness.journal.record import Figure
from harness.scenario.models import VerdictValue

BADNESS: dict[VerdictValue | None, int] = {"held": 0, None: 1, "undecided": 1, "breached": 2}


class Moved(Fact):
    """A figure of an objective in both runs; None in one that does not have it."""

    objective: str
    name: str
    before: Figure | None
    after: Figure | None


class Turned(Fact):
    """The verdict of an objective in both runs; None in one that does not have it."""

    objective: str
    before: VerdictValue | None
    after: VerdictValue | None

    @property
    def has_turned(self) -> bool:
        """Whether it is another one than before."""
        return self.before != self.after

    @property
    def is_worse(self) -> bool:
        """Whether less is known to hold than before."""
        return BADNESS[self.after] > BADNESS[self.before]


class Comparison(Fact):
    """Two runs beside each other.

    Attributes:
        before, after: their ids.
        scenarios: what was played in each.
        notes: why figures may differ without anything having become better or worse.
        verdicts: of every objective of either.
        figures: those that were measured or assumed in either, and differ.
        decided: the later run came to its end, and its record can be trusted.
    """

    before: str
    after: str
    scenarios: tuple[str, str]
    notes: tuple[str, ...]
    verdicts: tuple[Turned, ...]
    figures: tuple[Moved, ...]
    decided: bool = True

    @property
    def value(self) -> VerdictValue:
        """``breached`` if an objective is newly breached, ``undecided`` if one, or the run, is undecided."""
        worse = {turned.after for turned in self.verdicts if turned.is_worse}
        if "breached" in worse:
            return "breached"
        return "undecided" if worse or not self.decided else "held"


def compare(before: Kept, after: Kept) -> Comparison:
    """Set a run against an earlier one."""
    objectives = tuple(dict.fromkeys(one.objective for run in (before, after) for one in run.verdicts))
    pairs = [(name, before.verdict(name), after.verdict(name)) for name in objectives]
    return Comparison(
        before=before.run_id,
        after=after.run_id,
        scenarios=(before.scenario, after.scenario),
        notes=tuple(_notes(before, after)),
        verdicts=tuple(
            Turned(objective=name, before=one.value if one else None, after=two.value if two else None)
            for name, one, two in pairs
        ),
        figures=tuple(moved for name, one, two in pairs for moved in _moved(name, one, two)),
        decided=after.ended and after.problem is None,
    )


def _notes(before: Kept, after: Kept) -> list[str]:
    notes = []
    if before.scenario != after.scenario:
        notes.append(f"different scenarios: {before.scenario} and {after.scenario}")
    elif before.digest != after.digest:
        notes.append("the files of the scenario are not the same")
    if before.provider != after.provider:
        notes.append(f"different providers: {before.provider or 'unknown'} and {after.provider or 'unknown'}")
    if before.version != after.version:
        notes.append(f"different versions of ninelives: {before.version} and {after.version}")
    notes += [f"{run.run_id} did not end" for run in (before, after) if not run.ended]
    notes += [f"{run.run_id}: {run.problem}" for run in (before, after) if run.problem]
    return notes


def _moved(objective: str, one: KeptVerdict | None, two: KeptVerdict | None) -> list[Moved]:
    names = dict.fromkeys(figure.name for verdict in (one, two) if verdict for figure in verdict.figures)
    pairs = [(name, one.figure(name) if one else None, two.figure(name) if two else None) for name in names]
    return [
        Moved(objective=objective, name=name, before=before, after=after)
        for name, before, after in pairs
        if before != after
    ]
