"""Items as files: how an application writes them so that what is acknowledged is on the disk."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from harness.facts import Credential, Endpoint
from harness.seams.items import Item, ItemRefusedError, ItemUnansweredError, content_hash

READ_WRITE, READ_ONLY = "read-write", "read-only"
"""Public halves of the credentials on a volume: how it is mounted."""

SNAPSHOTS = "snapshots"
"""Folder beside the tree with its snapshots: they lie in the same pool and outside of what they are of."""

PART = ".part-"
"""What the name of a file begins with that is still being written."""


class VolumeClient:
    """Files in the folders of a volume, each written whole or not at all.

    Args:
        endpoint: of kind ``volume``.
        credential: says how it is mounted.
    """

    def __init__(self, endpoint: Endpoint, credential: Credential) -> None:
        self._root = endpoint.path
        self._writable = credential.name == READ_WRITE

    def put(self, collection: str, key: str, body: bytes) -> int:
        """Write a file and wait until it and its name are on the disk (fsync(2), rename(2)).

        Raises:
            ItemRefusedError: the folder is not there, or the volume is mounted read-only.
            ItemUnansweredError: it may have been written.
        """
        if not self._writable:
            raise ItemRefusedError("the volume is mounted read-only")
        path = self._root / collection / key
        try:
            part = write_part(path, body)
        except OSError as error:
            raise ItemRefusedError(error.strerror or type(error).__name__) from error
        try:
            part.replace(path)
            sync_folder(path.parent)
        except OSError as error:
            raise ItemUnansweredError(error.strerror or type(error).__name__) from error
        return content_hash(body)

    def get(self, collection: str, key: str) -> bytes | None:
        """Read a file; a volume that is gone is an ItemRefusedError, a missing file is not."""
        if not self._root.is_dir():
            raise ItemRefusedError("the volume is gone")
        with suppress(FileNotFoundError):
            return (self._root / collection / key).read_bytes()
        return None

    def delete(self, collection: str, key: str) -> int | None:
        """Remove a file; raises as ``put``."""
        if not self._writable:
            raise ItemRefusedError("the volume is mounted read-only")
        body = self.get(collection, key)
        if body is None:
            return None
        path = self._root / collection / key
        try:
            path.unlink()
            sync_folder(path.parent)
        except OSError as error:
            raise ItemUnansweredError(error.strerror or type(error).__name__) from error
        return content_hash(body)

    def close(self) -> None:
        """Nothing is held."""


def write_part(path: Path, body: bytes) -> Path:
    """Write a content beside the file that it is to become; it is on the disk then.

    Raises:
        OSError: it cannot be written, for instance since the folder is not there.
    """
    part = path.with_name(f"{PART}{uuid4().hex}")
    try:
        with part.open("xb", buffering=0) as file:
            rest = memoryview(body)
            while rest:
                rest = rest[file.write(rest) :]
            os.fsync(file.fileno())
    except OSError:
        with suppress(OSError):
            part.unlink()
        raise
    return part


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def files_below(
    folder: Path, unreadable: Callable[[OSError], None] | None = None, besides: Collection[str] = ()
) -> Iterator[Path]:
    """Every file below a folder, and every link, also one that leads to a folder; in no order.

    Args:
        folder: may be missing.
        unreadable: told of each folder that cannot be looked into; None passes them over.
        besides: names that are left out where they lie in the folder itself.
    """
    for parent, folders, names in os.walk(folder, onerror=unreadable):
        folders[:] = [name for name in folders if name not in besides or Path(parent) != folder]
        links = [name for name in folders if os.path.islink(Path(parent, name))]  # noqa: PTH114 - never raises
        yield from (Path(parent, name) for name in (*names, *links))


def read_items(root: Path, collection: str) -> Iterator[Item]:
    """Every file below a folder, in the order of their names; a link counts with what it says.

    What is still being written is left out, and so is what is gone by the time it is read.

    Raises:
        OSError: a file or a folder cannot be read: what lies in there might be missed by nobody.
    """
    folder = root / collection
    found = sorted(
        path.relative_to(folder).as_posix()
        for path in files_below(folder, _refuse)
        if not path.name.startswith(PART)
    )
    for key in found:
        path = folder / key
        with suppress(FileNotFoundError):
            status = path.lstat()
            if stat.S_ISREG(status.st_mode):
                body = path.read_bytes()
            else:
                body = b"link to " + os.fsencode(path.readlink()) if path.is_symlink() else b"no file"
            yield Item(collection, key, body, datetime.fromtimestamp(status.st_mtime, UTC))


def _refuse(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error
