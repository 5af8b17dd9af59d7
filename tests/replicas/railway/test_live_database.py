"""A real PostgreSQL server on a volume: backed up under load, deleted under its feet, brought back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from pathlib import Path
from uuid import uuid4

import psutil
import psycopg
import pytest

from harness.facts import OPERATOR, Endpoint, Lease
from harness.replicas import freezing
from harness.replicas.copying import FileState
from harness.replicas.freezing import FreezeError, frozen, servers_on
from harness.replicas.postgres import PostgresReplica
from harness.replicas.railway import volumes
from harness.replicas.railway.volumes import Disk
from harness.sandbox import Sandbox
from harness.seams.lookup import Provider, driver_with, lookup
from tests.replicas.railway.conftest import CLOCK, ControlPlane, control_plane

pytestmark = pytest.mark.slow

NUMBERS = count()


def connect(endpoint: Endpoint) -> psycopg.Connection:
    credential = endpoint.credentials[OPERATOR]
    return psycopg.connect(
        host=endpoint.host,
        port=endpoint.port,
        dbname=endpoint.name,
        user=credential.name,
        password=credential.secret.reveal(),
        autocommit=True,
        connect_timeout=5,
    )


Database = Callable[..., AbstractContextManager[tuple[PostgresReplica, Endpoint]]]


@pytest.fixture(params=["embedded", pytest.param("docker", marks=pytest.mark.docker)])
def database(request: pytest.FixtureRequest) -> Database:
    """Brings up a server whose data lies on the volume of a service."""

    def bring_up(
        plane: ControlPlane, service: str = "bookings"
    ) -> AbstractContextManager[tuple[PostgresReplica, Endpoint]]:
        return bring_up_database(plane, service, request.param)

    return bring_up


@contextmanager
def bring_up_database(
    plane: ControlPlane, service: str = "bookings", provider: Provider = "embedded"
) -> Iterator[tuple[PostgresReplica, Endpoint]]:
    replica = lookup("replicas", driver_with(provider, "postgres"))()
    lease = Lease(
        run_id=plane.endpoint.lease.run_id,
        service=service,
        kind=driver_with(provider, "postgres"),
        directory=plane.setting.sandbox.root / f"{service}-{next(NUMBERS)}",
    )
    try:
        endpoint = replica.provision(lease, plane.setting)
        with connect(endpoint) as connection:
            connection.execute("CREATE TABLE written (n bigserial PRIMARY KEY, body text NOT NULL)")
        yield replica, endpoint
    finally:
        replica.destroy(lease)


class Writers:
    """Threads that insert rows, and remember each one that the server acknowledged."""

    def __init__(self, endpoint: Endpoint, number: int = 3) -> None:
        self._endpoint = endpoint
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._write, daemon=True) for _ in range(number)]
        self.acknowledged: set[int] = set()

    def __enter__(self) -> Writers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=30)
            assert not thread.is_alive()

    def await_rows(self, number: int) -> None:
        began = CLOCK.stamp()
        while len(self.acknowledged) < number:
            assert any(thread.is_alive() for thread in self._threads)
            assert CLOCK.stamp().since(began) < 60, "the server acknowledges nothing"
            CLOCK.sleep(0.005)

    def _write(self) -> None:
        try:
            with connect(self._endpoint) as connection:
                while not self._stop.is_set():
                    row = connection.execute(
                        "INSERT INTO written (body) VALUES (repeat('x', 500)) RETURNING n"
                    ).fetchone()
                    assert row
                    self.acknowledged.add(row[0])
        except psycopg.OperationalError:
            return


def rows(endpoint: Endpoint) -> set[int]:
    with connect(endpoint) as connection:
        found = {n for (n,) in connection.execute("SELECT n FROM written")}
        connection.execute("SET enable_indexscan = on; SET enable_seqscan = off")
        indexed = {n for (n,) in connection.execute("SELECT n FROM written WHERE n > 0 ORDER BY n")}
    assert found == indexed
    return found


def start_from(plane: ControlPlane, replica: PostgresReplica, like: Endpoint, data: Path) -> Endpoint:
    """Start a server on a copy of that data directory."""
    lease = Lease(
        run_id=like.lease.run_id,
        service=f"bookings@{next(NUMBERS)}",
        kind="postgres",
        directory=plane.setting.sandbox.root / f"restored-{next(NUMBERS)}",
    )
    vessel = replica.vessel(lease, like, plane.setting, replace=False)
    vessel.directory.rmdir()
    data.rename(vessel.directory)
    return vessel.start(timeout=60)


@pytest.fixture
def plane(request: pytest.FixtureRequest, sandbox: Sandbox) -> Iterator[ControlPlane]:
    """A control plane for one test, since each of them deletes the only volume."""
    profile = getattr(request, "param", "legacy")
    with control_plane(sandbox, profile, name=f"live-{next(NUMBERS)}") as made:
        yield made


def test_a_server_starts_from_a_backup_that_was_copied_under_write_load(
    database: Database, plane: ControlPlane
) -> None:
    client, instance = plane.client(), plane.volume()
    with database(plane) as (replica, endpoint), Writers(endpoint) as writers:
        writers.await_rows(200)
        before = set(writers.acknowledged)
        started = client.volume_instance_backup_create(instance["id"])
        assert plane.await_workflow(client, started.workflow_id) is None
        writers.await_rows(len(writers.acknowledged) + 200)
        (backup,) = client.volume_instance_backup_list(instance["id"])
        restore = client.volume_instance_backup_restore(backup.id, instance["id"])
        assert plane.await_workflow(client, restore.workflow_id) is None
        (made,) = [one for one in plane.look("volumes") if one["restoredBy"] == restore.workflow_id]
        restored = start_from(plane, replica, endpoint, Path(made["directory"]) / "pgdata")
        held = rows(restored)
        assert before <= held, "a write that was acknowledged before the backup began is missing"
        assert held < writers.acknowledged, "the load went on after the copy, and is not in it"
        replica.destroy(restored.lease)


def test_every_process_of_the_server_stands_still_while_it_is_copied_and_goes_on_after(
    database: Database,
    plane: ControlPlane,
) -> None:
    directory = Path(plane.volume()["directory"])
    with database(plane) as (_, endpoint), Writers(endpoint) as writers:
        writers.await_rows(10)
        (server,) = servers_on(directory)
        with frozen(directory, CLOCK) as number:
            family = [server, *server.children(recursive=True)]
            assert number == len(family) > 5
            # A backend that had just ended stays a zombie, since its parent cannot bury it now.
            assert {process.status() for process in family} - {psutil.STATUS_ZOMBIE} == {
                psutil.STATUS_STOPPED
            }
            acknowledged = len(writers.acknowledged)
            CLOCK.sleep(0.1)  # long enough for a hundred writes, if anything still wrote
            assert len(writers.acknowledged) <= acknowledged + 3, "beyond the answers that were on their way"
        assert psutil.STATUS_STOPPED not in {process.status() for process in family if process.is_running()}
        writers.await_rows(acknowledged + 50)


def test_a_copy_is_made_while_the_server_stands_still(
    database: Database, plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = Path(plane.volume()["directory"])
    disk = Disk(plane.endpoint.path, None, CLOCK)
    seen: set[str] = set()

    def copy(source: Path, target: Path) -> frozenset[FileState]:
        (server,) = servers_on(source)
        seen.update(process.status() for process in (server, *server.children(recursive=True)))
        return frozenset()

    monkeypatch.setattr(volumes, "copy_tree", copy)
    with database(plane) as (replica, endpoint):
        disk.snapshot(directory, "i", "b")
        assert seen - {psutil.STATUS_ZOMBIE} == {psutil.STATUS_STOPPED}
        assert replica.alive(endpoint)


def test_the_server_goes_on_when_the_copy_fails(
    database: Database, plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = Path(plane.volume()["directory"])
    disk = Disk(plane.endpoint.path, None, CLOCK)
    (plane.endpoint.path / ".backups" / "i").mkdir()
    (plane.endpoint.path / ".backups" / "i" / "b").write_text("in the way")
    with database(plane) as (replica, endpoint):
        with pytest.raises(FileExistsError):
            disk.snapshot(directory, "i", "b")
        assert replica.alive(endpoint)
        monkeypatch.setattr(freezing, "_stands_still", lambda process: False)
        with pytest.raises(FreezeError, match="did not stop"), frozen(directory, CLOCK, patience=0.05):
            raise AssertionError("it never stood still")
        assert replica.alive(endpoint)


def test_a_process_that_only_has_the_number_of_a_server_is_left_alone(sandbox: Sandbox) -> None:
    directory = sandbox.root / f"volume-{uuid4()}"
    (directory / "pgdata").mkdir(parents=True)
    (directory / "pgdata" / "postmaster.pid").write_text(f"{psutil.Process().pid}\n{directory}\n")
    assert servers_on(directory) == []
    (directory / "pgdata" / "postmaster.pid").write_text("not a number\n")
    assert servers_on(directory) == []


def test_a_legacy_delete_removes_the_files_under_a_running_server(
    database: Database, plane: ControlPlane
) -> None:
    instance = plane.volume()
    directory = Path(instance["directory"])
    with database(plane) as (replica, endpoint), Writers(endpoint) as writers:
        writers.await_rows(50)
        (server,) = servers_on(directory)
        body = {"volumeInstanceId": instance["id"], "kind": "DAILY", "at": "2026-04-23T12:00:00+00:00"}
        plane.tell("scheduled-backup", body)
        assert plane.client().volume_delete(instance["volumeId"]) is True
        assert not directory.exists()
        assert not (plane.endpoint.path / ".backups" / instance["id"]).exists()
        assert server.is_running(), "nobody asked the server"
        assert not replica.alive(endpoint)
        assert not Path(plane.endpoint.path / "staging" / "bookings-data").exists()


@pytest.mark.parametrize("plane", ["current"], indirect=True)
def test_a_soft_delete_kills_the_server_and_undo_brings_all_its_rows_back(
    database: Database, plane: ControlPlane
) -> None:
    instance = plane.volume()
    directory = Path(instance["directory"])
    with database(plane) as (replica, endpoint):
        with Writers(endpoint) as writers:
            writers.await_rows(300)
            (server,) = servers_on(directory)
            family = [server, *server.children(recursive=True)]
            assert plane.client().volume_delete(instance["volumeId"]) is True
        assert not directory.exists()
        gone = (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
        assert [one for one in family if one.is_running() and one.status() not in gone] == []
        assert not replica.alive(endpoint)
        link = plane.look("mail")[-1]["link"]
        assert plane.http.get(plane.endpoint.url + link).status_code == 200
        assert not (endpoint.path / "postmaster.pid").exists()
        restored = start_from(plane, replica, endpoint, endpoint.path)
        assert writers.acknowledged <= rows(restored)
        replica.destroy(restored.lease)


@pytest.mark.parametrize("operation", ["environment", "service"])
def test_the_server_of_a_deployment_that_is_deleted_dies(
    database: Database, plane: ControlPlane, operation: str
) -> None:
    instance = plane.volume()
    with database(plane) as (replica, endpoint):
        if operation == "environment":
            plane.client().environment_delete(instance["environmentId"])
        else:
            plane.client().service_delete(instance["serviceId"])
        assert not replica.alive(endpoint)
        assert Path(instance["directory"]).exists() == (operation == "service")


def test_a_restore_that_is_deployed_stops_the_server_on_the_old_volume(
    database: Database, plane: ControlPlane
) -> None:
    client, instance = plane.client(), plane.volume()
    with database(plane) as (replica, endpoint):
        started = client.volume_instance_backup_create(instance["id"])
        assert plane.await_workflow(client, started.workflow_id) is None
        (backup,) = client.volume_instance_backup_list(instance["id"])
        restore = client.volume_instance_backup_restore(backup.id, instance["id"])
        assert plane.await_workflow(client, restore.workflow_id) is None
        assert replica.alive(endpoint), "a staged change has no effect yet"
        client.environment_patch_commit_staged(instance["environmentId"])
        assert not replica.alive(endpoint)
        assert (endpoint.path / "PG_VERSION").exists(), "the old volume keeps its data"
