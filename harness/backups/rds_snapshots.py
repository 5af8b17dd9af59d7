"""Snapshots of an RDS instance: automated ones, which share its fate, or manual ones, which do not.

Source: Amazon RDS User Guide, "Introduction to backups" and "Restoring to a DB instance". Automated snapshots
are taken once a day, in the backup window, and kept for the instance's retention; deleting the instance
deletes them, unless it is told not to. Manual ones stay until somebody deletes them.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_hex
from typing import Any

from harness.backups.aws_control_plane import AwsControlPlane, AwsError
from harness.backups.aws_lodging import bring_back, lodging_of
from harness.backups.schedule import coming, every
from harness.errors import BackupError
from harness.facts import Endpoint, RecoveryPoint
from harness.scenario.models import Protection, RdsSettings, RdsSnapshots
from harness.seams.drivers import Due, PartTimer, Setting, Store, Vessel

DAY = timedelta(days=1)


class RdsSnapshotsTool:
    """Snapshots that RDS takes of the instance that a database lies on.

    A snapshot is a copy of the server's files as they were on disk at one instant. A restore takes RDS's own
    way: ``RestoreDBInstanceFromDBSnapshot`` makes a new instance, whose files the fresh replica is started
    on. On AWS they would stay there, and the new instance would be renamed to the old one's name.

    Args:
        name: of the protection.
        protection: of tool ``rds-snapshots``.
        source: a database whose data lies on an RDS instance.
        store: how to restore into it; not needed, since the copies are physical.
        setting: has the account among its peers.

    Raises:
        BackupError: the source lies on no RDS instance, or a snapshot was not taken or cannot be listed.
        RestoreError: a point is gone, or what it holds is not a database that starts.
    """

    def __init__(
        self, name: str, protection: Protection, source: Endpoint, store: Store, setting: Setting
    ) -> None:
        del store
        if not isinstance(protection, RdsSnapshots):
            raise BackupError(
                f"the protection {name} is not one of tool rds-snapshots",
                hint="a protection with `tool: rds-snapshots` has `of` and `kind`",
            )
        self._name = name
        self._protection = protection
        self._source = source
        lodging = lodging_of(name, source, setting)
        self._account, self._instance = lodging.account, lodging.name
        self._retention = lodging.model.databases.get(lodging.name, RdsSettings()).backup_retention
        self._aws = AwsControlPlane(setting.peers[self._account])

    def due(self, now: datetime, span: timedelta) -> tuple[Due, ...]:
        """Those of the last ``span`` that are kept; the newest is one interval old, as it is at worst."""
        if self._protection.kind == "automated":
            return every(DAY, self._retention, now, span, "automated")
        return every(self._protection.every, self._protection.keep, now, span, "manual")

    def take(self, due: Due) -> RecoveryPoint:
        """Let RDS take the snapshot of that date."""
        name = f"{self._name}-{due.at.astimezone(UTC):%Y%m%d-%H%M%S}-{token_hex(2)}"
        try:
            id = self._aws.take(self._instance, self._protection.kind, name, due.at)
            found = [point for point in self._list() if point.location == id]
        except AwsError as error:
            raise BackupError(f"{self._name}: {error.message}", hint=error.hint) from error
        if not found:
            raise BackupError(
                f"{self._name}: the snapshot of {due.at:%Y-%m-%d} was taken, but is not listed",
                hint="retention has removed it already; keep backups longer",
            )
        return found[0]

    def coming(self, present: datetime, since: datetime, until: datetime) -> tuple[Due, ...]:
        """One a day while RDS takes them itself, or every ``every``; see ``schedule.coming``."""
        if self._protection.kind == "automated":
            return coming(DAY, present, since, until, "automated") if self._retention else ()
        return coming(self._protection.every, present, since, until, "manual")

    def expire(self, now: datetime, *, taken: bool) -> None:
        """Have it be that date: RDS keeps automated ones for a time. Of manual ones ``keep`` stay."""
        try:
            self._aws.pass_time(now)
            if self._protection.kind == "manual" and taken:
                ours = [point for point in self._list() if point.location.startswith(f"{self._name}-")]
                for point in ours[self._protection.keep :]:
                    self._aws.ask("rds", "delete_db_snapshot", DBSnapshotIdentifier=point.location)
        except AwsError as error:
            raise BackupError(f"{self._name}: {error.message}", hint=error.hint) from error

    def start(self) -> None:
        """Nothing runs all the time: RDS takes the snapshots."""

    def stop(self) -> None:
        """Nothing to end."""

    def points(self) -> tuple[RecoveryPoint, ...]:
        """The snapshots that RDS lists, newest first; those of an instance that is gone too."""
        try:
            return self._list()
        except AwsError as error:
            raise BackupError(f"{self._name}: {error.message}", hint=error.hint) from error

    def restore(self, point: RecoveryPoint, into: Vessel, mark: PartTimer) -> Endpoint:
        """Have RDS make a new instance of a snapshot, and start the replica on its files."""

        def make() -> Path:
            instance = f"{self._instance}-restored-{token_hex(3)}"
            self._aws.ask(
                "rds",
                "restore_db_instance_from_db_snapshot",
                DBInstanceIdentifier=instance,
                DBSnapshotIdentifier=point.location,
            )
            return self._aws.place(instance)

        return bring_back(point, into, mark, make)

    def _list(self) -> tuple[RecoveryPoint, ...]:
        answer = self._aws.ask(
            "rds",
            "describe_db_snapshots",
            DBInstanceIdentifier=self._instance,
            SnapshotType=self._protection.kind,
        )
        sizes = self._aws.sizes()
        found = [self._point(snapshot, sizes) for snapshot in answer["DBSnapshots"]]
        return tuple(sorted(found, key=lambda point: point.covers_until, reverse=True))

    def _point(self, snapshot: dict[str, Any], sizes: Any) -> RecoveryPoint:
        id, taken = snapshot["DBSnapshotIdentifier"], snapshot["SnapshotCreateTime"].astimezone(UTC)
        return RecoveryPoint(
            id=f"{self._name}/{id}",
            protection=self._name,
            service=self._source.service,
            kind="snapshot",
            taken=taken,
            covers_until=taken,
            place=self._account,
            location=id,
            size=sizes.get(id, 0),
            shares_fate=self._protection.kind == "automated",
        )
