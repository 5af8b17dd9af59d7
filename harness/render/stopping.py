"""What is told of a stack that could not be reset in the middle of a search."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from harness.journal.answer import Note
from harness.journal.rebuilds import Rebuild
from harness.render.wording import quantity


def rebuild_said(rebuild: Rebuild) -> str:
    """Why a stack was made again, in one line."""
    often = quantity(rebuild.times, "time")
    return f"made again {often}, as {rebuild.service} could not be reset: {rebuild.why}"


def ended_early(stopped: str, rebuilds: Iterable[Rebuild]) -> tuple[Note, ...]:
    """The same for a CI system."""
    return tuple(_notes(stopped, rebuilds))


def _notes(stopped: str, rebuilds: Iterable[Rebuild]) -> Iterator[Note]:
    if stopped:
        yield Note(name="it could not go on", text=stopped)
    for rebuild in rebuilds:
        yield Note(name=f"{rebuild.service} could not be reset", text=rebuild_said(rebuild))
