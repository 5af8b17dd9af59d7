"""A disposable PostgreSQL server: real, on loopback, from a prepared cluster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg import Cursor, sql

from harness.errors import DatabaseError
from harness.facts import Endpoint, Fingerprint, Lease, Resource
from harness.journal.witness import Lines
from harness.replicas.leases import MARKER_SETTING
from harness.replicas.postgres import schema
from harness.replicas.postgres.content import (
    Difference,
    differing_rows,
    fingerprint,
    newest,
    read_lines,
    read_rows,
)
from harness.replicas.postgres.memory import PostgresMemory
from harness.replicas.postgres.provisioning import Provisioning
from harness.replicas.postgres.roles import MAINTENANCE_DATABASE
from harness.replicas.postgres.script import render
from harness.replicas.postgres.server import LOG_FILE, Server
from harness.replicas.postgres.session import answer_within, session
from harness.replicas.postgres.statement_log import read_statements
from harness.replicas.postgres.vessel import PostgresVessel
from harness.replicas.serving import ServerReplica
from harness.replicas.spec import spec_of
from harness.scenario.models import PostgresService, Stack
from harness.seams.drivers import Logged, Memory, Row, Setting, Vessel
from harness.seams.postgres_client import Connection
from harness.seams.postgres_client import Row as Record

PROBE_SECONDS = 1.0
DESCRIBED = ("fsync", "synchronous_commit", "full_page_writes", "wal_level")
PROBE = b"SELECT (pg_stat_file('PG_VERSION')).size, count(*) FROM pg_class"
TABLES = """
    SELECT CASE WHEN c.relispartition THEN 'partition' ELSE 'table' END, n.nspname || '.' || c.relname
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
    AND n.nspname NOT LIKE 'pg\\_temp%' ORDER BY 2
"""
SETTINGS = "SELECT name, setting FROM pg_settings WHERE name = ANY(%s)"
DATABASES = """
    SELECT 'database', datname FROM pg_database
    WHERE NOT datistemplate AND datname <> 'postgres' ORDER BY 2
