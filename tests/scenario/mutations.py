"""Ways to spoil plain values, for property tests."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from harness.scenario.positions import KeyPath

FREE_NAMES = {
    "services",
    "principals",
    "protections",
    "guards",
    "tables",
    "grants",
    "patch",
    "with",
    "save",
    "invariants",
    "expect",
    "other",
}
"""Mappings whose keys are names of the user's own; below ``patch``, ``with`` and ``other`` all is."""
ANYTHING = {"patch", "with", "other"}

ODD_VALUES: list[Any] = [
    None,
    True,
    0,
    -1,
    15,
    1.5,
    2**70,
    "",
    "x",
    "on",
    "15m",
    "0s",
    "50/s",
    "9" * 30 + "d",
    "../x",
    "/dev/zero",
    ".",
    "a/b",
    "schema.sql",
    "workspace",
    "postgres",
    "s3",
    "scripted",
    "bookings",
    "operator",
    "${token}",
    "$.a[",
    "(((",
    "é\u0301",
    "x" * 3000,
    [],
    [[]],
    ["bookings", "bookings"],
    {},
    {"kind": "railway"},
    {"token": "project"},
    {"[key]": None},
    {"": {"": []}},
]


def paths(tree: Any, path: KeyPath = ()) -> list[KeyPath]:
    """Every place of a tree but its root."""
    below = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [place for part, child in below for place in ((*path, part), *paths(child, (*path, part)))]


def model_keys(tree: Any) -> list[KeyPath]:
    """The places whose key is one that the models know, not a name of the user's own."""
    return [
        path
        for path in paths(tree)
        if isinstance(path[-1], str)
        and not (len(path) > 1 and path[-2] in FREE_NAMES)
        and not any(part in ANYTHING for part in path[:-1])
    ]


def at(tree: Any, path: KeyPath) -> Any:
    for part in path:
        tree = tree[part]
    return tree


def renamed(tree: Any, path: KeyPath, name: str) -> Any:
    """A copy with another key at a place, in the same order."""
    changed = json.loads(json.dumps(tree))
    above = at(changed, path[:-1])
    entries = [(name if key == path[-1] else key, value) for key, value in above.items()]
    above.clear()
    above.update(entries)
    return changed


def replaced(tree: Any, path: KeyPath, value: Any) -> Any:
    """A copy with another value at a place."""
    changed = json.loads(json.dumps(tree))
    at(changed, path[:-1])[path[-1]] = value
    return changed


def removed(tree: Any, path: KeyPath) -> Any:
    """A copy without a place."""
    changed = json.loads(json.dumps(tree))
    del at(changed, path[:-1])[path[-1]]
    return changed


@st.composite
def spoilt(draw: st.DrawFn, tree: Any) -> Any:
    """A tree with one to four changes at any places."""
    for _ in range(draw(st.integers(1, 4))):
        places = paths(tree)
        if not places:
            return tree
        path = draw(st.sampled_from(places))
        change = draw(st.sampled_from(["replace", "remove", "rename", "move"]))
        if change == "replace":
            tree = replaced(tree, path, draw(st.sampled_from(ODD_VALUES)))
        elif change == "remove":
            tree = removed(tree, path)
        elif change == "move":
            tree = replaced(tree, path, at(tree, draw(st.sampled_from(places))))
        elif isinstance(path[-1], str):
            tree = renamed(
                tree, path, draw(st.sampled_from(["x", "on", "kind", "Name", "[key]", "", path[-1] + "x"]))
            )
    return tree


@st.composite
def misspelt(draw: st.DrawFn, key: str) -> str:
    """A key with one letter too many, too few, or two exchanged."""
    place = draw(st.integers(0, len(key) - 1))
    slip = draw(st.sampled_from(["more", "less", "swap"]))
    if slip == "more":
        return key[:place] + key[place] + key[place:]
    if slip == "less" and len(key) > 2:
        return key[:place] + key[place + 1 :]
    return key[:place] + key[place : place + 2][::-1] + key[place + 2 :]
