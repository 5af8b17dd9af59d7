"""No room for the record: a clear error with a hint, exit code 4, and a clean teardown all the same."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Callable, Iterator

import pytest

from harness.journal.writer import JOURNAL_FILE
from tests.drills.command import SHOP, Installation, Running
from tests.faults.traces import Traces, traces


@pytest.mark.drill
@pytest.mark.parametrize("phase", ["provision", "steady-state", "teardown"])
def test_a_journal_that_cannot_grow_ends_the_run(installation: Installation, phase: str) -> None:
    """The limit is set on the command alone, once its servers run, so that only its own writes fail."""
    run = installation.start("run", SHOP / "emptied-dump.yaml", "--quiet")
    run.wait_for("provision", "provisioned")
    held = traces(run.folder.name, installation.work)
    run.wait_for(phase, "provisioned" if phase == "provision" else "")
    size = (run.folder / JOURNAL_FILE).stat().st_size
    _, hard = resource.prlimit(run.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(run.process.pid, resource.RLIMIT_FSIZE, (size + 100, hard))
    assert_ended_with_a_hint(run, held, "File too large")
    judged = installation.call("judge", run.folder)
    assert (judged.returncode, judged.stderr) == (2, "")


@pytest.fixture
def mount(installation: Installation) -> Iterator[Callable[[str], None]]:
    """Gives the reports a small disk of their own."""
    installation.reports.mkdir()
    mounted: list[str] = []

    def mount(size: str) -> None:
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(installation.reports)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"this root may not mount: {done.stderr.strip()}")
        mounted.append(size)

    yield mount
    for _ in mounted:
        subprocess.run(["umount", "--lazy", str(installation.reports)], check=True)


@pytest.mark.drill
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount; the limit on file sizes is for everyone")
@pytest.mark.parametrize("size", ["4k", "120k"])
def test_a_full_disk_ends_the_run(
    installation: Installation, mount: Callable[[str], None], size: str
) -> None:
    mount(size)
    run = installation.start("run", SHOP / "emptied-dump.yaml", "--quiet")
    code, _, err = run.end()
    assert code == 4, err
    assert "No space left on device" in err
    assert "hint: " in err
    assert "Traceback" not in err
    (folder,) = installation.folders()
    assert Traces().left(folder.name, installation.work) == []
    assert installation.at_work() == ()


def assert_ended_with_a_hint(run: Running, held: Traces, cause: str) -> None:
    code, _, err = run.end()
    assert code == 4, err
    assert err.startswith("error: ")
    assert cause in err
    assert "hint: " in err
    assert "Traceback" not in err
    assert held.left(run.folder.name, run.installation.work) == []
    assert run.installation.at_work() == ()
