"""A disposable PostgreSQL server: real, on loopback, from a prepared cluster."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import psycopg

from harness.errors import DatabaseError, ProvisionError
from harness.facts import Endpoint, Fingerprint, Lease, Resource
from harness.replicas.leases import MARKER_SETTING, note_place, reap, stop
from harness.replicas.postgres.cluster import clone_cluster, discard_cluster, set_up
from harness.replicas.postgres.content import Difference, differing_rows, fingerprint, read_rows
from harness.replicas.postgres.roles import (
    MAINTENANCE_DATABASE,
    OWNER,
    database_name,
    grants_on,
    mint_credentials,
)
from harness.replicas.postgres.script import render
from harness.replicas.postgres.server import PortTakenError, Server, ServerExitedError
from harness.replicas.postgres.session import answer_within, session
from harness.replicas.postgres.vessel import DATA, PORT_TRIES, PostgresVessel
from harness.sandbox import LOOPBACK, free_port
from harness.scenario.models import PostgresService, Stack
from harness.seams.drivers import Row, Setting, Vessel

PROBE_SECONDS = 1.0
START_SECONDS = 60.0
DESCRIBED = ("fsync", "synchronous_commit", "full_page_writes", "wal_level")
PROBE = b"SELECT (pg_stat_file('PG_VERSION')).size, count(*) FROM pg_class"
TABLES = """
    SELECT schemaname || '.' || tablename FROM pg_tables
    WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1
