"""EBS volumes as real directories: what is deleted, what is kept in the recycle bin, what a lock refuses."""

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
from tests.replicas.aws.conftest import Account, account, connect, database, start_from

DAY = 86400.0

pytestmark = pytest.mark.slow  # each test has an account and a database of its own


@pytest.fixture
def served(sandbox: Sandbox) -> Iterator[tuple[Account, PostgresReplica, Endpoint]]:
    """A database on an EBS volume."""
    with account(sandbox, volumes=["courses"]) as made, database(made) as (replica, endpoint):
        yield made, replica, endpoint


def volume_of(made: Account) -> dict[str, Any]:
    filters = [{"Name": "tag:Name", "Values": ["courses"]}]
    (volume,) = made.client("ec2").describe_volumes(Filters=filters)["Volumes"]
    return dict(volume)


def free(made: Account) -> str:
    """Take the machine away; the volume stays."""
    volume = volume_of(made)
    made.client("ec2").terminate_instances(InstanceIds=[volume["Attachments"][0]["InstanceId"]])
    return str(volume["VolumeId"])


def code(caught: pytest.ExceptionInfo[ClientError]) -> str:
    return str(caught.value.response["Error"]["Code"])


def test_a_database_lies_on_a_volume_of_a_machine_and_dies_with_it(
    served: tuple[Account, PostgresReplica, Endpoint],
) -> None:
    made, replica, endpoint = served
    assert "courses" not in made.names("db-instance")
    volume = volume_of(made)
    ec2 = made.client("ec2")
    with pytest.raises(ClientError) as busy:
        ec2.delete_volume(VolumeId=volume["VolumeId"])
    assert code(busy) == "VolumeInUse"
    assert replica.alive(endpoint)
    free(made)
    assert not replica.alive(endpoint)
    assert (endpoint.path / "PG_VERSION").exists(), "the volume outlives its machine"
    ec2.delete_volume(VolumeId=volume["VolumeId"])
    assert not endpoint.path.exists()
    (touched,) = made.last_entry()["resources"]
    assert touched == {
        "kind": "ebs-volume",
        "name": f"courses/{volume['VolumeId']}",
        "environment": "production",
    }


def test_a_snapshot_outlives_its_volume_and_fills_a_new_one(
    served: tuple[Account, PostgresReplica, Endpoint],
) -> None:
    made, replica, endpoint = served
    taken = made.command("ec2", "create-snapshot", "--volume-id", volume_of(made)["VolumeId"])
    snapshot = json.loads(taken.stdout)["SnapshotId"]
    with connect(endpoint) as connection:
        connection.execute("DELETE FROM answers")
    ec2 = made.client("ec2")
    ec2.delete_volume(VolumeId=free(made))
    again = ec2.create_volume(SnapshotId=snapshot, AvailabilityZone="eu-west-1a")["VolumeId"]
    data = Path(made.look("volumes")["places"][again]) / "pgdata"
    restored = start_from(made, replica, endpoint, data)
    with connect(restored) as connection:
        assert connection.execute("SELECT count(*) FROM answers").fetchone() == (100,)
    replica.destroy(restored.lease)
    ec2.delete_snapshot(SnapshotId=snapshot)
    assert made.names("ebs-snapshot") == []
    assert list((made.endpoint.path / ".copies").iterdir()) == []


def test_what_a_rule_covers_waits_in_the_recycle_bin_and_comes_back(
    served: tuple[Account, PostgresReplica, Endpoint],
) -> None:
    made, _, endpoint = served
    ec2, rbin = made.client("ec2"), made.client("rbin")
    period = {"RetentionPeriodValue": 7, "RetentionPeriodUnit": "DAYS"}
    for type in ("EBS_VOLUME", "EBS_SNAPSHOT"):
        rbin.create_rule(ResourceType=type, RetentionPeriod=period)
    volume = volume_of(made)["VolumeId"]
    snapshot = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    ec2.delete_snapshot(SnapshotId=snapshot)
    assert made.names("ebs-snapshot") == []
    assert made.names("recycled") == [snapshot]
    ec2.restore_snapshot_from_recycle_bin(SnapshotId=snapshot)
    assert made.names("recycled") == []
    assert [name.rpartition("/")[2] for name in made.names("ebs-snapshot")] == [snapshot]
    free(made)
    ec2.delete_volume(VolumeId=volume)
    assert (endpoint.path / "PG_VERSION").exists()
    assert [one["VolumeId"] for one in ec2.list_volumes_in_recycle_bin()["Volumes"]] == [volume]
    made.tell("advance", {"seconds": 7 * DAY - 60})
    assert made.names("recycled") == [volume]
    made.tell("advance", {"seconds": 120})
    assert made.names("recycled") == []
    assert not endpoint.path.exists()
    with pytest.raises(ClientError) as gone:
        ec2.restore_volume_from_recycle_bin(VolumeId=volume)
    assert code(gone) == "InvalidVolume.NotFound"


