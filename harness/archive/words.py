"""The history, a comparison and a gate's decision, for people."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from harness.archive.comparison import Comparison, Moved
from harness.archive.gate import Check, Decision
from harness.archive.kept import Kept
from harness.journal.record import Figure
from harness.render.markdown import MARKS, one_line
from harness.render.wording import amount, clean, day, duration, plain, quantity, share
from harness.scenario.models import VerdictValue

MOST_RUNS = 3
GAP = "  "
NAMED_BY = 6
"""The column of a row of the history where scenario and run begin."""

PASSES: dict[VerdictValue, str] = {
    "held": "PASSES",
    "breached": "REFUSED",
    "undecided": "UNDECIDED",
}
NONE = "-"


def history_text(runs: Sequence[Kept], count: int, width: int | None = None) -> str:
    """A table of runs, the newest first.

    Args:
        runs: to show.
        count: how many there are.
        width: columns that there is room for; where a row takes more, what names a run has a line of its
            own below it. None when there is room for all.
    """
    if not runs:
        return "no run is recorded; `ninelives history --rebuild` records folders from elsewhere too"
    rows: list[tuple[str, ...]] = [
        ("number", "began (UTC)", "verdict", "rpo", "rto", "took", "scenario", "run")
    ]
    rows += [tuple(_cells(run)) for run in runs]
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    lines = [
        GAP.join(cell.ljust(size) for cell, size in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    if width is not None and max(map(len, lines)) > width:
        where = sum(widths[:NAMED_BY]) + len(GAP) * NAMED_BY
        lines = [
            part
            for line, row in zip(lines, rows, strict=True)
            for part in (line[:where].rstrip(), GAP + GAP.join(row[NAMED_BY:]))
        ]
    return "\n".join((*lines, f"{len(runs)} of {plain(quantity(count, 'run'))}"))


def _cells(run: Kept) -> Iterator[str]:
    yield str(run.number or NONE)
    yield day(run.started)
    yield _result(run)
    yield from (_figure(run.figure(name, name)) for name in ("rpo", "rto"))
    yield duration(run.seconds) if run.ended else NONE
    yield clean(run.scenario)
    yield clean(run.run_id)


def _result(run: Kept) -> str:
    if not run.ended:
        return "did not end"
    return run.value if run.as_expected else f"{run.value} (not as expected)"


def _figure(figure: Figure | None) -> str:
    return plain(amount(figure)) if figure else NONE


def comparison_text(compared: Comparison) -> str:
    """Verdicts that turned, then figures that moved."""
    return "\n".join(map(clean, _comparison_lines(compared)))


def _comparison_lines(compared: Comparison) -> Iterator[str]:
    yield f"{compared.before} -> {compared.after}"
    yield from (f"note: {note}" for note in compared.notes)
    for run, verdicts in (
        (compared.before, [turned.before for turned in compared.verdicts]),
        (compared.after, [turned.after for turned in compared.verdicts]),
    ):
        if not any(verdicts):
            yield f"nothing to compare: {run} has no verdict"
            return
    width = max((len(turned.objective) for turned in compared.verdicts), default=0)
    for turned in compared.verdicts:
        name = turned.objective.ljust(width)
        if turned.before == turned.after:
            yield f"  {name}  {turned.after}"
        else:
            worse = ", worse" if turned.is_worse else ""
            yield f"  {name}  {turned.before or 'not judged'} -> {turned.after or 'not judged'}{worse}"
        yield from (
            f"    {moved.name}: {_figure(moved.before)} -> {_figure(moved.after)}{_growth(moved)}"
            for moved in compared.figures
            if moved.objective == turned.objective
        )


def _growth(moved: Moved) -> str:
    if moved.before is None or moved.after is None or moved.before.value <= 0:
        return ""
    grown = moved.after.value / moved.before.value - 1
    if not math.isfinite(grown):
        return ""
    return plain(f" ({'+' if grown >= 0 else '-'}{share(abs(grown))})")


def decision_text(decision: Decision) -> str:
    """A line a rule with what it saw and where, and another with what to do."""
    return "\n".join(map(clean, _decision_lines(decision)))


def _decision_lines(decision: Decision) -> Iterator[str]:
    for check in decision.checks:
        yield f"{_mark(check):<10} {check.rule}: {check.saw}{_where(check)}"
        if check.waiver is not None and check.value != "held":
            waiver = check.waiver
            yield f"{'':<10} waived until {waiver.until} by {waiver.owner}: {waiver.reason}"
        elif check.do:
            yield f"{'':<10} to do: {check.do}"
    for waiver in decision.expired:
        yield f"{'expired':<10} the waiver of {waiver.rule} ended {waiver.until}; ask {waiver.owner}"
    yield f"{PASSES[decision.value]}: {_count(decision)}"


def _mark(check: Check) -> str:
    return check.value if check.counts else "waived"


def _where(check: Check) -> str:
    if not check.runs:
        return ""
    more = len(check.runs) - MOST_RUNS
    rest = f" and {more} more" if more > 0 else ""
    return f" ({', '.join(check.runs[:MOST_RUNS])}{rest})"


def _count(decision: Decision) -> str:
    marks = [_mark(check) for check in decision.checks]
    told = [
        f"{marks.count(mark)} {mark}" for mark in ("held", "breached", "undecided", "waived") if mark in marks
    ]
    return f"{', '.join(told)} of {plain(quantity(len(marks), 'rule'))}"


def decision_markdown(decision: Decision) -> str:
    """The decision for the summary of a job."""
    return "\n".join(_markdown_lines(decision)) + "\n"


def _markdown_lines(decision: Decision) -> Iterator[str]:
    yield f"## {MARKS[decision.value]} Gate: {one_line(PASSES[decision.value].lower())}"
    yield ""
    yield one_line(_count(decision))
    yield ""
    yield "| rule | | saw | runs | to do |"
    yield "|---|---|---|---|---|"
    for check in decision.checks:
        mark = f"{MARKS[check.value]} {_mark(check)}"
        do = check.do
        if check.waiver is not None and check.value != "held":
            do = f"waived until {check.waiver.until} by {check.waiver.owner}: {check.waiver.reason}"
        cells = (one_line(check.rule), mark, one_line(check.saw), one_line(_where(check)[2:-1]), one_line(do))
        yield f"| {' | '.join(cells)} |"
    for waiver in decision.expired:
        ended = f"The waiver of {waiver.rule} ended {waiver.until}; ask {waiver.owner}."
        yield ""
        yield f"> {one_line(ended)}"
