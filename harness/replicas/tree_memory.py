"""What a tree of files was like at one moment: a copy of it, and how each of its files looked.

A change is told by what the kernel says of each file. Nobody can set its time of change back (ctime,
inode(7)), so a file that was written in place and dated back is noticed too.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from harness.errors import ProvisionError

FOLDER = "memory"

Look = tuple[str, int, int, int, int, int]
"""Path, mode, inode, size, time of the last write and of the last change."""


class TreeMemory:
    """A tree as it is when this is made.

    Args:
        root: of the tree.
        shelf: where the copy is to lie; is not there yet.
        without: names at the top of the tree that are somebody else's to remember.

    Raises:
        ProvisionError: there is no room for a copy.
    """

    def __init__(self, root: Path, shelf: Path, without: frozenset[str] = frozenset()) -> None:
        self._root = root
        self._shelf = shelf
        self._without = without
        try:
            _copy(root, shelf, without)
        except OSError as error:
            raise self._refusal("kept", error) from error
        self._looks = looks_of(root, without)

    def changed(self) -> bool:
        """Whether any file is not as it was left."""
        return looks_of(self._root, self._without) != self._looks

    def reset(self) -> None:
        """Put every file back.

        Raises:
            ProvisionError: that cannot be done.
        """
        try:
            _open_up(self._root)
            for entry in self._entries(self._root):
                _remove(Path(entry.path))
            _copy(self._shelf, self._root, self._without)
        except OSError as error:
            raise self._refusal("brought back", error) from error
        self._looks = looks_of(self._root, self._without)

    def _entries(self, folder: Path) -> Iterator[os.DirEntry[str]]:
        with suppress(FileNotFoundError), os.scandir(folder) as entries:
            yield from (entry for entry in entries if entry.name not in self._without)

    def _refusal(self, what: str, error: OSError) -> ProvisionError:
        return ProvisionError(
            f"the files in {self._root} cannot be {what}: {error}",
            hint="free some space, and see whom they belong to",
        )


def looks_of(root: Path, without: frozenset[str] = frozenset()) -> tuple[Look, ...]:
    """How every file of a tree looks now.

    Args:
        root: of the tree.
        without: names at the top of it that are left out.
    """
    return tuple(sorted(_each(root, "", without)))


def _each(folder: Path, prefix: str, without: frozenset[str]) -> Iterator[Look]:
    """What cannot be seen, because it is gone, is no part of it.

    Nor is what lies in a folder that was closed to us; that folder has another mode.
    """
    with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
        yield _looked(f"{prefix}.", folder.lstat(), changes=False)
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name in without:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    yield from _each(Path(entry.path), f"{prefix}{entry.name}/", frozenset())
                else:
                    yield _looked(f"{prefix}{entry.name}", entry.stat(follow_symlinks=False))


def _looked(path: str, status: os.stat_result, *, changes: bool = True) -> Look:
    """Of a folder only what it is: its times change with what lies in it, which is looked at itself."""
    if not changes:
        return path, status.st_mode, 0, 0, 0, 0
    return path, status.st_mode, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _copy(source: Path, target: Path, without: frozenset[str]) -> None:
    """With owners, modes and times; links stay links, names that one file has twice become two files."""
    target.mkdir(parents=True, exist_ok=True)
    with os.scandir(source) as entries:
        for entry in entries:
            if entry.name in without:
                continue
            to, status = target / entry.name, entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                _copy(Path(entry.path), to, frozenset())
                continue
            if stat.S_ISLNK(status.st_mode):
                to.symlink_to(Path(entry.path).readlink())
            elif stat.S_ISREG(status.st_mode):
                shutil.copyfile(entry.path, to)
            else:
                continue
            _take_after(status, to)
    _take_after(source.stat(), target)


def _take_after(status: os.stat_result, target: Path) -> None:
    if os.geteuid() == 0:
        os.chown(target, status.st_uid, status.st_gid, follow_symlinks=False)
    if not stat.S_ISLNK(status.st_mode):
        target.chmod(stat.S_IMODE(status.st_mode))
        os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))


def _remove(path: Path) -> None:
    if not path.is_dir() or path.is_symlink():
        path.unlink()
        return
    _open_up(path)
    for entry in tuple(path.iterdir()):
        _remove(entry)
    path.rmdir()


def _open_up(folder: Path) -> None:
    """Let us into a folder of ours, whatever its mode says; others, as servers beside it, as before."""
    with suppress(OSError):  # gone, or somebody else's; that it stays is said by what comes next
        folder.chmod(stat.S_IMODE(folder.stat().st_mode) | stat.S_IRWXU)
