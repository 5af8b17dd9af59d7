"""The files of a folder, compared before and after a call: what a command says it did proves nothing."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from harness.seams.volume_client import files_below

BLOCK = 1 << 20


@dataclass(frozen=True)
class Tree:
    """The files of a folder at one moment.

    Attributes:
        states: by name: mode, and a digest of the content or the link's target.
    """

    states: Mapping[str, tuple[int, str]]

    @classmethod
    def of(cls, root: Path, besides: tuple[str, ...] = ()) -> Tree:
        """Read all of them; a file that nobody may read counts with its size and date.

        Args:
            root: of the folder; what lies in it under a name of ``besides`` is left out.
        """
        return cls(
            {path.relative_to(root).as_posix(): _state(path) for path in files_below(root, besides=besides)}
        )

    def changed(self, after: Tree) -> tuple[str, ...]:
        """Names of those that are new, gone or other than they were."""
        names = self.states.keys() | after.states.keys()
        return tuple(sorted(name for name in names if self.states.get(name) != after.states.get(name)))


def _state(path: Path) -> tuple[int, str]:
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        return status.st_mode, str(path.readlink())
    if stat.S_ISREG(status.st_mode):
        with suppress(PermissionError), path.open("rb") as file:
            digest = sha256()
            while block := file.read(BLOCK):
                digest.update(block)
            return status.st_mode, digest.hexdigest()
    return status.st_mode, f"{status.st_size} {status.st_mtime_ns}"
