"""Where in the files of a loaded scenario a value stands, for what only turns out when it is played."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.errors import ScenarioError
from harness.scenario.models import LoadedScenario
from harness.scenario.patch import written_places
from harness.scenario.positions import Document, KeyPath, parse
from harness.scenario.source import read_text


@dataclass(frozen=True)
class Whereabouts:
    """A place in a file; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


def place_of(loaded: LoadedScenario, path: KeyPath, *, of_key: bool = False) -> Whereabouts:
    """Where the value that counts stands: in the scenario or the one it is like, in a guard, or in the stack.

    Args:
        loaded: the scenario.
        path: of the value, as the stack or the scenario has it.
        of_key: the place of its key, not of the value.

    Returns:
        The beginning of the stack file when the value is not to be found, as when the files have changed.
    """
    scenario = loaded.scenario
    beside = [loaded.file, *([loaded.folder / scenario.like] if scenario.like else [])]
    stack = loaded.folder / scenario.stack
    candidates = [(file, path) for file in beside if path[0] == "objectives"]
    candidates += [(stack, where) for where in written_places(path, scenario.guards)]
    for file, where in candidates:
        for document in _read(file):
            if where in document.values:
                mark = document.mark(where, of_key=of_key)
                return Whereabouts(str(file), mark.line, mark.column)
    return Whereabouts(str(stack), 1, 1)


def _read(file: Path) -> Iterator[Document]:
    try:
        yield parse(read_text(file), str(file))
    except ScenarioError:
        return
