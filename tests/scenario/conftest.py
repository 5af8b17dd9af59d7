"""Copies of the good sample."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from .samples import copy_of_good

collect_ignore = ["good", "bad"]
"""They hold scenarios to be loaded here, not to be played: the plugin must not collect them."""


@pytest.fixture
def drill() -> Iterator[Path]:
    """The scenario file of a copy of the good sample, in a folder that every account may enter."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield copy_of_good(folder)


@pytest.fixture(scope="module")
def shared_drill() -> Iterator[Path]:
    """As ``drill``, for property tests that put the files back themselves."""
    with TemporaryDirectory() as name:
        yield copy_of_good(Path(name))
