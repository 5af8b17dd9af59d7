"""Copies the directories that stand for block devices: volumes, disks and their snapshots."""

from __future__ import annotations

import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from harness.replicas.freezing import LOCK_FILE


@dataclass(frozen=True)
class FileState:
    """One file of a copy, as far as is needed to see whether the next copy's differs."""

    path: str
    size: int
    modified: int


def copy_tree(source: Path, target: Path) -> frozenset[FileState]:
    """Copy a directory with owners, modes and times; by reference where the file system can.

    A PostgreSQL lock file is left out: the process it names lives in another container, as it were.

    Args:
        source: what to copy.
        target: is made if it is not there.

    Returns:
        The files that were copied.
    """
    target.mkdir(exist_ok=True)
    copied: list[FileState] = []
    _copy_directory(source, target, "", copied)
    return frozenset(copied)


def _copy_directory(source: Path, target: Path, prefix: str, copied: list[FileState]) -> None:
    with os.scandir(source) as entries:
        for entry in entries:
            to, name = target / entry.name, f"{prefix}{entry.name}"
            if entry.is_symlink():
                to.symlink_to(Path(entry.path).readlink())
            elif entry.is_dir():
                to.mkdir()
                _copy_directory(Path(entry.path), to, f"{name}/", copied)
            elif entry.is_file() and entry.name != LOCK_FILE:
                copied.append(_copy_file(entry.path, to, name))
    _take_after(source.stat(), target)


def link_tree(source: Path, target: Path) -> None:
    """Have every file of a directory a second time, at no cost: for copies that nobody writes to.

    Args:
        source: what to link.
        target: is not there yet.

    Raises:
        OSError: a file cannot be linked; what was made stays.
    """
    target.mkdir()
    with os.scandir(source) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                link_tree(Path(entry.path), target / entry.name)
            else:
                os.link(entry.path, target / entry.name, follow_symlinks=False)
    _take_after(source.stat(), target)


def _copy_file(source: str, target: Path, name: str) -> FileState:
    with open(source, "rb", 0) as read, open(target, "xb", 0) as write:  # noqa: PTH123 - hot loop
        status = os.fstat(read.fileno())
        try:
            while os.copy_file_range(read.fileno(), write.fileno(), 1 << 30):
                pass
        except (AttributeError, OSError):
            # Not on this system, or not on this file system: it goes on where the other ended.
            shutil.copyfileobj(read, write)
    _take_after(status, target)
    return FileState(name, status.st_size, status.st_mtime_ns)


def _take_after(status: os.stat_result, target: Path) -> None:
    if os.geteuid() == 0:
        os.chown(target, status.st_uid, status.st_gid)
    target.chmod(stat.S_IMODE(status.st_mode))
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
