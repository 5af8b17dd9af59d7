"""A vessel takes a backup's place in the world: data from the copy, everything else from the replica."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from socket import socket

import psycopg
import pytest

from harness.errors import ProvisionError, RestoreError
from harness.facts import APPLICATION, OPERATOR, Endpoint, Lease
from harness.replicas.leases import reap
from harness.replicas.postgres import PostgresReplica
from harness.sandbox import LOOPBACK, Sandbox
from harness.seams.drivers import Setting, Vessel
from harness.seams.postgres_tools import binary
from tests.replicas.postgres_stack import lease as make_lease
from tests.replicas.postgres_stack import login, setting, stack

REPLICA = PostgresReplica()
INSERT = "INSERT INTO reservations VALUES (-1, 'x', 1, now())"


@pytest.fixture(scope="module")
def where(sandbox: Sandbox) -> Setting:
    return setting(sandbox, stack(fsync=False))


@pytest.fixture(scope="module")
def bookings(sandbox: Sandbox, where: Setting) -> Iterator[Endpoint]:
    held = make_lease(sandbox, "bookings")
    yield REPLICA.provision(held, where)
    REPLICA.destroy(held)


@pytest.fixture
def lease(sandbox: Sandbox) -> Iterator[Lease]:
    held = make_lease(sandbox, "bookings", purpose="recovery")
    yield held
    reap(held)


@pytest.fixture
def vessel(lease: Lease, bookings: Endpoint, where: Setting) -> Vessel:
    return REPLICA.vessel(lease, bookings, where, replace=False)


@pytest.fixture(scope="module")
def base_backup(sandbox: Sandbox, bookings: Endpoint) -> Path:
    """Taken once, and copied into each vessel."""
    target = sandbox.root / "base"
    options = ["--pgdata", target, "--checkpoint=fast", "--no-sync", "--no-password"]
    address = ["--host", LOOPBACK, "--port", str(bookings.port), "--username", OPERATOR]
    ran = sandbox.call(
        [binary("pg_basebackup"), *options, *address],
        environment={"PGPASSWORD": bookings.credentials[OPERATOR].secret.reveal()},
    )
    assert ran.returncode == 0, ran.stderr
    return target


def pour(backup: Path, vessel: Vessel) -> Path:
    shutil.copytree(backup, vessel.directory, dirs_exist_ok=True)
    return vessel.directory


class TestEmpty:
    def test_it_has_the_roles_passwords_and_database_but_no_table(self, vessel, bookings):
        endpoint = vessel.start()
        assert endpoint.name == bookings.name
        assert endpoint.service == "bookings"
        assert [r.name for r in REPLICA.inventory(endpoint)] == ["bookings"]
        for principal in bookings.credentials:
            with login(replace(bookings, port=endpoint.port), principal) as connection:
                assert connection.execute("SELECT session_user").fetchone() == (principal,)

    def test_it_says_that_it_is_the_vessel(self, vessel, bookings):
        endpoint = vessel.start()
        assert REPLICA.read_marker(endpoint) == vessel.lease.marker != bookings.lease.marker

    def test_a_dump_restored_into_it_gives_everybody_what_they_had(self, vessel, bookings, sandbox):
        endpoint = vessel.start()
        environment = {"PGPASSWORD": bookings.credentials[OPERATOR].secret.reveal()}

        def call(tool: str, port: int, *options: str) -> None:
            address = ["--host", LOOPBACK, "--port", str(port), "--username", OPERATOR]
            command = [binary(tool), "--dbname", bookings.name, *address, *options]
            ran = sandbox.call(command, environment=environment)
            assert ran.returncode == 0, ran.stderr

        dump = str(sandbox.root / "dump")
        call("pg_dump", bookings.port, "--format=custom", f"--file={dump}")
        call("pg_restore", endpoint.port, "--exit-on-error", dump)
        tables = ["reservations"]
        assert REPLICA.fingerprint(endpoint, tables) == REPLICA.fingerprint(bookings, tables)
        with login(endpoint, APPLICATION) as connection:
            connection.execute(INSERT)
        with login(endpoint, "analyst") as connection:
            assert connection.execute("SELECT count(*) FROM reservations").fetchone() == (1001,)
        with login(endpoint, "staging-agent") as connection:
            connection.execute("DROP TABLE reservations")

    def test_what_tools_ask_for_is_set_on_top(self, vessel):
        endpoint = vessel.start({"autovacuum": "off"})
        assert REPLICA.query(endpoint, "SHOW autovacuum", {}) == [("off",)]


class TestPhysical:
    def test_a_base_backup_starts_with_all_it_held(self, vessel, bookings, base_backup):
        pour(base_backup, vessel)
        endpoint = vessel.start()
        tables = ["reservations"]
        assert REPLICA.fingerprint(endpoint, tables) == REPLICA.fingerprint(bookings, tables)
        assert REPLICA.read_marker(endpoint) == vessel.lease.marker
        with login(endpoint, APPLICATION) as connection:
            connection.execute(INSERT)

    def test_the_files_of_a_crashed_server_start_with_all_it_acknowledged(self, sandbox, where, vessel):
        held = make_lease(sandbox, "bookings", purpose="crashed")
        crashed = REPLICA.vessel(held, vessel.like, where, replace=False).start()
        REPLICA.execute(crashed, "CREATE TABLE kept AS SELECT generate_series(1, 5000) AS n", {})
        REPLICA.fence(crashed)
        shutil.copy(vessel.like.path / "postmaster.pid", crashed.path)  # of a server that runs
        pour(crashed.path, vessel)
        REPLICA.destroy(held)
        endpoint = vessel.start()
        assert REPLICA.query(endpoint, "SELECT count(*) FROM kept", {}) == [(5000,)]

    def test_nothing_that_ties_it_to_the_original_counts(self, vessel, base_backup, tmp_path):
        data = pour(base_backup, vessel)
        (data / "pg_hba.conf").write_text("host all all 0.0.0.0/0 trust\n")
        (data / "postgresql.conf").write_text("listen_addresses = '*'\nport = 1\nthis is no setting\n")
        touched = tmp_path / "touched"
        (data / "postgresql.auto.conf").write_text(
            f"archive_mode = on\narchive_command = 'touch {touched}'\nautovacuum = off\n"
            f"primary_conninfo = 'host=203.0.113.1'\nninelives.lease = 'somebody-else'\n"
        )
        (data / "postmaster.pid").write_text("1\n")
        slot = data / "pg_replslot" / "archiver"
        slot.mkdir()
        endpoint = vessel.start()
        assert REPLICA.read_marker(endpoint) == vessel.lease.marker
        shown = REPLICA.query(
            endpoint,
            "SELECT current_setting('archive_mode'), current_setting('listen_addresses'),"
            " current_setting('autovacuum'), current_setting('primary_conninfo'), pg_switch_wal() IS NULL",
            {},
        )
        assert shown == [("off", LOOPBACK, "on", "", False)]
        assert REPLICA.query(endpoint, "SELECT count(*) FROM pg_replication_slots", {}) == [(0,)]
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(host=LOOPBACK, port=endpoint.port, user=OPERATOR, dbname="bookings", password="x")
        assert not touched.exists()

    def test_files_that_root_put_there_are_handed_over(self, vessel, base_backup):
        """A restore tool runs as we do, the server as nobody when we are root."""
        data = pour(base_backup, vessel)
        data.chmod(0o755)
        assert REPLICA.alive(vessel.start())

    @pytest.mark.parametrize(
        ("damage", "message"),
        [
            ("global/pg_control", "could not open file|pg_control"),
            ("PG_VERSION", "not a valid data directory"),
            ("base", "base|could not"),
            ("pg_wal", "pg_wal"),
        ],
    )
    def test_a_copy_with_a_part_missing_is_refused_with_the_servers_words(
        self, vessel, base_backup, damage, message
    ):
        part = pour(base_backup, vessel) / damage
        shutil.rmtree(part) if part.is_dir() else part.unlink()
        with pytest.raises(RestoreError, match=message):
            vessel.start(timeout=20)

    def test_a_full_disk_is_not_the_copys_fault(self, vessel, base_backup, sandbox, monkeypatch):
        programs = sandbox.root / "programs"
        programs.mkdir()
        message = "FATAL:  could not write lock file: No space left on device"
        (programs / "postgres").write_text(f"#!/bin/sh\necho '{message}' >&2\nexit 1\n")
        (programs / "postgres").chmod(0o755)
        monkeypatch.setattr(
            "harness.replicas.postgres.server.server_programs", lambda _: nullcontext(programs)
        )
        pour(base_backup, vessel)
        with pytest.raises(ProvisionError, match="the disk is full"):
            vessel.start(timeout=20)

    def test_a_truncated_control_file_is_refused(self, vessel, base_backup):
        control = pour(base_backup, vessel) / "global" / "pg_control"
        control.write_bytes(control.read_bytes()[:100])
        with pytest.raises(RestoreError, match="pg_control"):
            vessel.start(timeout=20)

    def test_a_copy_of_another_service_is_refused_at_once(self, sandbox, where, bookings, lease, base_backup):
        other = replace(bookings, name="invoices")
        vessel = REPLICA.vessel(lease, other, where, replace=False)
        pour(base_backup, vessel)
        with pytest.raises(RestoreError, match='database "invoices" does not exist'):
            vessel.start()

    def test_a_copy_with_other_passwords_is_refused_at_once(
        self, sandbox, where, bookings, lease, base_backup
    ):
        swapped = {OPERATOR: replace(bookings.credentials[APPLICATION], name=OPERATOR)}
        vessel = REPLICA.vessel(lease, replace(bookings, credentials=swapped), where, replace=False)
        pour(base_backup, vessel)
        with pytest.raises(RestoreError, match="password authentication failed"):
            vessel.start()

    def test_a_replay_that_does_not_end_in_time_is_refused(self, vessel, base_backup):
        (pour(base_backup, vessel) / "standby.signal").touch()
        with pytest.raises(RestoreError, match="runs but does not serve"):
            vessel.start({"restore_command": "false"}, timeout=1)


class TestPlace:
    def test_it_takes_the_place_of_the_fenced_original(self, lease, bookings, where, sandbox):
        held = make_lease(sandbox, "bookings", purpose="original")
        original = REPLICA.vessel(held, bookings, where, replace=False).start()
        REPLICA.fence(original)
        endpoint = REPLICA.vessel(lease, original, where, replace=True).start()
        assert (endpoint.host, endpoint.port) == (original.host, original.port)
        with login(original, APPLICATION) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        REPLICA.destroy(held)
        assert REPLICA.alive(endpoint)

    def test_a_place_that_somebody_else_took_is_not_the_copys_fault(self, lease, bookings, where):
        with socket() as other:
            other.bind((LOOPBACK, 0))
            other.listen()
            taken = replace(bookings, port=other.getsockname()[1])
            vessel = REPLICA.vessel(lease, taken, where, replace=True)
            with pytest.raises(ProvisionError, match=f"port {taken.port} .* is taken"):
                vessel.start()

    def test_discarding_it_leaves_nothing_and_can_be_repeated(self, vessel):
        endpoint = vessel.start()
        vessel.discard()
        vessel.discard()
        assert not vessel.lease.directory.exists()
        assert not REPLICA.alive(endpoint)

    def test_one_that_was_never_started_can_be_discarded(self, vessel):
        vessel.discard()
        assert not vessel.lease.directory.exists()

    def test_its_directory_is_empty_and_closed_to_others(self, vessel, sandbox):
        status = vessel.directory.stat()
        assert list(vessel.directory.iterdir()) == []
        assert status.st_mode & 0o777 == 0o700
        if sandbox.account is not None:
            assert status.st_uid == sandbox.account.uid
