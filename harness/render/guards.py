"""Which guard saves what: the matrix of ``ninelives guards``, for a terminal and a browser."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from jinja2 import Template

from harness.journal.answer import Answer, Note
from harness.journal.matrix import GuardMatrix, GuardNote, Trial
from harness.journal.record import Figure, Verdict
from harness.render.page import page_environment
from harness.render.wording import clean, listing, plain, quantity

MARKS = {"held": "+", "breached": "x", "undecided": "?"}
GAP = 2
LONGEST = 100_000
"""Characters of a matrix on a terminal."""

SEVERAL = 99
"""Names in a sentence, at most; none is left out of one that says what is enough."""


def answer(matrix: GuardMatrix) -> Answer:
    """In the words of a run: every objective is to hold with every guard on; guards' worth is told."""
    whole = matrix.whole
    return Answer(
        verb="guards",
        subject=matrix.scenario,
        guards=matrix.names,
        value=matrix.value,
        headline=plain(headline(matrix)),
        verdicts=tuple(_verdict(name, whole) for name in matrix.objectives),
        figures=(
            Figure(name="sets played", value=len(matrix.trials), unit="count"),
            Figure(name="sets left out", value=matrix.left_out, unit="count"),
            Figure(name="smallest sets that hold", value=len(matrix.smallest), unit="count"),
        ),
        notes=tuple(
            Note(name=f"guard {guard.name}", text=worth(guard, matrix))
            for guard in matrix.guards
            if matrix.trials
        ),
        interrupted=matrix.interrupted,
    )


def _verdict(name: str, whole: Trial | None) -> Verdict:
    if whole is None:
        return Verdict(
            objective=name, value="undecided", summary="The set with every guard on was not played."
        )
    value = whole.value_of(name)
    return Verdict(objective=name, value=value, summary=f"{value.capitalize()} with every guard on.")


def label(guards: Sequence[str], matrix: GuardMatrix) -> str:
    """A set of guards in words: ``no guard``, ``a``, ``all but a``, ``a + b``, ``all 3 guards``."""
    off = [name for name in matrix.names if name not in guards]
    if not guards:
        return "no guard"
    if not off and len(guards) > 1:
        return f"all {len(guards)} guards"
    if len(off) == 1 and len(guards) > 1:
        return f"all but {off[0]}"
    return " + ".join(guards)


def headline(matrix: GuardMatrix) -> str:
    """The answer in one sentence."""
    if matrix.smallest:
        first = listing(matrix.smallest[0], SEVERAL)
        more = len(matrix.smallest) - 1
        others = f", or {quantity(more, 'other set')}" if more else ""
        return f"Everything holds with {first or 'no guard at all'}{others}."
    if matrix.interrupted:
        return "Interrupted before any set was found under which everything holds."
    if any(trial.value == "undecided" for trial in matrix.trials):
        return "Under no set of guards was everything seen to hold, and some runs are undecided."
    return "Under no set of guards that was tried does everything hold."


def findings(matrix: GuardMatrix) -> tuple[str, ...]:
    """What else there is to say of the sets, a sentence each."""
    said = [f"Enough is: {' + '.join(guards) or 'no guard'}." for guards in matrix.smallest]
    hypothetical = {guard.name for guard in matrix.guards if guard.hypothetical}
    if matrix.smallest and all(hypothetical & set(guards) for guards in matrix.smallest):
        said.append("Each of these has a hypothetical guard in it: what providers offer today is not enough.")
    if matrix.beyond_failing:
        names = listing(matrix.beyond_failing, SEVERAL)
        said.append(f"This drill proves no guard for what holds with every guard off: {names}.")
    problems = [trial for trial in matrix.trials if trial.problem]
    said += [f"Not decided, {label(trial.guards, matrix)}: {trial.problem}" for trial in problems]
    if matrix.interrupted and matrix.smallest:
        said.append("It was interrupted: what is said rests on the sets above, and others were not tried.")
    if matrix.left_out:
        sets = quantity(matrix.left_out, "set")
        said.append(f"{sets} in between were not tried; there may be smaller ones among them that hold.")
    return tuple(said)


