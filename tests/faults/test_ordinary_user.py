"""When the tests run as root, a drill is played as an ordinary user too, with nothing of root's in reach."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from harness.archive.file import FILE
from tests.archive.runs import NOW, play
from tests.drills.command import PATIENCE, PROGRAM, SHOP, Installation
from tests.run.test_place import DIE_AT_WORK

NOBODY = 65534
READ_ANYTHING = "+dac_read_search"
"""A Python below /root is out of an ordinary user's reach; this capability lets it be read, and no more."""


@pytest.mark.drill
@pytest.mark.skipif(os.geteuid() != 0, reason="every other test has an ordinary user already")
def test_an_ordinary_user_can_drill(installation: Installation) -> None:
    home = installation.root / "home"
    home.mkdir()
    for path in (installation.root, home):
        os.chown(path, NOBODY, NOBODY)
    mine = Installation(
        installation.root, home / "cache", {"HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"}
    )
    done = as_nobody(
        mine, PROGRAM, "run", SHOP / "deleted-volume.yaml", SHOP / "emptied-dump.yaml", "--quiet"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("AS THE SCENARIO EXPECTS") == 2
    assert mine.at_work() == ()
    written = [path for path in installation.root.rglob("*") if path.lstat().st_uid != NOBODY]
    assert written == []
    assert len(mine.folders()) == 2
    doctor = as_nobody(mine, PROGRAM, "doctor")
    assert doctor.returncode == 0
    assert f"servers run as you (uid {NOBODY})" in doctor.stdout


@pytest.mark.drill
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can leave files that an ordinary user cannot remove")
def test_an_ordinary_user_drills_beside_what_he_cannot_remove(installation: Installation) -> None:
    home = installation.root / "home"
    home.mkdir(exist_ok=True)
    for path in (installation.root, home):
        os.chown(path, NOBODY, NOBODY)
    mine = Installation(installation.root, home / "cache", {"HOME": str(home)})
    as_nobody(mine, sys.executable, "-c", DIE_AT_WORK, mine.work)
    leased, stray = mine.work / "dead" / "db", mine.work / "dead" / "stray"
    (leased / "roots").mkdir(parents=True)
    (leased / "roots" / "own").touch()
    ran = as_nobody(mine, PROGRAM, "run", SHOP / "emptied-dump.yaml", "--quiet")
    assert (ran.returncode, ran.stdout.count("AS THE SCENARIO EXPECTS")) == (0, 1)
    assert ran.stderr.startswith("warning: the killed run dead is not gone: ")
    assert f"cannot remove {leased}\n  hint: a file in it belongs to another account" in ran.stderr
    leased.rename(stray)
    swept = as_nobody(mine, PROGRAM, "sweep")
    assert (swept.returncode, swept.stdout) == (4, "")
    assert swept.stderr.startswith(f"error: dead: cannot remove {stray.parent}\n  hint: ")
    shutil.rmtree(stray)
    swept = as_nobody(mine, PROGRAM, "sweep")
    assert (swept.returncode, swept.stdout, swept.stderr) == (0, "dead: removed, 0 leases\n", "")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can own what an ordinary user may not write")
def test_an_ordinary_user_reads_the_history_of_a_folder_that_is_not_his(installation: Installation) -> None:
    reports = installation.root / "theirs"
    for n in range(2):
        play(reports, f"run-{n}", at=NOW + timedelta(hours=n))
    home = installation.root / "reader"
    home.mkdir()
    environment = {"HOME": str(home), "NINELIVES_REPORTS": str(reports), "PYTHONDONTWRITEBYTECODE": "1"}
    reader = Installation(installation.root, home / "cache", environment)

    def listed() -> list[str]:
        done = as_nobody(reader, PROGRAM, "history", "--json")
        assert (done.returncode, done.stderr) == (0, "")
        return [json.loads(line)["run_id"] for line in done.stdout.splitlines()]

    assert listed() == ["run-1", "run-0"]
    assert not (reports / FILE).exists()
    assert subprocess.run([str(PROGRAM), "history", "--reports", str(reports)], check=True).returncode == 0
    play(reports, "run-2", at=NOW + timedelta(hours=2))
    kept = (reports / FILE).read_bytes()
    assert listed() == ["run-2", "run-1", "run-0"]
    assert (reports / FILE).read_bytes() == kept
    compared = as_nobody(reader, PROGRAM, "compare", "1", "3")
    assert (compared.returncode, compared.stderr) == (0, "")
    anew = as_nobody(reader, PROGRAM, "history", "--rebuild")
    assert (anew.returncode, anew.stdout) == (4, "")
    assert "Permission denied" in anew.stderr


def as_nobody(installation: Installation, *command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command as the account nobody, without any group or privilege of root's."""
    become = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv of util-linux is not there to become an ordinary user with")
    if not can_run(become):
        become += [f"--inh-caps={READ_ANYTHING}", f"--ambient-caps={READ_ANYTHING}"]
        if not can_run(become):
            pytest.skip(f"an ordinary user cannot run {sys.executable}, and this root may not change that")
    return subprocess.run(
        [*become, *map(str, command)],
        env=installation.environment,
        cwd=installation.root,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def can_run(become: list[str]) -> bool:
    """Whether a Python that was started so can start another: setpriv itself still may as root."""
    again = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import harness'], check=True)"
    program = [*become, sys.executable, "-c", again]
    return subprocess.run(program, capture_output=True, cwd="/", check=False).returncode == 0
