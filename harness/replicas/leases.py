"""Leaves nothing of a lease: no process, no file. Works from the lease alone, in any process.

A process belongs to a lease when

- its working directory lies in one of the lease's places and it carries the run's mark in its
  environment, or is called ``postgres`` (PostgreSQL's backends write their titles over their
  environment, so the mark cannot be read back from them), or
- it is a PostgreSQL server that was started with the lease's marker, wherever in the run's directory its
  data has been moved, or
- it descends from such a process.

The places of a lease are its directory and what ``note_place`` has written down.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import psutil

from harness.clock import SystemClock
from harness.errors import LeftoverError
from harness.facts import Lease
from harness.replicas.shared_memory import release_shared_memory
from harness.sandbox import MARK

PLACES_FILE = "places"
MARKER_SETTING = "ninelives.lease"
SERVER = "postgres"
TITLE = f"{SERVER}: "
"""What a backend's title begins with, which stands where its arguments were: a thousand empty ones follow."""

ROUNDS = 5
QUIT_SECONDS = 10.0
"""A server quits in 50 ms, but on a busy machine; one that is killed instead leaves its shared memory."""

KILL_SECONDS = 5.0
LOAD_SECONDS = 1.0
"""A program is loaded in microseconds, but on a busy machine."""

POLL_SECONDS = 0.005

T = TypeVar("T")


@dataclass(frozen=True)
class Suspect:
    """A running process, as far as we may look into it."""

    process: psutil.Process
    parent: int
    name: str
    directory: Path

    def server_marker(self) -> str | None:
        """The marker that a PostgreSQL server was started with; None for everything else."""
        if self.name != SERVER:
            return None
        prefix = f"{MARKER_SETTING}="
        arguments = _ask(self.process.cmdline) or []
        if arguments and arguments[0].startswith(TITLE):
            return None
        return next((text.removeprefix(prefix) for text in arguments if text.startswith(prefix)), None)

    def run_id(self) -> str | None:
        """The run whose mark its environment carries.

        An environment is empty while the kernel loads the program, and the harness already goes on by then:
        so one that is empty is asked for again, lest a process that was only just started be passed over.
        """
        clock = SystemClock()
        began = clock.stamp()
        while (environment := _ask(self.process.environ)) == {}:
            if _is_gone(self.process) or clock.stamp().since(began) > LOAD_SECONDS:
                break
            clock.sleep(POLL_SECONDS)
        return (environment or {}).get(MARK)

    def lies_in(self, places: Iterable[Path]) -> bool:
        """Whether it works in one of these directories, deleted ones too."""
        return any(self.directory.is_relative_to(place) for place in places)


def note_place(lease: Lease, directory: Path) -> None:
    """Write down that a replica will also use ``directory``, before it does.

    Args:
        lease: of the replica; its directory exists.
        directory: inside the run's own working directory, outside of the lease's.
    """
    with (lease.directory / PLACES_FILE).open("a") as file:
        file.write(f"{directory.resolve()}\n")
        file.flush()
        os.fsync(file.fileno())


def stop(lease: Lease) -> None:
    """Kill every process of a lease and wait until they are gone. Idempotent.

    Raises:
        LeftoverError: a process does not die.
    """
    for _ in range(ROUNDS):
        left = _processes(lease)
        if not left:
            return
        _end(left)
    names = ", ".join(f"{suspect.name} ({suspect.process.pid})" for suspect in left)
    raise LeftoverError(
        f"processes of {lease.marker} do not die: {names}",
        hint="they hang in the kernel or belong to another account; end them by hand, then `ninelives sweep`",
    )


def stop_run(run_id: str, root: Path) -> None:
    """Kill every process of a run, whatever lease it belongs to. Idempotent.

    Args:
        run_id: of the run.
        root: its working directory.

    Raises:
        LeftoverError: a process does not die.
    """
    stop(Lease(run_id=run_id, service="run", kind="run", directory=root))


def reap(lease: Lease) -> None:
    """Kill every process of a lease and remove its files. Idempotent.

    Raises:
        LeftoverError: a process does not die, or a file cannot be removed.
    """
    stop(lease)
    for place in reversed(_places(lease)):
        _remove(place)


def _places(lease: Lease) -> tuple[Path, ...]:
    """The lease's directory, then what was noted; nothing outside of the run's own directory counts."""
    home = lease.directory.resolve()
    note = home / PLACES_FILE
    lines = note.read_text().splitlines() if note.is_file() else []
    noted = (Path(line) for line in lines if line)
    return (home, *(place for place in noted if place.is_relative_to(home.parent)))


def _processes(lease: Lease) -> list[Suspect]:
    places = _places(lease)
    running = {suspect.process.pid: suspect for suspect in _working_below(places[0].parent)}
    ours = {pid: suspect for pid, suspect in running.items() if _belongs(suspect, lease, places, running)}
    if ours:
        ours |= _descendants(ours)
        for spared in (os.getpid(), *(parent.pid for parent in psutil.Process().parents())):
            ours.pop(spared, None)
    return [ours[pid] for pid in sorted(ours)]


