"""AWS Backup: vaults with real recovery points, which outlive what they are copies of.

Source: AWS Backup Developer Guide, "AWS Backup Vault Lock" and "Deleting backups"; AWS Backup API Reference.
A locked vault lets nobody delete a recovery point or shorten its life. In governance mode whoever may can
take the lock off; in compliance mode nobody can once its cooling-off, 3 days at least, is over. moto keeps
the records of vaults; it has no recovery points.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any
from uuid import uuid4

from moto.backup.models import backup_backends

from harness.replicas.aws.audit import Touched
from harness.replicas.aws.calendar import Calendar
from harness.replicas.aws.databases import Databases
from harness.replicas.aws.disk import Disk, Real, size_of
from harness.replicas.aws.handover import VaultSeed
from harness.replicas.aws.parts import Check, Own
from harness.replicas.aws.volumes import Volumes
from harness.replicas.aws.wire import ApiCall, ApiError

ROLE = "arn:aws:iam::{}:role/service-role/AWSBackupDefaultServiceRole"


@dataclass
class Kept:
    """A recovery point.

    Attributes:
        resource: ARN of what it is a copy of.
        days: that it is kept; None for ever.
        environment: that its source stood in.
    """

    arn: str
    vault: str
    resource: str
    copy: Path
    made: datetime
    days: int | None
    environment: str | None

    @property
    def type(self) -> str:
        """``RDS`` or ``EBS``."""
        return "RDS" if ":rds:" in self.resource else "EBS"

    @property
    def expires(self) -> datetime | None:
        return self.made + timedelta(days=self.days) if self.days is not None else None


class Vaults:
    """The vaults of one account in one region.

    Args:
        account, region: that they belong to.
        seeds: what is there at the start; their cooling-off is over.
        databases, volumes: what can be copied and restored.
        disk: where copies lie.
        calendar: the present.
    """

    def __init__(
        self,
        account: str,
        region: str,
        seeds: tuple[VaultSeed, ...],
        databases: Databases,
        volumes: Volumes,
        disk: Disk,
        calendar: Calendar,
    ) -> None:
        self._account, self._region = account, region
        self._backup = backup_backends[account][region]
        self._databases = databases
        self._volumes = volumes
        self._disk = disk
        self._calendar = calendar
        self._kept: dict[str, Kept] = {}
        self._jobs: dict[str, dict[str, Any]] = {}
        for seed in seeds:
            self._sow(seed)

    @property
    def checks(self) -> Mapping[str, Check]:
        return {
            "backup.DeleteBackupVault": self._check_delete_vault,
            "backup.PutBackupVaultLockConfiguration": self._check_lock,
            "backup.DeleteBackupVaultLockConfiguration": self._check_lock,
        }

    @property
    def own(self) -> Mapping[str, Own]:
        return {
            "backup.StartBackupJob": self._start_backup,
            "backup.DescribeBackupJob": self._describe_job,
            "backup.ListRecoveryPointsByBackupVault": self._list_by_vault,
            "backup.ListRecoveryPointsByResource": self._list_by_resource,
            "backup.DescribeRecoveryPoint": lambda call: self._show(self._get(call)),
            "backup.UpdateRecoveryPointLifecycle": self._update,
            "backup.DeleteRecoveryPoint": self._delete,
            "backup.StartRestoreJob": self._start_restore,
            "backup.DescribeRestoreJob": self._describe_job,
        }

    def settle(self, call: ApiCall) -> None:
        """Recovery points follow nobody's records but ours."""

    def pass_time(self) -> None:
        """What has been kept for long enough goes."""
        now = self._calendar.now()
        for kept in list(self._kept.values()):
            if kept.expires is not None and kept.expires <= now:
                self._remove(kept)

    def listing(self) -> Iterator[tuple[Touched, str]]:
        """Vaults and recovery points."""
        for vault in self._backup.vaults.values():
            state = f"{vault.locked} {vault.min_retention_days} {vault.max_retention_days} {vault.lock_date}"
            yield Touched("backup-vault", vault.backup_vault_name), state
        for kept in self._kept.values():
            name = f"{kept.vault}/{kept.arn.rpartition(':')[2]}"
            yield Touched("recovery-point", name, kept.environment), str(kept.days)

    def real(self) -> Real:
        """The directories of recovery points."""
        return Real({}, frozenset(kept.copy for kept in self._kept.values()))

    def recovery_points(self) -> list[dict[str, Any]]:
        """Every recovery point with its size, and until when nobody can delete it."""
        return [
            {"arn": kept.arn, "size": size_of(kept.copy), "locked_until": self._locked_until(kept)}
            for kept in self._kept.values()
        ]

    def take(
        self, vault: str, resource: str, source: Path, at: datetime, days: int, environment: str | None
    ) -> str:
        """Put a copy into a vault, dated an instant that is over; returns its ARN.

        Args:
            vault: its name.
            resource: ARN of what is copied, of this account or another one.
            source: the directory of it.
            at: the date it gets.
            days: that it is kept.
            environment: that the source stands in.

        Raises:
            ApiError: there is no such vault, or it keeps nothing for so short.
        """
        self._check_retention(vault, days)
        return self._add(vault, resource, source, at.astimezone(UTC), days, environment).arn

    # --- before a call ----------------------------------------------------------------------------------

    def _check_delete_vault(self, call: ApiCall) -> None:
        name = self._vault(call).backup_vault_name
        if any(kept.vault == name for kept in self._kept.values()):
            raise ApiError(
                "InvalidRequestException",
                "Backup vault cannot be deleted because it contains recovery points.",
                refused=True,
            )

    def _check_lock(self, call: ApiCall) -> None:
        if self._is_immutable(self._vault(call)):
            raise ApiError(
                "InvalidRequestException", "Vault Lock is immutable after its lock date.", refused=True
            )

    def _check_retention(self, name: str, days: int | None) -> None:
        vault = self._backup.vaults.get(name)
        if vault is None:
            raise _no_vault(name)
        least = vault.min_retention_days if vault.locked else None
        most = vault.max_retention_days if vault.locked else None
        if days is not None and ((least is not None and days < least) or (most is not None and days > most)):
            raise ApiError(
                "InvalidParameterValueException",
                f"The vault {name} keeps recovery points for {least or 1} to {most or 36500} days.",
            )

    # --- what moto does not have ------------------------------------------------------------------------

    def _start_backup(self, call: ApiCall) -> Mapping[str, Any]:
        name, resource = self._vault(call).backup_vault_name, call.parameters["ResourceArn"]
        days = (call.get("Lifecycle") or {}).get("DeleteAfterDays")
        self._check_retention(name, days)
        source, environment = self._databases.find(resource) or self._volumes.find(resource) or (None, None)
        if source is None:
            raise ApiError("ResourceNotFoundException", f"There is no resource {resource} here.")
        kept = self._add(name, resource, source, self._calendar.now(), days, environment)
        id = str(uuid4())
        job = {
            "BackupJobId": id,
            "RecoveryPointArn": kept.arn,
            "CreationDate": kept.made,
            "CompletionDate": kept.made,
            "BackupVaultName": name,
            "ResourceArn": resource,
            "ResourceType": kept.type,
            "State": "COMPLETED",
            "BackupSizeInBytes": size_of(kept.copy),
        }
        self._jobs[id] = job
        return job

    def _start_restore(self, call: ApiCall) -> Mapping[str, Any]:
        kept = self._get(call)
        metadata = call.get("Metadata") or {}
        if kept.type == "RDS":
            identifier = metadata.get("DBInstanceIdentifier")
            if not identifier:
                raise ApiError("InvalidParameterValueException", "Metadata needs a DBInstanceIdentifier.")
            created = self._databases.restore(identifier, kept.copy, kept.environment)
        else:
            created = self._volumes.restore(kept.copy, kept.environment)
        id = str(uuid4())
        job = {
            "RestoreJobId": id,
            "RecoveryPointArn": kept.arn,
            "CreatedResourceArn": created,
            "ResourceType": kept.type,
            "Status": "COMPLETED",
            "CreationDate": self._calendar.now(),
            "CompletionDate": self._calendar.now(),
        }
        self._jobs[id] = job
        return {"RestoreJobId": id}

    def _describe_job(self, call: ApiCall) -> Mapping[str, Any]:
        id = str(call.get("BackupJobId") or call.get("RestoreJobId"))
        if id not in self._jobs:
            raise ApiError("ResourceNotFoundException", f"There is no job {id}.")
        return self._jobs[id]

    def _list_by_vault(self, call: ApiCall) -> Mapping[str, Any]:
        name, resource = self._vault(call).backup_vault_name, call.get("ByResourceArn")
        found = [
            kept for kept in self._kept.values() if kept.vault == name and resource in (None, kept.resource)
        ]
        return {"RecoveryPoints": [self._show(kept) for kept in found]}

    def _list_by_resource(self, call: ApiCall) -> Mapping[str, Any]:
        resource = call.parameters["ResourceArn"]
        found = [kept for kept in self._kept.values() if kept.resource == resource]
        return {"RecoveryPoints": [self._show(kept) for kept in found]}

    def _update(self, call: ApiCall) -> Mapping[str, Any]:
        kept = self._unlocked(call)
        kept.days = (call.get("Lifecycle") or {}).get("DeleteAfterDays")
        return {"RecoveryPointArn": kept.arn, "Lifecycle": {"DeleteAfterDays": kept.days}}

    def _delete(self, call: ApiCall) -> Mapping[str, Any]:
        self._remove(self._unlocked(call))
        return {}

    def _get(self, call: ApiCall) -> Kept:
        arn = call.parameters["RecoveryPointArn"]
        kept = self._kept.get(arn)
        if kept is None or call.get("BackupVaultName") not in (None, kept.vault):
            raise ApiError("ResourceNotFoundException", f"There is no recovery point {arn}.")
        return kept

    def _unlocked(self, call: ApiCall) -> Kept:
        kept = self._get(call)
        if self._backup.vaults[kept.vault].locked:
            raise ApiError(
                "InvalidRequestException",
                f"The vault {kept.vault} is locked: its recovery points cannot be deleted or changed.",
                refused=True,
            )
        return kept

    def _vault(self, call: ApiCall) -> Any:
        name = call.parameters["BackupVaultName"]
        if name not in self._backup.vaults:
            raise _no_vault(name)
        return self._backup.vaults[name]

    def _is_immutable(self, vault: Any) -> bool:
        return vault.lock_date is not None and self._calendar.now().timestamp() >= vault.lock_date

    def _locked_until(self, kept: Kept) -> str | None:
        if not self._is_immutable(self._backup.vaults[kept.vault]):
            return None
        return (kept.expires or datetime.max.replace(tzinfo=UTC)).isoformat()

    def _add(
        self,
        vault: str,
        resource: str,
        source: Path,
        made: datetime,
        days: int | None,
        environment: str | None,
    ) -> Kept:
        copy = self._disk.copy(source)
        job = uuid4()
        own = f"arn:aws:rds:{self._region}:{self._account}:snapshot:awsbackup:job-{job}"
        arn = own if ":rds:" in resource else f"arn:aws:ec2:{self._region}::snapshot/snap-{job.hex[:17]}"
        kept = Kept(arn, vault, resource, copy, made, days, environment)
        self._kept[arn] = kept
        self._backup.vaults[vault].num_of_recovery_points += 1
        return kept

    def _remove(self, kept: Kept) -> None:
        self._disk.wipe(kept.copy)
        del self._kept[kept.arn]
        self._backup.vaults[kept.vault].num_of_recovery_points -= 1

    def _show(self, kept: Kept) -> Mapping[str, Any]:
        return {
            "RecoveryPointArn": kept.arn,
            "BackupVaultName": kept.vault,
            "ResourceArn": kept.resource,
            "ResourceType": kept.type,
            "Status": "COMPLETED",
            "CreationDate": kept.made,
            "CompletionDate": kept.made,
            "IamRoleArn": ROLE.format(self._account),
            "BackupSizeInBytes": size_of(kept.copy),
            "Lifecycle": {"DeleteAfterDays": kept.days} if kept.days is not None else {},
        }

    def _sow(self, seed: VaultSeed) -> None:
        vault = self._backup.create_backup_vault(seed.name, {}, "", "")
        if seed.mode is None:
            return
        vault.locked, vault.min_retention_days = True, seed.days
        if seed.mode == "compliance":
            vault.lock_date = (self._calendar.now() - timedelta(days=1)).timestamp()


def _no_vault(name: str) -> ApiError:
    return ApiError("ResourceNotFoundException", f"Backup vault {name} not found.", HTTPStatus.BAD_REQUEST)
