"""The good sample, copies of it to spoil, and what the loader says of them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from harness.errors import Problem, ScenarioError
from harness.scenario.load import load_scenario
from harness.scenario.positions import parse

HERE = Path(__file__).parent
GOOD = HERE / "good"
SHIPPED = HERE.parent.parent / "scenarios"


def copy_of_good(folder: Path) -> Path:
    """A copy of the good sample below a folder; returns the scenario file."""
    shutil.copytree(GOOD, folder / "rentals")
    return folder / "rentals" / "drill.yaml"


def good_tree(name: str) -> Any:
    """The plain values of a file of the good sample."""
    return parse((GOOD / name).read_text(), name).value


def problems_of(file: Path, **options: Any) -> tuple[Problem, ...]:
    """What the loader has against a file; nothing else than ScenarioError may come out of it."""
    try:
        load_scenario(file, **options)
    except ScenarioError as error:
        return error.problems
    return ()


def replace_in(file: Path, old: str, new: str) -> None:
    """Change a file that must hold the old text."""
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
