"""Snapshots of an RDS instance: automated ones, which share its fate, or manual ones, which do not.

Source: Amazon RDS User Guide, "Introduction to backups" and "Restoring to a DB instance". Automated snapshots
are taken once a day, in the backup window, and kept for the instance's retention; deleting the instance
deletes them, unless it is told not to. Manual ones stay until somebody deletes them.
"""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_hex
from typing import Any

from harness.backups.aws_control_plane import AwsControlPlane, AwsError
from harness.errors import BackupError, RestoreError
from harness.facts import Endpoint, RecoveryPoint
from harness.scenario.models import AwsService, PostgresService, Protection, RdsSettings, RdsSnapshots
from harness.seams.drivers import Database, Due, PartTimer, Setting, Vessel

DAY = timedelta(days=1)
DATA = "pgdata"


class RdsSnapshotsTool:
    """Snapshots that RDS takes of the instance that a database lies on.

    A snapshot is a copy of the server's files as they were on disk at one instant. A restore takes RDS's own
    way: ``RestoreDBInstanceFromDBSnapshot`` makes a new instance, whose files the fresh replica is started
    on. On AWS they would stay there, and the new instance would be renamed to the old one's name.

    Args:
        name: of the protection.
        protection: of tool ``rds-snapshots``.
        source: a database whose data lies on an RDS instance.
        database: how to restore into it; not needed, since the copies are physical.
        setting: has the account among its peers.

    Raises:
        BackupError: the source lies on no RDS instance, or a snapshot was not taken or cannot be listed.
        RestoreError: a point is gone, or what it holds is not a database that starts.
    """

    def __init__(
        self, name: str, protection: Protection, source: Endpoint, database: Database, setting: Setting
    ) -> None:
        del database
        if not isinstance(protection, RdsSnapshots):
            raise BackupError(
                f"the protection {name} is not one of tool rds-snapshots",
                hint="a protection with `tool: rds-snapshots` has `of` and `kind`",
            )
        self._name = name
        self._protection = protection
        self._source = source
        self._account, self._instance, self._retention = _instance_of(name, source, setting)
        self._aws = AwsControlPlane(setting.peers[self._account])

    def due(self, now: datetime, span: timedelta) -> tuple[Due, ...]:
        """Those of the last ``span`` that are kept; the newest is one interval old, as it is at worst."""
        if self._protection.kind == "automated":
            every, keep = DAY, self._retention
        else:
            every, keep = self._protection.every, self._protection.keep
        ages = [every * number for number in range(keep, 0, -1)]
        return tuple(Due(now - age, self._protection.kind) for age in ages if age <= span)

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
        """Have RDS make a new instance of a snapshot, and start the replica on its files.

        Args:
            point: from ``points``.
            into: where to.
            mark: is told ``restore``, and ``replay`` when the server begins to recover.
        """
        mark("restore")
        instance = f"{self._instance}-restored-{token_hex(3)}"
        try:
            self._aws.ask(
                "rds",
                "restore_db_instance_from_db_snapshot",
                DBInstanceIdentifier=instance,
                DBSnapshotIdentifier=point.location,
            )
            _move(self._aws.place(instance) / DATA, into.directory, point)
        except AwsError as error:
            raise RestoreError(
                f"{point.id} cannot be restored: {error.message}",
                hint="it went with its instance, or was deleted; take another point",
            ) from error
        except OSError as error:
            raise RestoreError(
                f"{point.id} cannot be put in place: {error}", hint="see that the disk is not full"
            ) from error
        mark("replay")
        return into.start()

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


def _instance_of(name: str, source: Endpoint, setting: Setting) -> tuple[str, str, int]:
    """The account and the RDS instance that the source lies on, and the instance's retention in days."""
    model = setting.stack.services.get(source.service)
    volume = model.volume if isinstance(model, PostgresService) else None
    account, _, instance = (volume or "").partition("/")
    aws = setting.stack.services.get(account)
    if not isinstance(aws, AwsService) or account not in setting.peers:
        raise BackupError(
            f"{name}: {source.service} does not lie on an RDS instance",
            hint=f"give {source.service} a `volume: <aws service>/<RDS instance>`",
        )
    return account, instance, aws.databases.get(instance, RdsSettings()).backup_retention


def _move(data: Path, to: Path, point: RecoveryPoint) -> None:
    if not (data / "PG_VERSION").is_file():
        raise RestoreError(
            f"{point.id} holds no database", hint="it was taken before the database was there; take another"
        )
    to.rmdir()
    shutil.move(data, to)
