"""Where runs are written, where they work, and how what a killed run left is found again."""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from secrets import token_hex
from tempfile import gettempdir

import psutil
from platformdirs import user_cache_path
from pydantic import BaseModel, ConfigDict, ValidationError

from harness.errors import HarnessError, LeftoverError, ProvisionError
from harness.facts import Lease
from harness.sandbox import Sandbox, unprivileged_account

OWNER_FILE = "owner.json"
LEASES_FILE = "leases.jsonl"
ROOT_CACHE = Path("/var/cache/ninelives")


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
        work=(work or Path(gettempdir()) / f"ninelives-{os.geteuid()}").absolute(),
        cache=(cache or (ROOT_CACHE if root else user_cache_path("ninelives"))).absolute(),
    )


class Owner(BaseModel):
    """Who works in a working directory. A process id alone could have been given to another."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run_id: str
    pid: int
    started: float

    @classmethod
    def of_this_process(cls, run_id: str) -> Owner:
        process = psutil.Process()
        return cls(run_id=run_id, pid=process.pid, started=process.create_time())

    def alive(self) -> bool:
        """Whether that very process still runs."""
        try:
            process = psutil.Process(self.pid)
            return process.status() != psutil.STATUS_ZOMBIE and abs(process.create_time() - self.started) < 1
        except psutil.Error:
            return False


def name_run(scenario_id: str, now: datetime) -> str:
    """A run's id: time, scenario, and four random digits, so that two runs at once differ."""
    return f"{now:%Y%m%dT%H%M%SZ}-{scenario_id.replace('/', '-')}-{token_hex(2)}"


@contextmanager
def workplace(place: Place, run_id: str) -> Iterator[Sandbox]:
    """The working directory of one run; gone when the block is left, unless a replica could not be destroyed.

    What is left then is found through this directory by the next ``sweep``.

    Raises:
        ProvisionError: it cannot be made, or the directory for all runs belongs to somebody else.
    """
    root = _own_directory(place.work) / run_id
    try:
        root.mkdir(mode=0o711)
        (root / OWNER_FILE).write_text(Owner.of_this_process(run_id).model_dump_json())
        place.cache.mkdir(mode=0o755, parents=True, exist_ok=True)
    except OSError as error:
        raise ProvisionError(
            f"cannot work in {root}: {error}", hint="free some space, or choose another place with --work"
        ) from error
    all_gone = True
    try:
        yield Sandbox(run_id=run_id, root=root, cache=place.cache, account=unprivileged_account())
    except BaseException as error:
        all_gone = not any(isinstance(cause, LeftoverError) for cause in _with_causes(error))
        raise
    finally:
        if all_gone:
            shutil.rmtree(root, ignore_errors=True)


def _with_causes(error: BaseException) -> Iterator[BaseException]:
    """An error, the one that was being dealt with when it was raised, and so on."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__context__


def note_lease(sandbox: Sandbox, lease: Lease) -> None:
    """Put a lease on disk where ``sweep`` looks for it, before anything of it exists."""
    with (sandbox.root / LEASES_FILE).open("a") as file:
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
    """The working directories whose run is dead, oldest first."""
    if not place.work.is_dir():
        return ()
    found = []
    for root in sorted(path for path in place.work.iterdir() if path.is_dir() and not path.is_symlink()):
        try:
            owner = Owner.model_validate_json((root / OWNER_FILE).read_bytes())
        except (OSError, ValidationError):
            owner = None
        if owner is None or not owner.alive():
            found.append(Abandoned(root, root.name, _read_leases(root)))
    return tuple(found)


def _read_leases(root: Path) -> tuple[Lease, ...]:
    try:
        lines = (root / LEASES_FILE).read_text().splitlines()
    except OSError:
        return ()
    leases = []
    for line in lines:
        try:
            lease = Lease.model_validate(json.loads(line))
        except ValueError:
            continue  # the run died while it wrote this line, so nothing of that lease exists
        if lease.directory.is_relative_to(root):
            leases.append(lease)
    return tuple(leases)


def _own_directory(work: Path) -> Path:
    """Make the directory for all runs, or check that nobody else owns the one that is there."""
    try:
        work.mkdir(mode=0o711, parents=True, exist_ok=True)
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


def run_folder(place: Place, run_id: str) -> Path:
    """Make the folder that keeps the evidence.

    Raises:
        HarnessError: it cannot be made.
    """
    folder = place.reports / run_id
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise HarnessError(
            f"cannot make the run folder {folder}: {error}",
            hint="choose another place with --reports, or free some space",
        ) from error
    return folder


def point_latest(place: Place, run_id: str) -> None:
    """Let ``reports/latest`` point at a run. Replaced in one step; two runs at once do not clash."""
    fresh = place.reports / f".latest-{token_hex(4)}"
    fresh.symlink_to(run_id)
    fresh.replace(place.reports / "latest")
