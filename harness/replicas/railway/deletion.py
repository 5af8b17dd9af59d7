"""Deletes: at once in the profile `legacy`, after 48 hours in `current`, where the owner can take it back.

Graded: before the end of April 2026 a delete through the API was immediate and afterwards every delete
waits 48 hours (A); the owner restores by a link in a mail, there is no call for it (A); in `legacy` the
backups went along (A / B), in `current` they come back with their volume (assumed).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from harness.replicas.railway.audit import Touched
from harness.replicas.railway.doom import Doom, of_project
from harness.replicas.railway.inventory import describe_all
from harness.replicas.railway.mailbox import Mail
from harness.replicas.railway.state import (
    Backup,
    Estate,
    Project,
    Record,
    Schedule,
    Volume,
    VolumeInstance,
    new_id,
)
from harness.replicas.railway.volumes import Disk

GRACE = timedelta(hours=48)
EXPIRY_LAG = timedelta(hours=1)
"""How long after its expiry a backup is still there. Railway does not say when it clears up; assumed."""


class NothingToUndoError(Exception):
    """The link is unknown, was used, or is too old."""


class PlaceTakenError(Exception):
    """Something else lies where a volume would come back to."""


@dataclass(frozen=True)
class Deletion:
    """One delete that can still be taken back.

    Attributes:
        nonce: the secret part of the mailed link.
        final_at: when it is carried out.
        doom: what was deleted.
        mounts: the service that each detached volume instance was mounted to.
        about: what it is called.
    """

    nonce: str
    final_at: datetime
    doom: Doom
    mounts: tuple[tuple[VolumeInstance, str | None], ...]
    about: tuple[Touched, ...]


Captured = tuple[dict[str, Deletion], set[str]]
"""Deletes that can be taken back by the secret of their link, and projects whose deletion is scheduled."""


class Deletions:
    """Carries deletes out, or lets them wait.

    Args:
        estate: whose records go.
        disk: where volumes lie.
        mailbox: what the owner is told goes here.
    """

    def __init__(self, estate: Estate, disk: Disk, mailbox: list[Mail]) -> None:
        self._estate = estate
        self._disk = disk
        self._mailbox = mailbox
        self._waiting: dict[str, Deletion] = {}
        self._scheduled: set[str] = set()

    def delete(self, title: str, doom: Doom, *, at_once: bool = False) -> tuple[Touched, ...]:
        """Delete; when it can be taken back depends on the profile.

        Args:
            title: what is deleted, for the mail.
            doom: what goes.
            at_once: without grace in either profile.

        Returns:
            What was changed.
        """
        touched = self.names(doom)
        for instance in doom.stopped:
            self._disk.stop_server(instance.directory)
        mounts = tuple((instance, instance.service_id) for instance in doom.detached)
        for instance in doom.detached:
            instance.service_id = None
        if at_once or self._estate.profile == "legacy":
            self._erase(doom)
        else:
            self._bury(title, doom, mounts, touched)
        return touched

    def names(self, doom: Doom) -> tuple[Touched, ...]:
        """What goes or changes with it."""
        backups = tuple(
            backup
            for instance in _instances(doom)
            for backup in self._estate.every(Backup, volume_instance_id=instance.id)
        )
        changed: tuple[Record, ...] = (*doom.records, *backups, *doom.detached)
        return describe_all(self._estate, changed)

    def capture(self) -> Captured:
        """What still waits, to be kept as it is by whoever makes a copy of it."""
        return self._waiting, self._scheduled

    def recall(self, captured: Captured) -> None:
        """Have that wait, and nothing else."""
        self._waiting, self._scheduled = captured

    def schedule(self, project: Project) -> None:
        """Delete a project when the grace is over; until then nothing is touched."""
        project.deleted_at = self._estate.now() + GRACE
        self._scheduled.add(project.id)

    def cancel(self, project: Project) -> None:
        """Take ``schedule`` back."""
        project.deleted_at = None
        self._scheduled.discard(project.id)

    def undo(self, nonce: str) -> tuple[Touched, ...]:
        """Take a delete back, as the owner does by the link.

        Returns:
            What came back.

        Raises:
            NothingToUndoError: the link is unknown, used or too old.
            PlaceTakenError: something else lies there now; nothing came back.
        """
        deletion = self._waiting.get(nonce)
        if deletion is None:
            raise NothingToUndoError
        instances = _instances(deletion.doom)
        taken = [instance for instance in instances if instance.directory.exists()]
        if taken:
            raise PlaceTakenError(self._estate.volume_name(taken[0]))
        for instance in instances:
            self._disk.put_back(instance.directory, instance.id)
            instance.state = "READY"
        for record in deletion.doom.records:
            record.buried, record.deleted_at = False, None
        for instance, service_id in deletion.mounts:
            instance.service_id = service_id
        del self._waiting[nonce]
        return deletion.about

    def carry_out(self, project: Project) -> tuple[Touched, ...]:
        """Carry out at once the deletes in a project that could still be taken back (assumed).

        Returns:
            What is gone for good now.
        """
        final = [one for one in self._waiting.values() if self._concerns(one.doom, project)]
        for deletion in final:
            self._erase(deletion.doom)
            del self._waiting[deletion.nonce]
        return tuple(touched for deletion in final for touched in deletion.about)

    def pass_time(self) -> None:
        """Carry out what is due by now: deletes whose grace is over, and backups that have expired."""
        now = self._estate.now()
        for deletion in [one for one in self._waiting.values() if one.final_at <= now]:
            self._erase(deletion.doom)
            del self._waiting[deletion.nonce]
        for project in self._estate.every(Project):
            if project.id in self._scheduled and project.deleted_at and project.deleted_at <= now:
                self._scheduled.discard(project.id)
                self.delete(project.name, of_project(self._estate, project), at_once=True)
        for backup in self._estate.every(Backup):
            if backup.expires_at is not None and backup.expires_at + EXPIRY_LAG <= now:
                self.remove_backup(backup)

    def remove_backup(self, backup: Backup) -> None:
        """Delete one backup, at once and for good."""
        self._disk.wipe(backup.directory)
        self._estate.drop(backup)

    def _concerns(self, doom: Doom, project: Project) -> bool:
        volumes = (
            self._estate.find(Volume, instance.volume_id, buried=True) for instance in _instances(doom)
        )
        return any(
            project.id in (getattr(record, "project_id", None), record.id)
            for record in (*doom.records, *volumes)
            if record is not None
        )

    def _bury(
        self,
        title: str,
        doom: Doom,
        mounts: tuple[tuple[VolumeInstance, str | None], ...],
        about: tuple[Touched, ...],
    ) -> None:
        now = self._estate.now()
        for instance in _instances(doom):
            self._disk.set_aside(instance.directory, instance.id)
            instance.state = "DELETING"
        for record in doom.records:
            record.buried, record.deleted_at = True, now + GRACE
        deletion = Deletion(new_id(), now + GRACE, doom, mounts, about)
        self._waiting[deletion.nonce] = deletion
        link = f"/restore/{deletion.nonce}"
        text = (
            f"{title} was deleted. It will be removed for good at {deletion.final_at:%Y-%m-%d %H:%M} UTC.\n"
            f"If this was a mistake, open this link until then: {link}\n"
        )
        self._mailbox.append(
            Mail(now, self._estate.user.email, f"{title} will be deleted in 48 hours", text, link, about)
        )

    def _erase(self, doom: Doom) -> None:
        for instance in _instances(doom):
            if instance.buried:
                self._disk.forget_pending(instance.id)
            else:
                self._disk.wipe(instance.directory)
            self._disk.wipe_backups(instance.id)
            for kind in (Backup, Schedule):
                for record in self._estate.every(kind, volume_instance_id=instance.id):
                    self._estate.drop(record)
        for record in doom.records:
            self._estate.drop(record)


def _instances(doom: Doom) -> tuple[VolumeInstance, ...]:
    return tuple(record for record in doom.records if isinstance(record, VolumeInstance))
