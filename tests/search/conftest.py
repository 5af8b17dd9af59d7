"""A folder of a module's own, in which servers may work and searches leave what they found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.run.place import Place, usual_place
from harness.sandbox import Sandbox
from tests.drills.command import Installation

from .shelves import installation_with_shelves
from .stages import folder_for_servers


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with folder_for_servers() as made:
        yield made


@pytest.fixture(scope="module")
def place(folder: Path, sandbox: Sandbox) -> Place:
    cache = folder / "cache"
    cache.symlink_to(sandbox.cache)
    return usual_place(folder / "reports", cache=cache)


@pytest.fixture(scope="module")
def installed(sandbox: Sandbox) -> Iterator[Installation]:
    """With a folder of scenarios for each kind of shelf."""
    with installation_with_shelves(sandbox) as made:
        yield made
