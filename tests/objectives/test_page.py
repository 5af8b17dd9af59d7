"""docs/objectives.md says what the code does: every objective, every gate, every figure."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.journal.events import Recovered
from harness.objectives.gates import GATES
from harness.objectives.gates import __doc__ as gates_text
from harness.scenario.models import Objectives
from harness.seams.lookup import BUILT_IN, lookup

from .drills import Run, idle_run, idle_scenario, scenario

PAGE = (Path(__file__).parents[2] / "docs" / "objectives.md").read_text()
SECTIONS = dict(re.findall(r"^## `([a-z-]+)`\n(.*?)(?=^## )", PAGE, re.M | re.S))
OBJECTIVES = tuple(BUILT_IN["objectives"])


def test_every_built_in_objective_has_a_section_and_a_field_in_the_scenario() -> None:
    assert set(SECTIONS) == set(OBJECTIVES)
    fields = {field.alias or name for name, field in Objectives.model_fields.items()} - {"other"}
    assert set(OBJECTIVES) == fields


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_section_says_what_holds_what_is_undecided_and_gives_an_example(name: str) -> None:
    for part in ("Held:", "**Undecided**", "Example:", "| figure | means |"):
        assert part in SECTIONS[name], f"{name} lacks {part}"


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_figure_that_a_judge_gives_is_explained_in_its_section(name: str) -> None:
    judge = lookup("objectives", name)().judge
    spoiled = Run()
    spoiled.recovered = {key: hash_ for key, hash_ in spoiled.shop.rows.items() if key != "late4"}
    histories = [
        (scenario(), Run().history()),
        (scenario(), spoiled.history()),
        (scenario(), Run().change(Recovered, ok=False).history()),
        (idle_scenario(), idle_run().history()),
    ]
    figures = {figure.name for asked, history in histories for figure in judge(asked, history).figures}
    explained = set(re.findall(r"`([^`]+)`", SECTIONS[name]))
    assert figures
    assert {figure.replace("sums", "<name>") for figure in figures} <= explained


def test_every_gate_stands_in_the_table_and_on_the_page() -> None:
    assert gates_text is not None
    listed = [line.split("|")[1].strip() for line in gates_text.splitlines() if line.startswith("| ")][1:]
    assert [gate.__name__.strip("_").replace("_", " ") for gate in GATES] == listed
    assert all(f"| {gate} |" in PAGE for gate in listed)
