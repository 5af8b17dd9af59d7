"""Paths into JSON."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.scenario.json_path import JsonPath, NothingThereError, PathError

ANSWER = {
    "data": {
        "project": {
            "volumes": {
                "edges": [
                    {"node": {"id": "v1", "name": "uploads", "size": 5, "mounted": True}},
                    {"node": {"id": "v2", "name": "bookings-data", "size": 50, "mounted": None}},
                    {"node": {"id": "v3", "name": "bookings-data", "size": 50}},
                ]
            },
            "an_odd-name": "odd",
        }
    },
    "list": [[1, 2], [3]],
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("$", ANSWER),
        ("$.list", [[1, 2], [3]]),
        ("$.list[0][1]", 2),
        ("$.list[-1][0]", 3),
        ("$.data.project.an_odd-name", "odd"),
        ("$.data.project.volumes.edges[0].node.id", "v1"),
        ("$.data.project.volumes.edges[?node.name=bookings-data].node.id", "v2"),
        ("$.data.project.volumes.edges[?node.size=50].node.id", "v2"),
        ("$.data.project.volumes.edges[?node.mounted=true].node.id", "v1"),
        ("$.data.project.volumes.edges[?node.mounted=null].node.id", "v2"),
    ],
)
def test_a_path_leads_to_its_value(path: str, value: object) -> None:
    assert JsonPath.parse(path).follow(ANSWER) == value


def test_a_list_may_be_the_whole() -> None:
    rows = [{"name": "staging", "id": 1}, {"name": "production", "id": 2}]
    assert JsonPath.parse("$[?name=production].id").follow(rows) == 2
    assert JsonPath.parse("$[0].name").follow(rows) == "staging"


@pytest.mark.parametrize(
    "path",
    [
        "$.nowhere",
        "$.data.nowhere.id",
        "$.data[0]",
        "$.list[2]",
        "$.list[-3]",
        "$.list.first",
        "$.list[0].name",
        "$.list[?name=x]",
        "$.data[?name=x]",
        "$.data.project.volumes.edges[?node.name=nowhere]",
        "$.data.project.volumes.edges[?node.size=5 0]",
    ],
)
def test_a_path_that_leads_nowhere_says_so(path: str) -> None:
    with pytest.raises(NothingThereError):
        JsonPath.parse(path).follow(ANSWER)


@pytest.mark.parametrize(
    "path", ["", "data", "$data", "$.", "$..id", "$[*]", "$[a]", "$.a[", "$[?name]", "$[?=x]", "$.a b", "$[1"]
)
def test_what_is_no_path_is_told_apart(path: str) -> None:
    with pytest.raises(PathError, match=r"cannot be understood|does not begin"):
        JsonPath.parse(path)


names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_-]{0,5}", fullmatch=True)


@given(st.lists(names | st.integers(0, 3), max_size=6), st.integers())
def test_every_path_to_a_planted_value_finds_it(steps: list[str | int], planted: int) -> None:
    whole: object = planted
    for step in reversed(steps):
        whole = {step: whole} if isinstance(step, str) else [None] * step + [whole]
    path = "$" + "".join(f".{step}" if isinstance(step, str) else f"[{step}]" for step in steps)
    assert JsonPath.parse(path).follow(whole) == planted
