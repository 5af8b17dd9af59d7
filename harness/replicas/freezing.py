"""Stops the server that runs on a volume, for as long as a copy of the volume takes, or for good.

A provider's snapshots are taken from a block device and hold one instant. A directory has no such snapshot
everywhere, so every process of the server is stopped while the directory is copied. Nothing is asked of
the server: no checkpoint, no flush. What the copy holds is what the file system held at that instant, and
a server that starts from it recovers as after a crash.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from harness.clock import Clock

LOCK_FILE = "postmaster.pid"
PATIENCE = 10.0
QUIT_PATIENCE = 1.0
PAUSE = 0.001
FINISHED = (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)


class FreezeError(Exception):
    """A process did not stop, or die, in time."""


def servers_on(directory: Path) -> list[psutil.Process]:
    """The servers that run on a volume, parents only.

    PostgreSQL writes its process id to ``postmaster.pid`` and works in its data directory. An id is
    believed only when the process of that id does work there, so that a stale file harms nobody.
    """
    named = [_named_in(file, directory) for file in _lock_files(directory)]
    return [process for process in named if process is not None]


@contextmanager
def frozen(directory: Path, clock: Clock, patience: float = PATIENCE) -> Iterator[int]:
    """Stop every process of the servers on a volume; let them go on afterwards, whatever happened.

    Args:
        directory: of the volume.
        clock: for waiting.
        patience: seconds until every process must stand still.

    Yields:
        How many processes stand still.

    Raises:
        FreezeError: a process did not stop; all have been let go.
    """
    stopped: list[psutil.Process] = []
    try:
        for server in servers_on(directory):
            _stop(server, directory, stopped)
        running = _wait_until(clock, stopped, _stands_still, patience)
        if running:
            raise FreezeError(f"{_names(running)} did not stop within {patience:g} s")
        yield len(stopped)
    finally:
        for process in reversed(stopped):
            _send(process, signal.SIGCONT)


def kill(directory: Path, clock: Clock) -> int:
    """Kill the servers on a volume, as taking their container away does.

    PostgreSQL gets SIGQUIT first, its immediate shutdown: it writes and acknowledges nothing more, but
    gives back the shared memory that a container would take along and that SIGKILL would leave behind
    for good (PostgreSQL 18, section 18.5). SIGKILL follows for whatever is left.

    Returns:
        How many processes are gone.

    Raises:
        FreezeError: a process is still there after a while.
    """
    servers = servers_on(directory)
    family = [member for server in servers for member in (server, *_children(server))]
    for server in servers:
        _send(server, signal.SIGQUIT)
    _wait_until(clock, family, _is_gone, patience=QUIT_PATIENCE)
    for process in family:
        if not _is_gone(process):
            _send(process, signal.SIGKILL)
    left = _wait_until(clock, family, _is_gone)
    if left:
        raise FreezeError(f"{_names(left)} cannot be killed")
    for file in _lock_files(directory):
        # The next container has its own process ids; here the id could by then be somebody else's.
        file.unlink(missing_ok=True)
    return len(family)


def _stop(server: psutil.Process, directory: Path, stopped: list[psutil.Process]) -> None:
    """Stop a server and then its children: once the parent stands still, none can be added."""
    _send(server, signal.SIGSTOP)
    stopped.append(server)
    while True:
        children = [child for child in _children(server) if child not in stopped]
        fresh = [child for child in children if _works_in(child, directory)]
        if not fresh:
            return
        for child in fresh:
            _send(child, signal.SIGSTOP)
            stopped.append(child)


def _wait_until(
    clock: Clock,
    processes: Iterable[psutil.Process],
    done: Callable[[psutil.Process], bool],
    patience: float = PATIENCE,
) -> list[psutil.Process]:
    """Wait for processes; returns those that were not done in time."""
    began = clock.stamp()
    left = [process for process in processes if not done(process)]
    while left and clock.stamp().since(began) < patience:
        clock.sleep(PAUSE)
        left = [process for process in left if not done(process)]
    return left


def _stands_still(process: psutil.Process) -> bool:
    try:
        return process.status() in (psutil.STATUS_STOPPED, *FINISHED)
    except psutil.NoSuchProcess:
        return True


def _is_gone(process: psutil.Process) -> bool:
    try:
        return process.status() in FINISHED
    except psutil.NoSuchProcess:
        return True


def _names(processes: Iterable[psutil.Process]) -> str:
    return "process " + ", ".join(str(process.pid) for process in processes)


def _lock_files(directory: Path) -> Iterator[Path]:
    yield directory / LOCK_FILE
    yield from directory.glob(f"*/{LOCK_FILE}")


def _named_in(file: Path, directory: Path) -> psutil.Process | None:
    """The process that a lock file names, by its own number or by the one that it has in a container."""
    try:
        number = int(file.read_text(encoding="utf-8").partition("\n")[0])
    except (OSError, ValueError):
        return None
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(number)
        if _works_in(process, directory):
            return process
    inside = (one for one in psutil.process_iter() if _number_inside(one) == number)
    return next((process for process in inside if _works_in(process, directory)), None)


def _number_inside(process: psutil.Process) -> int | None:
    """Its number in the innermost namespace that it is in; None outside of Linux, or when it is gone.

    See ``NSpid`` in proc_pid_status(5).
    """
    try:
        status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    numbers = next((line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:")), [])
    return int(numbers[-1]) if len(numbers) > 1 else None


def _works_in(process: psutil.Process, directory: Path) -> bool:
    try:
        return Path(process.cwd()).is_relative_to(directory.resolve())
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _send(process: psutil.Process, what: signal.Signals) -> None:
    try:
        os.kill(process.pid, what)
    except ProcessLookupError:
        return
