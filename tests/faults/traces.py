"""What a run has on the machine outside of its run folder: everything that must be gone after it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from harness.sandbox import MARK

TCP = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
UNIX = Path("/proc/net/unix")
SHARED = Path("/proc/sysvipc/shm")
LISTENS = "0A"
"""The state of a listening socket in /proc/net/tcp (include/net/tcp_states.h: TCP_LISTEN)."""


@dataclass(frozen=True)
class Traces:
    """What the processes of one run hold right now.

    Attributes:
        processes: their ids, with names.
        sockets: inodes of the TCP sockets that they listen on.
        bound: paths of Unix sockets that they made.
        segments: ids of System V shared memory that they made.
        mapped: files of POSIX shared memory that they have mapped.
    """

    processes: dict[int, str] = field(default_factory=dict)
    sockets: frozenset[str] = frozenset()
    bound: frozenset[Path] = frozenset()
    segments: frozenset[str] = frozenset()
    mapped: frozenset[Path] = frozenset()

    def left(self, run_id: str, work: Path) -> list[str]:
        """What of it is still there, and what the run has besides; one line each."""
        lines = [f"process {pid} ({name})" for pid, name in processes_of(run_id, work).items()]
        lines += [f"listening socket {inode}" for inode in self.sockets & _listening()]
        lines += [f"socket file {path}" for path in self.bound if path.exists()]
        lines += [f"shared memory {segment}" for segment in self.segments & set(_segments())]
        lines += [f"shared memory {path}" for path in self.mapped if path.exists()]
        lines += [f"file {path}" for path in (work / run_id).rglob("*")]
        lines += [f"folder {work / run_id}"] * (work / run_id).exists()
        return lines


def traces(run_id: str, work: Path) -> Traces:
    """Look at everything that a run has."""
    processes = processes_of(run_id, work)
    inodes = {inode for pid in processes for inode in _socket_inodes(pid)}
    return Traces(
        processes=processes,
        sockets=frozenset(inodes & _listening()),
        bound=frozenset(
            path if path.is_absolute() else directory / path
            for inode, path in _bound()
            for directory in _directories(processes)
            if inode in inodes
        ),
        segments=frozenset(
            name for name, made in _segments().items() if made.creator in processes and made.after_its_start()
        ),
        mapped=frozenset(path for pid in processes for path in _mapped(pid)),
    )


def processes_of(run_id: str, work: Path) -> dict[int, str]:
    """By the mark in their environment, or by working in the run's directory, even when that is gone."""
    found = {}
    for process in psutil.process_iter():
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                continue
            ours = process.environ().get(MARK) == run_id or Path(process.cwd()).is_relative_to(work / run_id)
            if ours and process.pid != os.getpid():
                found[process.pid] = process.name()
        except psutil.Error:
            continue
    return found


def _directories(processes: dict[int, str]) -> Iterator[Path]:
    for pid in processes:
        try:
            yield Path(f"/proc/{pid}/cwd").readlink()
        except OSError:
            continue


def _socket_inodes(pid: int) -> Iterator[str]:
    try:
        for link in Path(f"/proc/{pid}/fd").iterdir():
            match = re.fullmatch(r"socket:\[(\d+)\]", str(link.readlink()))
            if match:
                yield match[1]
    except OSError:
        return


def _listening() -> set[str]:
    rows = [line.split() for table in TCP if table.exists() for line in table.read_text().splitlines()[1:]]
    return {row[9] for row in rows if row[3] == LISTENS}


def _bound() -> Iterator[tuple[str, Path]]:
    for line in UNIX.read_text().splitlines()[1:]:
        columns = line.split()
        if len(columns) > 7 and not columns[7].startswith("@"):
            yield columns[6], Path(columns[7])


@dataclass(frozen=True)
class Segment:
    """A System V segment.

    Attributes:
        creator: id that the process had which made it.
        changed: when it was made, in whole seconds; nobody changes those of PostgreSQL.
    """

    creator: int
    changed: int

    def after_its_start(self) -> bool:
        """Whether the process that has the creator's id now can be the creator; ids are used again."""
        try:
            return self.changed + 1 > psutil.Process(self.creator).create_time()
        except psutil.Error:
            return False


def _segments() -> dict[str, Segment]:
    """The System V segments of the machine, by id."""
    if not SHARED.exists():
        return {}
    rows = [line.split() for line in SHARED.read_text().splitlines()[1:]]
    return {row[1]: Segment(int(row[4]), int(row[13])) for row in rows}


def _mapped(pid: int) -> Iterator[Path]:
    try:
        maps = Path(f"/proc/{pid}/maps").read_text()
    except OSError:
        return
    for match in re.finditer(r" (/dev/shm/\S+)$", maps, re.MULTILINE):
        yield Path(match[1])
