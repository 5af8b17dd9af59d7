"""Without a container engine, tests that need one are left out aloud, and in CI they fail."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
CONTRACTS = "tests/images/test_contracts.py"


def play(**variables: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("CI", "PYTEST_ADDOPTS")}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "2", CONTRACTS, "-k", "valkey or s3"],
        cwd=ROOT,
        env={**kept, "DOCKER_HOST": "unix:///nowhere/docker.sock", **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_is_left_out_is_told_in_one_line() -> None:
    played = play()
    assert played.returncode == 0
    told = [line for line in played.stdout.splitlines() if line.startswith("left out: ")]
    assert len(told) == 1
    assert told[0].startswith("left out: 2 tests that run containers: no container engine answers: ")


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user may have no engine in CI either")
def test_in_ci_nothing_is_left_out() -> None:
    played = play(CI="true")
    assert played.returncode == 1
    assert "2 errors" in played.stdout
    assert "no container engine answers" in played.stdout
