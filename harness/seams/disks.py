"""Reads the files that a server keeps on its own disk, for backup tools that are about those files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from harness.facts import Endpoint
from harness.seams.drivers import DiskReader, Setting, Store


@contextmanager
def files_on_disk(store: Store, server: Endpoint, pattern: str, setting: Setting) -> Iterator[Path]:
    """A directory with what lies on a server's disk now, for the length of the block.

    Args:
        store: the server's driver.
        server: which; it may have been stopped.
        pattern: of names in its data directory, with ``*``; nothing else is sure to be there.
        setting: of the run.

    Raises:
        ProvisionError: it cannot be read.
    """
    if not isinstance(store, DiskReader):
        yield server.path
        return
    with TemporaryDirectory(prefix="disk-", dir=setting.sandbox.root) as copied:
        store.read_disk(server, pattern, Path(copied), setting)
        yield Path(copied)
