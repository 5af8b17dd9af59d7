"""Snapshots of the EBS volume that a database lies on.

Source: Amazon EBS User Guide, "Amazon EBS snapshots". A snapshot is independent of its volume, and lies in
the same account: whoever may call ``DeleteSnapshot`` there can delete it, unless it is locked or Recycle Bin
keeps it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from harness.backups.aws_control_plane import AwsControlPlane, AwsError
from harness.backups.aws_lodging import bring_back, lodging_of, volume_id
from harness.backups.schedule import coming, every
from harness.errors import BackupError
from harness.facts import Endpoint, RecoveryPoint, TamperingKind
from harness.scenario.models import EbsSnapshots, Protection
from harness.seams.drivers import Due, PartTimer, Setting, Store, Tampering, Vessel

SCHEDULED = "scheduled"
"""What the description of a snapshot says that a schedule has taken."""

LOCKED = "OperationNotPermitted"


class EbsSnapshotsTool:
    """Snapshots of the EBS volume that a database lies on, which do not go with it.

    Args:
        name: of the protection.
        protection: of tool ``ebs-snapshots``.
        source: a database whose data lies on an EBS volume.
        store: how to restore into it; not needed, since the copies are physical.
        setting: has the account among its peers.

    Raises:
        BackupError: the source lies on no EBS volume, or a snapshot was not taken or cannot be listed.
        RestoreError: a point is gone, or what it holds is not a database that starts.
    """

    def __init__(
        self, name: str, protection: Protection, source: Endpoint, store: Store, setting: Setting
    ) -> None:
        del store
        if not isinstance(protection, EbsSnapshots):
            raise BackupError(
                f"the protection {name} is not one of tool ebs-snapshots",
                hint="a protection with `tool: ebs-snapshots` has `of`, `every` and `keep`",
            )
        self._name = name
        self._protection = protection
        self._source = source
        self._lodging = lodging_of(name, source, setting)
        self._aws = AwsControlPlane(setting.peers[self._lodging.account])
        self._clock = setting.clock
        self._volume: str | None = None

    def due(self, now: datetime, span: timedelta) -> tuple[Due, ...]:
        """The newest ``keep`` of the last ``span``; see ``schedule.every``."""
        return every(self._protection.every, self._protection.keep, now, span, "snapshot")

    def take(self, due: Due) -> RecoveryPoint:
        """Take a snapshot of that date."""
        try:
            id = self._aws.take_of_volume(self._volume_id() or "", due.at)
            return next(point for point in self._list() if point.location == id)
        except AwsError as error:
            raise BackupError(f"{self._name}: {error.message}", hint=error.hint) from error

    def coming(self, present: datetime, since: datetime, until: datetime) -> tuple[Due, ...]:
        """One every ``every``; see ``schedule.coming``."""
        return coming(self._protection.every, present, since, until, "snapshot")

    def expire(self, now: datetime, *, taken: bool) -> None:
        """Have it be that date, and delete every scheduled snapshot but the newest ``keep``.

        One that is locked stays.
        """
        try:
            self._aws.pass_time(now)
            for snapshot in self._scheduled()[self._protection.keep :] if taken else ():
                self._delete(snapshot)
        except AwsError as error:
            raise BackupError(f"{self._name}: {error.message}", hint=error.hint) from error

    def start(self) -> None:
        """Nothing runs all the time: EBS takes the snapshots."""

    def stop(self) -> None:
        """Nothing to end."""

    def points(self) -> tuple[RecoveryPoint, ...]:
        """The snapshots of the volume, newest first; those of a volume that is gone too."""
        try:
            return self._list()
        except AwsError as error:
            raise BackupError(f"{self._name}: {error.message}", hint=error.hint) from error

    def tamperings(self, point: RecoveryPoint) -> tuple[Tampering, ...]:
        """Nothing can be put in the place of a snapshot; see ``harness.seams.drivers.Tamperable``."""
        now, which = self._clock.stamp().wall, {"SnapshotId": point.location}
        sooner = now + ((point.locked_until or now) - now) / 2
        shorter = {**which, "LockMode": "compliance", "ExpirationDate": sooner.isoformat()}
        calls: tuple[tuple[TamperingKind, str, dict[str, str]], ...] = (
            ("shorten", "ec2-lock-snapshot", shorter),
            ("bypass", "ec2-unlock-snapshot", which),
            ("delete", "ec2-delete-snapshot", which),
        )
        return tuple(Tampering(what, point.location, "aws", verb, given) for what, verb, given in calls)

    def restore(self, point: RecoveryPoint, into: Vessel, mark: PartTimer) -> Endpoint:
        """Have EBS make a new volume of a snapshot, and start the replica on its files."""

        def make() -> Path:
            zone = self._aws.ask("ec2", "describe_availability_zones")["AvailabilityZones"][0]["ZoneName"]
            made = self._aws.ask("ec2", "create_volume", SnapshotId=point.location, AvailabilityZone=zone)
            return Path(self._aws.volumes()["places"][made["VolumeId"]])

        return bring_back(point, into, mark, make)

    def _volume_id(self) -> str | None:
        """Remembered, since a volume that is gone has no name any more."""
        self._volume = self._volume or volume_id(self._aws, self._lodging.name)
        return self._volume

    def _scheduled(self) -> list[str]:
        """Those that the schedule has taken, the newest first; nobody else's end with it."""
        filters = [{"Name": "description", "Values": [SCHEDULED]}]
        answer = self._aws.ask("ec2", "describe_snapshots", OwnerIds=["self"], Filters=filters)
        taken = {one["SnapshotId"]: one["StartTime"] for one in answer["Snapshots"]}
        ours = {point.location for point in self._list()} & taken.keys()
        return sorted(ours, key=lambda id: taken[id], reverse=True)

    def _delete(self, snapshot: str) -> None:
        try:
            self._aws.ask("ec2", "delete_snapshot", SnapshotId=snapshot)
        except AwsError as error:
            if error.code != LOCKED:
                raise

    def _list(self) -> tuple[RecoveryPoint, ...]:
        known = {one["id"]: one for one in self._aws.volumes()["snapshots"]}
        answer = self._aws.ask("ec2", "describe_snapshots", OwnerIds=["self"])
        volume = self._volume_id()
        found = [
            self._point(snapshot, known[snapshot["SnapshotId"]])
            for snapshot in answer["Snapshots"]
            if snapshot["SnapshotId"] in known and volume in (None, snapshot["VolumeId"])
        ]
        return tuple(sorted(found, key=lambda point: point.covers_until, reverse=True))

    def _point(self, snapshot: Mapping[str, Any], known: Mapping[str, Any]) -> RecoveryPoint:
        taken, until = snapshot["StartTime"].astimezone(UTC), known["locked_until"]
        return RecoveryPoint(
            id=f"{self._name}/{snapshot['SnapshotId']}",
            protection=self._name,
            service=self._source.service,
            kind="snapshot",
            taken=taken,
            covers_until=taken,
            place=self._lodging.account,
            location=snapshot["SnapshotId"],
            size=known["size"],
            locked_until=datetime.fromisoformat(until) if until else None,
        )