"""


@dataclass
class PostgresReplica(ServerReplica):
    """Replicas of kind ``postgres``."""

    def requires(self, stack: Stack, service: str) -> tuple[str, ...]:
        """The service whose volume the data lies on, if it says so."""
        volume = spec_of(stack, service, PostgresService).volume
        return (volume.partition("/")[0],) if volume else ()

    def provision(self, lease: Lease, setting: Setting) -> Endpoint:
        """Bring up a server with the service's roles and database, and its schema or its data.

        Raises:
            ProvisionError: no place, no port, a grant that PostgreSQL does not take.
            ScenarioFileError: a schema that PostgreSQL does not take.
            DumpError: a backup file that brings nothing back.
            MissingToolError: the wheel with the server is not installed.
        """
        spec = spec_of(setting.stack, lease.service, PostgresService)
        serving = Provisioning(lease, spec, setting, self.choose_port).run()
        self._processes[lease] = serving.process
        return serving.endpoint

    def read_marker(self, endpoint: Endpoint) -> str:
        """The marker of the lease, as the server itself tells it.

        Raises:
            DatabaseError: it does not answer.
        """
        with session(endpoint, database=MAINTENANCE_DATABASE) as connection:
            row = connection.execute(f"SHOW {MARKER_SETTING}").fetchone()
        return str(row[0]) if row else ""

    def inventory(self, endpoint: Endpoint) -> tuple[Resource, ...]:
        """Its databases, and tables and partitions of the service's own. Empty when it does not answer."""
        try:
            found = _named(endpoint, MAINTENANCE_DATABASE, DATABASES)
            if ("database", endpoint.name) in found:
                found += _named(endpoint, endpoint.name, TABLES)
        except DatabaseError:
            return ()
        return tuple(
            Resource(service=endpoint.service, kind=kind, name=name, environment=endpoint.environment)
            for kind, name in found
        )

    def describe(self, endpoint: Endpoint) -> Mapping[str, str]:
        """Version, and the settings that decide what a commit costs and survives.

        Raises:
            DatabaseError: it does not answer.
        """
        with session(endpoint) as connection:
            rows = connection.execute(SETTINGS, (["server_version", *DESCRIBED],)).fetchall()
        settings = {str(name): str(setting) for name, setting in rows}
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
            _run(connection, script, values)

    def query(
        self, endpoint: Endpoint, statement: str, values: Mapping[str, object]
    ) -> Sequence[tuple[object, ...]]:
        """Rows of one statement, as the operator; arguments and errors as for ``execute``."""
        with session(endpoint) as connection:
            cursor = _run(connection, statement, values)
            return cursor.fetchall() if cursor.description else []

    def fingerprint(self, endpoint: Endpoint, tables: Sequence[str]) -> Fingerprint:
        """The content of the tracked tables, all of one instant; see ``content.fingerprint``."""
        return fingerprint(endpoint, tables)

    def rows(self, endpoint: Endpoint, table: str, key: str, time: str | None) -> Iterator[Row]:
        """Every row of a tracked table, in key order; see ``content.read_rows``."""
        return read_rows(endpoint, table, key, time)

    def lines(self, endpoint: Endpoint, table: str, key: str, time: str | None) -> Iterator[Lines]:
        """The same as lines of a witness; see ``content.read_lines``."""
        return read_lines(endpoint, table, key, time)

    def columns(self, endpoint: Endpoint) -> Mapping[str, Sequence[str]]:
        """The columns of every table, in their order; see ``schema.columns``."""
        return schema.columns(endpoint)

    def tells_apart(self, endpoint: Endpoint, table: str, column: str) -> bool:
        """Whether a column is a key of a table; see ``schema.tells_apart``."""
        return schema.tells_apart(endpoint, table, column)

    def newest(self, endpoint: Endpoint, table: str, time: str) -> datetime | None:
        """The newest time in a column; see ``content.newest``."""
        return newest(endpoint, table, time)

    def differing_rows(
        self, left: Endpoint, right: Endpoint, table: str, key: str, time: str | None
    ) -> Iterator[Difference]:
        """The rows that two replicas do not hold alike; see ``content.differing_rows``."""
        return differing_rows(left, right, table, key, time)

    def statements(self, endpoint: Endpoint) -> tuple[Logged, ...]:
        """What its log says; see ``harness.seams.drivers.Logging``."""
        try:
            text = (endpoint.lease.directory / LOG_FILE).read_bytes().decode(errors="replace")
        except OSError as error:
            raise DatabaseError(
                f"the log of {endpoint.service} cannot be read: {error}", hint="is the replica gone?"
            ) from error
        return tuple(read_statements(text))

    def against_log(self, endpoint: Endpoint) -> Mapping[str, str]:
        """The log lies beside the data directory, where the server itself could write to it."""
        path = sql.Literal(str(endpoint.lease.directory / LOG_FILE)).as_string()
        return {"end it": "SET log_statement = 'none'", "write over it": f"COPY (SELECT '') TO {path}"}

    def vessel(self, lease: Lease, like: Endpoint, setting: Setting, *, replace: bool) -> Vessel:
        """A fresh replica for a restore; arguments as in ``harness.seams.drivers.Database``."""
        spec = spec_of(setting.stack, like.service, PostgresService)
        choose_port = (lambda: like.port) if replace else self.choose_port
        return PostgresVessel(lease, like, setting, spec.fsync, choose_port)

    def remember(self, endpoint: Endpoint, setting: Setting) -> Memory:
        """Keep a template of its database and a copy of its files; it is started anew for that.

        Raises:
            ProvisionError: there is no room, or the server does not come back.
            DatabaseError: it does not answer.
        """
        spec = spec_of(setting.stack, endpoint.service, PostgresService)
        server = Server(endpoint.lease, endpoint.path, spec.fsync, setting.sandbox, setting.clock)
        return PostgresMemory(endpoint, server, self._processes)


def _run(connection: Connection, script: str, values: Mapping[str, object]) -> Cursor[Record]:
    """Without parameters of its own, psycopg sends any number of statements at once."""
    return connection.execute(render(script, values, connection))


def _named(endpoint: Endpoint, database: str, statement: str) -> list[tuple[str, str]]:
    with session(endpoint, database=database) as connection:
        return [(str(kind), str(name)) for kind, name in connection.execute(statement)]
