"""One installation, and a few finished runs that all tests of the command share."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import CACHE
from tests.drills.command import SHOP, Installation, fresh_installation

IDLE = """\
like: emptied-dump.yaml
id: shop/idle
title: Nobody does anything
agent: {kind: idle, goal: null, steps: null}
expect: {rpo: held}
"""
SURPRISE = """\
like: emptied-dump.yaml
id: shop/surprise
title: Somebody thought that all would hold
expect: {rpo: held}
"""
MISSPELT = """\
like: emptied-dump.yaml
id: shop/misspelt
title: The harm misses its target
agent:
  kind: scripted
  as: intern
  goal: Tidy up.
  steps:
    - {do: sql.execute, on: shop, with: {statement: DELETE FROM odrers}, harm: true}
"""
BROKEN = """\
like: emptied-dump.yaml
id: shop/broken
title: The schema is not SQL
stack: with-broken-schema.yaml
"""


@dataclass(frozen=True)
class Finished:
    """A run of the command that is over.

    Attributes:
        code: its exit code.
        out, err: what it said.
        folders: the run folders that it made, by scenario id.
    """

    code: int
    out: str
    err: str
    folders: Mapping[str, Path]


@pytest.fixture(scope="session")
def installation() -> Iterator[Installation]:
    fresh = fresh_installation(CACHE)
    yield fresh
    fresh.remove()


@pytest.fixture(scope="session")
def scenarios(installation: Installation) -> Path:
    """Folders of scenarios: ``two`` has one that holds and one that does not, the others one each."""
    folder = installation.root / "scenarios"
    for name, files in {
        "two": {"idle": IDLE, "surprise": SURPRISE},
        "misspelt": {"misspelt": MISSPELT},
        "broken": {"broken": BROKEN, "too": BROKEN.replace("shop/broken", "shop/too")},
    }.items():
        shutil.copytree(SHOP, folder / name, ignore=shutil.ignore_patterns("*.yaml"))
        for support in ("with-vault.yaml", "emptied-dump.yaml"):
            shutil.copy(SHOP / support, folder / name)
        for scenario, text in files.items():
            (folder / name / f"{scenario}.yaml").write_text(text)
    stack = (SHOP / "with-vault.yaml").read_text()
    (folder / "broken" / "with-broken-schema.yaml").write_text(stack.replace("schema.sql", "broken.sql"))
    (folder / "broken" / "broken.sql").write_text("CREATE TABEL orders ();\n")
    return folder


@pytest.fixture(scope="session")
def finished(installation: Installation, scenarios: Path) -> Mapping[str, Finished]:
    """Three calls of the command, side by side: ``two`` as JSON, ``misspelt`` and ``broken`` for people."""
    two = scenarios / "two"
    calls = {
        "two": installation.start("run", two / "idle.yaml", two / "surprise.yaml", "--json"),
        "misspelt": installation.start("run", scenarios / "misspelt" / "misspelt.yaml"),
        "broken": installation.start("run", scenarios / "broken" / "broken.yaml", "--quiet"),
    }
    ends = {name: call.end() for name, call in calls.items()}
    folders = {folder.name.split("-", 1)[1].rsplit("-", 1)[0]: folder for folder in installation.folders()}
    return {name: Finished(*end, folders) for name, end in ends.items()}
