"""What is particular to MariaDB and Valkey in containers; the rest is in the contracts, which they keep."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from harness.clock import SystemClock
from harness.errors import DumpError, MissingToolError, ProvisionError
from harness.facts import OPERATOR, Endpoint, Lease
from harness.replicas.containers.engine import Started, containers_of, stop, volumes_of
from harness.replicas.containers.mariadb import ContainerMariadbReplica
from harness.replicas.containers.valkey import ContainerValkeyReplica
from harness.sandbox import LOOPBACK, Sandbox
from harness.scenario.models import Stack
from harness.seams.container_engine import NAMESPACE, connect, objects_of, of_lease
from harness.seams.drivers import Setting
from harness.seams.items import Item
from harness.seams.valkey_client import connect as connect_to_valkey

pytestmark = pytest.mark.docker
Replica = ContainerMariadbReplica | ContainerValkeyReplica
MORE = {"mariadb": {}, "valkey": {"collections": ["session"]}}
THEN = datetime(2026, 4, 24, tzinfo=UTC)


@dataclass(frozen=True)
class Held:
    """A replica of a test, with what it was brought up by."""

    replica: Replica
    endpoint: Endpoint
    setting: Setting

    @property
    def container(self) -> Started:
        (container,) = containers_of(self.endpoint.lease)
        return container


BringUp = Callable[..., Held]


@pytest.fixture
def bring_up(sandbox: Sandbox) -> Iterator[BringUp]:
    held: list[tuple[Replica, Lease]] = []

    def provision(kind: str, **changes: Any) -> Held:
        replica: Replica = ContainerMariadbReplica() if kind == "mariadb" else ContainerValkeyReplica()
        service = {"kind": kind, "environment": "production", **MORE[kind], **changes}
        stack = Stack.model_validate({"services": {"store": service}})
        setting = Setting(stack, sandbox.root, sandbox, SystemClock(), {})
        directory = sandbox.root / token_hex(4)
        directory.mkdir()
        directory.chmod(0o711)
        lease = Lease(run_id=f"r-{token_hex(4)}", service="store", kind=f"docker-{kind}", directory=directory)
        held.append((replica, lease))
        return Held(replica, replica.provision(lease, setting), setting)

    yield provision
    for replica, lease in held:
        replica.destroy(lease)
        assert objects_of(lease.run_id) == ()
        assert not lease.directory.exists()


@pytest.fixture(params=["mariadb", "valkey"])
def store(bring_up: BringUp, request: pytest.FixtureRequest) -> Held:
    return bring_up(request.param)


def test_it_is_published_on_loopback_and_no_secret_is_in_what_the_engine_tells(store: Held) -> None:
    told = connect().api.inspect_container(store.container.id)
    published = [one for ports in told["NetworkSettings"]["Ports"].values() for one in ports or ()]
    assert published == [{"HostIp": LOOPBACK, "HostPort": str(store.endpoint.port)}]
    said = str(told) + store.container.said()
    assert len(store.endpoint.credentials) == 2
    assert not [one for one in store.endpoint.credentials.values() if one.secret.reveal() in said]
    files = [path for path in store.endpoint.lease.directory.rglob("*") if path.is_file()]
    for credential in store.endpoint.credentials.values():
        assert not [path for path in files if credential.secret.reveal().encode() in path.read_bytes()]


def test_its_data_lie_on_a_volume_of_the_engine_and_on_no_other(store: Held) -> None:
    lease = store.endpoint.lease
    assert volumes_of(lease) == ("store-data",)
    (volume,) = connect().api.volumes(filters=of_lease(lease))["Volumes"]
    mounts = connect().api.inspect_container(store.container.id)["Mounts"]
    assert [one["Name"] for one in mounts if one["Type"] == "volume"] == [volume["Name"]]
    assert store.replica.describe(store.endpoint)["image"].startswith(NAMESPACE)


def test_its_volume_can_be_emptied_under_the_running_server(store: Held) -> None:
    """What it held is gone for whoever starts a server on that volume, and for the tools that read it."""
    (volume,) = connect().api.volumes(filters=of_lease(store.endpoint.lease))["Volumes"]
    mounts = connect().api.inspect_container(store.container.id)["Mounts"]
    (inside,) = [one["Destination"] for one in mounts if one.get("Name") == volume["Name"]]
    assert read(store, "*")
    assert store.container.run("find", inside, "-mindepth", "1", "-delete")[0] == 0
    assert read(store, "*") == []


def test_its_disk_is_read_until_its_volume_is_gone(store: Held) -> None:
    pattern = "binlog.*" if store.endpoint.kind == "mariadb" else "appendonlydir"
    running = read(store, pattern)
    assert running
    store.replica.fence(store.endpoint)
    assert not containers_of(store.endpoint.lease)
    assert read(store, pattern) == running
    (volume,) = connect().api.volumes(filters=of_lease(store.endpoint.lease))["Volumes"]
    connect().api.remove_volume(volume["Name"])
    assert read(store, pattern) == []
    assert volumes_of(store.endpoint.lease) == (), "reading what is gone does not make it"


def read(store: Held, pattern: str) -> list[str]:
    with TemporaryDirectory(dir=store.setting.sandbox.root) as folder:
        store.replica.read_disk(store.endpoint, pattern, Path(folder), store.setting)
        return sorted(path.name for path in Path(folder).iterdir())


def test_a_vessel_takes_the_address_and_the_accounts_over(store: Held) -> None:
    old = store.endpoint
    store.replica.fence(old)
    assert not store.replica.alive(old)
    lease = old.lease.model_copy(
        update={"service": "store@recovery", "directory": old.lease.directory / "new"}
    )
    lease.directory.mkdir()
    vessel = store.replica.vessel(lease, old, store.setting, replace=True)
    try:
        new = vessel.start()
        assert (new.host, new.port, new.credentials) == (old.host, old.port, old.credentials)
        assert store.replica.alive(new)
        assert store.replica.read_marker(new) == lease.marker
        (container,) = containers_of(lease)
        networks = connect().api.inspect_container(container.id)["NetworkSettings"]["Networks"]
        (network,) = networks.values()
        assert {"store", "store.recovery"} <= set(network["Aliases"])
        assert [path.name for path in vessel.directory.iterdir()]
    finally:
        vessel.discard()


@pytest.mark.parametrize(
    ("kind", "other", "told"),
    [("mariadb", "valkey", "makes no data directory"), ("valkey", "mariadb", "no server starts for store")],
)
def test_an_image_of_another_kind_is_told(bring_up: BringUp, kind: str, other: str, told: str) -> None:
    with pytest.raises(ProvisionError, match=told):
        bring_up(kind, image=f"{NAMESPACE}{other}")


@pytest.mark.parametrize("kind", ["mariadb", "valkey"])
def test_an_image_that_is_not_to_be_had_is_told(bring_up: BringUp, kind: str) -> None:
    with pytest.raises(MissingToolError, match="nobody/nothing:1 is not here and cannot be fetched"):
        bring_up(kind, image="localhost:1/nobody/nothing:1")


OFFICIAL = {
    # Their data directories are their own accounts', and a volume begins with the image's modes.
    "mariadb": "RUN chmod 0755 /var/lib/mysql",
    "valkey": "RUN mv /usr/bin/valkey-server /usr/bin/redis-server && install -d -m 0755 -o 999 /data",
}


@pytest.mark.parametrize("kind", ["mariadb", "valkey"])
def test_an_image_of_the_users_whose_data_are_anothers_does_too(bring_up: BringUp, kind: str) -> None:
    """As the official ones are; the second stands for Redis, by the name of its server."""
    tag = f"users-own-{token_hex(4)}:1"
    recipe = f"FROM {NAMESPACE}{kind}\nUSER root\n{OFFICIAL[kind]}\n"
    connect().images.build(fileobj=BytesIO(recipe.encode()), tag=tag, rm=True, forcerm=True)
    try:
        held = bring_up(kind, image=tag)
        assert held.replica.alive(held.endpoint)
        assert held.replica.describe(held.endpoint)["image"].startswith(tag)
        held.replica.destroy(held.endpoint.lease)
    finally:
        connect().images.remove(tag, force=True)


def test_a_dump_of_the_users_is_loaded_and_what_is_none_is_told(bring_up: BringUp, sandbox: Sandbox) -> None:
    held = bring_up("valkey")
    held.replica.fill(held.endpoint, [Item("session", f"s-{n}", b"who", THEN) for n in range(20)])
    before = held.replica.fingerprint(held.endpoint, ("session",))
    with connect_to_valkey(held.endpoint, held.endpoint.credentials[OPERATOR]) as client:
        client.save()
    with TemporaryDirectory(dir=sandbox.root) as folder:
        held.replica.read_disk(held.endpoint, "dump.rdb", Path(folder), held.setting)
        dump = (Path(folder) / "dump.rdb").read_bytes()
    (sandbox.root / "last-night.rdb").write_bytes(dump)
    (sandbox.root / "cut.rdb").write_bytes(dump[: len(dump) // 2])
    other = bring_up("valkey", data={"dump": "last-night.rdb"})
    assert other.replica.fingerprint(other.endpoint, ("session",)) == before
    assert not (other.endpoint.path / "data" / "dump.rdb").exists(), "no second copy outlives the volume"
    stop(other.endpoint.lease)
    with pytest.raises(DumpError, match="does not load it"):
        bring_up("valkey", data={"dump": "cut.rdb"})


@pytest.mark.mariadb
def test_a_script_of_the_users_is_loaded(bring_up: BringUp, sandbox: Sandbox) -> None:
    script = "CREATE TABLE t (id int PRIMARY KEY);\nINSERT INTO t VALUES (1), (2);\n"
    (sandbox.root / "last-night.sql").write_text(
        f"-- MariaDB dump 10.19\n{script}-- Dump completed on 2026-04-24 10:00:00\n"
    )
    held = bring_up("mariadb", data={"dump": "last-night.sql"}, tables={"t": {"key": "id"}})
    assert held.replica.query(held.endpoint, "SELECT count(*) FROM t", {}) == [(2,)]


def test_who_has_no_password_is_not_let_in_from_inside_either(store: Held) -> None:
    if store.endpoint.kind == "mariadb":
        for user in (OPERATOR, "root"):
            bare = ("mariadb", "--no-defaults", "--skip-ssl", "-h", "store", "-u", user, "-e", "SELECT 1")
            assert "Access denied" in store.container.run(*bare)[1]
    else:
        assert "NOAUTH" in store.container.run("valkey-cli", "-h", "store", "ping")[1]
