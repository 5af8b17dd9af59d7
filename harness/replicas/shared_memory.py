"""Gives back System V shared memory that killed servers could not give back themselves.

PostgreSQL holds a small segment as a lock on its data directory (PostgreSQL 18, section 18.4.1). Ended by
SIGQUIT it removes it, but not while it is still starting, and not when it was killed. The kernel keeps such
a segment for good (shmctl(2)).
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from pathlib import Path

TABLE = Path("/proc/sysvipc/shm")
"""Linux's list of segments: the second column is the id, the fifth the creator, the seventh the users."""

REMOVE = 0
"""IPC_RMID of <sys/ipc.h>."""


def release_shared_memory(creators: Iterable[int]) -> None:
    """Remove the segments that dead processes made and that nobody has attached.

    Args:
        creators: their process ids. A system without the list, or a segment of another account, is left be.
    """
    dead = set(creators)
    library = ctypes.CDLL(None, use_errno=True)
    for line in TABLE.read_text(encoding="utf-8").splitlines()[1:] if TABLE.exists() else ():
        columns = line.split()
        segment, creator, users = int(columns[1]), int(columns[4]), int(columns[6])
        if creator in dead and users == 0:
            library.shmctl(segment, REMOVE, None)
