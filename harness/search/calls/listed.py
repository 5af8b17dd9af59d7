"""The calls of which a surface says itself what they look like, whatever kind of service it is about."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial

from pydantic import JsonValue

from harness.facts import Aim, Destruction, Listing
from harness.scenario.json_path import JsonPath, NothingThereError
from harness.seams.lookup import lookup
from harness.search.moves import Key, Kind, Learned, Move, Thing, call

FIRST_WORD, WHOLE_LINE = r"[^\S\n]*(\S+)[^\n]*", r"([^\n]+)"
"""What stands in a line that shows a thing, with its name in brackets."""

NOTHING = Thing("", "", "")
"""What a call is aimed at that is aimed at nothing in particular."""


def listed(surface: str, *, shows: bool = False, is_open: bool = False) -> Kind:
    """A kind of service whose surface lists the calls.

    Args:
        surface: its name.
        shows: it takes the credentials of others, as the arguments ``user`` and ``password``.
        is_open: whoever has no credential may try all the same.
    """
    return Kind(partial(_moves, surface, shows), partial(_learn, surface), surface, is_open)


def destructions(surface: str) -> tuple[Destruction, ...]:
    """What a surface lists; nothing of one that is made by a function."""
    found: tuple[Destruction, ...] = getattr(lookup("surfaces", surface), "destructive", ())
    return found


def _moves(surface: str, shows: bool, key: Key, things: tuple[Thing, ...], home: str) -> Iterator[Move]:
    if key.shown and not shows:
        return
    for listing in _listings(surface).values():
        do, what = f"{surface}.{listing.verb}", f"list every {listing.noun}"
        yield call(key, "look", do, what, listing.arguments, about=listing.noun)
    for one in destructions(surface):
        for aim in one.aims:
            for thing in _targets(aim, things):
                yield call(
                    key,
                    "weaken" if aim.weakens else "destroy",
                    f"{surface}.{one.verb}",
                    aim.what.replace("{name}", thing.name),
                    {name: _put_in(value, thing.value, home) for name, value in aim.arguments.items()},
                    aim.name,
                )


def _learn(surface: str, move: Move, text: str, known: int) -> Learned:
    """Names that last, or how a script finds a name again."""
    listing = _listings(surface)[move.about]
    found = list(_found(listing, text))
    if listing.lasting:
        return {}, [Thing(listing.noun, name, name) for _, name in found]
    saves, things = {}, []
    for number, (how, _) in enumerate(found, start=1):
        variable = f"found_{known + number}"
        saves[variable] = how
        things.append(Thing(listing.noun, f"{listing.noun} {number}", f"${{{variable}}}"))
    return saves, things


def _listings(surface: str) -> dict[str, Listing]:
    """By their nouns."""
    aims = (aim for one in destructions(surface) for aim in one.aims)
    return {aim.at.noun: aim.at for aim in aims if aim.at is not None}


def _targets(aim: Aim, things: tuple[Thing, ...]) -> tuple[Thing, ...]:
    if aim.at is None:
        return (NOTHING,)
    return tuple(thing for thing in things if thing.kind == aim.at.noun)


def _put_in(value: JsonValue, name: str, home: str) -> JsonValue:
    if isinstance(value, str):
        return value.replace("{home}", home).replace("{name}", name)
    if isinstance(value, list):
        return [_put_in(one, name, home) for one in value]
    if isinstance(value, dict):
        return {key: _put_in(one, name, home) for key, one in value.items()}
    return value


def _found(listing: Listing, text: str) -> Iterator[tuple[str, str]]:
    """How a script finds the name of each thing, and what it is now."""
    in_answer = _in_json if listing.each else _in_lines
    for number, found in enumerate(in_answer(listing, text)):
        if number == listing.most:
            return
        yield found


def _in_json(listing: Listing, text: str) -> Iterator[tuple[str, str]]:
    try:
        document = json.loads(text)
    except ValueError:
        return
    number = 0
    while True:
        path = listing.each.replace("*", str(-number - 1 if listing.from_end else number))
        try:
            name = JsonPath.parse(path).follow(document)
        except NothingThereError:
            return
        yield path, str(name)
        number += 1


def _in_lines(listing: Listing, text: str) -> Iterator[tuple[str, str]]:
    lines = text.rstrip("\n").split("\n")
    for number, line in enumerate(reversed(lines) if listing.from_end else lines):
        if not line.strip():
            continue
        one, name = (FIRST_WORD, line.split()[0]) if listing.first_word else (WHOLE_LINE, line)
        before = rf"\A(?:[^\n]*\n){{{number}}}{one}"
        after = rf"(?m:^){one}(?:\n[^\n]*){{{number}}}\n*\Z"
        yield (after if listing.from_end else before), name
