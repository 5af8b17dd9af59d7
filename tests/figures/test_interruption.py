"""A benchmark that is told to end leaves no server, and no file, behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

import psutil
import pytest

from benchmarks.interruption import INTERRUPTED
from harness.sandbox import MARK

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PATIENCE = 300.0
"""What a loaded machine may take for a thing that takes seconds."""


@pytest.fixture
def place() -> Iterator[Path]:
    """Where a benchmark puts everything; also the account that servers run as may enter it."""
    made = Path(mkdtemp(prefix="ninelives-test-"))
    made.chmod(0o711)
    yield made
    rmtree(made, ignore_errors=True)


def servers_in(place: Path) -> list[psutil.Process]:
    """Processes of a run below there."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            told = process.environ()
            if told.get(MARK) and told.get("HOME", "").startswith(f"{place}/"):
                found.append(process)
    return found


@pytest.mark.parametrize("command", ["benchmarks.restore --size 1 pg_dump", "benchmarks restore"])
def test_what_it_has_started_ends_before_it(place: Path, command: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", *command.split()],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(place)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as benchmark:
        try:
            began = time.monotonic()
            while not servers_in(place):
                assert benchmark.poll() is None, "it ended before it had a server"
                assert time.monotonic() - began < PATIENCE, "it starts no server"
                time.sleep(0.01)
            benchmark.send_signal(signal.SIGTERM)
            _, said = benchmark.communicate(timeout=PATIENCE)
            left = servers_in(place)
        finally:
            benchmark.kill()
            for process in servers_in(place):
                process.kill()
    assert benchmark.returncode == INTERRUPTED, said
    assert left == []
    assert [path for path in place.iterdir() if "cache" not in path.name] == []
