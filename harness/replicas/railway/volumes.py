"""Volumes on disk: a directory for each instance, and beside it a shelf for its backups.

Layout below the root::

    <environment>/<volume>/       a volume instance; a database has its files in here
    .backups/<instance id>/<id>/  its backups: they lie with the volume, and in `legacy` go with it
    .pending/<instance id>/       a volume instance whose deletion can still be taken back
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from harness.clock import Clock
from harness.replicas.copying import FileState, copy_tree
from harness.replicas.freezing import frozen, kill
from harness.replicas.placement import spread_out

BACKUPS = ".backups"
PENDING = ".pending"
WIPE_ROUNDS = 50
SIZES_MB = {"free": 500, "hobby": 5_000, "pro": 50_000}
"""Default size of a volume by plan: 0.5, 5 and 50 GB (Railway's documentation, "Volumes", grade A)."""


class Disk:
    """The directories of all volumes of one control plane.

    Args:
        root: where they lie.
        owner: user and group that volumes belong to; None for our own.
        clock: for waiting on processes.
    """

    def __init__(self, root: Path, owner: tuple[int, int] | None, clock: Clock) -> None:
        self.root = root
        self._owner = owner
        self._clock = clock
        for name in (BACKUPS, PENDING):
            (root / name).mkdir(exist_ok=True)

    def make(self, environment: str, volume: str) -> Path:
        """A new, empty directory for a volume instance; numbered when the name is taken."""
        parent = self.root / environment
        parent.mkdir(exist_ok=True)
        path, number = parent / volume, 1
        while path.exists():
            number += 1
            path = parent / f"{volume}-{number}"
        self.make_again(path)
        return path

    def make_again(self, directory: Path) -> None:
        """An empty directory for a volume instance at a place that is free."""
        directory.parent.mkdir(exist_ok=True)
        directory.mkdir(mode=0o700)
        if self._owner is not None:
            os.chown(directory, *self._owner)

    def snapshot(
        self, directory: Path, instance_id: str, backup_id: str
    ) -> tuple[Path, frozenset[FileState]]:
        """Copy a volume instance to its shelf while the server on it stands still.

        Returns:
            Where the copy is, and what it holds.

        Raises:
            OSError: it could not be copied; nothing is left of the copy.
            FreezeError: the server did not stand still.
        """
        target = self.root / BACKUPS / instance_id / backup_id
        target.parent.mkdir(exist_ok=True)
        spread_out(target.parent)
        try:
            with frozen(directory, self._clock):
                files = copy_tree(directory, target)
        except BaseException:
            shutil.rmtree(target, ignore_errors=True)
            raise
        return target, files

    def fill(self, directory: Path, backup: Path) -> None:
        """Copy a backup into the empty directory of a new volume instance."""
        copy_tree(backup, directory)

    def stop_server(self, directory: Path) -> None:
        """Kill the server on a volume instance, if one runs on it."""
        kill(directory, self._clock)

    def wipe(self, directory: Path) -> None:
        """Remove a directory. A server that runs on it is not asked, and notices.

        Raises:
            OSError: something of it is still there.
        """
        for _ in range(WIPE_ROUNDS):
            shutil.rmtree(directory, ignore_errors=True)
            if not directory.exists():
                return
        raise OSError(f"cannot remove {directory}: files keep appearing in it")

    def wipe_backups(self, instance_id: str) -> None:
        """Remove the whole shelf of a volume instance."""
        self.wipe(self.root / BACKUPS / instance_id)

    def set_aside(self, directory: Path, instance_id: str) -> None:
        """Detach a volume instance and keep it for a while: the server on it dies, its directory moves."""
        self.stop_server(directory)
        directory.rename(self.root / PENDING / instance_id)

    def put_back(self, directory: Path, instance_id: str) -> None:
        """Take ``set_aside`` back. No server is started."""
        (self.root / PENDING / instance_id).rename(directory)

    def location(self, directory: Path, instance_id: str) -> Path:
        """Where the files of a volume instance are now: in their place, or set aside."""
        aside = self.root / PENDING / instance_id
        return aside if aside.exists() else directory

    def forget_pending(self, instance_id: str) -> None:
        """Remove a volume instance that was set aside."""
        self.wipe(self.root / PENDING / instance_id)


def size_of(directory: Path) -> int:
    """Bytes that the files below a directory take up on disk."""
    return sum(_blocks(entry) * 512 for entry in _files(directory))


def _files(directory: Path) -> Iterator[os.DirEntry[str]]:
    """Every file below a directory; those that vanish meanwhile are passed over."""
    try:
        entries = list(os.scandir(directory))
    except FileNotFoundError:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _files(Path(entry.path))
        elif entry.is_file(follow_symlinks=False):
            yield entry


def _blocks(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat(follow_symlinks=False).st_blocks
    except FileNotFoundError:
        return 0