def _working_below(root: Path) -> Iterator[Suspect]:
    """The processes that may belong to a lease of the run whose directory this is; few of the machine's.

    To ask each process of the machine for more than its directory takes ten times as long.
    """
    within = f"{root}{os.sep}"
    for process in psutil.process_iter():
        directory = _ask(process.cwd)
        if directory and directory.startswith(within):
            yield from _suspect(process, Path(directory))


def _suspect(process: psutil.Process, directory: Path) -> Iterator[Suspect]:
    """The process, if it still runs."""
    with process.oneshot():
        if not _is_gone(process):
            yield Suspect(process, _ask(process.ppid) or 0, _ask(process.name) or "", directory)


def _belongs(suspect: Suspect, lease: Lease, places: tuple[Path, ...], running: dict[int, Suspect]) -> bool:
    if suspect.server_marker() == lease.marker and suspect.run_id() == lease.run_id:
        return True
    home, *noted = places
    if suspect.lies_in((home,)):
        return suspect.name == SERVER or suspect.run_id() == lease.run_id
    if suspect.lies_in(noted) and suspect.name == SERVER:
        return _is_orphan(suspect, running)
    return False


def _is_orphan(suspect: Suspect, running: dict[int, Suspect]) -> bool:
    """Whether no server speaks for this backend.

    A noted place can be given to another lease later (a volume is restored at the same path), and that
    one's server is not ours to kill; our own server is found by its marker, its backends through it.
    """
    parent = running.get(suspect.parent)
    return suspect.server_marker() is None and (parent is None or parent.server_marker() is None)


def _descendants(roots: Iterable[int]) -> dict[int, Suspect]:
    """What descends from some processes, wherever it works."""
    children: dict[int, list[psutil.Process]] = defaultdict(list)
    for process in psutil.process_iter():
        children[_ask(process.ppid) or 0].append(process)
    found: dict[int, Suspect] = {}
    level = list(roots)
    while level:
        born = (child for parent in level for child in children.pop(parent, ()))
        suspects = [one for child in born for one in _suspect(child, Path(_ask(child.cwd) or os.sep))]
        level = [suspect.process.pid for suspect in suspects]
        found |= dict(zip(level, suspects, strict=True))
    return found


def _end(suspects: list[Suspect]) -> None:
    """SIGQUIT for PostgreSQL's servers, then SIGKILL for everything that is left.

    SIGQUIT is PostgreSQL's immediate shutdown: it writes nothing and acknowledges nothing, but it gives
    back the shared memory, which SIGKILL would leave behind for good (PostgreSQL 18, section 18.5).
    A server that is frozen, for a copy of its volume, has to run again for that, but none of its backends.
    """
    servers = [suspect.process for suspect in suspects if suspect.server_marker() is not None]
    frozen = [server for server in servers if _ask(server.status) == psutil.STATUS_STOPPED]
    pids = {server.pid for server in frozen}
    _signal((suspect.process for suspect in suspects if suspect.parent in pids), signal.SIGKILL)
    _signal(servers, signal.SIGQUIT)
    _signal(frozen, signal.SIGCONT)
    _wait(servers, QUIT_SECONDS)
    processes = [suspect.process for suspect in suspects]
    _signal(processes, signal.SIGKILL)
    _wait(processes, KILL_SECONDS)
    release_shared_memory(server.pid for server in servers if _is_gone(server))


def _signal(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        if not _is_gone(process):
            _ask(partial(process.send_signal, number))


def _wait(processes: Iterable[psutil.Process], seconds: float) -> None:
    clock = SystemClock()
    began = clock.stamp()
    while not all(_is_gone(process) for process in processes):
        if clock.stamp().since(began) > seconds:
            return
        clock.sleep(POLL_SECONDS)


def _is_gone(process: psutil.Process) -> bool:
    """Whether it runs no more. A zombie does not; it is left to its parent, who may want its exit code."""
    return _ask(process.status) in (None, psutil.STATUS_ZOMBIE)


def _ask(question: Callable[[], T]) -> T | None:
    """The answer; None when the process is gone, or is not ours to look into."""
    try:
        return question()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None


def _remove(directory: Path) -> None:
    for _ in range(ROUNDS):
        if not directory.exists():
            return
        shutil.rmtree(directory, onerror=_make_removable)
    raise LeftoverError(
        f"cannot remove {directory}",
        hint="a file in it belongs to another account or is immutable; remove it, then `ninelives sweep`",
    )


def _make_removable(function: object, path: str, failure: object) -> None:
    """Open up the directories around what could not be removed; the next round tries again."""
    del function, failure
    for directory in (Path(path), Path(path).parent):
        if directory.is_dir() and not directory.is_symlink():
            with suppress(OSError):  # somebody else's; that it stays is said in the end
                os.chmod(directory, 0o700)  # noqa: PTH101
