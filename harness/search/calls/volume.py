"""The calls to a tree of files: its folders, by their names."""

from __future__ import annotations

from collections.abc import Iterator

from harness.search.moves import Key, Learned, Move, Thing, call


def moves(key: Key, things: tuple[Thing, ...], name: str) -> Iterator[Move]:
    """Every file operation that an account could try, given the folders it was shown."""
    del name
    yield call(key, "look", "files.list", "list files", {})
    for thing in things:
        yield call(
            key, "destroy", "files.delete", f"delete {thing.name}", {"path": thing.value}, "deleting a file"
        )


def learn(move: Move, text: str, known: int) -> Learned:
    """Folders and files at the top, by their names."""
    del move, known
    tops = sorted({line.partition("/")[0] for line in text.splitlines()})
    return {}, [Thing("folder", top, top) for top in tops]
