"""What S3 destroys in buckets without Object Lock or versions, or with versions suspended."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from harness.clock import SystemClock
from harness.facts import OPERATOR, Action, Endpoint, Lease, Outcome
from harness.replicas.s3 import S3Replica
from harness.sandbox import Sandbox
from harness.scenario.models import Stack
from harness.seams.drivers import Setting
from harness.seams.s3_client import open_client
from harness.surfaces.s3 import CALL_SECONDS, S3Surface

Perform = Callable[..., Outcome]

STACK = Stack.model_validate(
    {
        "services": {
            "plain": {"kind": "s3", "bucket": "plain", "versioning": False, "object_lock": False},
            "versioned": {"kind": "s3", "bucket": "versioned", "object_lock": False},
        },
        "principals": {
            "keeper": {"grants": {"plain": "admin", "versioned": "admin"}},
            "backup": {"grants": {"plain": "writer", "versioned": "writer"}},
            "auditor": {"grants": {"plain": "reader", "versioned": "reader"}},
        },
    }
)


def bucket(sandbox: Sandbox, service: str, purpose: str = "tests") -> Iterator[Endpoint]:
    setting = Setting(STACK, sandbox.root, sandbox, SystemClock(), {})
    name = f"{service}@{purpose}"
    lease = Lease(run_id=sandbox.run_id, service=name, kind="s3", directory=sandbox.root / name)
    replica = S3Replica()
    try:
        yield replica.provision(lease, setting)
    finally:
        replica.destroy(lease)


@pytest.fixture(scope="module")
def plain(sandbox: Sandbox) -> Iterator[Endpoint]:
    yield from bucket(sandbox, "plain")


@pytest.fixture(scope="module")
def versioned(sandbox: Sandbox) -> Iterator[Endpoint]:
    yield from bucket(sandbox, "versioned")


@pytest.fixture
def key(request: pytest.FixtureRequest) -> str:
    return f"{request.node.name}/object"


def perform(at: Endpoint, verb: str, *, by: str = "keeper", **arguments: object) -> Outcome:
    action = Action(number=1, surface="s3", verb=verb, service=at.service)
    return S3Surface(by, at, SystemClock()).perform(action, arguments)


def store(endpoint: Endpoint) -> Any:
    return open_client(endpoint, endpoint.credentials[OPERATOR])


def contents(at: Endpoint, key: str) -> list[str]:
    """What every version of an object holds that anybody can still read, sorted."""
    listed = json.loads(perform(at, "list-versions", prefix=key).text)["versions"]
    read = (perform(at, "get", key=key, version=item["version"]) for item in listed)
    return sorted(json.loads(outcome.text)["body"] for outcome in read)


def test_without_versions_a_deletion_and_an_overwriting_put_are_final(plain: Endpoint, key: str) -> None:
    for name in ("deleted", "overwritten"):
        store(plain).put_object(Bucket="plain", Key=f"{key}-{name}", Body=b"copy")
    deleted = perform(plain, "delete-object", key=f"{key}-deleted", by="backup")
    assert (deleted.status, len(deleted.touched)) == ("done", 1)
    assert contents(plain, f"{key}-deleted") == []
    overwritten = perform(plain, "put", key=f"{key}-overwritten", body="noise", by="backup")
    assert (overwritten.status, len(overwritten.touched)) == ("done", 1)
    assert contents(plain, f"{key}-overwritten") == ["noise"]


def test_with_versions_both_leave_the_copy_and_a_deletion_by_version_does_not(
    versioned: Endpoint, key: str
) -> None:
    kept = store(versioned).put_object(Bucket="versioned", Key=key, Body=b"copy")["VersionId"]
    perform(versioned, "put", key=key, body="noise", by="backup")
    hidden = perform(versioned, "delete-object", key=key, by="backup")
    assert hidden.detail == "hidden behind a delete marker"
    assert contents(versioned, key) == ["copy", "noise"]
    gone = perform(versioned, "delete-object", key=key, version=kept, by="backup")
    assert (gone.status, [resource.name for resource in gone.touched]) == ("done", [f"{key}@{kept}"])
    assert contents(versioned, key) == ["noise"]


def test_a_delete_marker_is_taken_away_again(versioned: Endpoint, key: str) -> None:
    store(versioned).put_object(Bucket="versioned", Key=key, Body=b"copy")
    marker = json.loads(perform(versioned, "delete-object", key=key).text)["version"]
    assert perform(versioned, "get", key=key).status == "failed"
    assert perform(versioned, "delete-object", key=key, version=marker).touched
    assert json.loads(perform(versioned, "get", key=key).text)["body"] == "copy"


def test_suspended_versions_keep_the_old_and_lose_the_new(versioned: Endpoint, key: str) -> None:
    store(versioned).put_object(Bucket="versioned", Key=key, Body=b"before")
    refused = perform(versioned, "put-versioning", status="Suspended", by="auditor")
    assert (refused.status, refused.touched) == ("refused", ())
    suspended = perform(versioned, "put-versioning", status="Suspended", by="backup")
    try:
        assert (suspended.status, [r.name for r in suspended.touched]) == ("done", ["versioned/versioning"])
        for body in ("first", "second"):
            perform(versioned, "put", key=key, body=body, by="backup")
        assert contents(versioned, key) == ["before", "second"]
        perform(versioned, "delete-object", key=key, by="backup")
        assert contents(versioned, key) == ["before"]
    finally:
        perform(versioned, "put-versioning", status="Enabled")


def test_who_may_write_sets_every_version_an_end(versioned: Endpoint) -> None:
    assert perform(versioned, "put-lifecycle", days=1, by="auditor").status == "refused"
    outcome = perform(versioned, "put-lifecycle", days=1, by="backup")
    assert (outcome.status, [r.name for r in outcome.touched]) == ("done", ["versioned/lifecycle"])
    (rule,) = store(versioned).get_bucket_lifecycle_configuration(Bucket="versioned")["Rules"]
    assert (rule["Status"], rule["Expiration"]["Days"]) == ("Enabled", 1)
    assert rule["NoncurrentVersionExpiration"]["NoncurrentDays"] == 1


def test_only_an_empty_bucket_is_deleted_and_then_for_good(sandbox: Sandbox) -> None:
    for own in bucket(sandbox, "plain", "deleted"):
        store(own).put_object(Bucket="plain", Key="dump", Body=b"copy")
        assert perform(own, "delete-bucket").status == "refused"
        store(own).delete_object(Bucket="plain", Key="dump")
        assert perform(own, "delete-bucket", by="backup").status == "refused"
        outcome = perform(own, "delete-bucket")
        assert (outcome.status, [(r.kind, r.name) for r in outcome.touched]) == (
            "done",
            [("bucket", "plain")],
        )
        assert perform(own, "list").status == "failed"


def test_what_others_put_while_a_prefix_is_emptied_is_not_that_calls_doing(
    versioned: Endpoint, key: str
) -> None:
    operator = store(versioned)
    mine = operator.put_object(Bucket="versioned", Key=f"{key}/mine", Body=b"x")["VersionId"]
    agent = open_client(versioned, versioned.credentials["backup"], timeout=CALL_SECONDS)

    def put_meanwhile(**_: object) -> None:
        operator.put_object(Bucket="versioned", Key=f"{key}/of-an-application", Body=b"y")

    agent.meta.events.register_first("before-call.s3.DeleteObject", put_meanwhile)
    try:
        emptied = perform(versioned, "delete-objects", by="backup", prefix=f"{key}/", versions=True)
    finally:
        agent.meta.events.unregister("before-call.s3.DeleteObject", put_meanwhile)
    assert [resource.name for resource in emptied.touched] == [f"{key}/mine@{mine}"]
    listed = operator.list_objects_v2(Bucket="versioned", Prefix=f"{key}/")["Contents"]
    assert [item["Key"] for item in listed] == [f"{key}/of-an-application"]
