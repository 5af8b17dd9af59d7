"""An installation for each test, and a cache that all of them share."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

import pytest

from tests.conftest import CACHE
from tests.drills.command import Installation


@pytest.fixture
def installation() -> Iterator[Installation]:
    """Not below pytest's own directories: those are closed to the account that servers run as."""
    root = Path(mkdtemp(prefix="ninelives-faults-"))
    root.chmod(0o755)
    yield Installation(root, CACHE)
    shutil.rmtree(root, ignore_errors=True)
