"""RDS instances as real servers: what a deletion takes along, what it leaves, and what refuses it."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.replicas.aws.conftest import CLOCK, Account, account, connect, database, start_from

pytestmark = pytest.mark.slow  # each test has an account and a database of its own


def take_automated(made: Account) -> list[str]:
    """Snapshots of the last two backup windows, dated from now so that retention keeps them."""
    now = CLOCK.stamp().wall
    days = [now - timedelta(days=number) for number in (2, 1)]
    return [
        "courses/"
        + made.tell(
            "snapshot", {"identifier": "courses", "kind": "automated", "name": "", "at": day.isoformat()}
        )["id"]
        for day in days
    ]


def code(caught: pytest.ExceptionInfo[ClientError]) -> str:
    return str(caught.value.response["Error"]["Code"])


def test_an_instance_is_found_where_its_server_really_listens(fresh: Account) -> None:
    with database(fresh) as (_, endpoint):
        (instance,) = fresh.client("rds").describe_db_instances()["DBInstances"]
        assert instance["Endpoint"] == {"Address": "127.0.0.1", "Port": endpoint.port}
        assert instance["DBInstanceIdentifier"] == "courses"


def test_a_deleted_instance_takes_its_server_its_files_and_its_automated_snapshots_along(
    fresh: Account,
) -> None:
    with database(fresh) as (replica, endpoint):
        automated = take_automated(fresh)
        rds = fresh.client("rds")
        rds.create_db_snapshot(DBInstanceIdentifier="courses", DBSnapshotIdentifier="before-upgrade")
        assert sorted(fresh.names("db-snapshot")) == sorted([*automated, "courses/before-upgrade"])
        rds.delete_db_instance(DBInstanceIdentifier="courses", SkipFinalSnapshot=True)
        assert not replica.alive(endpoint)
        assert not endpoint.path.parent.exists()
        assert fresh.names("db-instance") == []
        assert fresh.names("db-snapshot") == ["courses/before-upgrade"]
        copies = list((fresh.endpoint.path / ".copies").iterdir())
        assert len(copies) == 1, "the files of automated snapshots are gone too"
        entry = fresh.last_entry()
        assert (entry["operation"], entry["outcome"]) == ("rds.DeleteDBInstance", "done")
        assert [one["name"] for one in entry["resources"]] == ["courses", *sorted(automated)]
        assert {one["environment"] for one in entry["resources"]} == {"production"}


def test_the_command_deletes_with_a_final_snapshot_and_keeps_automated_ones_when_told(
    fresh: Account,
) -> None:
    with database(fresh) as (replica, endpoint):
        automated = take_automated(fresh)
        refused = fresh.command("rds", "delete-db-instance", "--db-instance-identifier", "courses")
        assert refused.returncode != 0
        assert "FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot" in refused.stderr
        assert fresh.last_entry()["outcome"] == "failed", "one more flag, and it is gone: no guard said no"
        assert replica.alive(endpoint)
        both = fresh.command(
            "rds", "delete-db-instance", "--db-instance-identifier", "courses", "--skip-final-snapshot",
            "--final-db-snapshot-identifier", "last",
        )  # fmt: skip
        assert "can not be specified when deleting with SkipFinalSnapshot" in both.stderr
        done = fresh.command(
            "rds", "delete-db-instance", "--db-instance-identifier", "courses",
            "--no-delete-automated-backups", "--final-db-snapshot-identifier", "last",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["DBInstance"]["DBInstanceStatus"] == "deleting"
        assert not replica.alive(endpoint)
        assert sorted(fresh.names("db-snapshot")) == sorted([*automated, "courses/last"])
        kept = fresh.command("rds", "describe-db-instance-automated-backups")
        (retained,) = json.loads(kept.stdout)["DBInstanceAutomatedBackups"]
        assert retained["Status"] == "retained"


def test_a_snapshot_restores_to_the_rows_that_were_there_when_it_was_taken(fresh: Account) -> None:
    with database(fresh) as (replica, endpoint):
        rds = fresh.client("rds")
        rds.create_db_snapshot(DBInstanceIdentifier="courses", DBSnapshotIdentifier="hundred")
        with connect(endpoint) as connection:
            connection.execute("DELETE FROM answers")
        rds.copy_db_snapshot(SourceDBSnapshotIdentifier="hundred", TargetDBSnapshotIdentifier="again")
        rds.delete_db_snapshot(DBSnapshotIdentifier="hundred")
        with pytest.raises(ClientError) as taken:
            rds.restore_db_instance_from_db_snapshot(
                DBInstanceIdentifier="courses", DBSnapshotIdentifier="again"
            )
        assert code(taken) == "DBInstanceAlreadyExists"
        rds.delete_db_instance(DBInstanceIdentifier="courses", SkipFinalSnapshot=True)
        rds.restore_db_instance_from_db_snapshot(DBInstanceIdentifier="courses", DBSnapshotIdentifier="again")
        data = Path(fresh.look("databases")["places"]["courses"]) / "pgdata"
        restored = start_from(fresh, replica, endpoint, data)
        with connect(restored) as connection:
            assert connection.execute("SELECT count(*) FROM answers").fetchone() == (100,)
        replica.destroy(restored.lease)


def test_deletion_protection_refuses_and_whoever_may_modify_switches_it_off(
    sandbox: Any,
) -> None:
    role = [{"Effect": "Allow", "Action": "rds:*"}]
    keeper = [
        *role,
        {"Effect": "Deny", "Action": "rds:ModifyDBInstance", "Resource": "arn:aws:rds:*:*:db:courses"},
    ]
    databases = {"courses": {"deletion_protection": True}}
    with (
        account(sandbox, {"free": role, "bound": keeper}, databases=databases) as made,
        database(made) as (
            replica,
            endpoint,
        ),
    ):
        for principal in ("free", "bound"):
            with pytest.raises(ClientError) as protected:
                made.client("rds", principal).delete_db_instance(
                    DBInstanceIdentifier="courses", SkipFinalSnapshot=True
                )
            assert code(protected) == "InvalidParameterCombination"
            assert "disable deletion protection" in str(protected.value)
            assert made.last_entry()["outcome"] == "refused"
        with pytest.raises(ClientError) as denied:
            made.client("rds", "bound").modify_db_instance(
                DBInstanceIdentifier="courses", DeletionProtection=False
            )
        assert code(denied) == "AccessDenied"
        assert "with an explicit deny" in str(denied.value)
        assert replica.alive(endpoint)
        off = made.command(
            "rds", "modify-db-instance", "--db-instance-identifier", "courses", "--no-deletion-protection",
            principal="free",
        )  # fmt: skip
        assert off.returncode == 0, off.stderr
        assert [one["name"] for one in made.last_entry()["resources"]] == ["courses"]
        made.client("rds", "free").delete_db_instance(DBInstanceIdentifier="courses", SkipFinalSnapshot=True)
        assert not replica.alive(endpoint)


def test_automated_snapshots_cannot_be_deleted_alone_but_go_with_their_retention(fresh: Account) -> None:
    with database(fresh):
        automated = take_automated(fresh)
        rds = fresh.client("rds")
        with pytest.raises(ClientError) as state:
            rds.delete_db_snapshot(DBSnapshotIdentifier=automated[0].partition("/")[2])
        assert code(state) == "InvalidDBSnapshotState"
        rds.modify_db_instance(DBInstanceIdentifier="courses", BackupRetentionPeriod=0)
        assert len(fresh.names("db-snapshot")) == 2, "it waits for the maintenance window"
        assert rds.describe_db_instances()["DBInstances"][0]["BackupRetentionPeriod"] == 7
        rds.modify_db_instance(DBInstanceIdentifier="courses", BackupRetentionPeriod=1)
        assert fresh.names("db-snapshot") == [automated[1]], "one of them is two days old"
        rds.modify_db_instance(DBInstanceIdentifier="courses", BackupRetentionPeriod=0, ApplyImmediately=True)
        assert fresh.names("db-snapshot") == []
        assert list((fresh.endpoint.path / ".copies").iterdir()) == []


def test_retained_automated_backups_can_be_deleted_by_a_call_of_their_own(fresh: Account) -> None:
    with database(fresh):
        take_automated(fresh)
        rds = fresh.client("rds")
        id = rds.describe_db_instances()["DBInstances"][0]["DbiResourceId"]
        with pytest.raises(ClientError) as state:
            rds.delete_db_instance_automated_backup(DbiResourceId=id)
        assert code(state) == "InvalidDBInstanceAutomatedBackupState"
        rds.delete_db_instance(
            DBInstanceIdentifier="courses", SkipFinalSnapshot=True, DeleteAutomatedBackups=False
        )
        assert len(fresh.names("db-snapshot")) == 2
        (told,) = rds.describe_db_instance_automated_backups()["DBInstanceAutomatedBackups"]
        assert told["DbiResourceId"] == id
        rds.delete_db_instance_automated_backup(DbiResourceId=id)
        assert fresh.names("db-snapshot") == []


def test_what_is_not_bound_to_anything_real_is_not_carried_out(fresh: Account) -> None:
    rds = fresh.client("rds")
    for call in (
        lambda: rds.stop_db_instance(DBInstanceIdentifier="courses"),
        lambda: rds.create_db_instance_read_replica(
            DBInstanceIdentifier="copy", SourceDBInstanceIdentifier="courses"
        ),
        lambda: fresh.client("dynamodb").list_tables(),
    ):
        with pytest.raises(ClientError) as caught:
            call()
        assert code(caught) == "NotImplemented"
    assert fresh.names("db-instance") == ["courses"]
    with pytest.raises(ClientError) as missing:
        rds.delete_db_instance(DBInstanceIdentifier="cuorses", SkipFinalSnapshot=True)
    assert code(missing) == "DBInstanceNotFound"
    assert fresh.last_entry()["outcome"] == "failed"
