"""Copies of a bucket: the versions that it keeps itself, and those that a follower writes elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from harness.backups.s3_follower import Follower
from harness.backups.s3_replication import S3ReplicationTool
from harness.contracts import Bench
from harness.contracts.backup import Parts
from harness.errors import BackupError, RestoreError
from harness.facts import OPERATOR, Endpoint, RecoveryPoint
from harness.scenario.models import Stack
from harness.seams.drivers import BackupTool, ItemStore, PointInTime
from harness.seams.items import Item
from harness.seams.s3_client import open_client
from harness.seams.s3_items import S3ItemClient
from tests.conftest import fresh_sandbox

pytestmark = pytest.mark.slow

VERSIONS = {"tool": "s3-versions", "of": "uploads"}
REPLICATION = {"tool": "s3-replication", "of": "uploads", "to": "kept"}
LATER = timedelta(minutes=2)
"""What a loaded machine may take for a thing that takes a second."""


class Buckets(Bench):
    """A bucket of uploads, the bucket of a second service, and what a test does with them."""

    @property
    def uploads(self) -> Endpoint:
        return self.provision("uploads")

    def client(self, service: str = "uploads", principal: str = OPERATOR) -> Any:
        endpoint = self.provision(service)
        return open_client(endpoint, endpoint.credentials[principal])

    def replication(self) -> S3ReplicationTool:
        """The tool, when it is that one."""
        tool = self.tool("copies")
        assert isinstance(tool, S3ReplicationTool)
        return tool

    def take(self, tool: BackupTool) -> RecoveryPoint:
        """The copy of all that is there."""
        return tool.take(*tool.due(self.clock.stamp().wall, timedelta(days=1)))

    def put(self, **bodies: str) -> None:
        with closing(S3ItemClient(self.uploads, self.uploads.credentials[OPERATOR])) as client:
            for key, body in bodies.items():
                client.put("photos", key, body.encode())

    def remove(self, *keys: str) -> None:
        with closing(S3ItemClient(self.uploads, self.uploads.credentials[OPERATOR])) as client:
            for key in keys:
                client.delete("photos", key)

    def remove_versions(self, service: str = "uploads", prefix: str = "", principal: str = OPERATOR) -> None:
        client, bucket = self.client(service, principal), self.provision(service).name
        listed = client.list_object_versions(Bucket=bucket, Prefix=prefix)
        for item in (*listed.get("Versions", ()), *listed.get("DeleteMarkers", ())):
            client.delete_object(Bucket=bucket, Key=item["Key"], VersionId=item["VersionId"])

    def next_second(self) -> datetime:
        """Wait for a second that nothing was put in, and tell when that was."""
        was = self.clock.stamp().wall.replace(microsecond=0)
        while self.clock.stamp().wall.replace(microsecond=0) == was:
            self.clock.sleep(0.01)
        return self.clock.stamp().wall

    def wait_for(self, tool: BackupTool, instant: datetime) -> RecoveryPoint:
        """The point of a follower, once it covers an instant."""
        began = self.clock.stamp()
        while True:
            (point,) = tool.points()
            if point.covers_until >= instant:
                return point
            assert self.clock.stamp().since(began) < LATER.total_seconds(), "it does not follow"
            self.clock.sleep(0.05)

    @contextmanager
    def brought_back(
        self, tool: BackupTool, point: RecoveryPoint, until: datetime | None = None
    ) -> Iterator[Endpoint]:
        """A bucket beside the original, with what a point holds."""
        assert isinstance(tool, PointInTime)
        vessel = self.vessel(self.uploads)
        try:
            yield tool.restore_to(point, vessel, Parts(), until)
        finally:
            vessel.discard()

    @contextmanager
    def restored(
        self, tool: BackupTool, point: RecoveryPoint, until: datetime | None = None
    ) -> Iterator[Mapping[str, str]]:
        """What comes back: the content of each photo, by its name."""
        with self.brought_back(tool, point, until) as endpoint:
            client = open_client(endpoint, endpoint.credentials[OPERATOR])
            listed = client.list_objects_v2(Bucket=endpoint.name).get("Contents", ())
            keys = [item["Key"] for item in listed]
            bodies = {key: client.get_object(Bucket=endpoint.name, Key=key)["Body"].read() for key in keys}
            yield {key.removeprefix("photos/"): body.decode() for key, body in bodies.items()}


@contextmanager
def buckets(protection: Mapping[str, Any], **uploads: Any) -> Iterator[Buckets]:
    stack = Stack.model_validate(
        {
            "services": {
                "uploads": {"kind": "s3", "bucket": "uploads", "collections": ["photos"], **uploads},
                "kept": {"kind": "s3", "bucket": "kept"},
            },
            "principals": {
                "agent": {"grants": {"uploads": "writer"}},
                "owner": {"grants": {"uploads": "admin"}},
            },
            "protections": {"copies": dict(protection)},
        }
    )
    with fresh_sandbox() as sandbox:
        made = Buckets(stack, sandbox, {})
        try:
            yield made
        finally:
            made.close()


@contextmanager
def followed() -> Iterator[tuple[Buckets, S3ReplicationTool, Follower, datetime]]:
    """A bucket with one object, a follower that has copied it, and until when that copy is whole."""
    with buckets(REPLICATION) as made:
        tool = made.replication()
        made.put(a="a")
        follower = Follower(tool._order(), made.clock)
        covered = follower.look(timedelta(0))
        assert covered is not None
        yield made, tool, follower, covered


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def test_versions_bring_back_each_object_as_it_stood_before_the_harm() -> None:
    with buckets(VERSIONS) as made:
        tool = made.tool("copies")
        assert tool.due(datetime.now(UTC), timedelta(days=90)) == ()
        assert tool.points() == (), "an empty bucket holds no copy"
        made.put(a="first", b="b", gone="x")
        made.put(a="second")
        made.remove("gone")
        harm = made.next_second()
        made.put(a="overwritten", later="y")
        made.remove("b")
        (point,) = tool.points()
        assert (point.kind, point.place, point.shares_fate) == ("continuous", "uploads", True)
        assert (point.locked_until, point.doomed_at) == (None, None)
        made.store("uploads").fence(made.uploads)
        for _ in range(2):  # a proof reads it once more after a recovery has
            with made.restored(tool, point, harm) as photos:
                assert photos == {"a": "second", "b": "b"}
        with made.restored(tool, point) as photos:
            assert photos == {"a": "overwritten", "later": "y"}


def test_what_is_restored_keeps_its_times_and_its_metadata() -> None:
    with buckets(VERSIONS) as made:
        store, tool = made.store("uploads"), made.tool("copies")
        assert isinstance(store, ItemStore)
        then = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)
        store.fill(made.uploads, [Item("photos", "old", b"o", then)])
        made.put(new="n")
        made.client().put_object(
            Bucket="uploads", Key="photos/said", Body=b"s", Metadata={"by": "somebody", "mtime": "no number"}
        )
        before = list(store.rows(made.uploads, "photos", "", None))
        assert {row.key: row.time for row in before}["old"] == then
        harm = made.next_second()
        (point,) = tool.points()
        with made.brought_back(tool, point, harm) as fresh:
            after = list(store.rows(fresh, "photos", "", None))
            assert after == before
            client = open_client(fresh, fresh.credentials[OPERATOR])
            said = client.head_object(Bucket="uploads", Key="photos/said")["Metadata"]
            assert said["by"] == "somebody"


def test_versions_go_with_whoever_deletes_them() -> None:
    with buckets(VERSIONS) as made:
        tool = made.tool("copies")
        made.put(a="a")
        (point,) = tool.points()
        made.remove_versions(principal="agent")
        assert tool.points() == ()
        with (
            pytest.raises(RestoreError, match="no version of any object is left"),
            made.restored(tool, point),
        ):
            pass


def test_when_some_are_gone_they_cover_no_more_than_came_before_the_first_of_those() -> None:
    with buckets(VERSIONS) as made:
        tool = made.tool("copies")
        made.put(old="o")
        began = made.next_second()
        made.put(a="a", b="b")
        made.next_second()
        tool.start()
        ended = made.next_second()
        made.put(b="overwritten", later="l")
        made.remove("later")
        (whole,) = tool.points()
        assert whole.covers_until >= ended, "what is hidden or overwritten is there still"
        made.remove_versions(prefix="photos/b", principal="agent")
        (partial,) = tool.points()
        assert partial.taken < began.replace(microsecond=0) <= partial.covers_until < ended
        made.remove_versions(prefix="photos/old", principal="agent")
        (least,) = tool.points()
        assert least.taken == least.covers_until < began.replace(microsecond=0)


def test_a_lifecycle_rule_dooms_them() -> None:
    with buckets(VERSIONS) as made:
        tool = made.tool("copies")
        made.put(a="a")
        rule = {
            "ID": "expire",
            "Status": "Enabled",
            "Filter": {"Prefix": ""},
            "Expiration": {"Days": 1},
            "NoncurrentVersionExpiration": {"NoncurrentDays": 1},
        }
        made.client(principal="agent").put_bucket_lifecycle_configuration(
            Bucket="uploads", LifecycleConfiguration={"Rules": [rule]}
        )
        (point,) = tool.points()
        assert point.doomed_at is not None
        assert point.doomed_at - point.taken == timedelta(days=2)


def test_suspended_versions_keep_the_old_and_not_what_is_put_from_then_on() -> None:
    with buckets(VERSIONS, object_lock=False) as made:
        tool = made.tool("copies")
        made.put(old="1")
        made.client(principal="agent").put_bucket_versioning(
            Bucket="uploads", VersioningConfiguration={"Status": "Suspended"}
        )
        made.put(old="2", new="1")
        harm = made.next_second()
        made.put(old="3", new="2")
        (point,) = tool.points()
        with made.restored(tool, point, harm) as photos:
            assert photos == {"old": "1"}, "what was put meanwhile was written over"


@pytest.mark.parametrize("mode", ["governance", "compliance"])
def test_a_bucket_locks_every_version_and_only_compliance_stops_its_owner(mode: str) -> None:
    with buckets(VERSIONS, lock={"mode": mode, "for": "3d"}) as made:
        tool = made.tool("copies")
        before = datetime.now(UTC).replace(microsecond=0)  # the store tells whole seconds
        made.put(a="a")
        made.remove("a")
        (point,) = tool.points()
        with pytest.raises(ClientError) as refused:
            made.remove_versions(principal="agent")
        assert code(refused) == "AccessDenied"
        client = made.client(principal="owner")
        (version,) = client.list_object_versions(Bucket="uploads")["Versions"]
        target = {"Bucket": "uploads", "Key": "photos/a", "VersionId": version["VersionId"]}
        if mode == "compliance":
            assert point.locked_until is not None
            assert point.locked_until >= before + timedelta(days=3)
            with pytest.raises(ClientError) as refused:
                client.delete_object(**target, BypassGovernanceRetention=True)
            assert code(refused) == "AccessDenied"
        else:
            assert point.locked_until is None, "who may bypass it can delete"
            client.delete_object(**target, BypassGovernanceRetention=True)
            assert tool.points() == ()


def test_versions_are_gone_with_the_server() -> None:
    with buckets(VERSIONS) as made:
        tool = made.tool("copies")
        made.put(a="a")
        assert tool.points()
        made.driver("uploads").destroy(made.uploads.lease)
        assert tool.points() == ()


def test_a_follower_copies_while_objects_are_put_and_what_it_copied_outlives_them() -> None:
    with buckets(REPLICATION) as made:
        tool = made.tool("copies")
        made.put(a="first", b="b")
        point = made.take(tool)
        assert (point.kind, point.place, point.shares_fate) == ("continuous", "kept", False)
        tool.start()
        made.put(a="second", c="c")
        made.remove("b")
        harm = made.next_second()
        made.wait_for(tool, harm)
        made.remove_versions()
        made.put(d="too late")
        made.store("uploads").fence(made.uploads)
        (point,) = tool.points()
        with made.restored(tool, point, harm) as photos:
            assert photos == {"a": "second", "b": "b", "c": "c"}, "deletions are not copied unless told so"
        tool.stop()
        with made.restored(made.tool("copies"), point, harm) as photos:
            assert photos == {"a": "second", "b": "b", "c": "c"}


def test_deletions_are_copied_when_told_so_and_what_they_hid_is_still_there() -> None:
    with buckets({**REPLICATION, "deletes": True}) as made:
        tool = made.tool("copies")
        made.put(a="a", b="b")
        tool.start()
        made.remove("b")
        harm = made.next_second()
        made.remove("a")
        point = made.wait_for(tool, made.next_second())
        client = made.client("kept")
        assert "Contents" not in client.list_objects_v2(Bucket="kept", Prefix="copies/")
        with made.restored(tool, point, harm) as photos:
            assert photos == {"a": "a"}
        with made.restored(tool, point) as photos:
            assert photos == {}


def test_what_is_younger_than_the_delay_is_not_copied() -> None:
    with buckets({**REPLICATION, "delay": "1h"}) as made:
        tool = made.tool("copies")
        made.put(a="a")
        made.take(tool)
        tool.start()
        made.put(b="b")
        tool.stop()
        (point,) = tool.points()
        with made.restored(tool, point) as photos:
            assert photos == {"a": "a"}


def test_once_versions_are_deleted_it_claims_to_cover_nothing_more() -> None:
    """What was put and deleted between two looks was never seen, so nobody can say that it was copied."""
    with followed() as (made, tool, follower, _):
        made.put(b="never seen")
        made.remove_versions()
        assert follower.look(timedelta(0)) is None
        made.put(c="c")
        assert follower.look(timedelta(0)) is None
        copied = {version.key for version in tool._place.versions("copies/")}
        assert copied == {"copies/photos/a", "copies/photos/c"}, "what comes later is copied all the same"


def test_what_is_deleted_without_a_version_is_covered_still() -> None:
    with followed() as (made, _, follower, first):
        made.remove("a")
        second = follower.look(timedelta(0))
        assert second is not None
        assert second > first


def test_copies_are_locked_as_the_stack_says() -> None:
    with buckets({**REPLICATION, "lock": {"mode": "compliance", "for": "2d"}}) as made:
        tool = made.tool("copies")
        made.put(a="a")
        point = made.take(tool)
        assert point.locked_until is not None
        assert point.locked_until > made.clock.stamp().wall + timedelta(days=1)
        with pytest.raises(ClientError) as refused:
            made.remove_versions("kept", "copies/")
        assert code(refused) == "AccessDenied"
        assert [each.id for each in tool.points()] == [point.id]


def test_another_server_at_the_same_address_is_not_followed() -> None:
    with followed() as (made, tool, follower, _):
        before = tool._place.versions("")
        made.store("uploads").fence(made.uploads)
        assert follower.look(timedelta(0)) is None, "nobody answers"
        fresh = made.vessel(made.uploads, replace=True).start()
        made.client().put_object(Bucket="uploads", Key="photos/restored", Body=b"r")
        assert fresh.port == made.uploads.port
        assert follower.look(timedelta(0)) is None
        assert tool._place.versions("") == before
        with pytest.raises(BackupError, match="cannot be copied"):
            made.take(tool)


def test_a_follower_ends_when_the_harness_is_gone() -> None:
    with buckets(REPLICATION) as made:
        tool = made.replication()
        made.put(a="a")
        made.take(tool)
        reading, writing = os.pipe()
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "harness.backups.s3_follower", str(reading)], pass_fds=(reading,)
        )
        try:
            os.close(reading)
            os.write(writing, tool._order().to_line())
            made.put(b="b")
            made.wait_for(tool, made.clock.stamp().wall)
            os.close(writing)
            assert child.wait(LATER.total_seconds()) == 0
        finally:
            child.kill()
            child.wait()


def test_a_restore_asks_for_each_object_once() -> None:
    calls: Counter[str] = Counter()

    def count(model: Any, **_: Any) -> None:
        calls[model.name] += 1

    with buckets({**REPLICATION, "deletes": True}) as made:
        tool = made.tool("copies")
        made.put(a="a", b="b", gone="g")
        made.remove("gone")
        point = made.take(tool)
        made.client("kept").meta.events.register("before-call.s3", count)
        with made.restored(tool, point) as photos:
            assert photos == {"a": "a", "b": "b"}
        assert calls == {"ListObjectVersions": 1, "GetObject": 3}


def test_a_copy_that_was_altered_is_not_brought_back() -> None:
    with buckets(REPLICATION) as made:
        tool = made.tool("copies")
        made.put(a="whole")
        point = made.take(tool)
        client = made.client("kept")
        noted = client.head_object(Bucket="kept", Key="copies/photos/a")["Metadata"]
        client.put_object(Bucket="kept", Key="copies/photos/a", Body=b"who", Metadata=noted)
        with pytest.raises(RestoreError, match="is not what was copied"), made.restored(tool, point):
            pass
