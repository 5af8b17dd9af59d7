"""Backups of volumes: schedules, retention, taking and restoring them.

Graded (A, Railway's documentation and API): daily ones are kept 6 days, weekly ones 1 month, monthly ones
3 months; locking one removes its expiry; one taken by hand is refused when more than half of the volume is
in use; a restore mounts a new volume named by the backup's date, leaves the old one unmounted, is staged
until it is deployed, removes newer backups, and stays within its project and environment. Assumed: a month
is 30 days; newer backups go when the copy is there, not when it is deployed; one taken by hand has no
expiry; how a message is worded.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta

from harness.replicas.railway.deletion import Deletions
from harness.replicas.railway.refusals import ApiError, NotFoundError
from harness.replicas.railway.staging import stage
from harness.replicas.railway.state import (
    Backup,
    Environment,
    Estate,
    Schedule,
    ScheduleKind,
    Volume,
    VolumeInstance,
    Workflow,
    new_id,
)
from harness.replicas.railway.volumes import Disk, size_of
from harness.replicas.railway.workflows import Workflows

MEGABYTE = 1_000_000
MANUAL_SHARE = 0.5


@dataclass(frozen=True)
class Rhythm:
    """How often backups of one kind are taken, and how long they are kept."""

    name: str
    cron: str
    keep: timedelta


RHYTHMS: dict[ScheduleKind, Rhythm] = {
    "DAILY": Rhythm("Daily", "0 0 * * *", timedelta(days=6)),
    "WEEKLY": Rhythm("Weekly", "0 0 * * 0", timedelta(days=30)),
    "MONTHLY": Rhythm("Monthly", "0 0 1 * *", timedelta(days=90)),
}


class Copies:
    """Takes and restores the backups of all volumes."""

    def __init__(self, estate: Estate, disk: Disk, deletions: Deletions, workflows: Workflows) -> None:
        self._estate = estate
        self._disk = disk
        self._deletions = deletions
        self._workflows = workflows

    def of(self, instance: VolumeInstance) -> tuple[Backup, ...]:
        """The backups of a volume instance, newest first; none while its deletion is pending."""
        if instance.buried:
            return ()
        found = self._estate.every(Backup, volume_instance_id=instance.id)
        return tuple(sorted(found, key=lambda backup: backup.created_at, reverse=True))

    def schedules(self, instance: VolumeInstance) -> tuple[Schedule, ...]:
        """What is taken regularly."""
        return self._estate.every(Schedule, volume_instance_id=instance.id)

    def reschedule(self, instance: VolumeInstance, kinds: list[ScheduleKind]) -> None:
        """Take backups of these kinds from now on, and no others."""
        for schedule in self.schedules(instance):
            if schedule.kind not in kinds:
                self._estate.drop(schedule)
        for kind in dict.fromkeys(kinds):
            self.schedule_of(instance, kind)

    def schedule_of(self, instance: VolumeInstance, kind: ScheduleKind) -> Schedule:
        """The schedule of that kind; made if there is none."""
        found = self._estate.every(Schedule, volume_instance_id=instance.id, kind=kind)
        if found:
            return found[0]
        return self._estate.add(
            Schedule(volume_instance_id=instance.id, kind=kind, created_at=self._estate.now())
        )

    def begin(self, instance: VolumeInstance, name: str | None, creator_id: str) -> Workflow:
        """Take a backup by hand, in the background.

        Raises:
            ApiError: too much of the volume is in use.
        """
        if size_of(instance.directory) > MANUAL_SHARE * instance.size_mb * MEGABYTE:
            raise ApiError("Manual backups are limited to 50% of the volume's total size")
        work = self._take(instance, new_id(), self._estate.now(), name=name, creator_id=creator_id)
        return self._workflows.start(work)

    async def take_scheduled(self, instance: VolumeInstance, kind: ScheduleKind, at: datetime) -> Backup:
        """Take a backup as the schedule would have at that instant.

        Raises:
            ApiError: the volume was deleted meanwhile.
            OSError: it could not be copied.
        """
        schedule = self.schedule_of(instance, kind)
        backup = await self._take(instance, new_id(), at, schedule_id=schedule.id)
        backup.expires_at = at + RHYTHMS[kind].keep
        return backup

    def restore(self, instance: VolumeInstance, backup: Backup) -> Workflow:
        """Copy a backup into a new volume, in the background, and stage mounting it.

        Raises:
            ApiError: the backup is of another project or environment.
        """
        source = self._estate.get(VolumeInstance, backup.volume_instance_id)
        if source.environment_id != instance.environment_id:
            raise ApiError("Backups can only be restored into the same project and environment")
        workflow = self._workflows.open()
        target = self._new_instance(instance, backup, workflow)
        return self._workflows.run(workflow, self._fill(instance, backup, target))

    def newer_than(self, backup: Backup) -> tuple[Backup, ...]:
        """The backups of the same volume instance that a restore of this one removes."""
        every = self._estate.every(Backup, volume_instance_id=backup.volume_instance_id)
        return tuple(other for other in every if other.created_at > backup.created_at)

    async def remove(self, backup: Backup) -> None:
        """Delete a backup."""
        self._deletions.remove_backup(backup)

    async def _take(
        self,
        instance: VolumeInstance,
        id: str,
        at: datetime,
        *,
        name: str | None = None,
        creator_id: str | None = None,
        schedule_id: str | None = None,
    ) -> Backup:
        directory, files = await asyncio.to_thread(self._disk.snapshot, instance.directory, instance.id, id)
        if self._estate.find(VolumeInstance, instance.id, buried=True) is None:
            self._disk.wipe_backups(instance.id)
            raise NotFoundError("VolumeInstance")
        earlier = [
            one for one in self._estate.every(Backup, volume_instance_id=instance.id) if one.created_at < at
        ]
        before = max(earlier, key=lambda one: one.created_at).files if earlier else frozenset()
        return self._estate.add(
            Backup(
                id=id,
                created_at=at,
                volume_instance_id=instance.id,
                name=name,
                directory=directory,
                files=files,
                changed_bytes=sum(file.size for file in files - before),
                volume_instance_size_mb=instance.size_mb,
                creator_id=creator_id,
                schedule_id=schedule_id,
            )
        )

    def _new_instance(self, like: VolumeInstance, backup: Backup, workflow: Workflow) -> VolumeInstance:
        old = self._estate.get(Volume, like.volume_id)
        environment = self._estate.get(Environment, like.environment_id)
        name = f"{backup.created_at:%Y-%m-%dT%H-%M-%SZ}"
        directory = self._disk.make(environment.name, name)
        now = self._estate.now()
        volume = self._estate.add(Volume(project_id=old.project_id, name=directory.name, created_at=now))
        return self._estate.add(
            VolumeInstance(
                volume_id=volume.id,
                environment_id=like.environment_id,
                mount_path=like.mount_path,
                directory=directory,
                size_mb=like.size_mb,
                region=like.region,
                state="RESTORING",
                restored_from=backup.id,
                restored_by=workflow.id,
                created_at=now,
            )
        )

    async def _fill(self, instance: VolumeInstance, backup: Backup, target: VolumeInstance) -> None:
        try:
            await asyncio.to_thread(self._disk.fill, target.directory, backup.directory)
        except OSError:
            target.state = "ERROR"
            raise
        target.state = "READY"
        for newer in self.newer_than(backup):
            self._deletions.remove_backup(newer)
        if instance.service_id is not None:
            mounts = {target.volume_id: {"mountPath": instance.mount_path}, instance.volume_id: None}
            change = {"services": {instance.service_id: {"volumeMounts": mounts}}}
            stage(self._estate, instance.environment_id, change, f"Restore of {target.directory.name}")
