"""A scenario that is like another says only what differs, and its errors still stand where they were made."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from harness.errors import ScenarioError
from harness.scenario.load import load_scenario

POCKETOS = Path(__file__).resolve().parents[2] / "scenarios" / "pocketos"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(POCKETOS, tmp_path / "pocketos"))


def write(folder: Path, text: str) -> Path:
    file = folder / "variant.yaml"
    file.write_text(f"like: as-it-happened.yaml\nid: pocketos/variant\ntitle: A variant\n{text}")
    return file


def test_what_is_not_said_is_as_in_the_other(folder: Path) -> None:
    original = load_scenario(folder / "as-it-happened.yaml").scenario
    variant = load_scenario(write(folder, "guards: [soft-delete]\nworkload: {users: 3}\n")).scenario
    assert variant.agent == original.agent
    assert variant.workload == original.workload.model_copy(update={"users": 3})
    assert (variant.guards, original.guards) == (("soft-delete",), ())


def test_an_error_in_the_variant_stands_in_the_variant(folder: Path) -> None:
    file = write(folder, "workload:\n  userz: 3\n")
    with pytest.raises(ScenarioError) as caught:
        load_scenario(file)
    (problem,) = caught.value.problems
    assert (problem.file, problem.line, problem.column) == (str(file), 5, 3)
    assert "users" in problem.hint


def test_an_error_in_the_other_stands_in_the_other(folder: Path) -> None:
    base = folder / "as-it-happened.yaml"
    base.write_text(base.read_text().replace("users: 10", "userz: 10"))
    with pytest.raises(ScenarioError) as caught:
        load_scenario(write(folder, "guards: []\n"))
    (problem,) = caught.value.problems
    assert problem.file == str(base)
    assert "userz" in base.read_text().splitlines()[problem.line - 1]


def test_null_takes_away_what_the_other_says(folder: Path) -> None:
    variant = load_scenario(write(folder, "incident: null\nexpect: {invariants: null}\n")).scenario
    assert variant.incident is None
    assert "invariants" not in variant.expect
    assert "rpo" in variant.expect


@pytest.mark.parametrize(
    ("other", "message"),
    [("as-it-hapened.yaml", "no file"), ("soft-delete.yaml", "itself like another")],
)
def test_another_that_cannot_be_used_is_the_only_complaint(folder: Path, other: str, message: str) -> None:
    file = folder / "variant.yaml"
    file.write_text(f"like: {other}\nid: pocketos/variant\ntitle: A variant\n")
    with pytest.raises(ScenarioError, match=message) as caught:
        load_scenario(file)
    (problem,) = caught.value.problems
    assert (problem.line, problem.column, problem.key) == (1, 7, "like")


def test_a_variant_has_a_digest_of_its_own(folder: Path) -> None:
    variant = load_scenario(write(folder, "guards: []\n"))
    assert variant.digest != load_scenario(folder / "as-it-happened.yaml").digest
