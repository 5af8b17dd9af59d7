"""What a machine cannot play is left out aloud, and in CI it fails: no Landlock in the kernel, no Pango."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
CONFINED = "tests/test_confinement.py::test_within_its_run_it_does_what_it_wants"
OTHER_MACHINES = {
    CONFINED: (
        "from harness import confinement\nconfinement.is_offered = lambda: False\n",
        "this kernel has no Landlock",
    ),
    "tests/render/test_pdf.py::test_another_run_has_another_identifier": (
        "from harness.render import pdf\npdf.trouble = lambda: 'there is no Pango'\n",
        "there is no Pango",
    ),
}
"""One test each, by its name: what makes this machine another one, and what is to be told."""


def play(folder: Path, one: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """That test on the other machine."""
    (folder / "other_machine.py").write_text(OTHER_MACHINES[one][0])
    kept = {name: value for name, value in os.environ.items() if name not in ("CI", "PYTEST_ADDOPTS")}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "other_machine", one],
        cwd=ROOT,
        env={**kept, "PYTHONPATH": str(folder), **variables},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("one", OTHER_MACHINES)
def test_what_is_left_out_is_told(one: str, tmp_path: Path) -> None:
    played = play(tmp_path, one)
    assert played.returncode == 0, played.stdout
    assert "left out: 1 tests" in played.stdout
    assert OTHER_MACHINES[one][1] in played.stdout.partition("left out")[2]


@pytest.mark.parametrize("one", OTHER_MACHINES)
def test_in_ci_nothing_is_left_out_that_can_be_had(one: str, tmp_path: Path) -> None:
    """A kernel is the machine's, for whoever runs; a package is root's to install."""
    played = play(tmp_path, one, CI="true")
    fails = one == CONFINED or os.geteuid() == 0
    assert played.returncode == (1 if fails else 0), played.stdout
    assert OTHER_MACHINES[one][1] in played.stdout
