"""What every part of the tests shares: one fixture, and how much chance there is in property tests."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex
from tempfile import gettempdir, mkdtemp

import pytest
from hypothesis import settings

from harness.sandbox import Sandbox, unprivileged_account

collect_ignore_glob = ["*.yaml"]
"""Scenarios here are material of tests; our own pytest plugin would play them, and refuse the bad ones."""

# CI must say the same of a commit twice; at a desk, new examples are welcome. A busy machine is no defect.
settings.register_profile("desk", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "desk")

CACHE = Path(gettempdir()) / f"ninelives-tests-cache-{os.geteuid()}"
"""Kept between test runs, as a user's own cache is: what is prepared in it must survive that."""

MEMORY = Path("/dev/shm")
ENOUGH = 4 * 2**30


def _fast_place() -> Path:
    """Memory, where there is enough of it: a server's copy is a thousand small files, made and removed."""
    if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free >= ENOUGH:
        return MEMORY
    return Path(gettempdir())


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """A run's place of its own for each test module, so that a module can share its servers.

    It does not lie below pytest's own directories, because those are closed to the account that servers
    run as when the tests run as root.
    """
    root = Path(mkdtemp(prefix="ninelives-test-", dir=_fast_place()))
    root.chmod(0o711)
    CACHE.mkdir(exist_ok=True)
    yield Sandbox(run_id=f"test-{token_hex(4)}", root=root, cache=CACHE, account=unprivileged_account())
    shutil.rmtree(root, ignore_errors=True)
