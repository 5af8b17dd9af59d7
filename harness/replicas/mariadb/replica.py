"""A disposable MariaDB server: real, on loopback, with an account for every principal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pymysql
from pymysql.cursors import Cursor, SSCursor

from harness.clock import SystemClock
from harness.errors import DatabaseError, ProvisionError, RestoreError, ScenarioFileError, StatementError
from harness.facts import OPERATOR, Endpoint, Fingerprint, Lease, Resource, TableFingerprint
from harness.journal.witness import table_digest
from harness.replicas.grants import passwords
from harness.replicas.mariadb import access
from harness.replicas.mariadb.hydration import hydrate
from harness.replicas.mariadb.script import first_lines, render
from harness.replicas.mariadb.server import LOG_FILE, MARKER_SETTING, Server
from harness.replicas.mariadb.session import session
from harness.replicas.serving import DATA, POLL_SECONDS, FilesReplica
from harness.replicas.spec import spec_of
from harness.sandbox import LOOPBACK
from harness.scenario.models import MariadbService
from harness.seams.drivers import Row, Setting
from harness.seams.mariadb_client import (
    Column,
    Connection,
    column_of,
    columns_of,
    connect,
    instant,
    key_text,
    quoted,
    row_hash,
    signed,
)

START_SECONDS = 120.0
SHUTDOWN_SECONDS = 60.0
PROBE_SECONDS = 1.0
OWN_DATABASES = ("information_schema", "mysql", "performance_schema", "sys")
DESCRIBED = ("version", "innodb_flush_log_at_trx_commit", "sync_binlog", "binlog_format")
IS_KEY = """
    SELECT EXISTS (
        SELECT 1 FROM information_schema.statistics
        WHERE table_schema = DATABASE() AND table_name = %s AND non_unique = 0
        GROUP BY index_name
        HAVING COUNT(*) = 1 AND MAX(column_name) = %s AND MAX(nullable) = '' AND MAX(sub_part) IS NULL
    )
"""
REPEATS = """
    SELECT EXISTS (
        SELECT 1 FROM {table} GROUP BY {text} COLLATE utf8mb4_nopad_bin
        HAVING COUNT(*) > 1 OR MAX({text}) IS NULL
    )
"""
SNAPSHOT = (
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    "START TRANSACTION WITH CONSISTENT SNAPSHOT",
)
"""What is read after these is of one instant, whatever the server is set to."""

CONTENT = """
    SELECT COUNT(*), COUNT(hash), COALESCE(SUM(CAST(CONV(hash, 16, 10) AS UNSIGNED)), 0)
    FROM (SELECT {hash} AS hash FROM {table}) AS hashes
"""
WRITE_UNLOGGED = """
    SELECT EXISTS (SELECT 1 FROM information_schema.user_privileges
                   WHERE privilege_type = 'BINLOG ADMIN' AND grantee NOT LIKE %s)
"""
"""Whether anybody but the operator may write past the binary log (``sql_log_bin``)."""

RAN = """
    SHOW GLOBAL STATUS WHERE Variable_name LIKE 'Com\\_%' AND Variable_name NOT LIKE 'Com\\_show%'
    AND Variable_name NOT IN ('Com_select', 'Com_set_option', 'Com_begin', 'Com_commit', 'Com_rollback',
                              'Com_change_db', 'Com_do', 'Com_empty_query', 'Com_admin_commands')
"""
NEVER_LOGGED = ("Com_analyze", "Com_optimize", "Com_repair")
"""Statements that an owner can keep out of the binary log (``LOCAL``)."""

TABLES = """
    SELECT table_schema, table_name FROM information_schema.tables
    WHERE table_schema NOT IN %s AND table_type = 'BASE TABLE' ORDER BY 1, 2
