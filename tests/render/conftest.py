"""Judged runs that were written by hand, and the browser that their pages are looked at in."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from odd_runs import ODD_RUNS
from playwright.sync_api import Browser, Error, sync_playwright
from pocketos_run import RUN, Tape, loaded, play_pocketos, pocketos_verdicts

from harness.journal.record import RunRecord

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ("--disable-background-networking", "--disable-quic", "--no-first-run")


@pytest.fixture(scope="session")
def pocketos(tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    """The PocketOS run as it happened."""
    tape = Tape(tmp_path_factory.mktemp("reports") / RUN)
    play_pocketos(tape)
    return tape.record(loaded(), pocketos_verdicts(tape))


@pytest.fixture(scope="session", params=sorted(ODD_RUNS))
def odd_run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    """Each of the runs that did not go as runs should."""
    return ODD_RUNS[request.param](tmp_path_factory.mktemp("odd") / "run")


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    """The run whose every text wants to do harm to its reader."""
    return ODD_RUNS["hostile"](tmp_path_factory.mktemp("hostile") / "run")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless Chromium. Its absence is a failure in CI, and elsewhere a reason not to look."""
    found = next((path for name in CHROMIUM if (path := shutil.which(name))), None)
    if found is None:
        message = "no Chromium on this machine; install it (Debian: apt-get install chromium)"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    with sync_playwright() as playwright:
        flags = [*FLAGS, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
        try:
            chromium = playwright.chromium.launch(executable_path=found, args=flags)
        except Error:
            # An ordinary user in a container has no namespaces to build the sandbox from. The pages are ours.
            chromium = playwright.chromium.launch(executable_path=found, args=[*FLAGS, "--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def tape(tmp_path: Path) -> Tape:
    """An empty run to write on."""
    return Tape(tmp_path / RUN)
