"""What a server was like at one moment, and two ways back to it.

What its database holds comes back from a template of it, in 15 ms: ``DROP DATABASE``, ``CREATE DATABASE``
(PostgreSQL 18, section 22.3). A template brings back nothing that belongs to the whole server, so that way
is only taken while roles, settings, slots and the other databases are as they were. In every other case,
and when the server or its files are gone, the data directory comes back from a copy and the server starts
again at its port.

Whether anything was written is told by the position in the log: everything that changes data moves it. The
little that no log has, slots and settings in a file, is asked for in the same breath.
"""

from __future__ import annotations

import shutil
import signal
import subprocess

import psycopg
from psycopg import sql

from harness.errors import DatabaseError, ProvisionError
from harness.facts import OPERATOR, Endpoint, Lease
from harness.replicas.copying import copy_tree
from harness.replicas.leases import stop
from harness.replicas.placement import spread_out
from harness.replicas.postgres.roles import MAINTENANCE_DATABASE
from harness.replicas.postgres.server import PortTakenError, Server, ServerExitedError
from harness.replicas.postgres.session import session
from harness.replicas.running import Running
from harness.seams.postgres_client import Connection, connect

FOLDER = "memory"
TEMPLATE = "ninelives_memory"
START_SECONDS = 60.0
QUIT_SECONDS = 10.0

QUIET = {"autovacuum": "off", "checkpoint_timeout": "1h", "max_wal_size": "1GB"}
"""Settings under which nothing is written but what somebody asks for."""

PULSE = """
    SELECT concat_ws('|', pg_current_wal_insert_lsn(),
      (SELECT md5(coalesce(string_agg(slot_name, ' ' ORDER BY slot_name), ''))
       FROM pg_get_replication_slots()),
      md5(pg_read_file('postgresql.auto.conf', true)))
"""
"""Another one after every change: roles, databases and prepared transactions are in the log too."""

WHOLE_SERVER = """
    SELECT md5(concat_ws('|',
      (SELECT string_agg(t::text, ' ' ORDER BY oid) FROM pg_authid AS t),
      (SELECT string_agg(t::text, ' ' ORDER BY oid) FROM pg_auth_members AS t),
      (SELECT string_agg(t::text, ' ' ORDER BY t::text) FROM pg_db_role_setting AS t),
      (SELECT string_agg(t::text, ' ' ORDER BY oid) FROM pg_tablespace AS t),
      (SELECT string_agg(t::text, ' ' ORDER BY oid) FROM pg_parameter_acl AS t),
      (SELECT string_agg(slot_name, ' ' ORDER BY slot_name) FROM pg_replication_slots),
      (SELECT string_agg(gid, ' ' ORDER BY gid) FROM pg_prepared_xacts),
      (SELECT string_agg(ROW(datname, datdba, datacl, datconnlimit, datallowconn, datistemplate)::text, ' '
              ORDER BY datname) FROM pg_database WHERE datname <> %(database)s),
      (SELECT ROW(count(*), max(oid))::text FROM pg_class),
      (SELECT ROW(count(*), max(oid))::text FROM pg_proc),
      (SELECT ROW(count(*), max(oid))::text FROM pg_namespace),
      (SELECT ROW(count(*), max(oid))::text FROM pg_largeobject_metadata),
      pg_read_file('postgresql.auto.conf', true)))
"""
"""Everything outside of one database; seen from the maintenance database, whose own objects it counts."""

UNSAFE = """
    SELECT EXISTS (SELECT FROM pg_authid AS r WHERE r.rolname <> %(operator)s AND r.rolcanlogin
      AND (r.rolsuper OR pg_has_role(r.oid, 'pg_execute_server_program', 'USAGE')
           OR pg_has_role(r.oid, 'pg_write_server_files', 'USAGE')))
    OR EXISTS (SELECT FROM pg_database WHERE datname = %(database)s AND datacl IS NOT NULL)
    OR EXISTS (SELECT FROM pg_db_role_setting AS s JOIN pg_database AS d ON d.oid = s.setdatabase
               WHERE d.datname = %(database)s)
"""
"""Whether a template could miss something: files that somebody can write, settings of the database itself."""

