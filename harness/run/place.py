"""Where runs are written, where they work, and how what a killed run left is found again."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from secrets import token_hex
from tempfile import gettempdir

from platformdirs import user_cache_path

from harness.errors import HarnessError, LeftoverError, ProvisionError
from harness.facts import Lease
from harness.interrupts import deferred_interrupts
from harness.journal.history import LATEST, SCENARIO_FILE
from harness.replicas.leases import stop_run
from harness.replicas.placement import spread_out
from harness.sandbox import Sandbox, unprivileged_account

OWNER_FILE = ".ninelives-run"
"""Locked for as long as the run lives, with its process id in it for people."""

LOCK_FILE = "lock"
WORK = f"ninelives-{os.geteuid()}"
LEASES_FILE = "leases.jsonl"
ROOT_CACHE = Path("/var/cache/ninelives")
MEMORY = Path("/dev/shm")  # noqa: S108 - our directory in it is made as any other
ENOUGH_MEMORY = 2**30
"""Bytes that must be free there for a stack with its copies."""


@dataclass(frozen=True)
class Place:
    """The three directories of an installation.

    Attributes:
        reports: run folders are made in here, and stay.
        work: replicas live in here while a run lasts.
        cache: prepared clusters and unpacked servers.
    """

    reports: Path
    work: Path
    cache: Path


def usual_place(reports: Path, work: Path | None = None, cache: Path | None = None) -> Place:
    """A place with the usual directories where none is given.

    Root's own cache may lie in a home that the unprivileged account cannot enter, so root has another.
    """
    root = os.geteuid() == 0
    return Place(
        reports=reports.absolute(),
        work=(work or Path(gettempdir()) / WORK).absolute(),
        cache=(cache or (ROOT_CACHE if root else user_cache_path("ninelives"))).absolute(),
    )


def in_memory(place: Place) -> Place:
    """The same place, but work is done in memory if there is enough, unless somebody has chosen where.

    Trials delete and make thousands of small files each second, which disks do not like.
    """
    chosen = place.work != (Path(gettempdir()) / WORK).absolute()
    if chosen or not os.access(MEMORY, os.W_OK) or shutil.disk_usage(MEMORY).free < ENOUGH_MEMORY:
        return place
    return replace(place, work=MEMORY / WORK)


def name_run(scenario_id: str, now: datetime) -> str:
    """A run's id: time, scenario, and four random digits, so that two runs at once differ."""
    return f"{now:%Y%m%dT%H%M%SZ}-{scenario_id.replace('/', '-')}-{token_hex(2)}"


@contextmanager
def workplace(place: Place, run_id: str) -> Iterator[Sandbox]:
    """The working directory of one run; gone when the block is left, unless a replica could not be destroyed.

    What is left then is found through this directory by the next ``sweep``.

    Raises:
        ProvisionError: it cannot be made, or the directory for all runs belongs to somebody else.
        LeftoverError: a process of the run does not die.
    """
    root = own_directory(place.work) / run_id
    owner = _settle(place, root)
    all_gone = True
    try:
        yield Sandbox(run_id=run_id, root=root, cache=place.cache, account=unprivileged_account())
    except BaseException as error:
        all_gone = not any(isinstance(cause, LeftoverError) for cause in _with_causes(error))
        raise
    finally:
        with deferred_interrupts():
            try:
                # Each replica killed its own; a tool or a start that was cut short belongs to none.
                stop_run(run_id, root)
                if all_gone:
                    clear(root)
            finally:
                os.close(owner)


