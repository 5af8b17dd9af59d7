"""Copies of folders of the user's that lead nowhere else: what is done to the copy stays in the copy."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from harness.errors import ProvisionError


def copy_tree(source: Path, target: Path, what: str) -> None:
    """Copy a folder with the links in it.

    What was copied is looked at again: the folder may have changed since it was looked at.

    Args:
        source: the folder.
        target: where to; made if it is not there.
        what: it is, for messages: ``the workspace``.

    Raises:
        ProvisionError: a link leads out of it, something is neither a file nor a folder, it cannot be read,
            or there is no room.
    """
    _check(source, source, what)
    try:
        shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
    except (OSError, shutil.Error) as error:
        raise ProvisionError(
            f"cannot copy {what} {source}: {error}", hint="make its files readable, or free some space"
        ) from error
    _check(target, source, what)


def entries(root: Path) -> Iterator[Path]:
    """Everything below a folder; links are not followed."""
    for parent, folders, files in os.walk(root):
        yield from (Path(parent, name) for name in sorted((*folders, *files)))


def _check(root: Path, source: Path, what: str) -> None:
    """Only files and folders, and relative links between them."""
    top = root.resolve()
    for path in entries(root):
        status, where = path.lstat(), source / path.relative_to(root)
        if stat.S_ISLNK(status.st_mode):
            end = Path(os.path.realpath(path))  # Path.resolve raises on a link to itself
            if path.readlink().is_absolute() or not end.is_relative_to(top):
                raise ProvisionError(
                    f"the link {where} leads out of {what}, to {path.readlink()}",
                    hint=f"put a copy of the file in its place, or link to something inside {what}",
                )
        elif not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
            raise ProvisionError(f"{where} is neither a file nor a folder", hint=f"remove it from {what}")