"""


@dataclass
class MariadbReplica(FilesReplica):
    """Replicas of kind ``mariadb``."""

    def provision(self, lease: Lease, setting: Setting) -> Endpoint:
        """Bring up a server with the service's accounts, database and schema.

        Raises:
            ProvisionError: no port, a grant that MariaDB does not have, or no room.
            ScenarioFileError: a schema that MariaDB does not take.
            DumpError: a backup file that it does not take.
            MissingToolError: there is no MariaDB on this machine.
        """
        spec = spec_of(setting.stack, lease.service, MariadbService)
        place = Endpoint(
            lease=lease,
            kind=spec.kind,
            host=LOOPBACK,
            port=0,
            name=lease.service.replace("-", "_"),
            environment=spec.environment,
            path=lease.directory / DATA,
            credentials=passwords(access.grants(setting.stack, lease.service)),
        )
        self.lay_out(place, setting)
        try:
            endpoint = self.serve(place, setting, self.choose_port, START_SECONDS)
        except RestoreError as error:
            raise ProvisionError(error.message, hint=f"its log is {lease.directory / LOG_FILE}") from error
        if spec.schema_ is not None:
            self._create_schema(endpoint, setting.folder / spec.schema_)
        if spec.data is not None:
            hydrate(endpoint, setting.folder / spec.data.dump, setting.sandbox)
        return endpoint

    def serve(
        self, place: Endpoint, setting: Setting, choose_port: Callable[[], int], timeout: float
    ) -> Endpoint:
        """Start a server on what lies in a place, or on a prepared, empty directory if nothing does.

        Raises:
            RestoreError: it does not start from that.
        """
        if not any(place.path.iterdir()):
            server, granted = self.server(place, setting), access.grants(setting.stack, place.service)
            server.lay_out(access.set_up(place.name, granted, place.credentials, server.clients))
        return super().serve(place, setting, choose_port, timeout)

    def server(self, place: Endpoint, setting: Setting) -> Server:
        """The server that is to run on what lies in a place."""
        return Server(place.lease, place.path, setting.sandbox, setting.clock)

    def state(self, endpoint: Endpoint) -> object:
        """Its settings, the last transaction in its binary logs among them, the names of those logs, and how
        many statements it has run that may be in none.

        Raises:
            DatabaseError: it does not answer.
        """
        with session(endpoint, database="") as connection, connection.cursor() as cursor:
            settings = _ask(cursor, "SHOW GLOBAL VARIABLES")
            # Not their sizes: the server adds to a log by itself soon after it has begun it.
            logs = [name for name, *_ in _ask(cursor, "SHOW BINARY LOGS")]
            ((unlogged,),) = _ask(cursor, WRITE_UNLOGGED, (f"'{OPERATOR}'@%",))
            ran = [(name, count) for name, count in _ask(cursor, RAN) if unlogged or name in NEVER_LOGGED]
        return settings, logs, ran, _identity(endpoint.path)

    def settle(self, endpoint: Endpoint) -> None:
        """Shut it down, so that it has nothing to recover each time that it is started again."""
        with (
            suppress(pymysql.Error),
            connect(endpoint, endpoint.credentials[OPERATOR], database="") as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute("SET GLOBAL innodb_fast_shutdown = 0")
            cursor.execute("SHUTDOWN")
        process, clock = self._processes[endpoint.lease], SystemClock()
        began = clock.stamp()
        # One that takes longer is killed, and recovers.
        while process.poll() is None and clock.stamp().since(began) < SHUTDOWN_SECONDS:
            clock.sleep(POLL_SECONDS)

    def read_marker(self, endpoint: Endpoint) -> str:
        """The marker of the lease, as the server itself tells it.

        Raises:
            DatabaseError: it does not answer.
        """
        with session(endpoint, database="") as connection, connection.cursor() as cursor:
            cursor.execute(f"SELECT @@{MARKER_SETTING}")
            row = cursor.fetchone()
        return str(row[0]) if row else ""

    def inventory(self, endpoint: Endpoint) -> tuple[Resource, ...]:
        """Its databases and tables. Empty when it does not answer."""
        try:
            with session(endpoint, database="") as connection, connection.cursor() as cursor:
                cursor.execute("SHOW DATABASES")
                databases = [str(name) for (name,) in cursor.fetchall() if name not in OWN_DATABASES]
                cursor.execute(TABLES, (OWN_DATABASES,))
                tables = [_named(endpoint, str(schema), str(name)) for schema, name in cursor.fetchall()]
        except DatabaseError:
            return ()
        found = [("database", name) for name in databases] + [("table", name) for name in tables]
        return tuple(
            Resource(service=endpoint.service, kind=kind, name=name, environment=endpoint.environment)
            for kind, name in found
        )

    def describe(self, endpoint: Endpoint) -> Mapping[str, str]:
        """Version, and the settings that decide what a commit costs and survives.

        Raises:
            DatabaseError: it does not answer.
        """
        with session(endpoint, database="") as connection, connection.cursor() as cursor:
            cursor.execute("SHOW VARIABLES WHERE Variable_name IN %s", (DESCRIBED,))
            settings = {str(name): str(value) for name, value in cursor.fetchall()}
        version = settings.pop("version")
        return {"version": f"MariaDB {version}", **settings}

    def probe(self, endpoint: Endpoint) -> None:
        """Ask its own database for something, on a new connection, within a second.

        Raises:
            DatabaseError: there is no answer.
        """
        with session(endpoint, seconds=PROBE_SECONDS) as connection, connection.cursor() as cursor:
            cursor.execute("SHOW TABLES")

    def execute(self, endpoint: Endpoint, script: str, values: Mapping[str, object]) -> None:
        """Run a SQL file as the operator, in one transaction as far as its statements let it.

        Args:
            endpoint: of the database.
            script: any number of statements; ``:name`` stands for a value, quoted as a literal.
            values: by name.

        Raises:
            DatabaseError: it does not answer, refused a statement, or a name has no value.
        """
        done = 0
        try:
            with session(endpoint) as connection, connection.cursor() as cursor:
                cursor.execute(render(script, values, connection))
                done = 1
                while cursor.nextset():
                    done += 1
        except StatementError as error:
            begins = first_lines(script)
            if error.line is not None and done < len(begins):
                error.line += begins[done] - 1
            raise

    def query(
        self, endpoint: Endpoint, statement: str, values: Mapping[str, object]
    ) -> Sequence[tuple[object, ...]]:
        """Rows of one statement, as the operator; arguments and errors as for ``execute``."""
        with session(endpoint) as connection, connection.cursor() as cursor:
            cursor.execute(render(statement, values, connection))
            return list(cursor.fetchall())

    def fingerprint(self, endpoint: Endpoint, tables: Sequence[str]) -> Fingerprint:
        """The content of some tables, all of one instant; it is added up in the server.

        Raises:
            DatabaseError: it does not answer, or a table is missing.
        """
        with session(endpoint) as connection, connection.cursor() as cursor:
            for statement in SNAPSHOT:
                cursor.execute(statement)
            return Fingerprint(
                tables=tuple(_fingerprint_table(endpoint, connection, table) for table in sorted(tables))
            )

    def rows(self, endpoint: Endpoint, table: str, key: str, time: str | None) -> Iterator[Row]:
        """Every row of a tracked table, in key order.

        Raises:
            DatabaseError: it does not answer, or the table or a column is missing.
        """
        with session(endpoint, cursor=SSCursor) as connection:
            columns = _columns(endpoint, connection, table)
            told = quoted(time) if time is not None else "NULL"
            wanted = f"{key_text(column_of(columns, key))}, {row_hash(columns)}, {told}"
            with connection.cursor() as cursor:
                cursor.execute(f"SELECT {wanted} FROM {quoted(table)} ORDER BY {quoted(key)}")  # noqa: S608
                while batch := cursor.fetchmany(1000):
                    for row_key, digits, at in batch:
                        yield Row(str(row_key), signed(digits), instant(at))

    def columns(self, endpoint: Endpoint) -> Mapping[str, Sequence[str]]:
        """The columns of every table, in their order.

        Raises:
            DatabaseError: it does not answer.
        """
        with session(endpoint) as connection:
            found = columns_of(connection, endpoint.name)
        return {table: [column.name for column in columns] for table, columns in found.items()}

    def tells_apart(self, endpoint: Endpoint, table: str, column: str) -> bool:
        """Whether a column is a key of a table; rows are looked at only where the schema does not say so.

        Raises:
            DatabaseError: it does not answer, or table or column are missing.
        """
        with session(endpoint) as connection, connection.cursor() as cursor:
            text = key_text(column_of(_columns(endpoint, connection, table), column))
            repeats = REPEATS.format(table=quoted(table), text=text)
            cursor.execute(IS_KEY, (table, column))
            if cursor.fetchone() == (1,):
                return True
            cursor.execute(repeats)
            return cursor.fetchone() == (0,)

    def newest(self, endpoint: Endpoint, table: str, time: str) -> datetime | None:
        """The newest time in a column; None when there is none.

        Raises:
            DatabaseError: it does not answer, or table or column are missing.
        """
        with session(endpoint) as connection, connection.cursor() as cursor:
            cursor.execute(f"SELECT MAX({quoted(time)}) FROM {quoted(table)}")  # noqa: S608 - quoted
            row = cursor.fetchone()
        return instant(row[0]) if row else None

    def _create_schema(self, endpoint: Endpoint, file: Path) -> None:
        try:
            self.execute(endpoint, file.read_text(encoding="utf-8"), {})
        except StatementError as error:
            line = f":{error.line}" if error.line else ""
            raise ScenarioFileError(
                f"{file}{line}: the database refuses the schema of {endpoint.service}: {error.reason}",
                hint="it must be plain SQL for MariaDB; no commands of its client",
            ) from error


def _ask(cursor: Cursor, question: str, values: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    cursor.execute(question, values or None)
    return list(cursor.fetchall())


def _identity(data: Path) -> int | None:
    """Of the data directory: a server does not notice at once that its files are gone."""
    with suppress(OSError):
        return (data / "ibdata1").stat().st_ino
    return None


def _named(endpoint: Endpoint, schema: str, table: str) -> str:
    """A table of the service's own database by its name alone."""
    return table if schema == endpoint.name else f"{schema}.{table}"


def _columns(endpoint: Endpoint, connection: Connection[Cursor], table: str) -> list[Column]:
    columns = columns_of(connection, endpoint.name).get(table)
    if columns is None:
        raise DatabaseError(
            f"{endpoint.service}: there is no table {table!r}", hint="it was dropped, or never restored"
        )
    return columns


def _fingerprint_table(endpoint: Endpoint, connection: Connection[Cursor], table: str) -> TableFingerprint:
    hashes = row_hash(_columns(endpoint, connection, table))
    with connection.cursor() as cursor:
        cursor.execute(CONTENT.format(hash=hashes, table=quoted(table)))
        ((rows, hashed, total),) = cursor.fetchall()
    if hashed != rows:
        raise DatabaseError(
            f"{endpoint.service}: {rows - hashed} rows of {table!r} have a value that is too long to be read",
            hint="leave the table out of those that are tracked",
        )
    return TableFingerprint(table=table, rows=rows, digest=table_digest(rows, int(total)))
