"""Where the kernel does not confine programs, tests about that are left out aloud, and in CI they fail."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
ONE = "tests/test_confinement.py::test_within_its_run_it_does_what_it_wants"
OLDER_KERNEL = "from harness import confinement\nconfinement.is_offered = lambda: False\n"


def play(folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """One test of confinement, as on a kernel that confines nothing."""
    (folder / "older_kernel.py").write_text(OLDER_KERNEL)
    kept = {name: value for name, value in os.environ.items() if name not in ("CI", "PYTEST_ADDOPTS")}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "older_kernel", ONE],
        cwd=ROOT,
        env={**kept, "PYTHONPATH": str(folder), **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_is_left_out_is_told(tmp_path: Path) -> None:
    played = play(tmp_path)
    assert played.returncode == 0, played.stdout
    assert "left out: 1 tests: this kernel has no Landlock" in played.stdout


def test_in_ci_nothing_is_left_out(tmp_path: Path) -> None:
    played = play(tmp_path, CI="true")
    assert played.returncode == 1, played.stdout
    assert "this kernel has no Landlock" in played.stdout
