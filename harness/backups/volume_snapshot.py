"""Snapshots of a volume: on the disk that it lies on itself, or as copies on another volume."""

from __future__ import annotations

import shutil
from datetime import datetime, timedelta
from pathlib import Path

from harness.backups.object_store import date_text
from harness.backups.schedule import coming, every
from harness.errors import BackupError, Failure, HarnessError, RestoreError
from harness.facts import Endpoint, RecoveryPoint
from harness.scenario.models import Protection, VolumeSnapshot
from harness.seams.drivers import Due, PartTimer, Setting, Store, Vessel
from harness.seams.volume_client import SNAPSHOTS


class VolumeSnapshotTool:
    """Whole trees, each in a folder named by its date; copied with shared blocks where the disk can.

    What deletes files in the tree does not reach a snapshot beside it; what deletes the volume does. A copy
    on another volume is in the reach of whoever may write there.

    Args:
        name: of the protection.
        protection: of tool ``volume-snapshot``.
        source: the volume.
        store: its driver.
        setting: has the other volume among its peers.

    Raises:
        BackupError: a snapshot cannot be taken.
        RestoreError: one is gone, or cannot be copied back.
    """

    def __init__(
        self, name: str, protection: Protection, source: Endpoint, store: Store, setting: Setting
    ) -> None:
        del store
        if not isinstance(protection, VolumeSnapshot):
            raise BackupError(
                f"the protection {name} is not one of tool volume-snapshot",
                hint="a protection with `tool: volume-snapshot` has `of`, `every` and `keep`",
            )
        self._name = name
        self._protection = protection
        self._source = source
        self._setting = setting
        mount = source.path.parent / SNAPSHOTS
        self._folder = (mount if protection.to is None else setting.peers[protection.to].path) / name

    def due(self, now: datetime, span: timedelta) -> tuple[Due, ...]:
        """The newest ``keep`` of the last ``span``; see ``schedule.every``."""
        label = f"snapshot of {self._source.service}"
        return every(self._protection.every, self._protection.keep, now, span, label)

    def take(self, due: Due) -> RecoveryPoint:
        """Copy the tree as it is now; nobody writes to it meanwhile."""
        target = self._folder / date_text(due.at)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._copy(self._source.path, target, BackupError)
        except OSError as error:
            raise BackupError(
                f"no snapshot of {self._source.service} can be taken: {error}",
                hint="is there room on the disk?",
            ) from error
        return self._point(target, due.at)

    def coming(self, present: datetime, since: datetime, until: datetime) -> tuple[Due, ...]:
        """One every ``every``; see ``schedule.coming``."""
        return coming(self._protection.every, present, since, until, f"snapshot of {self._source.service}")

    def expire(self, now: datetime, *, taken: bool) -> None:
        """Remove every snapshot but the newest ``keep``, once there is a new one."""
        del now
        over = self.points()[self._protection.keep :] if taken else ()
        for point in over:
            try:
                shutil.rmtree(self._folder / point.location)
            except OSError as error:
                raise BackupError(
                    f"the snapshot {point.id} cannot be removed: {error}",
                    hint="see whom its files belong to",
                ) from error

    def start(self) -> None:
        """Nothing runs all the time."""

    def stop(self) -> None:
        """Nothing runs all the time."""

    def points(self) -> tuple[RecoveryPoint, ...]:
        """Every snapshot that is there, newest first."""
        if not self._folder.is_dir():
            return ()
        dated = ((folder, _date(folder.name)) for folder in self._folder.iterdir() if folder.is_dir())
        found = [self._point(folder, date) for folder, date in dated if date is not None]
        return tuple(sorted(found, key=lambda point: point.covers_until, reverse=True))

    def restore(self, point: RecoveryPoint, into: Vessel, mark: PartTimer) -> Endpoint:
        """Copy the tree back to where the volume is mounted, and mount it."""
        mark("restore")
        snapshot = self._folder / point.location
        if not snapshot.is_dir():
            raise RestoreError(f"the snapshot {point.id} is gone", hint="see which points are left")
        try:
            into.directory.rmdir()
            self._copy(snapshot, into.directory, RestoreError)
        except OSError as error:
            raise RestoreError(
                f"the snapshot {point.id} cannot be copied back: {error}", hint="is there room on the disk?"
            ) from error
        return into.start()

    def _copy(self, source: Path, target: Path, failure: Failure) -> None:
        """By ``cp``, which can share blocks; a ``cp`` without that option gives way to Python.

        Of one that does not come to its end nothing is left, which could be taken for a copy.
        """
        try:
            ran = self._setting.sandbox.call(["cp", "-a", "--reflink=auto", source, target], failure=failure)
            if ran.returncode != 0:
                shutil.rmtree(target, ignore_errors=True)
                shutil.copytree(source, target, symlinks=True)
        except (OSError, HarnessError):
            shutil.rmtree(target, ignore_errors=True)
            raise

    def _point(self, folder: Path, taken: datetime) -> RecoveryPoint:
        size = sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())
        return RecoveryPoint(
            id=f"{self._name}/{folder.name}",
            protection=self._name,
            service=self._source.service,
            kind="snapshot",
            taken=taken,
            covers_until=taken,
            place=self._protection.to or self._source.service,
            location=folder.name,
            size=size,
            shares_fate=self._protection.to is None,
        )


def _date(name: str) -> datetime | None:
    try:
        return datetime.fromisoformat(name)
    except ValueError:
        return None
