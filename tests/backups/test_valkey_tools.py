"""Copies of a Valkey server: RDB dumps in a bucket, and the append-only file ended before the harm."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from secrets import token_hex

import pytest

from harness.backups.valkey_aof import ValkeyAofTool
from harness.backups.valkey_rdb import ValkeyRdbTool
from harness.clock import SystemClock
from harness.errors import BackupError, RestoreError
from harness.facts import APPLICATION, OPERATOR, Endpoint, Fingerprint, Lease
from harness.replicas.s3 import S3Replica
from harness.replicas.valkey import ValkeyReplica
from harness.sandbox import Sandbox
from harness.scenario.models import Stack, ValkeyAof, ValkeyRdb
from harness.seams.drivers import Due, PointInTime, Setting, Vessel
from harness.seams.s3_client import open_client
from harness.seams.valkey_client import Client, ValkeyClient, connect

STACK = Stack.model_validate(
    {
        "services": {
            "cache": {"kind": "valkey", "collections": ["session"]},
            "vault": {"kind": "s3", "bucket": "vault", "object_lock": False},
        }
    }
)


@dataclass
class Cache:
    """A server, what its dumps go to, and what a test does with them."""

    replica: ValkeyReplica
    setting: Setting
    endpoint: Endpoint
    vessels: list[Vessel] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)

    def put(self, *keys: str) -> None:
        client = ValkeyClient(self.endpoint, self.endpoint.credentials[APPLICATION])
        for key in keys:
            client.put("session", key, key.encode() * 100)

    def keys(self, endpoint: Endpoint) -> set[str]:
        return {row.key for row in self.replica.rows(endpoint, "session", "", "")}

    def content(self, endpoint: Endpoint | None = None) -> Fingerprint:
        return self.replica.fingerprint(endpoint or self.endpoint, ("session",))

    def operator(self) -> Client:
        return connect(self.endpoint, self.endpoint.credentials[OPERATOR])

    def vessel(self) -> Vessel:
        name = f"cache@{token_hex(4)}"
        lease = self.endpoint.lease.model_copy(
            update={"service": name, "directory": self.setting.sandbox.root / name}
        )
        self.vessels.append(self.replica.vessel(lease, self.endpoint, self.setting, replace=False))
        return self.vessels[-1]

    def mark(self, part: str) -> None:
        self.parts.append(part)

    def rdb(self) -> ValkeyRdbTool:
        model = ValkeyRdb.model_validate(
            {"tool": "valkey-rdb", "of": "cache", "to": "vault", "every": "1d", "keep": 2}
        )
        return ValkeyRdbTool(f"rdb-{token_hex(4)}", model, self.endpoint, self.replica, self.setting)

    def aof(self) -> ValkeyAofTool:
        model = ValkeyAof.model_validate({"tool": "valkey-aof", "of": "cache"})
        return ValkeyAofTool(f"aof-{token_hex(4)}", model, self.endpoint, self.replica, self.setting)


@pytest.fixture(scope="module")
def vault(sandbox: Sandbox) -> Iterator[Endpoint]:
    setting = Setting(STACK, sandbox.root, sandbox, SystemClock(), {})
    lease = Lease(run_id=sandbox.run_id, service="vault", kind="s3", directory=sandbox.root / "vault")
    replica = S3Replica()
    try:
        yield replica.provision(lease, setting)
    finally:
        replica.destroy(lease)


@pytest.fixture
def cache(sandbox: Sandbox, vault: Endpoint) -> Iterator[Cache]:
    setting = Setting(STACK, sandbox.root, sandbox, SystemClock(), {"vault": vault})
    directory = sandbox.root / f"cache-{token_hex(4)}"
    lease = Lease(run_id=sandbox.run_id, service="cache", kind="valkey", directory=directory)
    replica = ValkeyReplica()
    made = Cache(replica, setting, replica.provision(lease, setting))
    yield made
    for vessel in made.vessels:
        vessel.discard()
    replica.destroy(lease)


def ago(**past: float) -> Due:
    return Due(datetime.now(UTC) - timedelta(**past), "copy")


def until_next_second() -> datetime:
    """Wait for a second that nothing was written in, and tell when it began."""
    begin = int(time.time()) + 1
    while time.time() < begin:
        time.sleep(0.01)
    return datetime.fromtimestamp(begin, UTC)


def test_a_dump_brings_back_what_there_was_and_what_comes_later_is_kept(cache: Cache) -> None:
    tool = cache.rdb()
    cache.put("a", "b")
    then = cache.content()
    point = tool.take(ago(hours=1))
    cache.put("c")
    assert tool.points() == (point,)
    restored = tool.restore(point, cache.vessel(), cache.mark)
    assert cache.content(restored) == then != cache.content()
    assert cache.parts == ["restore", "replay"]
    assert cache.replica.describe(restored)["appendonly"] == "yes"
    ValkeyClient(restored, restored.credentials[APPLICATION]).put("session", "d", b"")
    assert cache.keys(restored) == {"a", "b", "d"}


def test_a_dump_that_was_cut_short_or_is_something_else_does_not_start(cache: Cache) -> None:
    tool = cache.rdb()
    cache.put("a", "b")
    point = tool.take(ago(hours=1))
    vault = cache.setting.peers["vault"]
    store = open_client(vault, vault.credentials[OPERATOR])
    key = point.location.rpartition("@")[0]
    body = store.get_object(Bucket=vault.name, Key=key)["Body"].read()
    for spoilt in (body[:-30], b"", b"not a dump at all"):
        store.put_object(Bucket=vault.name, Key=key, Body=spoilt)  # no metadata: nobody noted its digest
        newest = next(each for each in tool.points() if each.id != point.id)
        with pytest.raises(RestoreError):
            tool.restore(newest, cache.vessel(), cache.mark)
        store.delete_object(Bucket=vault.name, Key=key, VersionId=newest.id.rpartition("@")[2])


def test_a_server_that_is_gone_cannot_be_dumped(cache: Cache) -> None:
    cache.replica.fence(cache.endpoint)
    with pytest.raises(BackupError, match="cache cannot be saved"):
        cache.rdb().take(ago(hours=1))


def test_the_file_brings_back_everything_up_to_the_second_before_the_harm(cache: Cache) -> None:
    tool = cache.aof()
    assert isinstance(tool, PointInTime)
    assert tool.due(datetime.now(UTC), timedelta(days=90)) == ()
    cache.put("a", "b")
    then = cache.content()
    harm = until_next_second()
    cache.put("same-second")
    with cache.operator() as operator:
        operator.flushall()
    cache.put("after")
    (point,) = tool.points()
    assert (point.kind, point.shares_fate, point.place) == ("continuous", True, "cache")
    cache.replica.fence(cache.endpoint)
    restored = tool.restore_to(point, cache.vessel(), cache.mark, harm)
    assert cache.content(restored) == then
    with_harm = tool.restore(point, cache.vessel(), cache.mark)
    assert cache.keys(with_harm) == {"after"}


def test_a_file_that_was_rewritten_after_the_harm_is_no_way_back(cache: Cache) -> None:
    tool = cache.aof()
    cache.put("a", "b")
    (before,) = tool.points()
    harm = until_next_second()
    with cache.operator() as operator:
        operator.flushall()
        assert tool.points()[0].location == before.location
        operator.bgrewriteaof()
    (point,) = tool.points()
    assert (point.id, point.location == before.location) == (before.id, False), "it tells that it is another"
    restored = tool.restore_to(point, cache.vessel(), cache.mark, harm)
    assert cache.keys(restored) == set()


def test_a_file_that_is_gone_is_no_point(cache: Cache) -> None:
    tool = cache.aof()
    (point,) = tool.points()
    cache.replica.destroy(cache.endpoint.lease)
    assert tool.points() == ()
    with pytest.raises(RestoreError, match="cannot be copied"):
        tool.restore(point, cache.vessel(), cache.mark)
