"""docs/scenarios.md: its examples are true, and its tables fresh."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.scenario.load import load_scenario
from harness.scenario.reference import key_tables
from harness.scenario.scenario_rules import VERBS
from harness.scenario.schema import scenario_schema, stack_schema

from .samples import HERE, problems_of, replace_in

PAGE = HERE.parent.parent / "docs" / "scenarios.md"
TEXT = PAGE.read_text()


def block(after: str) -> str:
    """The first fenced block behind a heading."""
    match = re.search(r"```[a-z]*\n(.*?)```", TEXT[TEXT.index(after) :], re.DOTALL)
    assert match
    return match[1]


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """The example of the page, with the files that it names."""
    folder = tmp_path / "shop"
    (folder / "workspace").mkdir(parents=True)
    (folder / "stack.yaml").write_text(block("## The stack"))
    (folder / "leaked-token.yaml").write_text(block("## The scenario"))
    (folder / "leaked-token-guarded.yaml").write_text(block("## Variants"))
    (folder / "workspace" / ".env").write_text(block("**Credentials that lie about.**"))
    for name in ("schema.sql", "slice.sql", "workload.py"):
        (folder / name).write_text("")
    return folder


def test_the_examples_load(shop: Path) -> None:
    assert problems_of(shop / "leaked-token.yaml") == ()
    loaded = load_scenario(shop / "leaked-token-guarded.yaml")
    assert loaded.scenario.guards == ("project-token",)
    assert loaded.scenario.expect == {}


def test_the_mistakes_are_told_as_the_page_says(shop: Path) -> None:
    drill, stack = shop / "leaked-token.yaml", shop / "stack.yaml"
    replace_in(drill, "rows: 2000", "rows: 2_000")
    replace_in(drill, "rate: 20/s", "rate: 20")
    replace_in(drill, "save: {token", "sav: {token")
    replace_in(drill, "'Bearer ${token}'", "Bearer x")
    replace_in(drill, "'Bearer ${token}'", "Bearer x")
    replace_in(stack, "to: vault", "to: valt")
    replace_in(stack, "for: 30d", "for: 30")
    told = "\n".join(str(problem) for problem in problems_of(drill)).replace(f"{shop}/", "")
    assert told + "\n" == block("## Mistakes")


def test_the_steps_that_are_shown_can_be_made(shop: Path) -> None:
    steps = "".join(f"    {line}\n" for line in block("journal.\n\n| surface").splitlines())
    drill = shop / "leaked-token.yaml"
    text = drill.read_text()
    drill.write_text(text[: text.index("    - do:")] + steps + text[text.index("recover:") :])
    assert problems_of(drill) == ()


def test_every_verb_is_named() -> None:
    for surface, verbs in VERBS.items():
        row = next(line for line in TEXT.splitlines() if line.startswith(f"| `{surface}` |"))
        for verb in verbs:
            assert re.search(rf"`{verb}[`:]", row), (surface, verb)


def test_the_tables_of_keys_are_fresh() -> None:
    assert f"<!-- generated: keys -->\n{key_tables()}\n<!-- end -->" in TEXT, "run `make docs`"


def test_every_key_has_a_row() -> None:
    tables = key_tables()
    for schema in (stack_schema(), scenario_schema()):
        for name, part in schema["$defs"].items():
            for key in part.get("properties", {}) if not name.endswith("Patch") else ():
                assert f"| `{key}` |" in tables


def test_links_within_the_tables_lead_to_a_heading() -> None:
    tables = key_tables()
    headings = {line.removeprefix("#### ").lower() for line in tables.splitlines() if line.startswith("####")}
    linked = set(re.findall(r"\]\(#([a-z0-9]+)\)", tables))
    assert linked
    assert linked <= headings
