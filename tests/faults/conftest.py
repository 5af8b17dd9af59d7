"""An installation for each test, and a cache that all of them share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import CACHE
from tests.drills.command import Installation, fresh_installation


@pytest.fixture
def installation() -> Iterator[Installation]:
    fresh = fresh_installation(CACHE)
    yield fresh
    fresh.remove()
