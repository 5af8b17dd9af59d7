"""AWS Backup: a vault in the account of the database, or in one of its own.

Source: AWS Backup Developer Guide. A recovery point is independent of what it is a copy of. In a vault that
is locked in compliance mode nobody can delete it before its time is over, and a vault in another account is
out of reach of every credential of the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_hex
from typing import Any

from pydantic import JsonValue

from harness.backups.aws_control_plane import AwsControlPlane, AwsError
from harness.backups.aws_lodging import bring_back, lodging_of, volume_id
from harness.backups.schedule import coming, every
from harness.errors import BackupError
from harness.facts import Endpoint, RecoveryPoint, TamperingKind
from harness.scenario.models import AwsBackup, Protection
from harness.seams.drivers import Due, PartTimer, Setting, Store, Tampering, Vessel


class AwsBackupTool:
    """Recovery points that AWS Backup takes of an RDS instance or an EBS volume into a vault.

    Into a vault of another account AWS copies the recovery point of the first account's vault; here it is
    taken there at once.

    Args:
        name: of the protection.
        protection: of tool ``aws-backup``.
        source: a database whose data lies in an AWS account.
        store: how to restore into it; not needed, since the copies are physical.
        setting: has both accounts among its peers.

    Raises:
        BackupError: the source lies in no account, or a point was not taken or cannot be listed.
        RestoreError: a point is gone, or what it holds is not a database that starts.
    """

    def __init__(
        self, name: str, protection: Protection, source: Endpoint, store: Store, setting: Setting
    ) -> None:
        del store
        if not isinstance(protection, AwsBackup):
            raise BackupError(
                f"the protection {name} is not one of tool aws-backup",
                hint="a protection with `tool: aws-backup` has `of`, `vault`, `every` and `keep`",
            )
        self._name = name
        self._protection = protection
        self._source = source
        self._lodging = lodging_of(name, source, setting)
        self._place = protection.to or self._lodging.account
        self._home = AwsControlPlane(setting.peers[self._lodging.account])
        self._vaults = AwsControlPlane(setting.peers[self._place])
        self._resource: tuple[str, Path] | None = None

    def due(self, now: datetime, span: timedelta) -> tuple[Due, ...]:
        """The newest ``keep`` of the last ``span``; see ``schedule.every``."""
        return every(self._protection.every, self._protection.keep, now, span, "recovery point")

    def take(self, due: Due) -> RecoveryPoint:
        """Take a recovery point of that date."""
        try:
            resource, source = self._find_resource()
            arn = self._vaults.take_into_vault(
                self._protection.vault, resource, source, due.at, self._days, self._lodging.environment
            )
            found = [point for point in self._list() if point.location == arn]
        except AwsError as error:
            raise BackupError(f"{self._name}: {error.message}", hint=error.hint) from error
        if not found:
            raise BackupError(
                f"{self._name}: the recovery point of {due.at:%Y-%m-%d} was taken, but is not listed",
                hint="its time is over already; keep recovery points longer",
            )
        return found[0]

    def coming(self, present: datetime, since: datetime, until: datetime) -> tuple[Due, ...]:
        """One every ``every``; see ``schedule.coming``."""
        return coming(self._protection.every, present, since, until, "recovery point")

    def expire(self, now: datetime, *, taken: bool) -> None:
        """Have it be that date where the vault is: AWS Backup deletes each point when its time is over."""
        del taken
        try:
            self._vaults.pass_time(now)
        except AwsError as error:
            raise BackupError(f"{self._name}: {error.message}", hint=error.hint) from error

    def start(self) -> None:
        """Nothing runs all the time: AWS Backup takes the copies."""

    def stop(self) -> None:
        """Nothing to end."""

    def points(self) -> tuple[RecoveryPoint, ...]:
        """What is in the vault, newest first; nothing when the vault is gone."""
        try:
            return self._list()
        except AwsError as error:
            if error.code == "ResourceNotFoundException":
                return ()
            raise BackupError(f"{self._name}: {error.message}", hint=error.hint) from error

    def tamperings(self, point: RecoveryPoint) -> tuple[Tampering, ...]:
        """Nothing can be put in the place of a recovery point; see ``harness.seams.drivers.Tamperable``."""
        vault: dict[str, JsonValue] = {"BackupVaultName": self._protection.vault}
        which: dict[str, JsonValue] = {**vault, "RecoveryPointArn": point.location}
        lifecycle: dict[str, JsonValue] = {"Lifecycle": {"DeleteAfterDays": 1}}
        calls: tuple[tuple[TamperingKind, str, dict[str, JsonValue]], ...] = (
            ("shorten", "backup-update-recovery-point-lifecycle", {**which, **lifecycle}),
            ("bypass", "backup-delete-backup-vault-lock-configuration", vault),
            ("delete", "backup-delete-recovery-point", which),
        )
        return tuple(Tampering(what, point.location, "aws", verb, given) for what, verb, given in calls)

    def restore(self, point: RecoveryPoint, into: Vessel, mark: PartTimer) -> Endpoint:
        """Have AWS Backup make a new instance or volume, and start the replica on its files."""

        def make() -> Path:
            instance = f"{self._lodging.name}-restored-{token_hex(3)}"
            metadata = {} if self._lodging.on_volume else {"DBInstanceIdentifier": instance}
            job = self._vaults.ask(
                "backup", "start_restore_job", RecoveryPointArn=point.location, Metadata=metadata
            )
            told = self._vaults.ask("backup", "describe_restore_job", RestoreJobId=job["RestoreJobId"])
            if not self._lodging.on_volume:
                return self._vaults.place(instance)
            volume = told["CreatedResourceArn"].rpartition("/")[2]
            return Path(self._vaults.volumes()["places"][volume])

        return bring_back(point, into, mark, make)

    def _find_resource(self) -> tuple[str, Path]:
        """ARN and directory of what the source lies on; remembered, since they may go.

        Raises:
            AwsError: it is gone.
        """
        if self._resource is None:
            self._resource = self._look_up()
        return self._resource

    def _look_up(self) -> tuple[str, Path]:
        name = self._lodging.name
        if not self._lodging.on_volume:
            (found,) = self._home.ask("rds", "describe_db_instances", DBInstanceIdentifier=name)[
                "DBInstances"
            ]
            return str(found["DBInstanceArn"]), self._home.place(name)
        volume = volume_id(self._home, name)
        if volume is None:
            raise AwsError(f"there is no EBS volume {name}", hint="it was deleted")
        account = self._home.ask("sts", "get_caller_identity")["Account"]
        arn = f"arn:aws:ec2:{self._lodging.model.region}:{account}:volume/{volume}"
        return arn, Path(self._home.volumes()["places"][volume])

    def _list(self) -> tuple[RecoveryPoint, ...]:
        answer = self._vaults.ask(
            "backup", "list_recovery_points_by_backup_vault", BackupVaultName=self._protection.vault
        )
        known = self._vaults.recovery_points()
        resource = self._resource[0] if self._resource else None
        found = [
            self._point(point, known[point["RecoveryPointArn"]])
            for point in answer["RecoveryPoints"]
            if resource in (None, point["ResourceArn"])
        ]
        return tuple(sorted(found, key=lambda point: point.covers_until, reverse=True))

    def _point(self, point: Mapping[str, Any], known: Mapping[str, Any]) -> RecoveryPoint:
        arn, taken = point["RecoveryPointArn"], point["CreationDate"].astimezone(UTC)
        until, days = known["locked_until"], point.get("Lifecycle", {}).get("DeleteAfterDays")
        return RecoveryPoint(
            id=f"{self._name}/{arn.rpartition(':')[2]}",
            protection=self._name,
            service=self._source.service,
            kind="snapshot",
            taken=taken,
            covers_until=taken,
            place=self._place,
            location=arn,
            size=known["size"],
            locked_until=datetime.fromisoformat(until) if until else None,
            doomed_at=taken + timedelta(days=days) if days is not None and days < self._days else None,
        )

    @property
    def _days(self) -> int:
        """For how long its own schedule has a copy kept."""
        return (self._protection.every * (self._protection.keep + 1)).days or 1