OWNER = """
    SELECT r.rolname FROM pg_database AS d JOIN pg_authid AS r ON r.oid = d.datdba
    WHERE d.datname = %(database)s
"""
READ_ONCE = "SELECT count(*) FROM pg_database, pg_shdepend"
"""Whoever reads a new entry first marks it as committed, which is logged."""

LET_IN = "ALTER DATABASE {} ALLOW_CONNECTIONS {}"
END_SESSIONS = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %(database)s"
TEMPLATE_OPTIONS = "IS_TEMPLATE true ALLOW_CONNECTIONS false"


class PostgresMemory:
    """One server as it is when this is made; it is started anew for that, at its port.

    A template called ``ninelives_memory`` lies in it from then on; it is no resource of the inventory.

    Args:
        endpoint: of the server.
        server: how to start it.
        processes: where the driver keeps what it has started.

    Raises:
        ProvisionError: the copy cannot be made, or the server does not come back.
        DatabaseError: it does not answer.
    """

    def __init__(self, endpoint: Endpoint, server: Server, processes: dict[Lease, Running]) -> None:
        self._endpoint = endpoint
        self._server = server
        self._processes = processes
        self._copy = endpoint.lease.directory / FOLDER / endpoint.path.name
        self._eyes: Connection | None = None
        self._owner = self._make_template()
        self._end()
        self._keep_files()
        self._start()
        self._file = self._identity()
        self._files_only = self._ask(UNSAFE) == "True"
        self._whole = self._ask(WHOLE_SERVER)
        self._pulse = self._ask(PULSE)

    def changed(self) -> bool:
        """Whether the log has moved, or what is not logged is different; also when nobody answers."""
        if self._identity() != self._file:
            # A server does not notice at once that its files are gone.
            return True
        try:
            return self._ask(PULSE) != self._pulse
        except psycopg.Error:
            return True

    def reset(self) -> None:
        """Bring the database back from its template, or everything from the copy.

        Raises:
            ProvisionError: there is no room, or the server does not come back at its port.
        """
        if self._files_only or not self._reset_database():
            self._reset_files()
            self._file = self._identity()
        self._pulse = self._ask(PULSE)

    def _make_template(self) -> str:
        """Make it; returns who owns the database that it is made of."""
        name = self._endpoint.name
        with session(self._endpoint) as connection:
            connection.autocommit = True
            # Otherwise the first who reads a row marks it as committed, which is logged.
            connection.execute("VACUUM FREEZE")
        with session(self._endpoint, database=MAINTENANCE_DATABASE) as connection:
            connection.autocommit = True
            connection.execute("VACUUM FREEZE")
            ((owner,),) = connection.execute(OWNER, {"database": name}).fetchall()
            connection.execute(END_SESSIONS, {"database": name})
            connection.execute(_create(TEMPLATE, name, OPERATOR, TEMPLATE_OPTIONS))
        return str(owner)

    def _keep_files(self) -> None:
        try:
            self._copy.parent.mkdir(mode=0o700)
            spread_out(self._copy.parent)
            copy_tree(self._endpoint.path, self._copy)
        except OSError as error:
            raise ProvisionError(
                f"no copy of {self._endpoint.service} can be kept in {self._copy}: {error}",
                hint="free some space",
            ) from error

    def _reset_database(self) -> bool:
        """Whether that was enough."""
        name = self._endpoint.name
        try:
            if self._ask(WHOLE_SERVER) != self._whole:
                return False
            connection = self._look()
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )
            connection.execute(_create(name, TEMPLATE, self._owner))
            connection.execute(READ_ONCE)
        except psycopg.Error:
            return False
        return True

    def _reset_files(self) -> None:
        self._end()
        try:
            if self._endpoint.path.exists():
                shutil.rmtree(self._endpoint.path)
            self._make_parent()
            copy_tree(self._copy, self._endpoint.path)
        except OSError as error:
            raise ProvisionError(
                f"the files of {self._endpoint.service} cannot be brought back: {error}",
                hint="free some space",
            ) from error
        self._start()

    def _identity(self) -> int | None:
        """Of the data directory; another one at the same place has another."""
        try:
            return (self._endpoint.path / "PG_VERSION").stat().st_ino
        except OSError:
            return None

    def _make_parent(self) -> None:
        """The folder of a tree of files that it lies in, which may be gone; the server owns it."""
        parent = self._endpoint.path.parent
        if not parent.exists():
            parent.mkdir(mode=0o755)
            self._server.sandbox.give(parent)

    def _end(self) -> None:
        """End the server at once, by SIGQUIT, after which it leaves neither children nor shared memory."""
        if self._eyes is not None:
            self._eyes.close()
            self._eyes = None
        process = self._processes.pop(self._endpoint.lease, None)
        if isinstance(process, subprocess.Popen):
            if process.poll() is None:
                process.send_signal(signal.SIGQUIT)
            try:
                process.wait(QUIT_SECONDS)
            except subprocess.TimeoutExpired:
                pass
            else:
                if process.returncode >= 0:
                    return
        # It hangs, or was killed, in which case its children may still be there.
        stop(self._endpoint.lease)
        if process is not None:
            process.poll()

    def _start(self) -> None:
        lease, port = self._endpoint.lease, self._endpoint.port
        try:
            serving = self._server.serve(self._endpoint, lambda: port, QUIET, timeout=START_SECONDS)
        except (DatabaseError, PortTakenError, ServerExitedError) as error:
            raise ProvisionError(
                f"{self._endpoint.service} does not come back at port {port}: {error}",
                hint=f"the server's own log is {self._server.log}",
            ) from error
        self._processes[lease] = serving.process
        try:
            self._prime_template()
        except psycopg.Error as error:
            raise ProvisionError(
                f"the template of {self._endpoint.service} cannot be read: {error}",
                hint=f"the server's own log is {self._server.log}",
            ) from error

    def _prime_template(self) -> None:
        """Have it hold what the first session in a database writes down for those that follow.

        Else the first one in every copy would read the whole catalog for it. A server that starts removes
        those files, and a copy of one is as good (relcache.c, ``pg_internal.init``).
        """
        operator, look = self._endpoint.credentials[OPERATOR], self._look()
        look.execute(sql.SQL(LET_IN).format(sql.Identifier(TEMPLATE), sql.SQL("true")))
        try:
            connect(self._endpoint.port, operator.name, operator.secret, TEMPLATE).close()
        finally:
            look.execute(sql.SQL(LET_IN).format(sql.Identifier(TEMPLATE), sql.SQL("false")))
        look.execute(READ_ONCE)

    def _look(self) -> Connection:
        if self._eyes is None:
            operator = self._endpoint.credentials[OPERATOR]
            self._eyes = connect(self._endpoint.port, operator.name, operator.secret, MAINTENANCE_DATABASE)
        return self._eyes

    def _ask(self, question: str) -> str:
        """One value; the connection is kept for the next question, and given up when it fails."""
        try:
            values = {"operator": OPERATOR, "database": self._endpoint.name}
            row = self._look().execute(question, values).fetchone()
        except psycopg.Error:
            if self._eyes is not None:
                self._eyes.close()
                self._eyes = None
            raise
        return str(row[0]) if row else ""


def _create(name: str, template: str, owner: str, options: str = "") -> sql.Composed:
    statement = "CREATE DATABASE {} OWNER {} TEMPLATE {} STRATEGY file_copy " + options
    return sql.SQL(statement).format(sql.Identifier(name), sql.Identifier(owner), sql.Identifier(template))