def _settle(place: Place, root: Path) -> int:
    """Make a run's directory, and hold the lock that says it lives.

    Returns:
        The open file; the lock goes when it is closed, or with the process, however that ends.
    """
    try:
        if not place.cache.exists():
            place.cache.mkdir(parents=True, exist_ok=True)
            place.cache.chmod(0o755)
    except OSError as error:
        hint = "free some space, or choose another place with --cache"
        raise ProvisionError(f"cannot make {place.cache}: {error}", hint=hint) from error
    try:
        with sweeping(place), deferred_interrupts():
            root.mkdir()
            root.chmod(0o711)  # whatever the umask: the account that servers run as must pass through
            spread_out(root)
            owner = os.open(root / OWNER_FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
            fcntl.flock(owner, fcntl.LOCK_EX)
            os.write(owner, f"{os.getpid()}\n".encode())
    except OSError as error:
        raise ProvisionError(
            f"cannot work in {root}: {error}", hint="free some space, or choose another place with --work"
        ) from error
    return owner


@contextmanager
def sweeping(place: Place) -> Iterator[None]:
    """One at a time: whoever sweeps, or makes a directory that must not be swept before it is locked."""
    lock = os.open(place.work / LOCK_FILE, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def clear(root: Path) -> None:
    """Remove a run's directory, as far as that goes. What tells that it is one goes after all else."""
    for path in _all_but_owner(root):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                path.unlink()
    if not _all_but_owner(root):
        shutil.rmtree(root, ignore_errors=True)


def _all_but_owner(root: Path) -> list[Path]:
    return [path for path in root.iterdir() if path.name != OWNER_FILE] if root.is_dir() else []


def _with_causes(error: BaseException) -> Iterator[BaseException]:
    """An error, the one that was being dealt with when it was raised, and so on."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__context__


def note_lease(sandbox: Sandbox, lease: Lease) -> None:
    """Put a lease on disk where ``sweep`` looks for it, before anything of it exists.

    As a whole: half a line names no replica, and what interrupts pydantic comes out of it as its own error.
    """
    with deferred_interrupts(), (sandbox.root / LEASES_FILE).open("a", encoding="utf-8") as file:
        file.write(lease.model_dump_json() + "\n")
        file.flush()
        os.fsync(file.fileno())


@dataclass(frozen=True)
class Abandoned:
    """What a dead run left: its directory and the leases it had written down."""

    root: Path
    run_id: str
    leases: tuple[Lease, ...]


def abandoned_runs(place: Place) -> tuple[Abandoned, ...]:
    """The working directories whose run is dead, oldest first. Whatever else lies beside them is not ours.

    Raises:
        ProvisionError: the directory for all runs belongs to somebody else.
    """
    if not os.path.lexists(place.work):
        return ()
    roots = sorted(owner.parent for owner in own_directory(place.work).glob(f"*/{OWNER_FILE}"))
    return tuple(
        Abandoned(root, root.name, _read_leases(root))
        for root in roots
        if not root.is_symlink() and (root / OWNER_FILE).is_file() and not _is_alive(root)
    )


def _is_alive(root: Path) -> bool:
    """Whether a process holds the run's lock, which none can leave behind, and no other inherits."""
    try:
        owner = os.open(root / OWNER_FILE, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return True  # it has just gone
    try:
        fcntl.flock(owner, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(owner)
    return False


def _read_leases(root: Path) -> tuple[Lease, ...]:
    try:
        lines = (root / LEASES_FILE).read_text(encoding="utf-8").splitlines()
    except OSError:
        return ()
    leases = []
    for line in lines:
        try:
            lease = Lease.model_validate_json(line)
        except ValueError:
            continue  # the run died while it wrote this line, so nothing of that lease exists
        if lease.directory.resolve().is_relative_to(root.resolve()):
            leases.append(lease)
    return tuple(leases)


def own_directory(work: Path) -> Path:
    """Make the directory for all runs, or check that nobody else owns the one that is there."""
    try:
        if not os.path.lexists(work):
            work.mkdir(parents=True, exist_ok=True)
            work.chmod(0o711)
        status = work.lstat()
    except OSError as error:
        raise ProvisionError(
            f"cannot work in {work}: {error}", hint="choose another place with --work"
        ) from error
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise ProvisionError(
            f"{work} is not a directory of ours", hint="remove it, or choose another place with --work"
        )
    return work


def run_folder(place: Place, run_id: str, scenario: str) -> Path:
    """Make the folder that keeps the evidence, with the scenario in it.

    Args:
        place: has the folder for all of them.
        run_id: names it.
        scenario: as resolved for the run, in JSON.

    Raises:
        HarnessError: it cannot be made.
    """
    folder = place.reports / run_id
    try:
        folder.mkdir(parents=True)
        (folder / SCENARIO_FILE).write_text(scenario, encoding="utf-8")
    except OSError as error:
        raise HarnessError(
            f"cannot make the run folder {folder}: {error}",
            hint="choose another place with --reports, or free some space",
        ) from error
    return folder


def point_latest(place: Place, run_id: str) -> None:
    """Let ``reports/latest`` point at a run. Replaced in one step; two runs at once do not clash.

    Raises:
        HarnessError: it cannot be replaced.
    """
    fresh = place.reports / f".latest-{token_hex(4)}"
    try:
        fresh.symlink_to(run_id)
        fresh.replace(place.reports / LATEST)
    except OSError as error:
        raise HarnessError(
            f"cannot let {place.reports / LATEST} point at {run_id}: {error}",
            hint="remove what is in the way, and free some space; the run itself is whole",
        ) from error
