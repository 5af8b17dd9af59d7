"""The calls to a tree of files: its folders by their names, and in each the first file and the last."""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.search.moves import Key, Learned, Move, Thing, call


def moves(key: Key, things: tuple[Thing, ...], name: str) -> Iterator[Move]:
    """Every file operation that an account could try, given what it was shown."""
    del name

    def make(verb: str, what: str, **arguments: str) -> Move:
        return call(key, "destroy", f"files.{verb}", what, arguments, verb)

    yield call(key, "look", "files.list", "list files", {})
    for thing in things:
        if thing.kind == "top":
            yield make("delete", f"delete {thing.name}", path=thing.value)
        else:
            yield make("write", f"write over {thing.name}", path=thing.value, text="")
        if thing.within:
            yield make("move", f"move another file onto {thing.name}", path=thing.within, to=thing.value)


def learn(move: Move, text: str, known: int) -> Learned:
    """Folders and files at the top, by their names. What is in a folder may be named by its date, so it is
    found by its place: the last file, where copies lie the newest one, and the first, to be moved onto it."""
    del move
    saves: dict[str, str] = {}
    things: list[Thing] = []

    def find(pattern: str) -> str:
        variable = f"file_{known + len(saves) + 1}"
        saves[variable] = pattern
        return f"${{{variable}}}"

    lines = text.splitlines()
    for top in sorted({line.partition("/")[0] for line in lines}):
        things.append(Thing("top", top, top))
        within = [line for line in lines if line.startswith(f"{top}/")]
        if not within:
            things.append(Thing("file", top, top))
            continue
        one = rf"^({re.escape(top)}/[^\n]+)"
        first = find(f"(?m){one}") if len(within) > 1 else ""
        things.append(Thing("file", f"the last file of {top}", find(rf"(?ms)\A.*{one}"), first))
    return saves, things
