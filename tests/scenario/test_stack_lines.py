"""Where a loaded scenario says that grants, principals and services stand."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.scenario.discover import find_scenarios
from harness.scenario.load import load_scenario, restore_scenario
from harness.scenario.models import LoadedScenario, StackLine

from .samples import SHIPPED, replace_in

POCKETOS = SHIPPED / "pocketos" / "as-it-happened.yaml"


def lines_of(loaded: LoadedScenario) -> dict[str, StackLine]:
    return {line.path: line for line in loaded.lines}


def text_at(file: Path, line: StackLine) -> str:
    """What stands at a line of a file, from its column on."""
    return file.read_text(encoding="utf-8").splitlines()[line.line - 1][line.column - 1 :]


@pytest.mark.parametrize(
    "file", find_scenarios([SHIPPED]), ids=lambda file: f"{file.parent.name}-{file.stem}"
)
def test_each_key_stands_where_the_line_says(file: Path) -> None:
    loaded = load_scenario(file)
    stack, lines = loaded.stack, lines_of(loaded)
    named = {f"services.{name}" for name in stack.services}
    named |= {f"principals.{name}" for name in stack.principals}
    named |= {f"principals.{p}.grants.{s}" for p, model in stack.principals.items() for s in model.grants}
    assert lines.keys() == named
    for path, line in lines.items():
        assert line.file.endswith(f"{file.parent.name}/{loaded.scenario.stack}")
        assert text_at(file.with_name(loaded.scenario.stack), line).startswith(f"{path.rpartition('.')[2]}:")


def test_the_file_is_named_from_the_top_of_its_repository(drill: Path) -> None:
    assert lines_of(load_scenario(POCKETOS))["services.railway"].file == "scenarios/pocketos/stack.yaml"
    assert {line.file for line in load_scenario(drill).lines} == {"stack.yaml"}
    (drill.parent / ".git").mkdir()
    inner = drill.parent / "drills"
    inner.mkdir()
    for path in [path for path in drill.parent.iterdir() if path.name not in (".git", "drills")]:
        path.rename(inner / path.name)
    assert {line.file for line in load_scenario(inner / drill.name).lines} == {"drills/stack.yaml"}


def test_a_grant_stands_in_the_last_guard_that_writes_it(drill: Path) -> None:
    stack = drill.with_name("stack.yaml")
    replace_in(
        stack,
        "\nobjectives:",
        """
  one:
    why: One.
    patch: {principals: {staging-agent: {grants: {railway: {environment: production}}}}}
  two:
    why: Two.
    patch: {principals: {staging-agent: {grants: {railway: {token: account, environment: null}}}}}

objectives:""",
    )

    def written_at(*guards: str) -> str:
        line = lines_of(load_scenario(drill, guards=guards))["principals.staging-agent.grants.railway"]
        return text_at(stack, line)

    assert written_at() == "railway: {token: project, environment: staging}"
    assert written_at("one").startswith("railway: {environment: production}")
    assert written_at("two").startswith("railway: {token: account, ")
    assert written_at("one", "two") == written_at("two")


def test_they_are_kept_with_a_run(drill: Path) -> None:
    loaded = load_scenario(drill)
    assert loaded.lines
    assert restore_scenario(loaded.model_dump_json(by_alias=True)).lines == loaded.lines


def test_a_run_that_was_stored_without_them_can_still_be_read(drill: Path) -> None:
    loaded = load_scenario(drill)
    old = loaded.model_dump_json(by_alias=True, exclude={"lines"})
    assert restore_scenario(old).lines == ()


def test_they_play_no_part_in_the_digest(drill: Path) -> None:
    before = load_scenario(drill)
    stack = drill.with_name("stack.yaml")
    stack.write_text("# A comment.\n" + stack.read_text())
    after = load_scenario(drill)
    assert after.digest == before.digest
    assert after.lines[0].line == before.lines[0].line + 1