def worth(guard: GuardNote, matrix: GuardMatrix) -> str:
    """What one guard is worth, in a sentence."""
    alone, needed = matrix.saved_by(guard.name), matrix.lost_without(guard.name)
    parts = [f"alone it saves {listing(alone, SEVERAL)}" if alone else "alone it saves nothing"]
    if guard.name in matrix.idle:
        parts = ["it changes no verdict, whichever others are on"]
    elif needed:
        parts.append(f"without it {listing(needed, SEVERAL)} would be lost")
    elif guard.name in matrix.redundant:
        parts.append("once all others are on it changes nothing")
    hypothetical = " (hypothetical)" if guard.hypothetical else ""
    return f"{guard.name}{hypothetical}: {'; '.join(parts)}."


def matrix_text(matrix: GuardMatrix, width: int) -> str:
    """The matrix and what follows from it, for a terminal of ``width`` columns; ends in a newline."""
    lines = [*_wrapped(headline(matrix), width, "", ""), "", *_table(matrix, width), ""]
    said = [*(worth(guard, matrix) for guard in matrix.guards), *findings(matrix)]
    for sentence in said:
        lines += _wrapped(sentence, width, "- ", "  ")
    return plain(clean("\n".join(lines), longest=LONGEST)) + "\n"


def _table(matrix: GuardMatrix, width: int) -> list[str]:
    labels = [label(trial.guards, matrix) for trial in matrix.trials]
    margin = max(map(len, labels), default=0)
    objectives = matrix.objectives
    if margin + sum(len(name) + GAP for name in objectives) > width:
        return [line for trial in matrix.trials for line in _lines(matrix, trial, width)]
    rows = [" " * margin + "".join(f"{'':{GAP}}{name}" for name in objectives)]
    for trial, text in zip(matrix.trials, labels, strict=True):
        cells = (f"{'':{GAP}}{MARKS[trial.value_of(name)]:^{len(name)}}" for name in objectives)
        rows.append(f"{text:<{margin}}{''.join(cells)}".rstrip())
    return [*rows, "", "+ held   x breached   ? undecided"]


def _lines(matrix: GuardMatrix, trial: Trial, width: int) -> list[str]:
    """Of a matrix that is too wide: a set, and what does not hold under it."""
    wrong = [name for name in matrix.objectives if trial.value_of(name) != "held"]
    told = f"{trial.value}: {', '.join(wrong)}" if wrong else trial.value
    return [
        *_wrapped(label(trial.guards, matrix), width, "", "  "),
        *_wrapped(told, width, "    ", "    "),
    ]


def _wrapped(text: str, width: int, first: str, rest: str) -> list[str]:
    return textwrap.wrap(
        plain(clean(text)), width, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False
    )


@dataclass(frozen=True)
class Column:
    """One set of guards across the picture."""

    label: str
    trial: Trial


@dataclass(frozen=True)
class Group:
    """Sets of one sort, under one heading."""

    title: str
    columns: tuple[Column, ...]


def groups(matrix: GuardMatrix) -> tuple[Group, ...]:
    """The sets across the picture: none, each alone, several, all but each, all."""
    most = len(matrix.guards)
    bare: list[Column] = []
    alone: list[Column] = []
    several: list[Column] = []
    all_but: list[Column] = []
    whole: list[Column] = []
    for trial in matrix.trials:
        size = len(trial.guards)
        if size == 0:
            bare.append(Column("none", trial))
        elif size == most:
            whole.append(Column("all", trial))
        elif size == 1:
            alone.append(Column(trial.guards[0], trial))
        elif size == most - 1:
            (off,) = (name for name in matrix.names if name not in trial.guards)
            all_but.append(Column(off, trial))
        else:
            several.append(Column(" + ".join(trial.guards), trial))
    titled = {"Off": bare, "Alone": alone, "Together": several, "All but": all_but, "On": whole}
    return tuple(Group(title, tuple(columns)) for title, columns in titled.items() if columns)


def matrix_page(matrix: GuardMatrix) -> str:
    """The page as text. The same matrix gives the same text, byte for byte."""
    return _template().render(
        matrix=matrix,
        headline=headline(matrix),
        findings=findings(matrix),
        groups=groups(matrix),
        worth=lambda guard: worth(guard, matrix).partition(": ")[2],
        label=lambda trial: label(trial.guards, matrix),
    )


@cache
def _template() -> Template:
    return page_environment().get_template("guards.html.j2")
