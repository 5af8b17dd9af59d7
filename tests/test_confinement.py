"""A confined program changes files of its run, reads the system's, runs nothing, and takes nobody along."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory

import pytest

from harness.confinement import SYSTEM, Bounds
from harness.sandbox import MARK, Sandbox, end_session
from tests.conftest import fresh_sandbox

pytestmark = pytest.mark.landlock

Try = Callable[..., str]
PYTHON = Path(sys.executable).resolve()
OWN = Bounds(reads=(Path(sys.prefix), Path(sys.base_prefix)))
REFUSED = "PermissionError"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with fresh_sandbox() as made:
        yield made


@pytest.fixture
def outside() -> Iterator[Path]:
    """A directory that everybody may write to, with a file that everybody may read."""
    with TemporaryDirectory(dir="/var/tmp") as name:
        directory = Path(name)
        directory.chmod(0o777)
        (directory / "theirs").write_text("a letter")
        (directory / "theirs").chmod(0o666)
        yield directory


@pytest.fixture
def attempt(sandbox: Sandbox, tmp_path: Path) -> Try:
    """What comes of a statement in a program that is confined, or is not."""

    def attempt(statement: str, bounds: Bounds | None = OWN) -> str:
        script = f"try:\n {statement}\n print('done')\nexcept OSError as error:\n print(type(error).__name__)"
        process = sandbox.start(
            [PYTHON, "-I", "-c", script],
            log=tmp_path / "log",
            directory=sandbox.root,
            stdout=subprocess.PIPE,
            bounds=bounds,
        )
        return process.communicate(timeout=60)[0].decode().strip()

    return attempt


REACHING = {
    "write": "open({0!r} + '/theirs', 'w')",
    "make": "open({0!r} + '/new', 'x')",
    "remove": "import os; os.remove({0!r} + '/theirs')",
    "rename": "import os; os.rename({0!r} + '/theirs', {0!r} + '/ours')",
    "read": "open({0!r} + '/theirs').read()",
    "list": "import os; os.listdir({0!r})",
    "run": "import subprocess; subprocess.run(['/bin/true'], check=True)",
}


@pytest.mark.parametrize("what", REACHING)
def test_it_reaches_nothing_outside_of_its_run(attempt: Try, outside: Path, what: str) -> None:
    statement = REACHING[what].format(str(outside))
    assert attempt(statement) == REFUSED
    assert (outside / "theirs").read_text() == "a letter"
    assert attempt(statement, None) == "done", "without bounds it can"


def test_within_its_run_it_does_what_it_wants(attempt: Try, sandbox: Sandbox) -> None:
    (sandbox.root / "one").mkdir()
    (sandbox.root / "two").mkdir()
    write = "import os; open('one/file', 'w').write('x'); os.rename('one/file', 'two/file')"
    assert attempt(write) == "done"
    assert (sandbox.root / "two/file").read_text() == "x"
    assert attempt("open('/dev/null', 'w').write('x'); open('/etc/passwd').read()") == "done"


def test_what_it_writes_it_cannot_run(attempt: Try, sandbox: Sandbox) -> None:
    copy = "import shutil, subprocess; shutil.copy('/bin/true', 'own'); subprocess.run(['./own'])"
    assert attempt(copy) == REFUSED
    assert os.access(sandbox.root / "own", os.X_OK)


def test_programs_that_it_may_run_are_confined_too(attempt: Try, outside: Path) -> None:
    touch = which("touch")
    assert touch is not None
    may = Bounds(reads=OWN.reads, runs=SYSTEM)
    run = "import subprocess; assert subprocess.run([{0!r}, {1!r}]).returncode == {2}"
    assert attempt(run.format(touch, "touched", 0), may) == "done"
    assert attempt(run.format(touch, str(outside / "new"), 1), may) == "done"
    assert not (outside / "new").exists()


def test_a_script_runs_what_it_names(sandbox: Sandbox, tmp_path: Path) -> None:
    script = sandbox.root / "server"
    script.write_text("#!/bin/sh\nexec env echo started\n")
    script.chmod(0o755)
    process = sandbox.start([script], log=tmp_path / "log", directory=sandbox.root, bounds=Bounds())
    assert process.wait(timeout=60) == 0
    assert (tmp_path / "log").read_text() == "started\n"


def test_it_cannot_look_into_other_processes_of_its_account(sandbox: Sandbox, tmp_path: Path) -> None:
    """Whose environment may hold what logs in elsewhere."""
    sleep, cat = which("sleep"), which("cat")
    assert sleep is not None
    assert cat is not None
    other = sandbox.start([sleep, "600"], log=tmp_path / "log", directory=sandbox.root, drop=True)

    def reading(bounds: Bounds | None) -> str:
        command, log = [cat, f"/proc/{other.pid}/environ"], tmp_path / f"read-{bounds is None}"
        reader = sandbox.start(command, log=log, directory=sandbox.root, drop=True, bounds=bounds)
        reader.wait(timeout=60)
        return log.read_text()

    try:
        while MARK not in Path(f"/proc/{other.pid}/environ").read_text():
            pass  # until it is executed, it is a copy of us
        assert MARK in reading(None)
        assert "Permission denied" in reading(Bounds())
    finally:
        end_session(other)


def test_whoever_started_it_stays_free(attempt: Try, outside: Path) -> None:
    assert attempt("open('x', 'w')") == "done"
    (outside / "theirs").write_text("another letter")
    assert subprocess.run(["/bin/true"]).returncode == 0