def test_a_locked_rule_stays_until_its_delay_is_over(fresh: Account) -> None:
    rbin = fresh.client("rbin")
    period = {"RetentionPeriodValue": 7, "RetentionPeriodUnit": "DAYS"}
    made = fresh.command(
        "rbin", "create-rule", "--resource-type", "EBS_SNAPSHOT",
        "--retention-period", "RetentionPeriodValue=7,RetentionPeriodUnit=DAYS",
        "--lock-configuration", "UnlockDelay={UnlockDelayValue=7,UnlockDelayUnit=DAYS}",
    )  # fmt: skip
    rule = json.loads(made.stdout)
    assert rule["LockState"] == "locked"
    for attempt in (
        lambda: rbin.delete_rule(Identifier=rule["Identifier"]),
        lambda: rbin.update_rule(Identifier=rule["Identifier"], RetentionPeriod=period),
    ):
        with pytest.raises(ClientError) as locked:
            attempt()
        assert code(locked) == "ConflictException"
        assert fresh.last_entry()["outcome"] == "refused"
    assert rbin.unlock_rule(Identifier=rule["Identifier"])["LockState"] == "pending_unlock"
    with pytest.raises(ClientError):
        rbin.delete_rule(Identifier=rule["Identifier"])
    fresh.tell("advance", {"seconds": 7 * DAY})
    rbin.delete_rule(Identifier=rule["Identifier"])
    assert rbin.list_rules(ResourceType="EBS_SNAPSHOT")["Rules"] == []


def test_a_locked_snapshot_cannot_be_deleted_and_only_governance_can_be_unlocked(
    served: tuple[Account, PostgresReplica, Endpoint],
) -> None:
    made, _, _ = served
    ec2 = made.client("ec2")
    snapshot = ec2.create_snapshot(VolumeId=volume_of(made)["VolumeId"])["SnapshotId"]

    def refused(call: Any, **parameters: Any) -> None:
        with pytest.raises(ClientError) as caught:
            call(SnapshotId=snapshot, **parameters)
        assert code(caught) == "OperationNotPermitted"
        assert made.last_entry()["outcome"] == "refused"

    locked = ec2.lock_snapshot(SnapshotId=snapshot, LockMode="governance", LockDuration=30)
    assert locked["LockState"] == "governance"
    refused(ec2.delete_snapshot)
    ec2.unlock_snapshot(SnapshotId=snapshot)
    ec2.lock_snapshot(SnapshotId=snapshot, LockMode="compliance", LockDuration=30, CoolOffPeriod=24)
    refused(ec2.delete_snapshot)
    (told,) = ec2.describe_locked_snapshots()["Snapshots"]
    assert told["LockState"] == "compliance-cooloff"
    made.tell("advance", {"seconds": DAY})
    refused(ec2.unlock_snapshot)
    refused(ec2.lock_snapshot, LockMode="governance", LockDuration=60)
    refused(ec2.lock_snapshot, LockMode="compliance", LockDuration=1)
    ec2.lock_snapshot(SnapshotId=snapshot, LockMode="compliance", LockDuration=60)
    made.tell("advance", {"seconds": 30 * DAY})
    refused(ec2.delete_snapshot)
    made.tell("advance", {"seconds": 30 * DAY})
    ec2.delete_snapshot(SnapshotId=snapshot)
    assert made.names("ebs-snapshot") == []
