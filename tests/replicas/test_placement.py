"""Copies are spread over the disk where the file system can, and nothing breaks where it cannot."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from harness.replicas.placement import spread_out


def file_system(path: Path) -> str:
    ran = subprocess.run(["df", "--output=fstype", path], capture_output=True, text=True)
    return ran.stdout.split()[-1] if ran.returncode == 0 else ""


@pytest.mark.skipif(shutil.which("lsattr") is None, reason="lsattr shows it")
@pytest.mark.skipif(file_system(Path("/var/tmp")) != "ext4", reason="ext4 is what knows it")
def test_a_directory_on_ext4_becomes_the_top_of_hierarchies():
    with TemporaryDirectory(dir="/var/tmp") as name:
        spread_out(Path(name))
        flags = subprocess.run(["lsattr", "-d", name], capture_output=True, text=True, check=True)
        assert "T" in flags.stdout.split()[0]
        spread_out(Path(name))


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="/proc is a file system that knows no flags")
def test_a_file_system_that_does_not_know_it_stays_as_it_is():
    before = Path("/proc/self").stat().st_mode
    spread_out(Path("/proc/self"))
    assert Path("/proc/self").stat().st_mode == before


def test_a_missing_directory_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        spread_out(tmp_path / "absent")
