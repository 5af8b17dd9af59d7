"""AWS Backup: recovery points outlive their source, and a locked vault keeps them from everybody."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from harness.facts import Endpoint
from harness.replicas.postgres import PostgresReplica
from harness.sandbox import Sandbox
from tests.replicas.aws.conftest import EVERYTHING, Account, account, connect, database, start_from

DAY = 86400.0
ROLE = "arn:aws:iam::111122223333:role/backup"

pytestmark = pytest.mark.slow  # each test has an account and a database of its own


@pytest.fixture
def served(sandbox: Sandbox) -> Iterator[tuple[Account, PostgresReplica, Endpoint]]:
    """A database on an RDS instance, and a user who may do everything."""
    vaults = {"locked": {"lock": {"mode": "compliance", "for": "30d"}}, "plain": {}}
    with (
        account(sandbox, {"admin": EVERYTHING}, vaults=vaults) as made,
        database(made) as (
            replica,
            endpoint,
        ),
    ):
        yield made, replica, endpoint


def back_up(made: Account, vault: str, days: int = 35) -> str:
    (instance,) = made.client("rds").describe_db_instances()["DBInstances"]
    job = made.client("backup").start_backup_job(
        BackupVaultName=vault,
        ResourceArn=instance["DBInstanceArn"],
        IamRoleArn=ROLE,
        Lifecycle={"DeleteAfterDays": days},
    )
    return str(job["RecoveryPointArn"])


def refused(made: Account, call: Any, **parameters: Any) -> str:
    """The code of a call that a guard says no to."""
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    assert made.last_entry()["outcome"] == "refused"
    return str(caught.value.response["Error"]["Code"])


def test_a_recovery_point_outlives_its_instance_and_restores(
    served: tuple[Account, PostgresReplica, Endpoint],
) -> None:
    made, replica, endpoint = served
    arn, backup = back_up(made, "plain"), made.client("backup")
    with connect(endpoint) as connection:
        connection.execute("DELETE FROM answers")
    made.client("rds", "admin").delete_db_instance(DBInstanceIdentifier="courses", SkipFinalSnapshot=True)
    listed = made.command("backup", "list-recovery-points-by-backup-vault", "--backup-vault-name", "plain")
    (point,) = json.loads(listed.stdout)["RecoveryPoints"]
    assert (point["RecoveryPointArn"], point["ResourceType"]) == (arn, "RDS")
    job = backup.start_restore_job(RecoveryPointArn=arn, Metadata={"DBInstanceIdentifier": "again"})
    told = backup.describe_restore_job(RestoreJobId=job["RestoreJobId"])
    assert told["CreatedResourceArn"].endswith(":db:again")
    data = Path(made.look("databases")["places"]["again"]) / "pgdata"
    restored = start_from(made, replica, endpoint, data)
    with connect(restored) as connection:
        assert connection.execute("SELECT count(*) FROM answers").fetchone() == (100,)
    replica.destroy(restored.lease)


def test_a_locked_vault_lets_nobody_delete_a_recovery_point_not_even_the_owner(
    served: tuple[Account, PostgresReplica, Endpoint],
) -> None:
    made, _, _ = served
    arn = back_up(made, "locked")
    for principal in ("admin", "operator"):
        backup = made.client("backup", principal)
        which = {"BackupVaultName": "locked", "RecoveryPointArn": arn}
        assert refused(made, backup.delete_recovery_point, **which) == "InvalidRequestException"
        shorter = {**which, "Lifecycle": {"DeleteAfterDays": 1}}
        assert refused(made, backup.update_recovery_point_lifecycle, **shorter) == "InvalidRequestException"
        for call in (
            backup.delete_backup_vault,
            backup.delete_backup_vault_lock_configuration,
            backup.put_backup_vault_lock_configuration,
        ):
            assert refused(made, call, BackupVaultName="locked") == "InvalidRequestException"
    with pytest.raises(ClientError, match="keeps recovery points for 30"):
        back_up(made, "locked", days=7)
    made.tell("advance", {"seconds": 34 * DAY})
    assert len(made.names("recovery-point")) == 1
    made.tell("advance", {"seconds": DAY})
    assert made.names("recovery-point") == []
    assert list((made.endpoint.path / ".copies").iterdir()) == []


def test_a_recovery_point_whose_days_were_cut_ends_with_them(
    served: tuple[Account, PostgresReplica, Endpoint],
) -> None:
    made, _, _ = served
    arn, backup = back_up(made, "plain"), made.client("backup", "admin")
    shorter = {"BackupVaultName": "plain", "RecoveryPointArn": arn, "Lifecycle": {"DeleteAfterDays": 2}}
    assert backup.update_recovery_point_lifecycle(**shorter)["Lifecycle"]["DeleteAfterDays"] == 2
    made.tell("advance", {"seconds": DAY})
    assert len(made.names("recovery-point")) == 1
    made.tell("advance", {"seconds": DAY})
    assert made.names("recovery-point") == []


def test_a_lock_can_be_taken_off_within_its_cooling_off_and_in_governance_mode(
    served: tuple[Account, PostgresReplica, Endpoint],
) -> None:
    made, _, _ = served
    arn, backup = back_up(made, "plain"), made.client("backup", "admin")
    which = {"BackupVaultName": "plain", "RecoveryPointArn": arn}
    with pytest.raises(ClientError, match="at least 3 days"):
        backup.put_backup_vault_lock_configuration(
            BackupVaultName="plain", MinRetentionDays=7, ChangeableForDays=1
        )
    backup.put_backup_vault_lock_configuration(BackupVaultName="plain", MinRetentionDays=7)
    refused(made, backup.delete_recovery_point, **which)
    backup.delete_backup_vault_lock_configuration(BackupVaultName="plain")
    backup.put_backup_vault_lock_configuration(
        BackupVaultName="plain", MinRetentionDays=7, ChangeableForDays=3
    )
    refused(made, backup.delete_recovery_point, **which)
    made.tell("advance", {"seconds": 2 * DAY})
    backup.delete_backup_vault_lock_configuration(BackupVaultName="plain")
    backup.put_backup_vault_lock_configuration(
        BackupVaultName="plain", MinRetentionDays=7, ChangeableForDays=3
    )
    made.tell("advance", {"seconds": 3 * DAY})
    refused(made, backup.delete_backup_vault_lock_configuration, BackupVaultName="plain")
    refused(made, backup.delete_recovery_point, **which)


def test_an_open_vault_is_emptied_by_whoever_may(served: tuple[Account, PostgresReplica, Endpoint]) -> None:
    made, _, _ = served
    arn, backup = back_up(made, "plain"), made.client("backup", "admin")
    refused(made, backup.delete_backup_vault, BackupVaultName="plain")
    backup.delete_recovery_point(BackupVaultName="plain", RecoveryPointArn=arn)
    (touched,) = made.last_entry()["resources"]
    assert touched["kind"] == "recovery-point"
    assert touched["environment"] == "production"
    backup.delete_backup_vault(BackupVaultName="plain")
    assert made.names("backup-vault") == ["locked"]
