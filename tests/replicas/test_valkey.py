"""A Valkey server: real, on loopback, with a user for every principal."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex

import psutil
import pytest
from valkey.exceptions import AuthenticationError, NoPermissionError

from harness.clock import SystemClock
from harness.errors import DatabaseError, ProvisionError
from harness.facts import APPLICATION, Endpoint, Lease
from harness.replicas.valkey import ValkeyReplica
from harness.sandbox import Sandbox, free_port
from harness.scenario.models import Stack
from harness.seams.drivers import ItemStore, Setting
from harness.seams.items import Item, ItemRefusedError, ItemUnansweredError
from harness.seams.valkey_client import ValkeyClient, connect

THEN = datetime(2026, 4, 24, 10, 12, 0, 250, tzinfo=UTC)
GRANTS = {"boss": "owner", "shop": "writer", "guest": "reader"}
Provision = Callable[..., Endpoint]


def setting_of(sandbox: Sandbox, **service: object) -> Setting:
    stack = Stack.model_validate(
        {
            "services": {"cache": {"kind": "valkey", "collections": ["session", "cart"]} | service},
            "principals": {name: {"grants": {"cache": grant}} for name, grant in GRANTS.items()},
        }
    )
    return Setting(stack, sandbox.root, sandbox, SystemClock(), {})


def lease_of(sandbox: Sandbox, name: str = "cache") -> Lease:
    directory = sandbox.root / f"{name}-{token_hex(4)}"
    return Lease(run_id=sandbox.run_id, service=name, kind="valkey", directory=directory)


@pytest.fixture
def provision(sandbox: Sandbox) -> Iterator[Provision]:
    leases: list[Lease] = []

    def provision(**service: object) -> Endpoint:
        leases.append(lease_of(sandbox))
        return ValkeyReplica().provision(leases[-1], setting_of(sandbox, **service))

    yield provision
    for lease in leases:
        ValkeyReplica().destroy(lease)


@pytest.fixture(scope="module")
def replica() -> ValkeyReplica:
    return ValkeyReplica()


@pytest.fixture(scope="module")
def cache(sandbox: Sandbox, replica: ValkeyReplica) -> Iterator[Endpoint]:
    lease = lease_of(sandbox)
    yield replica.provision(lease, setting_of(sandbox, environment="production"))
    replica.destroy(lease)


def client(endpoint: Endpoint, principal: str = APPLICATION) -> ValkeyClient:
    return ValkeyClient(endpoint, endpoint.credentials[principal])


def test_it_is_a_store_of_items_that_knows_whose_it_is(replica: ValkeyReplica, cache: Endpoint) -> None:
    assert isinstance(replica, ItemStore)
    assert replica.read_marker(cache) == cache.lease.marker
    assert replica.alive(cache)
    described = replica.describe(cache)
    assert described["version"].startswith("Valkey 9.")
    assert (described["appendonly"], described["appendfsync"]) == ("yes", "always")


def servers_at(port: int) -> Iterator[psutil.Process]:
    """The servers with a port; those of others may end meanwhile."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            is_one = process.name() == "valkey-server"
            if is_one and port in {each.laddr.port for each in process.net_connections()}:
                yield process


def test_it_listens_on_loopback_only_and_runs_as_nobody_of_consequence(cache: Endpoint) -> None:
    (server,) = servers_at(cache.port)
    assert {c.laddr.ip for c in server.net_connections()} == {"127.0.0.1"}
    assert server.uids().effective != 0 or psutil.Process().uids().effective != 0


def test_no_password_is_in_a_file_or_an_argument(cache: Endpoint) -> None:
    secrets = [credential.secret.reveal().encode() for credential in cache.credentials.values()]
    files = [path for path in cache.lease.directory.rglob("*") if path.is_file()]
    assert len(files) > 3
    for path in files:
        assert not any(secret in path.read_bytes() for secret in secrets), path
    commands = [process.info["cmdline"] or () for process in psutil.process_iter(["cmdline"])]
    shown = " ".join(word for command in commands for word in command).encode()
    assert not any(secret in shown for secret in secrets)


def test_what_is_put_has_the_hash_and_the_time_that_the_server_tells(
    replica: ValkeyReplica, cache: Endpoint
) -> None:
    hash_ = client(cache).put("session", "first", b"hello")
    rows = {row.key: row for row in replica.rows(cache, "session", "", "")}
    assert rows["first"].hash == hash_
    assert abs((datetime.now(UTC) - rows["first"].time).total_seconds()) < 60
    assert client(cache).get("session", "first") == b"hello"
    assert client(cache).get("session", "none") is None
    assert client(cache).delete("session", "first") == hash_
    assert client(cache).delete("session", "first") is None
    assert not list(replica.rows(cache, "session", "", ""))


def test_the_past_has_the_dates_of_the_past(replica: ValkeyReplica, cache: Endpoint) -> None:
    replica.fill(cache, [Item("cart", f"old-{n}", b"bits", THEN) for n in range(1200)])
    rows = list(replica.rows(cache, "cart", "", ""))
    assert {row.time for row in rows} == {THEN}
    assert [row.key for row in rows] == sorted(f"old-{n}" for n in range(1200))


