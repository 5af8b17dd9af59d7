"""How every objective is judged: the gates first, then its own measure, and a doubt at any point decides."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import TypeVar

from harness.errors import JournalError
from harness.journal.history import History
from harness.journal.record import Figure, Verdict
from harness.objectives.gates import undecided_because
from harness.scenario.models import LoadedScenario, Objectives, VerdictValue, format_duration, noun_of

T = TypeVar("T")


class CannotSayError(Exception):
    """Raised by a measure that lacks evidence or a subject; it makes the verdict undecided.

    Args:
        reason: one clause, for people.
        lines: the journal lines that show it.
    """

    def __init__(self, reason: str, lines: Iterable[int] = ()) -> None:
        super().__init__(reason)
        self.reason = reason
        self.lines = tuple(lines)


class WithoutTarget:
    """An objective that asks for no more or less of anything: it holds or does not."""

    def tightest(self, scenario: LoadedScenario) -> LoadedScenario | None:  # noqa: ARG002 - the seam's shape
        """There is nothing to tighten, so without guards it must breach."""
        return None


def judged(
    name: str,
    target: T | None,
    scenario: LoadedScenario,
    history: History,
    measure: Callable[[T, LoadedScenario, History], Verdict],
) -> Verdict:
    """Judge one objective.

    Args:
        name: of the objective.
        target: what the scenario asks for; None when it does not.
        scenario, history: the run.
        measure: is called when all gates are open.
    """
    if target is None:
        return undecided(name, f"the scenario does not ask for {name}")
    shut = undecided_because(scenario, history)
    if shut is not None:
        return undecided(name, shut.text, shut.lines)
    try:
        return measure(target, scenario, history)
    except CannotSayError as doubt:
        return undecided(name, doubt.reason, doubt.lines)
    except JournalError as error:
        return undecided(name, error.message)


def undecided(name: str, reason: str, lines: Iterable[int] = ()) -> Verdict:
    """The verdict when nothing can be said."""
    return verdict(name, "undecided", f"Undecided: {reason}.", (), lines)


def verdict(
    name: str, value: VerdictValue, summary: str, figures: Iterable[Figure], lines: Iterable[int]
) -> Verdict:
    """A verdict whose evidence is sorted, each line once."""
    return Verdict(
        objective=name,
        value=value,
        summary=summary,
        figures=tuple(figures),
        evidence=tuple(sorted(set(lines))),
    )


def within(measured: float, target: timedelta) -> VerdictValue:
    """``held`` when so many seconds are not more than the target."""
    return "held" if measured <= target.total_seconds() else "breached"


def seconds(name: str, value: float) -> Figure:
    """A measured time."""
    return Figure(name=name, value=value, unit="s")


def target_seconds(target: timedelta) -> Figure:
    """The time that the objective allows."""
    return Figure(name="target", value=target.total_seconds(), unit="s", basis="target")


def noun(scenario: LoadedScenario) -> str:
    """What the drill's service holds: ``row``, ``file``, ..."""
    return noun_of(scenario.stack.services.get(scenario.scenario.recover.service))


def rows(name: str, value: int) -> Figure:
    """A measured number of rows."""
    return Figure(name=name, value=value, unit="rows")


def said(value: float | timedelta) -> str:
    """A time for a sentence: ``90d``, ``1m30s``, ``4.6s``, ``40ms``; as fine as its size asks for."""
    total = value.total_seconds() if isinstance(value, timedelta) else value
    if 0.9995 <= total < 59.95:
        return f"{total:.1f}".removesuffix(".0") + "s"
    step = 3600 if total >= 86400 else 60 if total >= 3600 else 1 if total >= 59.95 else 0.001
    return format_duration(timedelta(seconds=round(total / step) * step))


def plural(count: int, one: str, many: str = "") -> str:
    """A number with its noun: ``1 copy``, ``2 copies``, ``2 indexes``."""
    ending = "es" if one.endswith(("s", "x")) else "s"
    return f"{count:,} {one if count == 1 else many or one + ending}"


def with_target(scenario: LoadedScenario, **target: object) -> LoadedScenario:
    """The same scenario with other targets, which are not checked: they may be impossible on purpose.

    Args:
        scenario: the scenario.
        target: fields of ``Objectives`` by their Python names.
    """
    asked: Objectives = scenario.objectives.model_copy(update=target)
    return scenario.model_copy(update={"objectives": asked})
