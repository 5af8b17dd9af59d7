"""Railway's own volume backups, and the undo of a volume's deletion.

Rhythm and retention (Railway's documentation, "Backups", grade A): daily ones are taken every 24 hours and
kept 6 days, weekly ones every 7 days and kept 1 month, monthly ones every 30 days and kept 3 months. A month
is taken as 30 days.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from harness.backups.railway_control_plane import ControlPlaneError, MountedVolume, RailwayControlPlane
from harness.backups.schedule import coming
from harness.errors import BackupError, RestoreError
from harness.facts import Endpoint, RecoveryPoint
from harness.scenario.models import PostgresService, Protection, RailwayService, RailwayVolumeBackup
from harness.seams.drivers import Due, PartTimer, Setting, Store, Vessel

Schedule = Literal["daily", "weekly", "monthly"]

GRACE = timedelta(hours=48)
POLL_SECONDS = 0.025
POLL_SHARE = 0.02
"""Of the time that was waited already, as the pause before it is asked again."""

MEGABYTE = 1_000_000
LOCK_FILE = "postmaster.pid"

BACKUPS = """query ($id: String!) {
  volumeInstance(id: $id) { id volume { project { deletedAt } } %s }
  volumeInstanceBackupList(volumeInstanceId: $id) { id createdAt referencedMB }
}"""
PENDING = "currentSizeMB deletedAt isPendingDeletion"
RESTORE = """mutation ($instance: String!, $backup: String!) {
  volumeInstanceBackupRestore(volumeInstanceId: $instance, volumeInstanceBackupId: $backup) { workflowId }
}"""
STATUS = "query ($id: String!) { workflowStatus(workflowId: $id) { status error } }"


@dataclass(frozen=True)
class Rhythm:
    """How often backups of one schedule are taken, and how long they are kept."""

    every: timedelta
    keep: timedelta


RHYTHMS: dict[Schedule, Rhythm] = {
    "daily": Rhythm(timedelta(days=1), timedelta(days=6)),
    "weekly": Rhythm(timedelta(days=7), timedelta(days=30)),
    "monthly": Rhythm(timedelta(days=30), timedelta(days=90)),
}


def kept(schedules: Iterable[Schedule], now: datetime, span: timedelta) -> tuple[Due, ...]:
    """The backups that schedules have taken within the last ``span`` and retention has kept until ``now``.

    Retention includes its limit: a backup that is exactly as old as its schedule keeps backups is there. The
    newest of a schedule is one whole interval old, the moment before the next one is taken, which is when a
    disaster costs most.

    Args:
        schedules: that are on.
        now: the present.
        span: how far the history goes back; a backup that is exactly that old is in it.

    Returns:
        Oldest first, labelled with the schedule.
    """
    found = []
    for schedule in dict.fromkeys(schedules):
        rhythm = RHYTHMS[schedule]
        count = min(rhythm.keep, span) // rhythm.every
        found += [Due(now - number * rhythm.every, schedule) for number in range(1, count + 1)]
    return tuple(sorted(found, key=lambda due: due.at))


class RailwayVolumeBackupTool:
    """Backups that Railway keeps with a volume, and deletions of it that can be taken back.

    A backup is a copy of the volume as it was on disk at one instant; nothing is asked of the database, so
    a server that starts from it recovers as after a crash. It shares the volume's fate. In the profile
    ``current`` a deleted volume is a point of kind ``undo``: its owner can bring it back by a mailed link.
    Its backups are hidden until then.

    A restore takes the way of Railway's API: it copies the backup into a new volume and removes newer
    backups, so points are to be restored newest first. The data is then moved from that volume to where the
    fresh replica looks for it; on Railway it would stay there and be mounted by a deployment.

    Args:
        name: of the protection.
        protection: of tool ``railway-volume-backup``.
        source: a database whose data lies on a volume.
        store: how to restore into it; not needed, since the copies are physical.
        setting: has the control plane among its peers.

    Raises:
        BackupError: the source lies on no volume, or a backup was not taken or cannot be listed.
        RestoreError: a point is gone, or what it holds is not a database that starts.
    """

    def __init__(
        self, name: str, protection: Protection, source: Endpoint, store: Store, setting: Setting
    ) -> None:
        del store
        if not isinstance(protection, RailwayVolumeBackup):
            raise BackupError(
                f"the protection {name} is not one of tool railway-volume-backup",
                hint="a protection with `tool: railway-volume-backup` has `of` and `schedule`",
            )
        self._name = name
        self._schedules = protection.schedule
        self._source = source
        self._setting = setting
        self._place, self._profile = _railway_of(name, source, setting)
        self._railway = RailwayControlPlane(setting.peers[self._place], setting.clock)
        self._directory = source.path.parent
        self._instance: MountedVolume | None = None

    def due(self, now: datetime, span: timedelta) -> tuple[Due, ...]:
        """What the schedules have taken and retention has kept; see ``kept``."""
        return kept(self._schedules, now, span)

    def take(self, due: Due) -> RecoveryPoint:
        """Let the control plane take the scheduled backup of that date."""
        try:
            instance = self._find_instance()
            id = self._railway.back_up(instance.id, due.label.upper(), due.at)
            listed = [backup for backup in self._list()[1] if backup["id"] == id]
        except ControlPlaneError as error:
            raise BackupError(f"{self._name}: {error.message}", hint=error.hint) from error
        if not listed:
            raise BackupError(
                f"{self._name}: the {due.label} backup of {due.at:%Y-%m-%d} was taken, but is not listed",
                hint="retention has removed it already; a point must be younger than its schedule keeps",
            )
        return self._snapshot(listed[0])

    def coming(self, present: datetime, since: datetime, until: datetime) -> tuple[Due, ...]:
        """What each schedule takes, one interval after the other; see ``schedule.coming``."""
        found = [
            due
            for schedule in dict.fromkeys(self._schedules)
            for due in coming(RHYTHMS[schedule].every, present, since, until, schedule)
        ]
        return tuple(sorted(found, key=lambda due: due.at))

    def expire(self, now: datetime, *, taken: bool) -> None:
        """Have it be that date on Railway, which keeps each backup for a time, and then deletes it.

        Deletions that could be taken back until then are final.
        """
        del taken
        try:
            self._railway.pass_time(now)
        except ControlPlaneError as error:
            raise BackupError(f"{self._name}: {error.message}", hint=error.hint) from error

    def start(self) -> None:
        """Nothing runs all the time: Railway takes the backups."""

    def stop(self) -> None:
        """Nothing to end."""

    def points(self) -> tuple[RecoveryPoint, ...]:
        """The backups that Railway lists and the deletion that can be taken back, newest first.

        Empty when the volume is gone for good.
        """
        if not self._exists():
            return ()
        try:
            volume, backups = self._list()
        except ControlPlaneError as error:
            if error.said.endswith("not found"):
                return ()
            raise BackupError(f"{self._name}: {error.message}", hint=error.hint) from error
        doomed_at = volume["volume"]["project"]["deletedAt"]
        found = [self._snapshot(backup, doomed_at) for backup in backups]
        if volume.get("isPendingDeletion"):
            found.append(self._undo(volume))
        return tuple(sorted(found, key=lambda point: point.covers_until, reverse=True))

    def restore(self, point: RecoveryPoint, into: Vessel, mark: PartTimer) -> Endpoint:
        """Bring a point back: a backup through a new volume, a deletion by the link in the owner's mail.

        Args:
            point: from ``points``.
            into: where to.
            mark: is told ``restore``, and ``replay`` when the server begins to recover.
        """
        mark("restore")
        try:
            if point.kind == "undo":
                self._take_back(point)
                self._copy(self._source.path, into.directory, point)
            else:
                self._move(self._restored(point) / self._source.path.name, into.directory, point)
        except ControlPlaneError as error:
            raise RestoreError(
                f"{point.id} cannot be restored: {error.message}",
                hint="it went with its volume, or with the restore of an older one; take another point",
            ) from error
        except OSError as error:
            raise RestoreError(
                f"{point.id} cannot be put in place: {error}", hint="see that the disk is not full"
            ) from error
        mark("replay")
        return into.start()

    def _find_instance(self) -> MountedVolume:
        """The volume instance that the source lies on; looked up once, since a deleted one is not listed."""
        if self._instance is None:
            found = [one for one in self._railway.volumes() if one.directory == self._directory]
            if not found:
                raise ControlPlaneError(
                    f"{self._place} has no volume at {self._directory}",
                    hint="it was deleted, with its backups",
                    said="VolumeInstance not found",
                )
            self._instance = found[0]
        return self._instance

    def _exists(self) -> bool:
        try:
            id = self._find_instance().id
            return any(one.id == id for one in self._railway.volumes())
        except ControlPlaneError as error:
            if error.said:
                return False
            raise BackupError(f"{self._name}: {error.message}", hint=error.hint) from error

    def _list(self) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        fields = PENDING if self._profile == "current" else ""
        answer = self._railway.ask(BACKUPS % fields, id=self._find_instance().id)
        return answer["volumeInstance"], answer["volumeInstanceBackupList"]

    def _snapshot(self, backup: dict[str, Any], doomed_at: str | None = None) -> RecoveryPoint:
        taken = datetime.fromisoformat(backup["createdAt"])
        return RecoveryPoint(
            id=f"{self._name}/{backup['id']}",
            protection=self._name,
            service=self._source.service,
            kind="snapshot",
            taken=taken,
            covers_until=taken,
            place=self._place,
            location=backup["id"],
            size=(backup["referencedMB"] or 0) * MEGABYTE,
            doomed_at=datetime.fromisoformat(doomed_at) if doomed_at else None,
            shares_fate=True,
        )

    def _undo(self, volume: dict[str, Any]) -> RecoveryPoint:
        """The deletion, dated when it happened: it is final ``GRACE`` later."""
        deleted = datetime.fromisoformat(volume["deletedAt"]) - GRACE
        return RecoveryPoint(
            id=f"{self._name}/undo-{deleted:%Y%m%dT%H%M%S.%fZ}",
            protection=self._name,
            service=self._source.service,
            kind="undo",
            taken=deleted,
            covers_until=deleted,
            place=self._place,
            location=volume["id"],
            size=round(volume["currentSizeMB"] * MEGABYTE),
            shares_fate=True,
        )

    def _restored(self, point: RecoveryPoint) -> Path:
        """Restore a backup; returns the directory of the new volume."""
        instance = self._find_instance()
        workflow = self._begin_restore(instance.id, point.location)
        self._await_workflow(workflow)
        made = [one for one in self._railway.volumes() if one.restored_by == workflow]
        if not made:
            raise ControlPlaneError("the restored volume is not there", hint="it was deleted again")
        return made[0].directory

    def _begin_restore(self, instance: str, backup: str) -> str:
        """The workflow of a restore; a second person is asked where it removes newer backups."""
        try:
            answer = self._railway.ask(RESTORE, instance=instance, backup=backup)
            return str(answer["volumeInstanceBackupRestore"]["workflowId"])
        except ControlPlaneError as error:
            if not error.waits:
                raise
            return str(self._railway.confirm(error.waits)["deletionConfirm"]["workflowId"])

    def _await_workflow(self, workflow: str) -> None:
        clock = self._setting.clock
        began = clock.stamp()
        while True:
            status = self._railway.ask(STATUS, id=workflow)["workflowStatus"]
            if status["status"] == "Complete":
                return
            if status["status"] != "Running":
                raise ControlPlaneError(
                    f"the restore ended with {status['status']}: {status['error']}", hint="take another point"
                )
            # A large volume is copied for minutes, and requests are limited by the hour.
            clock.sleep(max(POLL_SECONDS, clock.stamp().since(began) * POLL_SHARE))

    def _take_back(self, point: RecoveryPoint) -> None:
        """Follow the newest link about the volume; one that was taken back already needs none."""
        instance = self._find_instance()
        pending = [one for one in self._railway.volumes() if one.id == point.location and one.pending]
        if not pending:
            return
        links = [mail.link for mail in self._railway.mails() if mail.link and instance.name in mail.about]
        if not links:
            raise ControlPlaneError(
                "no mail has a link that takes the deletion back", hint="take another point"
            )
        self._railway.follow(links[-1])

    def _move(self, data: Path, to: Path, point: RecoveryPoint) -> None:
        _check(data, point)
        to.rmdir()
        shutil.move(data, to)

    def _copy(self, data: Path, to: Path, point: RecoveryPoint) -> None:
        """The volume keeps its data, as it does when a service mounts it again."""
        _check(data, point)
        shutil.copytree(data, to, symlinks=True, dirs_exist_ok=True, ignore=shutil.ignore_patterns(LOCK_FILE))


def _railway_of(name: str, source: Endpoint, setting: Setting) -> tuple[str, str]:
    """The control plane that the source's volume belongs to, and its profile."""
    model = setting.stack.services.get(source.service)
    volume = model.volume if isinstance(model, PostgresService) else None
    place = (volume or "").partition("/")[0]
    railway = setting.stack.services.get(place)
    if not isinstance(railway, RailwayService) or place not in setting.peers:
        raise BackupError(
            f"{name}: {source.service} does not lie on a volume of a railway service",
            hint=f"give {source.service} a `volume: <railway service>/<volume>`",
        )
    return place, railway.profile


def _check(data: Path, point: RecoveryPoint) -> None:
    if not (data / "PG_VERSION").is_file():
        raise RestoreError(
            f"{point.id} holds no database", hint="it was taken before the database was there; take another"
        )
