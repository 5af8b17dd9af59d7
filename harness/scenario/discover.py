"""Finds scenario files below folders, without reading more of a file than it takes to tell."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.errors import RequestError

SCENARIO_KEYS = re.compile(rb"(?=.*^id:[ \t]*\S)(?=.*^(?:stack|like|agent):)", re.MULTILINE | re.DOTALL)
"""A scenario has an id, and a stack, an agent, or another that it is like; one may be misspelt."""


def is_scenario(path: Path) -> bool:
    """Whether a YAML file looks like a scenario; it may still have errors."""
    if path.suffix not in {".yaml", ".yml"} or not path.is_file():
        return False
    with path.open("rb") as file:
        return SCENARIO_KEYS.match(file.read(65536)) is not None


def find_scenarios(paths: Sequence[Path]) -> tuple[Path, ...]:
    """Every scenario file among the paths and below them, sorted within each path.

    A file that is named is taken as it is, so that the loader can say what is wrong with it.

    Raises:
        RequestError: a path does not exist, or none of them holds a scenario.
    """
    found = tuple(dict.fromkeys(file for path in paths for file in _below(path)))
    if not found:
        raise RequestError(
            f"no scenario in {', '.join(str(path) for path in paths)}",
            hint="a scenario is a YAML file with a `stack:` key; see docs/scenarios.md",
        )
    return found


def _below(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from sorted(file for file in path.rglob("*.y*ml") if is_scenario(file))
    elif path.exists():
        yield path
    else:
        named = [file for suffix in (".yaml", ".yml") if (file := _file_of(path, suffix))]
        hint = f"did you mean {named[0]}?" if named else "name scenario files, or folders with some"
        raise RequestError(f"{path} does not exist", hint=hint)


def _file_of(path: Path, suffix: str) -> Path | None:
    """The file that somebody may have meant who wrote a scenario's id, or left the suffix out."""
    meant = (path.with_name(path.name + suffix), Path("scenarios") / path.parent / (path.name + suffix))
    return next((file for file in meant if file.is_file()), None)
