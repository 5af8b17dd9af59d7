"""What is particular to PostgreSQL in a container; the rest is in the contract, which it keeps too."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import psycopg
import pytest

from harness.backups.client_tools import ClientTool
from harness.clock import SystemClock
from harness.errors import BackupError, MissingToolError, ProvisionError
from harness.facts import OPERATOR, Endpoint, Lease
from harness.replicas.containers.engine import containers_of
from harness.replicas.containers.postgres import ContainerPostgresReplica
from harness.replicas.containers.postgres.cluster import ImageCluster
from harness.replicas.volume import VolumeReplica
from harness.sandbox import Sandbox
from harness.scenario.models import Stack
from harness.seams.container_engine import NAMESPACE, connect, objects_of, of_lease
from harness.seams.drivers import EquippedVessel, Following
from tests.replicas.postgres_stack import lease as make_lease
from tests.replicas.postgres_stack import login, setting, stack

pytestmark = pytest.mark.docker
REPLICA = ContainerPostgresReplica()


@pytest.fixture(scope="module")
def bookings(sandbox: Sandbox) -> Iterator[Endpoint]:
    held = make_lease(sandbox, "bookings")
    yield REPLICA.provision(held, setting(sandbox, stack()))
    REPLICA.destroy(held)


@pytest.fixture
def lease(sandbox: Sandbox) -> Iterator[Lease]:
    held = make_lease(sandbox, "victim")
    yield held
    REPLICA.destroy(held)


def test_it_tells_its_image_and_the_servers_own_version(bookings: Endpoint) -> None:
    described = REPLICA.describe(bookings)
    (container,) = containers_of(bookings.lease)
    code, told = container.run("postgres", "--version")
    assert code == 0
    assert f"{described['version']}\n" == told.replace("postgres (PostgreSQL)", "PostgreSQL")
    assert described["image"].startswith(f"{NAMESPACE}postgres (")


def test_no_secret_is_in_what_the_engine_tells(bookings: Endpoint) -> None:
    (container,) = containers_of(bookings.lease)
    told = str(connect().api.inspect_container(container.id)) + container.said()
    assert not [one for one in bookings.credentials.values() if one.secret.reveal() in told]


def test_it_takes_passwords_only_from_inside_too(bookings: Endpoint) -> None:
    (container,) = containers_of(bookings.lease)
    code, told = container.run(
        "psql", "--no-password", "-h", "bookings", "-U", OPERATOR, "-c", "SELECT 1", bookings.name
    )
    assert code != 0
    assert "no password supplied" in told


def test_its_data_can_lie_in_a_tree_of_files(lease: Lease, sandbox: Sandbox) -> None:
    holder, volumes = make_lease(sandbox, "disk"), VolumeReplica()
    try:
        disk = volumes.provision(
            holder, setting(sandbox, Stack.model_validate({"services": {"disk": {"kind": "volume"}}}))
        )
        on_disk = stack("victim", volume="disk/postgresql", environment=None)
        endpoint = REPLICA.provision(lease, setting(sandbox, on_disk, peers={"disk": disk}))
        assert endpoint.path == disk.path / "postgresql" / "pgdata"
        assert REPLICA.alive(endpoint)
        shutil.rmtree(disk.path / "postgresql", ignore_errors=True)
        assert not REPLICA.alive(endpoint)
        REPLICA.destroy(lease)
    finally:
        volumes.destroy(holder)
    assert not holder.directory.exists()


def test_its_volume_can_be_emptied_under_the_running_server(lease: Lease, sandbox: Sandbox) -> None:
    endpoint = REPLICA.provision(lease, setting(sandbox, stack("victim")))
    (container,) = containers_of(lease)
    (volume,) = connect().api.volumes(filters=of_lease(lease))["Volumes"]
    inside = connect().api.inspect_container(container.id)["Mounts"]
    (mounted,) = [one["Destination"] for one in inside if one.get("Name") == volume["Name"]]
    assert REPLICA.alive(endpoint)
    assert container.run("find", mounted, "-mindepth", "1", "-delete")[0] == 0
    assert not REPLICA.alive(endpoint)
    REPLICA.destroy(lease)
    assert [line for line in objects_of(lease.run_id) if "victim" in line] == []


def test_connections_of_a_fenced_server_acknowledge_nothing(lease: Lease, sandbox: Sandbox) -> None:
    endpoint = REPLICA.provision(lease, setting(sandbox, stack("victim")))
    with login(endpoint, OPERATOR) as connection:
        REPLICA.fence(endpoint)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")


def test_a_vessel_brings_the_programs_of_its_own_release(bookings: Endpoint, sandbox: Sandbox) -> None:
    held = make_lease(sandbox, "bookings", purpose="recovery")
    vessel = REPLICA.vessel(held, bookings, setting(sandbox, stack()), replace=False)
    try:
        assert isinstance(vessel, EquippedVessel)
        ran = vessel.call(["pg_verifybackup", "--version"])
        assert (ran.returncode, ran.stdout.split()[2].partition(".")[0]) == (0, str(vessel.release()))
        assert vessel.call(["pg_verifybackup", vessel.directory]).returncode != 0
    finally:
        vessel.discard()


def test_a_vessel_holds_a_standby_that_follows_its_source(bookings: Endpoint, sandbox: Sandbox) -> None:
    held = make_lease(sandbox, "bookings", purpose="standby")
    vessel = REPLICA.vessel(held, bookings, setting(sandbox, stack()), replace=False)
    try:
        assert isinstance(vessel, Following)
        tool = ClientTool("pg_basebackup", sandbox, BackupError, "none")
        tool.run([f"--pgdata={vessel.directory}", "--checkpoint=fast", "--no-sync"], server=bookings)
        standby = vessel.follow(bookings, {})
        REPLICA.execute(bookings, "INSERT INTO reservations VALUES (-5, 'late', 1, now())", {})
        clock, late = SystemClock(), "SELECT count(*) FROM reservations WHERE id = -5"
        began = clock.stamp()
        while REPLICA.query(standby, late, {}) != [(1,)]:
            assert clock.stamp().since(began) < 30, "it does not follow"
            clock.sleep(0.05)
        told = str([connect().api.inspect_container(one.id) for one in containers_of(held)])
        assert bookings.credentials[OPERATOR].secret.reveal() not in told
    finally:
        vessel.discard()
        REPLICA.execute(bookings, "DELETE FROM reservations WHERE id = -5", {})


def test_an_image_that_is_not_to_be_had_is_told_before_anything_is_made(
    lease: Lease, sandbox: Sandbox
) -> None:
    where = setting(sandbox, stack("victim", image="localhost:1/nobody/nothing:1"))
    with pytest.raises(MissingToolError, match="nobody/nothing:1 is not here and cannot be fetched"):
        REPLICA.provision(lease, where)


def test_an_image_of_another_kind_is_told_with_what_it_said(lease: Lease, sandbox: Sandbox) -> None:
    with pytest.raises(ProvisionError, match="ninelives/mariadb makes no cluster") as caught:
        REPLICA.provision(lease, setting(sandbox, stack("victim", image=f"{NAMESPACE}mariadb")))
    assert "contract" in caught.value.hint


def test_a_prepared_cluster_that_no_server_starts_from_is_made_anew(lease: Lease, sandbox: Sandbox) -> None:
    """As after a crash of the machine: it has a seal that fits, and a file that does not."""
    cluster = ImageCluster(f"{NAMESPACE}postgres", lease, sandbox, SystemClock())
    with cluster.held() as content:
        control = content / "global" / "pg_control"
        status, whole = control.stat(), control.read_bytes()
        control.write_bytes(bytes(len(whole)))
        os.utime(control, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert REPLICA.alive(REPLICA.provision(lease, setting(sandbox, stack("victim"))))
