"""What the pages say is so: generated parts are fresh, links lead somewhere, names are names of something."""

from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path
from textwrap import dedent
from types import ModuleType

import pytest

from harness.cli import Verbs

from .pages import ROOT, Block, Page, name_of, pages

PAGES = pytest.mark.parametrize("page", pages(), ids=name_of)
OUR_FOLDERS = ("harness/", "docs/", "tests/", "scenarios/", "benchmarks/", ".ci/")

HELD_ELSEWHERE = ("railway-operations",)
"""Not written by ``make docs``; ``tests/replicas/railway/test_schema.py`` holds it to the code."""


def load_generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATOR = load_generator()
FRESH = GENERATOR.fresh()


@pytest.mark.parametrize("path", sorted(FRESH), ids=lambda path: str(path.relative_to(ROOT)))
def test_generated_parts_are_fresh(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == FRESH[path], "run `make docs`"


@PAGES
def test_every_generated_part_is_one_that_can_be_generated(page: Page) -> None:
    named = re.findall(r"<!-- generated: ([^ ]+) -->", page.text)
    assert set(named) <= {*GENERATOR.PARTS, *HELD_ELSEWHERE}
    assert len(named) == len(GENERATOR.PART.findall(page.text)), "a part has no end"


@PAGES
def test_every_link_leads_somewhere(page: Page) -> None:
    dead = []
    for link in page.links:
        file, _, anchor = link.partition("#")
        target = page.path.parent / file if file else page.path
        if not target.exists() or (anchor and anchor not in Page(target).anchors):
            dead.append(link)
    assert dead == []


@PAGES
def test_every_path_of_ours_that_is_named_exists(page: Page) -> None:
    named = {text.rstrip("/") for text in page.ticked if text.startswith(OUR_FOLDERS) and " " not in text}
    own = {text for text in named if not re.search(r"[<*{]|scenarios/(mine|shop)", text)}
    assert [path for path in sorted(own) if not (ROOT / path).exists()] == []


@PAGES
def test_every_command_that_is_named_is_there(page: Page) -> None:
    verbs = re.findall(r"\bninelives ([a-z][a-z-]*)\b", " ".join(page.ticked))
    assert set(verbs) <= set(Verbs.SUMMARIES)
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    makes = re.findall(r"\bmake ([a-z]+)\b", " ".join(page.ticked))
    assert set(makes) <= set(targets)


@PAGES
def test_every_example_in_python_is_python(page: Page) -> None:
    assert [block.text for block in page.blocks if block.language == "python" and not is_python(block)] == []


def is_python(block: Block) -> bool:
    try:
        ast.parse(dedent(block.text))
    except SyntaxError:
        return False
    return True


def test_the_changelog_begins_with_what_is_not_released_yet() -> None:
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "Unreleased"


def test_contributing_names_paths_and_they_are_checked() -> None:
    """So that the check above cannot pass by finding nothing."""
    named = [text for text in Page(ROOT / "CONTRIBUTING.md").ticked if text.startswith(OUR_FOLDERS)]
    assert len(named) > 3


def test_the_page_about_drivers_has_python_and_it_is_checked() -> None:
    assert "python" in {block.language for block in Page(ROOT / "docs" / "drivers.md").blocks}
