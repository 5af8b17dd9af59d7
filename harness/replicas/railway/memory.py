"""What the control plane knew at one moment, and the way back to it, in its own process.

Records come back from a pickle, backups from links to their files, which nobody ever writes to. A volume
that was deleted comes back as its empty directory: what a database has on it is that one's to bring back.
Requests that were counted and calls that were recorded are forgotten, and its date is the one of that
moment again, so that no retention runs out between two resets.
"""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

from harness.replicas.copying import link_tree
from harness.replicas.placement import spread_out
from harness.replicas.railway.plane import Plane
from harness.replicas.railway.state import Backup, VolumeInstance
from harness.replicas.railway.volumes import BACKUPS, PENDING

FOLDER = "memory"


class PlaneMemory:
    """A control plane as it is when this is made.

    Args:
        plane: which one; no workflow of it is under way.

    Raises:
        OSError: there is no room for the links.
    """

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self._shelf = plane.disk.root.parent / FOLDER
        self._now = plane.estate.now()
        self._records = pickle.dumps(
            (
                plane.estate.capture(),
                plane.deletions.capture(),
                plane.confirmations.capture(),
                plane.mailbox,
            )
        )
        self._waiting = plane.confirmations.ids()
        self._entries = len(plane.audit.after(0))
        self._by_the_harness = plane.changed_behind
        self._kept = tuple(plane.estate.every(Backup, buried=True))
        shutil.rmtree(self._shelf, ignore_errors=True)
        self._shelf.mkdir(mode=0o700)
        spread_out(self._shelf)
        for backup in self._kept:
            link_tree(backup.directory, self._shelf / backup.id)

    def changed(self) -> bool:
        """Whether anybody has asked for anything that is recorded or counted, or files are gone."""
        plane = self._plane
        return (
            bool(plane.audit.after(self._entries))
            or plane.limits.counted
            or plane.changed_behind != self._by_the_harness
            or not self._files_are_there()
        )

    def reset(self) -> None:
        """Make everything as it was.

        Raises:
            OSError: files cannot be brought back.
        """
        plane = self._plane
        if self._was_altered():
            # One pickle, so that what named the same record before does so again.
            estate, deletions, confirmations, mailbox = pickle.loads(self._records)  # noqa: S301 - our own
            plane.estate.recall(estate, self._now)
            plane.deletions.recall(deletions)
            plane.confirmations.recall(confirmations)
            plane.mailbox[:] = mailbox
            self._bring_back_files()
        else:
            plane.estate.set_now(self._now)
        plane.audit.forget_after(self._entries)
        plane.limits.forget()
        plane.changed_behind = self._by_the_harness

    def _was_altered(self) -> bool:
        """Whether any record or file may be different: a call that was refused or failed changed
        nothing but what waits to be confirmed."""
        plane = self._plane
        done = any(entry.outcome == "done" for entry in plane.audit.after(self._entries))
        done = done or plane.confirmations.ids() != self._waiting
        return done or plane.changed_behind != self._by_the_harness or not self._files_are_there()

    def _files_are_there(self) -> bool:
        instances = self._plane.estate.every(VolumeInstance)
        backups = self._plane.estate.every(Backup, buried=True)
        return (
            {backup.id for backup in backups} == {backup.id for backup in self._kept}
            and all(backup.directory.exists() for backup in self._kept)
            and all(instance.directory.exists() for instance in instances)
        )

    def _bring_back_files(self) -> None:
        disk, estate = self._plane.disk, self._plane.estate
        instances = estate.every(VolumeInstance, buried=True)
        for instance in instances:
            place = disk.location(instance.directory, instance.id)
            if instance.buried and place == instance.directory and place.exists():
                disk.set_aside(place, instance.id)
            elif not instance.buried and place != instance.directory:
                disk.wipe(instance.directory) if instance.directory.exists() else None
                disk.put_back(instance.directory, instance.id)
            elif not instance.directory.exists():
                disk.make_again(instance.directory)
        for backup in estate.every(Backup, buried=True):
            if not backup.directory.exists():
                backup.directory.parent.mkdir(exist_ok=True)
                link_tree(self._shelf / backup.id, backup.directory)
        self._remove_the_rest({one.directory for one in instances}, {one.directory for one in self._kept})

    def _remove_the_rest(self, volumes: set[Path], backups: set[Path]) -> None:
        """Volumes and backups that were made since."""
        root = self._plane.disk.root
        pending = {one.id for one in self._plane.estate.every(VolumeInstance, buried=True) if one.buried}
        for place in root.iterdir():
            known = backups if place.name == BACKUPS else volumes
            for path in place.glob("*/*" if place.name == BACKUPS else "*"):
                keep = path.name in pending if place.name == PENDING else path in known
                if not keep:
                    self._plane.disk.stop_server(path)
                    self._plane.disk.wipe(path)
