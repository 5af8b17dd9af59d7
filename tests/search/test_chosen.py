"""A search takes a scenario, or a stack with a scenario beside it, whatever the file is called."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from harness.errors import RequestError
from harness.search.chosen import chosen

HOLES = Path(__file__).parent / "holes"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A stack that is called otherwise, and its scenario."""
    made = Path(shutil.copytree(HOLES, tmp_path / "holes"))
    (made / "stack.yaml").rename(made / "production.yml")
    scenario = made / "holes.yaml"
    scenario.write_text(scenario.read_text().replace("stack: stack.yaml", "stack: production.yml"))
    return made


def test_a_stack_is_known_by_what_it_says(folder: Path) -> None:
    found = chosen(folder / "production.yml", None)
    assert found.file.name == "holes.yaml"
    assert chosen(folder / "holes.yaml", None).scenario.stack == "production.yml"


def test_a_stack_of_which_no_scenario_is_beside_it_has_no_past(folder: Path) -> None:
    shutil.copy(folder / "production.yml", folder / "another.yaml")
    with pytest.raises(RequestError, match="no scenario beside"):
        chosen(folder / "another.yaml", None)


@pytest.mark.parametrize("text", ["replicas: 3\n", "- a list\n", "", "a sentence\n"])
def test_what_is_neither_is_refused_with_what_both_look_like(folder: Path, text: str) -> None:
    (folder / "stack.yaml").write_text(text)
    with pytest.raises(RequestError, match="neither a scenario nor a stack") as refused:
        chosen(folder / "stack.yaml", None)
    assert "`stack`" in refused.value.hint
    assert "`services`" in refused.value.hint
