"""What is real behind the control plane: directories for databases and volumes, and copies of them.

Layout below the root::

    <name>/              an RDS instance, or an EBS volume that a database lies on
    .volumes/<id>/       any other EBS volume
    .copies/<id>/        a snapshot, or a recovery point of AWS Backup
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from harness.clock import Clock
from harness.replicas.copying import copy_tree
from harness.replicas.freezing import frozen, kill
from harness.replicas.placement import spread_out

COPIES = ".copies"
VOLUMES = ".volumes"
WIPE_ROUNDS = 50


@dataclass(frozen=True)
class Real:
    """The directories that stand behind records.

    Attributes:
        places: of instances and volumes, by an id that no other one ever has.
        copies: that nobody writes to.
    """

    places: Mapping[str, Path]
    copies: frozenset[Path]

    def __or__(self, other: Real) -> Real:
        return Real({**self.places, **other.places}, self.copies | other.copies)


class Disk:
    """The directories of one control plane.

    Args:
        root: where they lie.
        owner: user and group that databases belong to; None for our own.
        clock: for waiting on processes.

    Attributes:
        root: as above.
    """

    def __init__(self, root: Path, owner: tuple[int, int] | None, clock: Clock) -> None:
        self.root = root
        self._owner = owner
        self._clock = clock
        for name in (COPIES, VOLUMES):
            (root / name).mkdir(exist_ok=True)
        spread_out(root / COPIES)

    def make(self, *names: str) -> Path:
        """A new, empty directory; numbered when the name is taken."""
        path, number = self.root.joinpath(*names), 1
        while path.exists():
            number += 1
            path = self.root.joinpath(*names[:-1], f"{names[-1]}-{number}")
        self.make_again(path)
        return path

    def make_again(self, path: Path) -> None:
        """An empty directory at a place that is free."""
        path.mkdir(mode=0o700)
        if self._owner is not None:
            os.chown(path, *self._owner)

    def copy(self, directory: Path) -> Path:
        """Copy a directory while the server on it, if there is one, stands still.

        Raises:
            OSError: it could not be copied; nothing is left of the copy.
            FreezeError: the server did not stand still.
        """
        target = self.root / COPIES / uuid4().hex
        try:
            with frozen(directory, self._clock):
                copy_tree(directory, target)
        except BaseException:
            shutil.rmtree(target, ignore_errors=True)
            raise
        return target

    def fill(self, directory: Path, copy: Path) -> None:
        """Copy a copy into an empty directory."""
        copy_tree(copy, directory)

    def stop_server(self, directory: Path) -> None:
        """Kill the server on a directory, if one runs on it."""
        kill(directory, self._clock)

    def wipe(self, directory: Path) -> None:
        """Remove a directory, and kill the server on it: its machine is taken away with it.

        Raises:
            FreezeError: a process cannot be killed.
            OSError: something of it is still there.
        """
        kill(directory, self._clock)
        for _ in range(WIPE_ROUNDS):
            shutil.rmtree(directory, ignore_errors=True)
            if not directory.exists():
                return
        raise OSError(f"cannot remove {directory}: files keep appearing in it")


def size_of(directory: Path) -> int:
    """Bytes that the files below a directory hold."""
    return sum(file.stat().st_size for file in directory.rglob("*") if file.is_file())
