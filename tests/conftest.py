"""What every part of the tests shares: one fixture, how much chance there is in property tests, and what
becomes of tests that need a container engine, a program or a kernel where there is none."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from secrets import token_hex
from tempfile import gettempdir, mkdtemp

import pytest
from hypothesis import settings

from harness.confinement import is_offered
from harness.render import pdf
from harness.sandbox import Sandbox, unprivileged_account
from harness.seams.container_engine import NAMESPACE, connect, trouble

collect_ignore_glob = ["*.yaml"]
"""Scenarios here are material of tests; our own pytest plugin would play them, and refuse the bad ones."""

# CI must say the same of a commit twice; at a desk, new examples are welcome. A busy machine is no defect.
settings.register_profile("desk", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "desk")

CACHE = Path(gettempdir()) / f"ninelives-tests-cache-{os.geteuid()}"
"""Kept between test runs, as a user's own cache is: what is prepared in it must survive that."""

MEMORY = Path("/dev/shm")
ENOUGH = 4 * 2**30


IMAGES = tuple(f"{NAMESPACE}{name}" for name in ("postgres", "mariadb", "valkey", "s3"))
LEFT_OUT = "no containers here"
NO_PDF = "no documents here"
UNCONFINED = "this kernel has no Landlock that is new enough"
PROGRAMS = {
    "restic": ("restic", "restic"),
    "pgbackrest": ("pgbackrest", "pgbackrest"),
    "mariadb": ("mariadbd", "mariadb-server"),
}
"""By marker: a program of the machine that such tests need, and the package that has it."""


@cache
def _without_containers() -> str:
    """Why tests that need containers cannot run; empty when they can."""
    why = trouble()
    if why:
        return why
    missing = [name for name in IMAGES if not connect().images.list(name)]
    return f"there is no image {', '.join(missing)}: run `make images`" if missing else ""


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Root in CI can have engine and programs, and the kernel there confines: nothing is left out in CI."""
    if item.get_closest_marker("landlock") is not None and not is_offered():
        _leave_out(UNCONFINED, can_be_had=True)
    if item.get_closest_marker("docker") is not None and (why := _without_containers()):
        _leave_out(f"{LEFT_OUT}: {why}")
    if item.get_closest_marker("pdf") is not None and (why := pdf.trouble()):
        _leave_out(f"{NO_PDF}: {why}")
    for marker, (program, package) in PROGRAMS.items():
        if item.get_closest_marker(marker) is not None and _find(program) is None:
            _leave_out(_not_installed(program, package))


def _find(program: str) -> str | None:
    return shutil.which(program, path=os.pathsep.join((os.defpath, "/usr/local/bin", "/usr/sbin")))


def _not_installed(program: str, package: str) -> str:
    return f"{program} is not installed (apt-get install {package})"


def _leave_out(why: str, *, can_be_had: bool = os.geteuid() == 0) -> None:
    if os.environ.get("CI") and can_be_had:
        pytest.fail(why, pytrace=False)
    pytest.skip(why)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in one line each what was left out, and why."""
    skips = [
        str(report.longrepr[2])
        for report in terminalreporter.stats.get("skipped", [])
        if isinstance(report.longrepr, tuple)
    ]
    for why in (_not_installed(*needed) for needed in PROGRAMS.values()):
        without = sum(why in skip for skip in skips)
        if without:
            terminalreporter.write_line(f"left out: {without} tests: {why}", yellow=True)
    without = sum(UNCONFINED in skip for skip in skips)
    if without:
        terminalreporter.write_line(f"left out: {without} tests: {UNCONFINED}", yellow=True)
    unprinted = [skip.partition(f"{NO_PDF}: ")[2] for skip in skips if NO_PDF in skip]
    if unprinted:
        told = f"left out: {len(unprinted)} tests of documents: {unprinted[0]}"
        terminalreporter.write_line(told, yellow=True)
    reasons = [skip.partition(f"{LEFT_OUT}: ")[2] for skip in skips if LEFT_OUT in skip]
    if reasons:
        told = f"left out: {len(reasons)} tests that run containers: {reasons[0]}"
        terminalreporter.write_line(told, yellow=True)


def _fast_place() -> Path:
    """Memory, where there is enough of it: a server's copy is a thousand small files, made and removed."""
    if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free >= ENOUGH:
        return MEMORY
    return Path(gettempdir())


@contextmanager
def fresh_sandbox() -> Iterator[Sandbox]:
    """A run's place of its own, for as long as the block runs.

    It does not lie below pytest's own directories, because those are closed to the account that servers
    run as when the tests run as root.
    """
    root = Path(mkdtemp(prefix="ninelives-test-", dir=_fast_place()))
    root.chmod(0o711)
    CACHE.mkdir(exist_ok=True)
    yield Sandbox(run_id=f"test-{token_hex(4)}", root=root, cache=CACHE, account=unprivileged_account())
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """One for each test module, so that a module can share its servers."""
    with fresh_sandbox() as made:
        yield made
