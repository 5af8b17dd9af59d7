"""What ``ninelives explore`` found, and how hard it looked, for a terminal and a browser."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from functools import cache
from pathlib import PurePath

from jinja2 import Template

from harness.journal.answer import Answer
from harness.journal.explored import Doubted, Explored, Tried
from harness.journal.record import Figure, Verdict
from harness.render import charts
from harness.render.narrative import full_stop
from harness.render.page import page_environment
from harness.render.stopping import ended_early, rebuild_said
from harness.render.wording import clean, number, plain, quantity
from harness.scenario.models import VerdictValue

LONGEST = 1_000_000
SHOWN_AT_ONCE = 20
"""Calls of the table on the page that are seen without asking for the rest."""


def answer(explored: Explored) -> Answer:
    """In the words of a run: of each objective that a trial could break, whether one did."""
    doubted = (breach for one in explored.doubted for breach in one.breaches)
    broken = {breach.objective: breach.why for breach in (*doubted, *explored.breaches)}
    names = dict.fromkeys((*explored.objectives, *broken))
    return Answer(
        verb="explore",
        subject=f"{explored.scenario} as {explored.principal}",
        guards=explored.guards,
        value=explored.value,
        headline=headline(explored),
        verdicts=tuple(_verdict(explored, name, broken) for name in names),
        figures=(
            Figure(name="sequences", value=explored.sequences, unit="count"),
            Figure(name="calls", value=explored.actions, unit="actions"),
            Figure(name="calls that landed or were refused", value=explored.landed, unit="actions"),
            Figure(name="deepest", value=explored.deepest, unit="actions"),
            Figure(name="states", value=explored.states, unit="count"),
            Figure(name="sequences a minute", value=round(explored.rate, 1), unit="count"),
            *(Figure(name=name, value=round(took, 3), unit="s") for name, took in explored.split.items()),
            Figure(name="stacks made again", value=explored.rebuilt, unit="count"),
            Figure(name="calls of the finding", value=len(explored.moves), unit="actions"),
            Figure(name="operations never tried", value=len(explored.never), unit="count"),
        ),
        notes=ended_early(explored.stopped, explored.rebuilds),
        interrupted=explored.interrupted,
    )


def _verdict(explored: Explored, name: str, broken: dict[str, str]) -> Verdict:
    if name in broken:
        value: VerdictValue = "breached" if name in explored.confirmed else "undecided"
        told = f"{broken[name]}{_doubt(explored, name)}."
    elif broken:
        value, told = "undecided", "The search ended when it had found what breaks something else."
    else:
        value, told = explored.value, headline(explored)
    return Verdict(objective=name, value=value, summary=told)


def _doubt(explored: Explored, objective: str) -> str:
    """What has to be said of an objective that a trial broke and no run did."""
    return "" if objective in explored.confirmed else "; no run confirms it"


def headline(explored: Explored) -> str:
    """The answer in one sentence."""
    why = explored.why[:1].upper() + explored.why[1:]
    return full_stop(why + _ended(explored))


def _ended(explored: Explored) -> str:
    if explored.stopped and not explored.moves:
        return ", until the stack was lost"
    return ", until somebody stopped it" if explored.interrupted and not explored.moves else ""


def explored_text(explored: Explored, width: int) -> str:
    """For a terminal of ``width`` columns; ends in a newline."""
    lines = [
        line
        for first, rest, text in _said(explored)
        for line in textwrap.wrap(
            plain(clean(text, LONGEST)),
            width,
            initial_indent=first,
            subsequent_indent=rest,
            break_on_hyphens=False,
            break_long_words=False,
        )
    ]
    return (
        "\n".join(line.rstrip() for line in (*lines, *_table(explored, width), *_never(explored, width)))
        + "\n"
    )


def _said(explored: Explored) -> Iterator[tuple[str, str, str]]:
    who = f"{explored.scenario} as {explored.principal}"
    yield "", "  ", f"{who}: {explored.value.upper()}, {full_stop(explored.why + _ended(explored))}"
    for n, move in enumerate(explored.moves, start=1):
        yield "  ", "     ", f"{n}. {move}"
    for breach in explored.breaches:
        yield "  ", "    ", f"{breach.objective}: {breach.why}{_doubt(explored, breach.objective)}"
    confirmed = "confirmed by" if explored.value == "breached" else "played by"
    if explored.file:
        yield (
            "  ",
            "    ",
            f"saved {'before ' if explored.before else ''}as {explored.file}"
            + (f", {confirmed} {explored.run}" if explored.run else ""),
        )
    if explored.apart:
        yield "  ", "    ", f"not saved beside the stack: {explored.apart}"
    for other in explored.doubted:
        yield from _doubted(other)
    yield "  ", "    ", _effort(explored)
    if explored.stopped:
        yield "  ", "    ", f"it could not go on: {explored.stopped}"
    split = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in explored.split.items())
    yield "  ", "    ", f"{split}; the stack was made again {quantity(explored.rebuilt, 'time')}"
    for rebuild in explored.rebuilds:
        yield "  ", "    ", rebuild_said(rebuild)


def _doubted(other: Doubted) -> Iterator[tuple[str, str, str]]:
    yield "  ", "    ", f"another way was found: {full_stop(other.why)}"
    for n, move in enumerate(other.moves, start=1):
        yield "    ", "       ", f"{n}. {move}"
    yield "    ", "      ", f"saved as {other.file}, played by {other.run}"


def _effort(explored: Explored) -> str:
    return (
        f"{quantity(explored.sequences, 'sequence')} ({number(round(explored.rate))} a minute),"
        f" {quantity(explored.actions, 'call')}, the deepest {explored.deepest},"
        f" {quantity(explored.states, 'state')}, seed {explored.seed}"
    )


def _table(explored: Explored, width: int) -> Iterator[str]:
    if not explored.tried:
        return
    column = min(max(len(one.move) for one in explored.tried), max(width - 24, 16))
    yield f"  {'move':<{column}}  done refused failed"
    for one in explored.tried:
        *before, last = textwrap.wrap(plain(clean(one.move)), column, break_on_hyphens=False) or [""]
        yield from (f"  {line}" for line in before)
        yield f"  {last:<{column}}  {one.done:>4} {one.refused:>7} {one.failed:>6}"


def _never(explored: Explored, width: int) -> Iterator[str]:
    for service, operations in never_by_service(explored).items():
        said = plain(clean(f"never tried on {service}: {', '.join(operations)}", longest=LONGEST))
        yield from textwrap.wrap(
            said, width, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False
        )


def never_by_service(explored: Explored) -> dict[str, list[str]]:
    """What was never tried, by where."""
    found: dict[str, list[str]] = {}
    for one in explored.never:
        service, _, operation = one.partition(": ")
        found.setdefault(service, []).append(operation)
    return found


def explored_page(explored: Explored) -> str:
    """The page as text. The same exploration gives the same text, byte for byte."""
    tried = sorted(explored.tried, key=lambda one: (-_times(one), one.move))
    pieces = [charts.Piece(name, seconds, "measured") for name, seconds in explored.split.items()]
    return _template().render(
        explored=explored,
        headline=headline(explored),
        effort=_effort(explored),
        first=tried[:SHOWN_AT_ONCE],
        rest=tried[SHOWN_AT_ONCE:],
        times=_times,
        never=never_by_service(explored),
        time=charts.parts("time", "Where the time went", pieces) if any(explored.split.values()) else None,
        name=lambda path: PurePath(path).name,
        rebuild_said=rebuild_said,
        doubt=lambda objective: _doubt(explored, objective),
    )


def _times(one: Tried) -> int:
    return one.done + one.refused + one.failed


@cache
def _template() -> Template:
    return page_environment().get_template("explored.html.j2")