def test_a_collection_is_what_begins_with_its_name_and_nothing_else(
    replica: ValkeyReplica, cache: Endpoint
) -> None:
    with connect(cache, cache.credentials["boss"]) as boss:
        boss.mset({"zone*:a": 1, "zone1:b": 2, "zone:c": 3})
        boss.rpush("zone:list", 1, 2)
    rows = {row.key: row for row in replica.rows(cache, "zone", "", "")}
    assert set(rows) == {"c", "list"}
    assert {row.time for row in rows.values()} == {None}
    before = replica.fingerprint(cache, ("zone",))
    with connect(cache, cache.credentials["boss"]) as boss:
        boss.rpush("zone:list", 3)
    assert replica.fingerprint(cache, ("zone",)) != before


@pytest.mark.parametrize(
    ("principal", "reading", "writing", "flushing"),
    [("boss", True, True, True), ("shop", True, True, False), ("guest", True, False, False)],
)
def test_a_grant_means_what_it_says(
    cache: Endpoint, principal: str, reading: bool, writing: bool, flushing: bool
) -> None:
    def may(*command: str) -> bool:
        with connect(cache, cache.credentials[principal]) as user:
            try:
                user.execute_command(*command)
            except NoPermissionError:
                return False
            return True

    assert may("GET", "session:x") == reading
    assert may("SET", "scratch", "1") == writing
    assert may("FLUSHDB") == flushing
    assert may("CONFIG", "SET", "save", "") == flushing


def test_without_a_password_nobody_gets_in_unless_the_service_is_open(provision: Provision) -> None:
    for open_ in (False, True):
        endpoint = provision(auth=not open_)
        with connect(endpoint, None) as nobody:
            if open_:
                assert nobody.ping()
            else:
                with pytest.raises(AuthenticationError, match="required"):
                    nobody.ping()


def test_what_is_denied_is_denied_to_everybody_but_the_operator(provision: Provision) -> None:
    endpoint = provision(denied=["flushall"])
    with (
        connect(endpoint, endpoint.credentials["boss"]) as boss,
        pytest.raises(Exception, match="permission"),
    ):
        boss.flushall()
    with connect(endpoint, endpoint.credentials["operator"]) as operator:
        assert operator.flushall()


def test_another_program_on_the_port_is_not_spoken_to(sandbox: Sandbox) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        stranger.settimeout(0.2)
        ports = iter((stranger.getsockname()[1], free_port()))
        replica, lease = ValkeyReplica(choose_port=lambda: next(ports)), lease_of(sandbox)
        try:
            endpoint = replica.provision(lease, setting_of(sandbox))
            assert endpoint.port != stranger.getsockname()[1]
            assert replica.alive(endpoint)
            with pytest.raises(TimeoutError):
                stranger.accept()
        finally:
            replica.destroy(lease)


def test_what_replaces_it_answers_at_the_same_address(sandbox: Sandbox, provision: Provision) -> None:
    replica, endpoint = ValkeyReplica(), provision()
    client(endpoint).put("session", "a", b"1")
    replica.fence(endpoint)
    replica.fence(endpoint)
    assert not replica.alive(endpoint)
    with pytest.raises(ItemUnansweredError):
        client(endpoint).put("session", "b", b"2")
    with pytest.raises(DatabaseError, match="cache at 127"):
        replica.fingerprint(endpoint, ("session",))
    new = lease_of(sandbox, "cache@recovery-1")
    vessel = replica.vessel(new, endpoint, setting_of(sandbox), replace=True)
    try:
        restored = vessel.start()
        assert restored == replace(endpoint, lease=new, path=vessel.directory)
        assert replica.read_marker(restored) == new.marker
        assert replica.fingerprint(restored, ("session",)).rows == 0
        client(restored).put("session", "b", b"2")
        assert replica.inventory(restored)[0].name == "db0"
    finally:
        vessel.discard()
    assert not new.directory.exists()
    assert not replica.alive(endpoint)


def test_destroying_leaves_nothing_works_from_the_lease_and_can_be_done_twice(sandbox: Sandbox) -> None:
    lease = lease_of(sandbox)
    endpoint = ValkeyReplica().provision(lease, setting_of(sandbox))
    for _ in range(2):
        ValkeyReplica().destroy(lease)
        assert not lease.directory.exists()
        # Another server may have been given the port by now, but it does not take our password.
        assert not ValkeyReplica().alive(endpoint)


@pytest.mark.parametrize("what", ["a grant", "a kind"])
def test_what_valkey_does_not_have_is_an_error(sandbox: Sandbox, what: str) -> None:
    setting, lease = setting_of(sandbox), lease_of(sandbox, "cache" if what == "a grant" else "shop")
    if what == "a grant":
        stack = setting.stack.model_dump()
        stack["principals"]["boss"]["grants"]["cache"] = "admin"
        setting = replace(setting, stack=Stack.model_validate(stack))
    with pytest.raises(ProvisionError, match=r"admin|not a service of kind valkey"):
        ValkeyReplica().provision(lease, setting)
    assert not Path(lease.directory).exists()


def test_a_reader_that_writes_is_refused_for_certain(cache: Endpoint) -> None:
    with pytest.raises(ItemRefusedError):
        client(cache, "guest").put("session", "x", b"1")
