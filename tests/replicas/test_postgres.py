"""A PostgreSQL replica: real, ours alone, and gone when it is destroyed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from shutil import rmtree
from socket import socket

import psutil
import psycopg
import pytest

from harness.clock import SystemClock
from harness.errors import DatabaseError, ProvisionError, ScenarioFileError
from harness.facts import APPLICATION, OPERATOR, Endpoint, Lease, Secret
from harness.replicas.leases import reap
from harness.replicas.postgres import PostgresReplica
from harness.replicas.volume import VolumeReplica
from harness.sandbox import LOOPBACK, Sandbox, free_port
from harness.scenario.models import Stack
from harness.seams.drivers import Database, Replica
from harness.seams.lookup import lookup
from harness.seams.postgres_client import connect
from tests.replicas.postgres_stack import GRANTS, login, setting, stack
from tests.replicas.postgres_stack import lease as make_lease

REPLICA = PostgresReplica()


@pytest.fixture(scope="module")
def bookings(sandbox: Sandbox) -> Iterator[Endpoint]:
    """Shared by the tests that leave it as it was."""
    lease = make_lease(sandbox, "bookings")
    yield REPLICA.provision(lease, setting(sandbox, stack()))
    REPLICA.destroy(lease)


@pytest.fixture
def victim(sandbox: Sandbox) -> Iterator[Endpoint]:
    """For tests that do harm."""
    lease = make_lease(sandbox, "victim")
    yield REPLICA.provision(lease, setting(sandbox, stack("victim")))
    REPLICA.destroy(lease)


def postmaster(endpoint: Endpoint) -> psutil.Process:
    with login(endpoint, OPERATOR) as connection:
        process = psutil.Process(connection.info.backend_pid).parent()
    assert process is not None
    return process


def test_it_is_found_by_name_and_is_a_database():
    replica = lookup("replicas", "postgres")()
    assert isinstance(replica, Replica)
    assert isinstance(replica, Database)


class TestProvisioned:
    def test_it_says_whose_it_is(self, bookings):
        assert REPLICA.read_marker(bookings) == bookings.lease.marker

    def test_it_holds_the_schema_and_nothing_else(self, bookings):
        names = [(resource.kind, resource.name) for resource in REPLICA.inventory(bookings)]
        assert names == [("database", "bookings"), ("table", "public.reservations")]
        assert {resource.environment for resource in REPLICA.inventory(bookings)} == {"production"}
        assert REPLICA.query(bookings, "SELECT count(*) FROM reservations", {}) == [(1000,)]

    def test_it_describes_what_a_commit_survives(self, bookings):
        description = REPLICA.describe(bookings)
        assert description.pop("version").startswith("PostgreSQL 18.")
        assert description == {
            "fsync": "on",
            "synchronous_commit": "on",
            "full_page_writes": "on",
            "wal_level": "replica",
        }

    def test_it_listens_on_loopback_only_and_on_no_socket(self, bookings):
        server = postmaster(bookings)
        listening = [c.laddr for c in server.net_connections() if c.status == psutil.CONN_LISTEN]
        assert listening == [(LOOPBACK, bookings.port)]
        assert server.net_connections(kind="unix") == []

    @pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="Linux tells what a process has mapped")
    def test_what_it_shares_lies_in_its_data_directory(self, bookings):
        """So that nothing stays of it in /dev/shm, however it ends."""
        mapped = Path(f"/proc/{postmaster(bookings).pid}/maps").read_text()
        assert f"{bookings.path}/pg_dynshmem/" in mapped
        assert "/PostgreSQL." not in mapped

    def test_it_does_not_run_as_root(self, bookings):
        assert postmaster(bookings).uids().effective != 0

    def test_its_log_lies_in_the_lease(self, bookings):
        assert "ready to accept connections" in (bookings.lease.directory / "postgres.log").read_text()

    def test_every_principal_with_a_grant_has_a_credential_of_its_own(self, bookings):
        with_grant = {principal for principal, grant in GRANTS.items() if grant}
        assert bookings.credentials.keys() == {OPERATOR, APPLICATION} | with_grant
        secrets = {credential.secret.reveal() for credential in bookings.credentials.values()}
        assert len(secrets) == len(bookings.credentials)
        roles = REPLICA.query(bookings, "SELECT rolname FROM pg_roles WHERE rolcanlogin", {})
        assert {role for (role,) in roles} == bookings.credentials.keys()

    @pytest.mark.parametrize("principal", [OPERATOR, APPLICATION, "staging-agent"])
    @pytest.mark.parametrize("database", ["bookings", "postgres"])
    def test_a_wrong_password_is_refused(self, bookings, principal, database):
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            connect(bookings.port, principal, Secret.mint(), database)

    def test_a_copy_of_the_prepared_cluster_has_no_password_in_common_with_another(self, bookings, victim):
        for principal in bookings.credentials:
            with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
                login(replace(victim, credentials=bookings.credentials), principal)

    def test_no_clear_password_is_in_any_file_or_command_line(self, bookings):
        secrets = [c.secret.reveal().encode() for c in bookings.credentials.values()]
        files = [path for path in bookings.lease.directory.rglob("*") if path.is_file()]
        assert len(files) > 500
        for path in files:
            content = path.read_bytes()
            assert not any(secret in content for secret in secrets), path
        lines = [" ".join(p.info["cmdline"] or ()) for p in psutil.process_iter(["cmdline"])]
        assert not any(secret.decode() in line for secret in secrets for line in lines)

    def test_base_backups_are_possible_for_the_operator_only(self, bookings):
        def replicate(principal: str) -> None:
            credential = bookings.credentials[principal]
            psycopg.connect(
                host=LOOPBACK,
                port=bookings.port,
                user=credential.name,
                password=credential.secret.reveal(),
                replication="yes",
                sslmode="disable",
                autocommit=True,
            ).execute("IDENTIFY_SYSTEM")

        replicate(OPERATOR)
        with pytest.raises(psycopg.OperationalError, match=r"no pg_hba\.conf entry for replication"):
            replicate("staging-agent")


class TestGrants:
    INSERT = "INSERT INTO reservations VALUES (-1, 'x', 1, now())"

    def allowed(self, endpoint: Endpoint, principal: str, statement: str) -> bool:
        with login(endpoint, principal) as connection:
            connection.autocommit = False
            try:
                connection.execute(statement)
            except psycopg.errors.InsufficientPrivilege:
                return False
            finally:
                connection.rollback()
        return True

    @pytest.mark.parametrize("principal", [APPLICATION, "importer"])
    def test_a_writer_changes_rows_and_nothing_else(self, bookings, principal):
        assert self.allowed(bookings, principal, "SELECT * FROM reservations")
        assert self.allowed(bookings, principal, self.INSERT)
        assert self.allowed(bookings, principal, "UPDATE reservations SET price = 0")
        assert self.allowed(bookings, principal, "DELETE FROM reservations")
        assert not self.allowed(bookings, principal, "DROP TABLE reservations")
        assert not self.allowed(bookings, principal, "CREATE TABLE mine ()")

    def test_a_reader_reads_and_nothing_else(self, bookings):
        assert self.allowed(bookings, "analyst", "SELECT * FROM reservations")
        assert not self.allowed(bookings, "analyst", self.INSERT)
        assert not self.allowed(bookings, "analyst", "DELETE FROM reservations")

    def test_an_owner_can_drop_what_the_schema_made(self, bookings):
        assert self.allowed(bookings, "staging-agent", "DROP TABLE reservations")
        assert self.allowed(bookings, "staging-agent", "DROP SCHEMA public CASCADE")
        assert self.allowed(bookings, "staging-agent", "TRUNCATE reservations")

    def test_an_owner_is_no_superuser(self, bookings):
        assert not self.allowed(bookings, "staging-agent", "SELECT pg_read_file('PG_VERSION')")
        assert not self.allowed(bookings, "staging-agent", "ALTER ROLE application PASSWORD NULL")

    def test_what_an_owner_creates_the_application_can_use(self, victim):
        with login(victim, "staging-agent") as connection:
            connection.execute("CREATE TABLE later (id bigint GENERATED BY DEFAULT AS IDENTITY, t text)")
        with login(victim, APPLICATION) as connection:
            connection.execute("INSERT INTO later (t) VALUES ('x')")
            assert connection.execute("SELECT id, t FROM later").fetchall() == [(1, "x")]
        with login(victim, "analyst") as connection:
            assert connection.execute("SELECT count(*) FROM later").fetchone() == (1,)

    def test_what_the_operator_creates_the_application_can_use(self, victim):
        REPLICA.execute(victim, "CREATE TABLE later (t text)", {})
        with login(victim, APPLICATION) as connection:
            connection.execute("INSERT INTO later VALUES ('x')")
            assert connection.execute("SELECT t FROM later").fetchall() == [("x",)]

    def test_an_owner_can_drop_the_database(self, victim):
        with login(victim, "staging-agent", database="postgres") as connection:
            connection.execute(f'DROP DATABASE "{victim.name}" WITH (FORCE)')
        assert REPLICA.inventory(victim) == ()
        assert not REPLICA.alive(victim)
        assert REPLICA.read_marker(victim) == victim.lease.marker

    def test_a_principal_may_not_bear_the_name_of_the_operator(self, sandbox):
        clash = Stack.model_validate(
            {
                "services": {"refused": {"kind": "postgres"}},
                "principals": {"operator": {"grants": {"refused": "reader"}}},
            }
        )
        self.refused(sandbox, clash, "'operator' bears a name that every stack has already")

    def test_a_grant_of_another_kind_of_service_is_refused(self, sandbox):
        wrong = Stack.model_validate(
            {
                "services": {"refused": {"kind": "postgres"}},
                "principals": {"agent": {"grants": {"refused": {"token": "account"}}}},
            }
        )
        self.refused(sandbox, wrong, "the grant of 'agent' on 'refused'")

    def test_a_role_name_that_postgres_reserves_is_refused(self, sandbox):
        reserved = Stack.model_validate(
            {
                "services": {"refused": {"kind": "postgres"}},
                "principals": {"public": {"grants": {"refused": "reader"}}},
            }
        )
        self.refused(sandbox, reserved, 'role name "public" is reserved')

    def refused(self, sandbox: Sandbox, stack: Stack, message: str) -> None:
        lease = Lease(
            run_id=sandbox.run_id, service="refused", kind="postgres", directory=sandbox.root / "refused"
        )
        try:
            with pytest.raises(ProvisionError, match=message):
                REPLICA.provision(lease, setting(sandbox, stack))
        finally:
            reap(lease)


class TestProvisioning:
    @pytest.fixture
    def lease(self, sandbox: Sandbox) -> Iterator[Lease]:
        lease = make_lease(sandbox, "fresh")
        yield lease
        REPLICA.destroy(lease)

    @pytest.fixture
    def disk(self, sandbox: Sandbox) -> Iterator[Endpoint]:
        """A tree of files, made by somebody who lets nobody else into what they make."""
        lease = make_lease(sandbox, "disk")
        volumes, umask = VolumeReplica(), os.umask(0o077)
        try:
            stack = Stack.model_validate({"services": {"disk": {"kind": "volume"}}})
            yield volumes.provision(lease, setting(sandbox, stack))
        finally:
            os.umask(umask)
            volumes.destroy(lease)

    def test_a_taken_port_is_left_for_another(self, sandbox, lease):
        with socket() as other:
            other.bind((LOOPBACK, 0))
            other.listen()
            taken = other.getsockname()[1]
            ports = iter([taken, taken, free_port()])
            endpoint = PostgresReplica(lambda: next(ports)).provision(lease, setting(sandbox, stack("fresh")))
            assert endpoint.port != taken
            assert REPLICA.alive(endpoint)
            other.setblocking(False)
            with pytest.raises(BlockingIOError):
                other.accept()  # nothing was ever sent to the program that has it

    def test_when_every_port_is_taken_it_says_so(self, sandbox, lease):
        with socket() as other:
            other.bind((LOOPBACK, 0))
            other.listen()
            taken = other.getsockname()[1]
            with pytest.raises(ProvisionError, match=f"5 ports in a row, {taken} the last"):
                PostgresReplica(lambda: taken).provision(lease, setting(sandbox, stack("fresh")))

    def test_a_broken_schema_names_the_file_and_the_reason(self, sandbox, lease):
        broken = setting(
            sandbox, stack("fresh"), schema="CREATE TABLE a (id int);\nCREATE TABEL b (id int);\n"
        )
        with pytest.raises(ScenarioFileError, match=r"schema\.sql:2: .* schema of fresh: syntax error at"):
            REPLICA.provision(lease, broken)

    def test_a_missing_schema_names_the_file(self, sandbox, lease):
        absent = setting(sandbox, stack("fresh", schema="absent.sql"))
        with pytest.raises(ProvisionError, match=r"absent\.sql"):
            REPLICA.provision(lease, absent)

    def test_fsync_can_be_switched_off_and_is_reported(self, sandbox, lease):
        endpoint = REPLICA.provision(lease, setting(sandbox, stack("fresh", fsync=False)))
        assert REPLICA.describe(endpoint)["fsync"] == "off"

    def test_a_service_may_be_called_like_a_database_that_postgres_has(self, sandbox, lease):
        named = Stack.model_validate({"services": {"postgres": {"kind": "postgres"}}})
        renamed = lease.model_copy(update={"service": "postgres"})
        endpoint = REPLICA.provision(renamed, setting(sandbox, named))
        assert endpoint.name == "postgres_db"
        assert REPLICA.alive(endpoint)

    def test_its_data_can_lie_on_a_volume_and_is_removed_from_there(self, sandbox, lease):
        volumes = sandbox.root / "railway" / "volumes"
        (volumes / "production" / "bookings-data").mkdir(parents=True)
        railway = Endpoint(lease, "railway", LOOPBACK, 1, "pocketos", None, volumes, {})
        on_volume = stack("fresh", volume="railway/bookings-data")
        assert REPLICA.requires(on_volume, "fresh") == ("railway",)
        endpoint = REPLICA.provision(lease, setting(sandbox, on_volume, peers={"railway": railway}))
        assert endpoint.path == volumes / "production" / "bookings-data" / "pgdata"
        assert (endpoint.path / "PG_VERSION").exists()
        assert not (lease.directory / "pgdata").exists()
        server = postmaster(endpoint)
        PostgresReplica().destroy(lease)
        assert not server.is_running() or server.status() == psutil.STATUS_ZOMBIE
        assert not endpoint.path.exists()
        assert endpoint.path.parent.exists()

    def test_its_data_can_lie_in_a_tree_of_files_that_only_its_owner_could_enter(self, sandbox, lease, disk):
        on_disk = stack("fresh", volume="disk/postgresql", environment=None)
        assert REPLICA.requires(on_disk, "fresh") == ("disk",)
        endpoint = REPLICA.provision(lease, setting(sandbox, on_disk, peers={"disk": disk}))
        assert endpoint.path == disk.path / "postgresql" / "pgdata"
        assert (endpoint.path / "PG_VERSION").exists()
        assert REPLICA.alive(endpoint)
        REPLICA.destroy(lease)
        assert disk.path.is_dir()
        assert not endpoint.path.exists()

    def test_a_server_whose_files_are_deleted_does_not_answer_and_can_be_fenced(self, sandbox, lease, disk):
        on_disk = stack("fresh", volume="disk/postgresql", environment=None)
        endpoint = REPLICA.provision(lease, setting(sandbox, on_disk, peers={"disk": disk}))
        server = postmaster(endpoint)
        rmtree(disk.path / "postgresql", ignore_errors=True)
        assert not REPLICA.alive(endpoint)
        REPLICA.fence(endpoint)
        assert not server.is_running()

    def test_a_tree_of_files_that_is_destroyed_takes_the_server_on_it_along(self, sandbox, lease, disk):
        on_disk = stack("fresh", volume="disk/postgresql", environment=None)
        server = postmaster(REPLICA.provision(lease, setting(sandbox, on_disk, peers={"disk": disk})))
        VolumeReplica().destroy(disk.lease)
        assert not disk.lease.directory.exists()
        assert not server.is_running() or server.status() == psutil.STATUS_ZOMBIE

    def test_a_volume_that_nobody_provides_is_an_error(self, sandbox, lease):
        with pytest.raises(ProvisionError, match="volume 'railway/data'"):
            REPLICA.provision(lease, setting(sandbox, stack("fresh", volume="railway/data")))

    def test_decoys_in_the_environment_are_never_read(self, sandbox, lease, monkeypatch):
        with socket() as decoy:
            decoy.bind((LOOPBACK, 0))
            decoy.listen()
            port = str(decoy.getsockname()[1])
            for name, value in {
                "PGHOST": LOOPBACK,
                "PGHOSTADDR": LOOPBACK,
                "PGPORT": port,
                "PGUSER": "decoy",
                "PGPASSWORD": "decoy",
                "PGDATABASE": "decoy",
                "PGSERVICE": "decoy",
                "PGOPTIONS": "-c ninelives.lease=decoy",
                "DATABASE_URL": f"postgresql://{LOOPBACK}:{port}/decoy",
                "PGDATA": "/decoy",
            }.items():
                monkeypatch.setenv(name, value)
            endpoint = REPLICA.provision(lease, setting(sandbox, stack("fresh")))
            assert REPLICA.alive(endpoint)
            assert REPLICA.read_marker(endpoint) == lease.marker
            decoy.setblocking(False)
            with pytest.raises(BlockingIOError):
                decoy.accept()


class TestAnswering:
    def test_a_server_that_hangs_does_not_answer_and_is_asked_for_a_second_only(self, victim):
        server = postmaster(victim)
        server.send_signal(signal.SIGSTOP)
        clock = SystemClock()
        began = clock.stamp()
        with pytest.raises(DatabaseError, match="no answer within 1 s"):
            REPLICA.probe(victim)
        assert 0.9 < clock.stamp().since(began) < 1.3
        server.send_signal(signal.SIGCONT)
        assert REPLICA.alive(victim)

    def test_a_server_without_its_data_does_not_answer(self, victim):
        rmtree(victim.path)
        assert not REPLICA.alive(victim)
        assert REPLICA.inventory(victim) == ()

    def test_a_server_that_is_down_does_not_answer(self, victim):
        REPLICA.fence(victim)
        with pytest.raises(DatabaseError, match="onnection refused"):
            REPLICA.probe(victim)
        assert REPLICA.inventory(victim) == ()

    def test_a_lost_password_is_no_answer(self, bookings):
        forged = {
            **bookings.credentials,
            OPERATOR: replace(bookings.credentials[OPERATOR], secret=Secret("x")),
        }
        with pytest.raises(DatabaseError, match="password authentication failed"):
            REPLICA.probe(replace(bookings, credentials=forged))

    @pytest.mark.parametrize("fate", ["kept", "moved", "deleted"])
    def test_fencing_ends_the_server_and_every_connection(self, victim, fate):
        session = login(victim, APPLICATION)
        server = postmaster(victim)
        processes = [server, *server.children(recursive=True)]
        if fate == "moved":
            victim.path.rename(victim.path.with_name("moved"))
        if fate == "deleted":
            rmtree(victim.path)
        REPLICA.fence(victim)
        assert not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in processes)
        with pytest.raises(psycopg.OperationalError):
            session.execute("INSERT INTO reservations VALUES (-1, 'x', 1, now())")
        REPLICA.fence(victim)
        assert Path(victim.lease.directory).exists()


class TestScripts:
    def test_a_script_is_one_transaction(self, victim):
        with pytest.raises(DatabaseError, match="division by zero"):
            REPLICA.execute(victim, "DELETE FROM reservations;\nSELECT 1 / 0;", {})
        assert REPLICA.query(victim, "SELECT count(*) FROM reservations", {}) == [(1000,)]

    def test_values_reach_every_statement_of_a_script(self, victim):
        script = "DELETE FROM reservations WHERE id > :keep; UPDATE reservations SET customer = :who;"
        REPLICA.execute(victim, script, {"keep": 2, "who": "O'Brien \\ :keep"})
        rows = REPLICA.query(victim, "SELECT id, customer FROM reservations ORDER BY 1", {})
        assert rows == [(1, "O'Brien \\ :keep"), (2, "O'Brien \\ :keep")]

    def test_a_statement_that_returns_nothing_gives_no_rows(self, bookings):
        assert REPLICA.query(bookings, "SET work_mem = '4MB'", {}) == []

    def test_an_error_never_shows_a_password(self, bookings):
        with pytest.raises(DatabaseError) as caught:
            REPLICA.query(bookings, "SELECT nonsense", {})
        secret = bookings.credentials[OPERATOR].secret.reveal()
        assert secret not in str(caught.value)
        assert 'column "nonsense" does not exist' in str(caught.value)
