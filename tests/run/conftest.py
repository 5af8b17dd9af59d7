"""Where the drills of these tests write and work."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

import pytest

from harness.run.place import Place


@pytest.fixture(scope="module")
def stage(sandbox: object) -> Iterator[Place]:
    """A place whose work folder the servers' account can enter, and the cache that all tests share."""
    root = Path(mkdtemp(prefix="ninelives-stage-"))
    root.chmod(0o711)
    yield Place(reports=root / "reports", work=root / "work", cache=sandbox.cache)  # type: ignore[attr-defined]
    shutil.rmtree(root)
