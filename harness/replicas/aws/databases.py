"""RDS instances and their snapshots, bound to the data directories of real servers and to copies of them.

moto keeps the records. After every call that may have changed them, ``settle`` makes the directories follow:
a new snapshot is a copy of the running server's files, a deleted instance loses its server and its files, a
restored one gets the files of the snapshot. No server is started on those; whoever restores does that.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

from moto.rds.models import DBInstance, DBInstanceAutomatedBackup, rds_backends

from harness.replicas.aws.audit import Touched
from harness.replicas.aws.calendar import Calendar
from harness.replicas.aws.disk import Disk, Real, size_of
from harness.replicas.aws.handover import DatabaseSeed
from harness.replicas.aws.parts import Check, Own
from harness.replicas.aws.wire import ApiCall, ApiError
from harness.replicas.freezing import LOCK_FILE
from harness.sandbox import LOOPBACK

EXPIRY_LAG = timedelta(hours=1)
"""How long past its retention an automated snapshot is still there. RDS does not say; assumed."""

PORT_LINE = 3
"""Of ``postmaster.pid``, from 0 (PostgreSQL 18, src/include/utils/pidfile.h)."""

RESOURCE_ID = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
DEFAULTS: Mapping[str, Any] = {
    "db_instance_class": "db.t4g.micro",
    "engine": "postgres",
    "engine_version": "18.1",
    "allocated_storage": 20,
    "master_username": "postgres",
    "preferred_backup_window": "03:00-03:30",
}


class Databases:
    """The RDS instances of one account in one region.

    Args:
        account, region: that they belong to.
        seeds: what is there at the start.
        disk: where their files lie.
        calendar: the present.
    """

    def __init__(
        self, account: str, region: str, seeds: tuple[DatabaseSeed, ...], disk: Disk, calendar: Calendar
    ) -> None:
        self._rds = rds_backends[account][region]
        self._disk = disk
        self._calendar = calendar
        self._places: dict[str, Path] = {}
        self._copies: dict[str, Path] = {}
        self._environments = {seed.identifier: seed.environment for seed in seeds}
        self._retention_before: int | None = None
        self._doomed: DBInstance | None = None
        # The first automated snapshot comes with the first backup window; an instance answers on loopback.
        DBInstance.save_automated_backup = lambda _: None
        DBInstance.address = property(lambda _: LOOPBACK)
        # moto leaves out by what they are deleted.
        DBInstanceAutomatedBackup.dbi_resource_id = property(_resource_id_of)
        for seed in seeds:
            self._rds.create_db_instance(
                {**DEFAULTS, "db_instance_identifier": seed.identifier, **seed.settings}
            )
        self._settle(None)

    @property
    def checks(self) -> Mapping[str, Check]:
        return {
            "rds.DeleteDBInstance": self._check_delete,
            "rds.ModifyDBInstance": self._check_modify,
            "rds.DeleteDBSnapshot": self._check_delete_snapshot,
            "rds.DescribeDBInstances": self._look_up_ports,
        }

    @property
    def own(self) -> Mapping[str, Own]:
        return {"rds.DeleteDBInstanceAutomatedBackup": self._delete_automated_backup}

    def settle(self, call: ApiCall) -> None:
        """Make directories follow the records."""
        if call.name == "rds.ModifyDBInstance":
            self._settle_modification(call)
        if call.name == "rds.RestoreDBInstanceFromDBSnapshot":
            self._settle_restore(call)
        if call.service != "rds":
            return
        try:
            self._settle(call)
        except BaseException:
            # An instance whose final snapshot could not be taken is not deleted.
            if call.name == "rds.DeleteDBInstance" and self._doomed is not None:
                self._rds.databases[self._doomed.db_instance_identifier] = self._doomed
            raise

    def pass_time(self) -> None:
        """Automated snapshots that are older than retention keeps them go."""
        now = self._calendar.now()
        for snapshot in list(self._rds.database_snapshots.values()):
            if snapshot.snapshot_type != "automated":
                continue
            live = self._rds.databases.get(snapshot.db_instance_identifier, snapshot.database)
            age = now - _aware(snapshot.created)
            if age > timedelta(days=live.backup_retention_period) + EXPIRY_LAG:
                self._rds.delete_db_snapshot(snapshot.db_snapshot_identifier)
        self._settle(None)

    def listing(self) -> Iterator[tuple[Touched, str]]:
        """Instances and snapshots; a snapshot stands where its instance stood."""
        for database in self._rds.databases.values():
            name = database.db_instance_identifier
            yield (
                Touched("db-instance", name, self._environments.get(name)),
                f"{database.dbi_resource_id} {database.deletion_protection}"
                f" {database.backup_retention_period} {database.db_instance_class}"
                f" {sorted((tag['Key'], tag['Value']) for tag in database.tags)}",
            )
        for snapshot in self._rds.database_snapshots.values():
            instance = snapshot.db_instance_identifier
            name = f"{instance}/{snapshot.db_snapshot_identifier}"
            shared = getattr(snapshot, "attributes", {})
            yield (
                Touched("db-snapshot", name, self._environments.get(instance)),
                f"{snapshot.db_snapshot_arn} {snapshot.created} {shared}",
            )

    def take(self, identifier: str, kind: str, name: str, at: datetime) -> dict[str, Any]:
        """Take a snapshot as somebody, or the backup window of that day, would have.

        Args:
            identifier: of the instance.
            kind: ``automated`` or ``manual``.
            name: of a manual one; RDS names the others itself.
            at: the instant that it is dated.

        Raises:
            ApiError: there is no such instance, or it keeps no automated backups.
        """
        database = self._rds.databases.get(identifier)
        if database is None:
            raise _not_found(identifier)
        if kind == "automated":
            if not database.backup_retention_period:
                raise ApiError("InvalidDBInstanceState", f"{identifier} keeps no automated backups")
            name = self._free(f"rds:{identifier}-{at.astimezone(UTC):%Y-%m-%d-%H-%M}")
        if name in self._rds.database_snapshots:
            raise ApiError("DBSnapshotAlreadyExists", f"there is a snapshot {name}")
        snapshot = self._rds.create_db_snapshot(identifier, name, kind)
        snapshot.created = snapshot.original_snapshot_create_time = at.astimezone(UTC).replace(tzinfo=None)
        self._settle(None)
        return {"id": snapshot.db_snapshot_identifier, "size": size_of(self._copies[snapshot.arn])}

    def _free(self, name: str) -> str:
        """A name that no snapshot has; RDS would not take two in one minute."""
        number, free = 1, name
        while free in self._rds.database_snapshots:
            number += 1
            free = f"{name}-{number}"
        return free

    def find(self, arn: str) -> tuple[Path, str | None] | None:
        """The directory of an instance, and the environment that it stands in."""
        for database in self._rds.databases.values():
            if database.arn == arn:
                environment = self._environments.get(database.db_instance_identifier)
                return self._places[database.dbi_resource_id], environment
        return None

    def restore(self, identifier: str, copy: Path, environment: str | None) -> str:
        """Make an instance with the files of a copy; returns its ARN.

        Raises:
            ApiError: the identifier is taken.
        """
        if identifier in self._rds.databases:
            raise ApiError("DBInstanceAlreadyExists", f"There is an instance {identifier}.")
        database = self._rds.create_db_instance({**DEFAULTS, "db_instance_identifier": identifier})
        self._environments[identifier] = environment
        self._add(database, None)
        self._disk.fill(self._places[database.dbi_resource_id], copy)
        return str(database.arn)

    def places(self) -> dict[str, str]:
        """The directory of each instance."""
        return {
            database.db_instance_identifier: str(self._places[database.dbi_resource_id])
            for database in self._rds.databases.values()
        }

    def real(self) -> Real:
        """The directories of instances, by their resource ids, and of snapshots."""
        return Real(dict(self._places), frozenset(self._copies.values()))

    def sizes(self) -> dict[str, int]:
        """Bytes of each snapshot's copy."""
        return {
            snapshot.db_snapshot_identifier: size_of(self._copies[snapshot.arn])
            for snapshot in self._rds.database_snapshots.values()
        }

    def tags(self, call: ApiCall) -> Mapping[str, str]:
        """The tags of the instance or the snapshot that a call is about."""
        named = (
            self._rds.databases.get(call.get("DBInstanceIdentifier") or ""),
            self._rds.database_snapshots.get(call.get("DBSnapshotIdentifier") or ""),
        )
        return {tag["Key"]: tag["Value"] for each in named if each is not None for tag in each.tags}

    # --- before a call ----------------------------------------------------------------------------------

    def _check_delete(self, call: ApiCall) -> None:
        """Source: Amazon RDS API Reference, "DeleteDBInstance"."""
        identifier, final = call.parameters["DBInstanceIdentifier"], call.get("FinalDBSnapshotIdentifier")
        database = self._rds.databases.get(identifier)
        if database is None:
            raise _not_found(identifier)
        if database.deletion_protection:
            raise ApiError(
                "InvalidParameterCombination",
                "Cannot delete protected DB Instance, please disable deletion protection and try again.",
                refused=True,
            )
        if call.get("SkipFinalSnapshot") and final:
            raise ApiError(
                "InvalidParameterCombination",
                "FinalDBSnapshotIdentifier can not be specified when deleting with SkipFinalSnapshot.",
            )
        if not call.get("SkipFinalSnapshot") and not final:
            raise ApiError(
                "InvalidParameterCombination",
                "FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified.",
            )
        if final and final in self._rds.database_snapshots:
            raise ApiError("DBSnapshotAlreadyExists", f"Cannot create the snapshot {final}: it exists.")
        self._doomed = database

    def _check_modify(self, call: ApiCall) -> None:
        database = self._rds.databases.get(call.parameters["DBInstanceIdentifier"])
        if database is None:
            raise _not_found(call.parameters["DBInstanceIdentifier"])
        self._retention_before = database.backup_retention_period

    def _check_delete_snapshot(self, call: ApiCall) -> None:
        """Source: Amazon RDS User Guide, "Deleting a DB snapshot": only manual ones can be deleted."""
        snapshot = self._rds.database_snapshots.get(call.parameters["DBSnapshotIdentifier"])
        if snapshot is not None and snapshot.snapshot_type != "manual":
            raise ApiError(
                "InvalidDBSnapshotState",
                f"Cannot delete the snapshot {snapshot.db_snapshot_identifier}: it is not a manual one.",
            )

    def _look_up_ports(self, call: ApiCall) -> None:
        """Where the server of each instance listens, as its own lock file says."""
        del call
        for database in self._rds.databases.values():
            for file in self._places[database.dbi_resource_id].glob(f"*/{LOCK_FILE}"):
                with suppress(OSError, ValueError, IndexError):
                    database.port = int(file.read_text(encoding="utf-8").splitlines()[PORT_LINE])

    # --- what moto does not have ------------------------------------------------------------------------

    def _delete_automated_backup(self, call: ApiCall) -> Mapping[str, Any]:
        """Source: Amazon RDS API Reference, "DeleteDBInstanceAutomatedBackup"."""
        wanted = call.get("DbiResourceId")
        doomed = [
            snapshot
            for snapshot in self._rds.database_snapshots.values()
            if snapshot.snapshot_type == "automated" and snapshot.dbi_resource_id == wanted
        ]
        if not doomed:
            raise ApiError(
                "DBInstanceAutomatedBackupNotFound",
                f"there is no automated backup of {wanted}",
                HTTPStatus.NOT_FOUND,
            )
        if any(database.dbi_resource_id == wanted for database in self._rds.databases.values()):
            raise ApiError(
                "InvalidDBInstanceAutomatedBackupState",
                "Automated backups of an instance that is there cannot be deleted by this call.",
            )
        for snapshot in doomed:
            self._rds.delete_db_snapshot(snapshot.db_snapshot_identifier)
        return {"DBInstanceAutomatedBackup": {"DbiResourceId": wanted, "Status": "deleting"}}

    # --- after a call -----------------------------------------------------------------------------------

    def _settle_modification(self, call: ApiCall) -> None:
        """Source: Amazon RDS User Guide, "Disabling automated backups": at once only when asked for."""
        identifier = call.get("NewDBInstanceIdentifier") or call.parameters["DBInstanceIdentifier"]
        database = self._rds.databases[identifier]
        before, wanted = self._retention_before, call.get("BackupRetentionPeriod")
        if identifier != call.parameters["DBInstanceIdentifier"]:
            self._environments[identifier] = self._environments.get(call.parameters["DBInstanceIdentifier"])
        if wanted is None or before is None or (wanted > 0) == (before > 0):
            return
        if not call.get("ApplyImmediately"):
            database.backup_retention_period = before
        elif wanted == 0:
            self._drop_automated(database.dbi_resource_id)

    def _settle_restore(self, call: ApiCall) -> None:
        """Source: Amazon RDS API Reference, "RestoreDBInstanceFromDBSnapshot": protection is off at first."""
        restored = self._rds.databases[call.parameters["DBInstanceIdentifier"]]
        restored.deletion_protection = bool(call.get("DeletionProtection", False))
        source = self._rds.get_db_snapshot(call.parameters["DBSnapshotIdentifier"]).db_instance_identifier
        self._environments.setdefault(restored.db_instance_identifier, self._environments.get(source))

    def _drop_automated(self, resource_id: str) -> None:
        for snapshot in list(self._rds.database_snapshots.values()):
            if snapshot.snapshot_type == "automated" and snapshot.dbi_resource_id == resource_id:
                self._rds.delete_db_snapshot(snapshot.db_snapshot_identifier)

    def _settle(self, call: ApiCall | None) -> None:
        """First what is new, because it may be copied from what goes."""
        snapshots = {snapshot.arn: snapshot for snapshot in self._rds.database_snapshots.values()}
        for arn in snapshots.keys() - self._copies.keys():
            try:
                self._copies[arn] = self._disk.copy(self._source(snapshots[arn], call))
            except BaseException:
                del self._rds.database_snapshots[snapshots[arn].db_snapshot_identifier]
                raise
        for database in self._rds.databases.values():
            if database.dbi_resource_id not in self._places:
                self._add(database, call)
        for arn in self._copies.keys() - snapshots.keys():
            self._disk.wipe(self._copies[arn])
            del self._copies[arn]
        there = {database.dbi_resource_id for database in self._rds.databases.values()}
        for resource_id in self._places.keys() - there:
            self._disk.wipe(self._places[resource_id])
            del self._places[resource_id]

    def _source(self, snapshot: Any, call: ApiCall | None) -> Path:
        if call is not None and call.operation == "CopyDBSnapshot":
            return self._copies[self._rds.get_db_snapshot(call.parameters["SourceDBSnapshotIdentifier"]).arn]
        return self._places[snapshot.dbi_resource_id]

    def _add(self, database: DBInstance, call: ApiCall | None) -> None:
        # moto gives all instances one and the same resource id.
        database.dbi_resource_id = "db-" + "".join(secrets.choice(RESOURCE_ID) for _ in range(26))
        place = self._disk.make(database.db_instance_identifier)
        self._places[database.dbi_resource_id] = place
        if call is not None and call.operation == "RestoreDBInstanceFromDBSnapshot":
            snapshot = self._rds.get_db_snapshot(call.parameters["DBSnapshotIdentifier"])
            self._disk.fill(place, self._copies[snapshot.arn])


def _resource_id_of(kept: Any) -> str:
    return str(kept.automated_snapshots[0].dbi_resource_id)


def _not_found(identifier: str) -> ApiError:
    return ApiError("DBInstanceNotFound", f"DBInstance {identifier} not found.", HTTPStatus.NOT_FOUND)


def _aware(moment: datetime) -> datetime:
    """moto's times are in UTC, whether they say so or not."""
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
