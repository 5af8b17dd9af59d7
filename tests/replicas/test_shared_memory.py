"""A killed server's shared memory is given back, and nobody else's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from harness.replicas.shared_memory import TABLE, release_shared_memory

MAKE = "import ctypes, os; print(os.getpid(), ctypes.CDLL(None).shmget(0, 56, 0o1600))"


def segments() -> set[int]:
    return {int(line.split()[1]) for line in TABLE.read_text().splitlines()[1:]}


@pytest.mark.skipif(not Path(TABLE).exists(), reason="only Linux lists its segments")
def test_what_a_dead_process_made_is_removed_and_the_rest_stays() -> None:
    made = [subprocess.run([sys.executable, "-c", MAKE], capture_output=True, text=True).stdout for _ in "ab"]
    (dead, gone), (other, kept) = ([int(word) for word in line.split()] for line in made)
    assert {gone, kept} <= segments()
    release_shared_memory([dead])
    assert kept in segments()
    assert gone not in segments()
    release_shared_memory([other])
    assert kept not in segments()
