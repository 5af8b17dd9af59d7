"""What is real behind the control plane at one moment, and the way back to it.

The records themselves come back with the process that has them (``server.py``). Copies come back from links
to their files, which nobody ever writes to. What a database of the stack lies on comes back as an empty
directory: what that one has on it is its own to bring back.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from harness.replicas.aws.disk import COPIES, VOLUMES
from harness.replicas.aws.plane import Plane
from harness.replicas.copying import link_tree
from harness.replicas.placement import spread_out

FOLDER = "memory"


class PlaneMemory:
    """A control plane as it is when this is made, in the process that is kept and in every child of it.

    Args:
        plane: which one.

    Raises:
        OSError: there is no room.
    """

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self._shelf = plane.disk.root.parent / FOLDER
        self._today = plane.today()
        self._entries = len(plane.audit.after(0))
        self._behind = plane.changed_behind
        self._real = plane.real()
        shutil.rmtree(self._shelf, ignore_errors=True)
        self._shelf.mkdir(mode=0o700)
        spread_out(self._shelf)
        for copy in self._real.copies:
            link_tree(copy, self._shelf / copy.name)
        for id, place in self._own_places():
            plane.disk.fill(self._shelf / id, place)

    def begin(self) -> None:
        """Have it be the same moment again, so that no retention runs out between two resets."""
        self._plane.turn_to(self._today)

    def changed(self) -> bool:
        """Whether anybody has asked for anything that is recorded, or files are gone."""
        plane = self._plane
        return (
            bool(plane.audit.after(self._entries))
            or plane.changed_behind != self._behind
            or not all(path.exists() for path in (*self._real.places.values(), *self._real.copies))
        )

    def bring_back_files(self) -> None:
        """Make directories as they were; the process ends after that.

        Raises:
            OSError: files cannot be brought back.
            FreezeError: a server on what has to go cannot be killed.
        """
        disk, then, now = self._plane.disk, self._real, self._plane.real()
        same = {place for id, place in then.places.items() if now.places.get(id) == place}
        self._remove_all_but(same | (then.copies & now.copies))
        for id, place in then.places.items():
            if not place.exists():
                disk.make_again(place)
                if (self._shelf / id).exists():
                    disk.fill(place, self._shelf / id)
        for copy in then.copies:
            if not copy.exists():
                link_tree(self._shelf / copy.name, copy)

    def _own_places(self) -> Iterator[tuple[str, Path]]:
        """Directories on which no database of the stack lies."""
        for id, place in self._real.places.items():
            if place not in self._plane.lodgings:
                yield id, place

    def _remove_all_but(self, kept: set[Path]) -> None:
        disk = self._plane.disk
        places = (path for path in disk.root.iterdir() if path.name not in (COPIES, VOLUMES))
        folders = (disk.root / COPIES, disk.root / VOLUMES)
        for path in (*places, *(path for folder in folders for path in folder.iterdir())):
            if path not in kept:
                disk.wipe(path)