"""
DATABASES = "SELECT datname FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres' ORDER BY 1"


@dataclass
class PostgresReplica:
    """Replicas of kind ``postgres``.

    Attributes:
        choose_port: gives a port to try; a server that finds it taken is given another.
    """

    choose_port: Callable[[], int] = free_port
    _processes: dict[Lease, subprocess.Popen[bytes]] = field(default_factory=dict, init=False)

    def requires(self, stack: Stack, service: str) -> tuple[str, ...]:
        """The control plane whose volume the data lies on, if the service says so."""
        volume = _spec(stack, service).volume
        return (volume.partition("/")[0],) if volume else ()

    def provision(self, lease: Lease, setting: Setting) -> Endpoint:
        """Bring up a server with the service's roles, database and schema.

        Raises:
            ProvisionError: no place, no port, a grant or a schema that PostgreSQL does not take.
            MissingToolError: the wheel with the server is not installed.
        """
        spec = _spec(setting.stack, lease.service)
        grants = grants_on(setting.stack, lease.service)
        endpoint = Endpoint(
            lease=lease,
            kind="postgres",
            host=LOOPBACK,
            port=0,
            name=database_name(lease.service),
            environment=spec.environment,
            path=_data_directory(lease, spec, setting),
            credentials=mint_credentials(grants),
        )
        lease.directory.mkdir(mode=0o711, parents=True, exist_ok=True)
        if endpoint.path.parent != lease.directory:
            note_place(lease, endpoint.path)
        endpoint = self._bring_up(endpoint, spec, grants, setting)
        _create_schema(endpoint, spec, setting)
        return endpoint

    def destroy(self, lease: Lease) -> None:
        """Leave no process and no file. Idempotent; works from the lease alone.

        Raises:
            LeftoverError: a process does not die, or a file cannot be removed.
        """
        reap(lease)
        self._bury(lease)

    def read_marker(self, endpoint: Endpoint) -> str:
        """The marker of the lease, as the server itself tells it.

        Raises:
            DatabaseError: it does not answer.
        """
        with session(endpoint, database=MAINTENANCE_DATABASE, autocommit=True) as connection:
            row = connection.execute(f"SHOW {MARKER_SETTING}").fetchone()
        return row[0] if row else ""

    def inventory(self, endpoint: Endpoint) -> tuple[Resource, ...]:
        """Its databases, and the tables of the service's own. Empty when it does not answer."""
        try:
            databases = _names(endpoint, MAINTENANCE_DATABASE, DATABASES)
            tables = _names(endpoint, endpoint.name, TABLES) if endpoint.name in databases else ()
        except DatabaseError:
            return ()
        return tuple(
            Resource(service=endpoint.service, kind=kind, name=name, environment=endpoint.environment)
            for kind, names in (("database", databases), ("table", tables))
            for name in names
        )

    def describe(self, endpoint: Endpoint) -> Mapping[str, str]:
        """Version, and the settings that decide what a commit costs and survives.

        Raises:
            DatabaseError: it does not answer.
        """
        with session(endpoint, autocommit=True) as connection:
            settings = dict(
                connection.execute(
                    "SELECT name, setting FROM pg_settings WHERE name = ANY(%s)",
                    (["server_version", *DESCRIBED],),
                ).fetchall()
            )
        return {
            "version": f"PostgreSQL {settings['server_version']}",
            **{name: settings[name] for name in DESCRIBED},
        }

    def probe(self, endpoint: Endpoint) -> None:
        """Ask it, on a new connection, for something that lies on its disk; within a second.

        Raises:
            DatabaseError: there is no answer.
        """
        answer_within(endpoint, PROBE, PROBE_SECONDS)

    def alive(self, endpoint: Endpoint) -> bool:
        """Whether ``probe`` gets an answer."""
        try:
            self.probe(endpoint)
        except DatabaseError:
            return False
        return True

    def execute(self, endpoint: Endpoint, script: str, values: Mapping[str, object]) -> None:
        """Run a SQL file as the operator, all in one transaction.

        Args:
            endpoint: of the database.
            script: any number of statements; ``:name`` stands for a value, quoted as a literal.
            values: by name.

        Raises:
            DatabaseError: it does not answer, refused a statement, or a name has no value.
        """
        with session(endpoint) as connection:
            _run(connection, render(script, values, connection))

    def query(
        self, endpoint: Endpoint, statement: str, values: Mapping[str, object]
    ) -> Sequence[tuple[object, ...]]:
        """Rows of one statement, as the operator; arguments and errors as for ``execute``."""
        with session(endpoint) as connection:
            cursor = _run(connection, render(statement, values, connection))
            return cursor.fetchall() if cursor.description else []

    def fingerprint(self, endpoint: Endpoint, tables: Sequence[str]) -> Fingerprint:
        """The content of the tracked tables, all of one instant; see ``content.fingerprint``."""
        return fingerprint(endpoint, tables)

    def rows(self, endpoint: Endpoint, table: str, key: str, time: str) -> Iterator[Row]:
        """Every row of a tracked table, in key order; see ``content.read_rows``."""
        return read_rows(endpoint, table, key, time)

    def differing_rows(
        self, left: Endpoint, right: Endpoint, table: str, key: str, time: str
    ) -> Iterator[Difference]:
        """The rows that two replicas do not hold alike; see ``content.differing_rows``."""
        return differing_rows(left, right, table, key, time)

    def fence(self, endpoint: Endpoint) -> None:
        """Stop what is left of the server, so that it acknowledges nothing more. Idempotent.

        Its files stay as they are. It is found by its lease, so it does not matter whether its data
        directory has been moved or deleted.

        Raises:
            LeftoverError: a process does not die.
        """
        stop(endpoint.lease)
        self._bury(endpoint.lease)

    def vessel(self, lease: Lease, like: Endpoint, setting: Setting, *, replace: bool) -> Vessel:
        """A fresh replica for a restore; arguments as in ``harness.seams.drivers.Database``."""
        spec = _spec(setting.stack, like.service)
        choose_port = (lambda: like.port) if replace else self.choose_port
        return PostgresVessel(lease, like, setting, spec.fsync, choose_port)

    def _bring_up(
        self, endpoint: Endpoint, spec: PostgresService, grants: Mapping[str, str], setting: Setting
    ) -> Endpoint:
        try:
            _lay_out(endpoint, grants, setting)
            return self._start(endpoint, spec, setting)
        except ServerExitedError:
            # The copy is not to blame for much: what it was copied from is made anew, once.
            discard_cluster(setting.sandbox)
            shutil.rmtree(endpoint.path)
        try:
            _lay_out(endpoint, grants, setting)
            return self._start(endpoint, spec, setting)
        except ServerExitedError as error:
            raise ProvisionError(
                f"the server of {endpoint.service} does not start: {error}",
                hint="see what its log says; `ninelives doctor` checks the machine",
            ) from error

    def _start(self, endpoint: Endpoint, spec: PostgresService, setting: Setting) -> Endpoint:
        server = Server(endpoint.lease, endpoint.path, spec.fsync, setting.sandbox, setting.clock)
        for _ in range(PORT_TRIES):
            endpoint = replace(endpoint, port=self.choose_port())
            process = self._processes[endpoint.lease] = server.start(endpoint.port)
            try:
                server.await_answer(process, endpoint, START_SECONDS)
            except PortTakenError:
                continue
            return endpoint
        raise ProvisionError(
            f"{PORT_TRIES} ports in a row were taken before {endpoint.service} could listen on them",
            hint="something takes every free port on this machine; end it and run the drill again",
        )

    def _bury(self, lease: Lease) -> None:
        process = self._processes.pop(lease, None)
        if process is not None:
            process.wait()


