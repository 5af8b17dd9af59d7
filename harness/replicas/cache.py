"""Directories that are prepared once and kept in the cache: whole, sealed, and safe for runs side by side.

A directory is built beside its place and renamed into it, so that a killed build leaves nothing that
looks finished. Its seal lists every file with size and time of change; a directory that does not match
its seal is built again. A lock keeps it still while somebody copies from it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from tempfile import mkdtemp

from harness.errors import ProvisionError

CONTENT = "content"
SEAL = "seal"


@contextmanager
def prepared(place: Path, build: Callable[[Path], None]) -> Iterator[Path]:
    """A prepared directory, held still for the length of the block.

    Args:
        place: where it is kept; its name must tell it apart from every other version of it.
        build: fills the empty directory it is given.

    Raises:
        ProvisionError: the cache cannot be written; and whatever ``build`` raises.
    """
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(place.with_name(f"{place.name}.lock"), os.O_RDONLY | os.O_CREAT, 0o644)
    except OSError as error:
        raise ProvisionError(
            f"cannot use the cache {place.parent}: {error}",
            hint="make it writable, or choose another place with --cache",
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_SH)
        while not _intact(place):
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not _intact(place):
                _rebuild(place, build)
            fcntl.flock(lock, fcntl.LOCK_SH)
        yield place / CONTENT
    finally:
        os.close(lock)


def discard(place: Path) -> None:
    """Have it built again at its next use: it looks whole, but it has turned out not to be."""
    (place / SEAL).unlink(missing_ok=True)


def _intact(place: Path) -> bool:
    try:
        return (place / SEAL).read_text(encoding="utf-8") == _seal(place / CONTENT)
    except OSError:
        return False


def _rebuild(place: Path, build: Callable[[Path], None]) -> None:
    for stale in place.parent.glob(f"{place.name}.building-*"):
        shutil.rmtree(stale)
    fresh = Path(mkdtemp(prefix=f"{place.name}.building-", dir=place.parent))
    try:
        fresh.chmod(0o755)
        content = fresh / CONTENT
        content.mkdir()
        build(content)
        (fresh / SEAL).write_text(_seal(content), encoding="utf-8")
        if place.exists():
            shutil.rmtree(place)
        fresh.rename(place)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _seal(content: Path) -> str:
    lines = sorted(_entries(content, ""))
    return sha256("\n".join(lines).encode()).hexdigest()


def _entries(directory: Path, prefix: str) -> Iterator[str]:
    with os.scandir(directory) as entries:
        for entry in entries:
            name = f"{prefix}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                yield f"{name}/"
                yield from _entries(Path(entry.path), f"{name}/")
            else:
                status = entry.stat(follow_symlinks=False)
                yield f"{name} {status.st_size} {status.st_mtime_ns}"
