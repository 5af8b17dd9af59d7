"""What surfaces say they can destroy: every entry is whole, and what is said to show it exists."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from harness.facts import Destruction
from harness.seams.lookup import BUILT_IN, lookup

ROOT = Path(__file__).parent.parent.parent
ENTRIES = [
    pytest.param(name, entry, id=f"{name}: {entry.operation}")
    for name in BUILT_IN["surfaces"]
    for entry in lookup("surfaces", name).destructive
]


@pytest.mark.parametrize("name", BUILT_IN["surfaces"])
def test_every_surface_lists_what_it_can_destroy(name: str) -> None:
    listed = lookup("surfaces", name).destructive
    assert listed
    assert len({entry.operation for entry in listed}) == len(listed)


@pytest.mark.parametrize(("name", "entry"), ENTRIES)
def test_every_entry_names_what_shows_it(name: str, entry: Destruction) -> None:
    assert entry.operation
    assert entry.guard
    assert "|" not in f"{entry.operation}{entry.undo}{entry.takes_along}{entry.guard}", (
        "it would break the table"
    )
    if entry.basis == "documented":
        assert entry.evidence.startswith("https://")
        return
    file, _, test = entry.evidence.partition("::")
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    assert test in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert test.startswith("test_")