def _spec(stack: Stack, service: str) -> PostgresService:
    spec = stack.services.get(service)
    if isinstance(spec, PostgresService):
        return spec
    raise ProvisionError(
        f"{service!r} is not a service of kind postgres in this stack",
        hint="see `services` in the stack file",
    )


def _data_directory(lease: Lease, spec: PostgresService, setting: Setting) -> Path:
    """In the lease's directory, or on a volume: ``<volumes>/<environment>/<volume>/pgdata``."""
    if spec.volume is None:
        return lease.directory / DATA
    railway, _, volume = spec.volume.partition("/")
    peer = setting.peers.get(railway)
    if peer is None or not volume or spec.environment is None:
        raise ProvisionError(
            f"{lease.service} cannot lie on the volume {spec.volume!r} in the environment {spec.environment}",
            hint="`volume` is <railway service>/<volume>, and the service needs an `environment`",
        )
    return peer.path / spec.environment / volume / DATA


def _lay_out(endpoint: Endpoint, grants: Mapping[str, str], setting: Setting) -> None:
    if endpoint.path.exists() and any(endpoint.path.iterdir()):
        raise ProvisionError(
            f"there are files in {endpoint.path} already",
            hint="end the run they belong to: `ninelives sweep`",
        )
    clone_cluster(setting.sandbox, endpoint.path)
    set_up(setting.sandbox, endpoint.path, endpoint.name, endpoint.credentials, grants)


def _create_schema(endpoint: Endpoint, spec: PostgresService, setting: Setting) -> None:
    """Run the schema file as the group that owns the data, so that its members can drop what it makes."""
    if spec.schema_ is None:
        return
    file = setting.folder / spec.schema_
    try:
        script = file.read_text(encoding="utf-8")
        with session(endpoint) as connection:
            connection.execute(f"SET ROLE {OWNER}")
            _run(connection, script)
    except (OSError, UnicodeDecodeError, DatabaseError) as error:
        message = error.message if isinstance(error, DatabaseError) else error
        raise ProvisionError(
            f"the schema {file} of {endpoint.service} cannot be created: {message}",
            hint="it must be plain SQL that the owner of a database may run; no psql commands",
        ) from error


def _run(connection: psycopg.Connection, script: str) -> psycopg.Cursor:
    """Run SQL text as it stands. Without parameters psycopg sends any number of statements at once."""
    return connection.execute(script)


def _names(endpoint: Endpoint, database: str, statement: str) -> tuple[str, ...]:
    with session(endpoint, database=database, autocommit=True) as connection:
        return tuple(name for (name,) in connection.execute(statement))
