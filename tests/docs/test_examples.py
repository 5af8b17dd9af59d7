"""The scenario files that the pages show can be used as they stand."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

import pytest
import yaml

from harness.archive.policy import read_policy
from harness.run.drill import drill
from harness.run.place import Place
from harness.sandbox import Sandbox
from harness.scenario.load import load_scenario
from harness.scenario.problems import BUILT_IN
from harness.scenario.stack_file import read_stack

from .pages import ROOT, Block, Page, name_of, pages

FILLING = {
    "schema.sql": "CREATE TABLE orders (id uuid PRIMARY KEY, placed_at timestamptz NOT NULL);",
    "slice.sql": "SELECT :from, :to, :rows;",
    "workload.py": "from harness.workload import LedgerUser",
    "workspace/.env": "TOKEN=@@deployer/platform:secret@@\n",
}
"""Stands in for files that a page names and does not show."""


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty folder that the account of servers may enter."""
    made = Path(mkdtemp(prefix="ninelives-docs-"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made)


def keys_of(block: Block) -> set[str]:
    """The top-level keys of a block of YAML; none when it is a list."""
    content = yaml.safe_load(block.text)
    return set(content) if isinstance(content, dict) else set()


def blocks_with(page: Page, *keys: str) -> list[Block]:
    return [block for block in page.blocks if block.language == "yaml" and keys_of(block) & set(keys)]


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755 if text.startswith("#!") else 0o644)
    return path


def write_captioned(page: Page, folder: Path) -> None:
    """Write the files that a page shows whole."""
    for block in page.blocks:
        if block.caption:
            write(folder, block.caption, block.text)


@pytest.mark.parametrize("page", [page for page in pages() if blocks_with(page, "services")], ids=name_of)
def test_every_stack_that_is_shown_is_one(page: Page, folder: Path) -> None:
    for name, text in FILLING.items():
        write(folder, name, text)
    write_captioned(page, folder)
    for block in blocks_with(page, "services"):
        assert read_stack(write(folder, "stack.yaml", block.text), BUILT_IN).problems == ()


@pytest.mark.parametrize("page", [page for page in pages() if blocks_with(page, "required")], ids=name_of)
def test_every_policy_that_is_shown_is_one(page: Page, folder: Path) -> None:
    for block in blocks_with(page, "required"):
        assert read_policy(write(folder, "policy.yaml", block.text)).rules


@pytest.mark.parametrize(
    "page", [page for page in pages() if blocks_with(page, "stack", "like")], ids=name_of
)
def test_every_scenario_that_is_shown_is_one(page: Page, folder: Path) -> None:
    for name, text in FILLING.items():
        write(folder, name, text)
    write_captioned(page, folder)
    stack, *_ = blocks_with(page, "services")
    write(folder, "stack.yaml", stack.text)
    shown = blocks_with(page, "stack", "like")
    names = [yaml.safe_load(block.text)["id"].rpartition("/")[2] for block in shown]
    paths = [write(folder, f"{name}.yaml", block.text) for name, block in zip(names, shown, strict=True)]
    for path in paths:
        assert load_scenario(path).id.endswith(path.stem)


@pytest.mark.drill
def test_the_first_scenario_of_the_readme_does_what_it_says(folder: Path, sandbox: Sandbox) -> None:
    page = Page(ROOT / "README.md")
    mine = folder / "mine"
    write_captioned(page, mine)
    place = Place(reports=folder / "reports", work=folder / "work", cache=sandbox.cache)
    drilled = drill(load_scenario(mine / "dropped-table.yaml"), place)
    assert drilled.fault is None
    values = {verdict.objective: verdict.value for verdict in drilled.record.verdicts}
    # The dumps are a day old at worst, and an hour is allowed; every row is brought back in minutes.
    assert values == {"backup-survival": "held", "rpo": "breached", "rto": "held"}
