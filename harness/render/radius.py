"""The blast radius of a stack, for a terminal, a pull request and a browser."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import get_args

from jinja2 import Template

from harness.journal.answer import Answer
from harness.journal.radius import LOST, RANK, BlastRadius, Deed, Extent, Growth
from harness.journal.record import Figure, Verdict
from harness.render.page import page_environment
from harness.render.stopping import ended_early, rebuild_said
from harness.render.wording import clean, inert, listing, plain, quantity

TONES = {
    "refused": "held",
    "failed": "quiet",
    "nothing": "quiet",
    "contained": "held",
    "reversible": "undecided",
    "lost": "breached",
    "lost with its backups": "breached",
}
MEANINGS = {
    "refused": "a guard said no",
    "failed": "the call made no sense where it was made",
    "nothing": "it was done, and nothing is different",
    "contained": "only environments of the principal's own grants, and nothing that has backups",
    "reversible": "what was lost can be brought back whole",
    "lost": "something is gone, and nothing was seen to bring it back",
    "lost with its backups": "a content is gone, and so are copies of it",
}
LONGEST = 1_000_000
MOST_NAMED = 6


def answer(radius: BlastRadius) -> Answer:
    """In the words of a run: of each credential no call may come too far. One of which every call failed or
    did nothing shows nothing, and is not judged."""
    judged = {who: radius.judged(deeds) for who, deeds in _by_credential(radius.deeds)}
    shown = {deed_by for deed_by in judged if not radius.whole or judged[deed_by] != "undecided"}
    counts = ((extent, sum(deed.extent == extent for deed in radius.deeds)) for extent in RANK)
    return Answer(
        verb="blast-radius",
        subject=radius.stack,
        guards=radius.guards,
        value=radius.value,
        headline=plain(headline(radius)),
        verdicts=tuple(
            Verdict(objective=who, value=judged[who], summary=plain(_condemned(radius, deeds)))
            for who, deeds in _by_credential(radius.deeds)
            if who in shown
        ),
        figures=(
            Figure(name="calls", value=len(radius.deeds), unit="actions"),
            Figure(name="kill set", value=len(radius.kill_set), unit="actions"),
            *(Figure(name=extent, value=number, unit="actions") for extent, number in counts),
        ),
        notes=ended_early(radius.stopped, radius.rebuilds),
        interrupted=radius.interrupted,
    )


def _condemned(radius: BlastRadius, deeds: Sequence[Deed]) -> str:
    """What is said of one credential."""
    bad = [f"{deed.name} on {deed.service}" for deed in deeds if radius.condemns(deed)]
    tried = f"{quantity(len(deeds), 'call')} made"
    further = radius.growth is not None
    if bad:
        told = "reach further than in the baseline" if further else "make a service unrecoverable"
        return f"{tried}; {quantity(len(bad), 'of them', 'of them')} {told}: {listing(bad, MOST_NAMED)}."
    none = "none reaches further than in the baseline" if further else "none makes a service unrecoverable"
    return f"{tried}, {none}{_ended(radius, '; it')}."


def headline(radius: BlastRadius) -> str:
    """The answer: a sentence, and one before it on what has grown if there was a baseline."""
    if radius.growth is None:
        return _fewest(radius)
    more = quantity(len(radius.growth), "call reaches", "calls reach") if radius.growth else "No call reaches"
    return f"{more} further than in the baseline. {_fewest(radius)}"


def _fewest(radius: BlastRadius) -> str:
    worst = radius.kill_set
    if not worst and radius.interrupted:
        return "Interrupted before any call was seen to make anything unrecoverable."
    if not worst and radius.stopped:
        return "The stack was lost before any call was seen to make anything unrecoverable."
    if not worst and radius.value == "undecided":
        return "Undecided: no call did anything, and none was refused by a guard."
    if not worst:
        lost = sum(deed.extent in LOST for deed in radius.deeds)
        more = quantity(lost, "call loses", "calls lose")
        told = f"No single call makes {'a service' if lost else 'anything'} unrecoverable"
        return f"{told}; {more} something else, with no way back seen." if lost else f"{told}."
    found = sorted(worst, key=lambda deed: deed.owner == deed.principal)[0]
    return f"Fewest calls to unrecoverable: 1, {by_whom(found)}: {found.name} on {found.service}."


def by_whom(deed: Deed) -> str:
    """``agent, by way of scripts/token.env``; or whose own credential it is."""
    if deed.owner == deed.principal:
        return deed.principal
    return f"{deed.principal}, by way of {deed.found_in or deed.owner}"


def radius_text(radius: BlastRadius, width: int) -> str:
    """For a terminal of ``width`` columns; ends in a newline."""
    lines = _wrapped(headline(radius), width, "")
    lines += _wrapped(_counts(radius), width, "")
    for who, deeds in _by_credential(radius.deeds):
        lines += ["", *_wrapped(who, width, "")]
        for extent, same in _by_extent(deeds):
            told = listing([_deed(deed) for deed in same], len(same))
            lines += _wrapped(f"{extent}: {told}", width, "    ", "  ")
    for rebuild in radius.rebuilds:
        lines += ["", *_wrapped(rebuild_said(rebuild), width, "  ")]
    for who in radius.silent:
        lines += ["", *_wrapped(f"{who}: no call that is known here could be made", width, "  ")]
    if radius.left_out:
        lines += ["", *_wrapped("Listed by a surface, and not tried here:", width, "")]
        for surface, operations in radius.left_out.items():
            told = listing(operations, MOST_NAMED)
            lines += _wrapped(f"{surface}: {told}", width, "    ", "  ")
    return plain(clean("\n".join(lines), longest=LONGEST)) + "\n"


def growth_text(growth: Sequence[Growth], before: BlastRadius, now: BlastRadius, width: int) -> str:
    """What became worse; ends in a newline."""
    lines = _wrapped(_change(growth, before, now), width, "  ")
    for one in growth:
        lines += _wrapped(f"- {_grown(one)}", width, "  ")
    return plain(clean("\n".join(lines), longest=LONGEST)) + "\n"


def growth_markdown(growth: Sequence[Growth], before: BlastRadius, now: BlastRadius) -> str:
    """The same as a comment on a pull request."""
    lines = [f"### {_change(growth, before, now)}", ""]
    if growth:
        lines += ["| who | call | before | now |", "|---|---|---|---|"]
        for one in growth:
            deed = one.deed
            cells = (
                by_whom(deed),
                f"{deed.name} on {deed.service}",
                one.before or "not possible",
                deed.extent,
            )
            lines.append(f"| {' | '.join(inert(cell) for cell in cells)} |")
    return plain("\n".join(lines)) + "\n"


def _change(growth: Sequence[Growth], before: BlastRadius, now: BlastRadius) -> str:
    was, is_ = len(before.kill_set), len(now.kill_set)
    if not growth:
        return f"The blast radius did not grow: the kill set has {quantity(is_, 'call')}, it had {was}."
    grew = f"This change enlarges the kill set from {was} to {is_}"
    same = f"The kill set has {quantity(is_, 'call')}, as it had {was}"
    more = quantity(len(growth), "call reaches", "calls reach")
    return f"{grew if is_ > was else same}; {more} further than before."


def _grown(one: Growth) -> str:
    deed = one.deed
    was = one.before or "not possible"
    return f"{by_whom(deed)}: {deed.name} on {deed.service}: {deed.extent}, it was {was}"


def _counts(radius: BlastRadius) -> str:
    counts = [
        (extent, sum(deed.extent == extent for deed in radius.deeds)) for extent in reversed(list(RANK))
    ]
    told = ", ".join(f"{number} {extent}" for extent, number in counts if number)
    made = f"{quantity(len(radius.deeds), 'call')} made, each from the same beginning: {told or 'none'}"
    ended = _ended(radius, " It")
    return f"{made}.{ended}." if ended else f"{made}."


def _ended(radius: BlastRadius, it: str) -> str:
    """What is added when not all was tried."""
    if radius.interrupted:
        return f"{it} was interrupted before everything was tried"
    return f"{it} could not go on: {radius.stopped}" if radius.stopped else ""


def _deed(deed: Deed) -> str:
    notes = [note for note in (deed.undo and f"way back: {deed.undo}", deed.said and f"{deed.said}") if note]
    copies = quantity(deed.copies_lost, "copy", "copies")
    notes += [f"with {copies}"] if deed.copies_lost else []
    return f"{deed.name} on {deed.service}" + (f" ({'; '.join(notes)})" if notes else "")


def _by_credential(deeds: Sequence[Deed]) -> Iterator[tuple[str, tuple[Deed, ...]]]:
    for who in dict.fromkeys(by_whom(deed) for deed in deeds):
        yield who, tuple(deed for deed in deeds if by_whom(deed) == who)


def _by_extent(deeds: Sequence[Deed]) -> Iterator[tuple[Extent, tuple[Deed, ...]]]:
    for extent in reversed(get_args(Extent)):
        same = tuple(deed for deed in deeds if deed.extent == extent)
        if same:
            yield extent, same


def _wrapped(text: str, width: int, rest: str, first: str = "") -> list[str]:
    return textwrap.wrap(
        plain(clean(text, LONGEST)),
        width,
        initial_indent=first,
        subsequent_indent=rest,
        break_on_hyphens=False,
    )


@dataclass(frozen=True)
class Row:
    """One call across the picture, with what it came to for each credential; None where it was not made."""

    service: str
    name: str
    cells: tuple[Deed | None, ...]


def rows(radius: BlastRadius) -> tuple[Row, ...]:
    """The picture: calls down, credentials across; what reaches furthest comes first."""
    who = tuple(dict.fromkeys(by_whom(deed) for deed in radius.deeds))
    found = {(deed.service, deed.name, by_whom(deed)): deed for deed in radius.deeds}
    calls = tuple(dict.fromkeys((deed.service, deed.name) for deed in radius.deeds))
    made = [
        Row(service, name, tuple(found.get((service, name, one)) for one in who)) for service, name in calls
    ]
    return tuple(sorted(made, key=lambda row: (row.service, -max(d.rank for d in row.cells if d))))


def radius_page(radius: BlastRadius) -> str:
    """The page as text. The same blast radius gives the same text, byte for byte."""
    return _template().render(
        radius=radius,
        headline=headline(radius),
        counts=_counts(radius),
        credentials=tuple(dict.fromkeys(by_whom(deed) for deed in radius.deeds)),
        rows=rows(radius),
        tones=TONES,
        meanings=MEANINGS,
        by_whom=by_whom,
        rebuild_said=rebuild_said,
    )


@cache
def _template() -> Template:
    return page_environment().get_template("radius.html.j2")
