"""Starts a PostgreSQL server for one replica, and waits until it answers.

Everything that matters is given on the command line, which beats the files of a restored data directory
(PostgreSQL 18, section 19.1.4): whom it admits, where it listens, whose it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from harness.clock import Clock
from harness.confinement import SYSTEM, Bounds
from harness.errors import DatabaseError, ProvisionError
from harness.facts import OPERATOR, Endpoint, Lease
from harness.replicas.leases import MARKER_SETTING
from harness.replicas.postgres.programs import require_reach, server_programs
from harness.replicas.postgres.session import session
from harness.replicas.running import Running
from harness.sandbox import LOOPBACK, Sandbox

LOG_FILE = "postgres.log"
HBA_FILE = "pg_hba.conf"
IDENT_FILE = "pg_ident.conf"
CONFIG_FILE = "postgresql.conf"
POLL_SECONDS = 0.01
LOG_LINES = 8
LISTENING = "listening on IPv4 address"
DISK_FULL = "No space left on device"
CANNOT_LISTEN = "could not create any TCP/IP sockets"
PORT_TRIES = 5
PORT_PAUSE = 0.05
RESTORE_COMMAND = "restore_command"

HBA = f"""\
# Passwords only, from this machine only.
host all all {LOOPBACK}/32 scram-sha-256
host replication {OPERATOR} {LOOPBACK}/32 scram-sha-256
"""

USUAL_SETTINGS: Mapping[str, str] = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    # In the data directory, and gone with it: what lies in /dev/shm stays when a server is killed.
    "dynamic_shared_memory_type": "mmap",
    "ssl": "off",
    "password_encryption": "scram-sha-256",
    "max_connections": "300",
    "wal_level": "replica",
    # Little WAL is kept, since every volume backup carries it along.
    "min_wal_size": "4MB",
    "max_wal_size": "256MB",
    "wal_recycle": "off",
    "max_wal_senders": "10",
    "max_replication_slots": "10",
    "synchronous_commit": "on",
    "synchronous_standby_names": "",
    "full_page_writes": "on",
    "archive_mode": "off",
    "archive_command": "",
    "archive_library": "",
    "shared_preload_libraries": "",
    "logging_collector": "off",
    "log_destination": "stderr",
    "log_statement": "none",
    "log_timezone": "UTC",
    "timezone": "UTC",
    "datestyle": "ISO, MDY",
    "lc_messages": "C",
    # A restored copy is of use when its replay is over, not before.
    "hot_standby": "off",
}


class PortTakenError(Exception):
    """Somebody else listens on the port.

    Attributes:
        port: it.
    """

    def __init__(self, port: int) -> None:
        super().__init__(f"somebody else listens on {port}")
        self.port = port


class ServerExitedError(Exception):
    """The server ended before it answered; the message is the end of its log."""


@dataclass(frozen=True)
class Serving:
    """A server that answers.

    Attributes:
        endpoint: where.
        process: the server.
    """

    endpoint: Endpoint
    process: Running


@dataclass(frozen=True)
class Server:
    """A server that is to run on a data directory.

    Attributes:
        lease: whose it is.
        data: the data directory, owned by the account it runs as.
        fsync: whether commits are made durable.
        sandbox: how to start it.
        clock: to wait by.
    """

    lease: Lease
    data: Path
    fsync: bool
    sandbox: Sandbox
    clock: Clock

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.lease.directory / LOG_FILE

    def serve(
        self,
        endpoint: Endpoint,
        choose_port: Callable[[], int],
        settings: Mapping[str, str] | None = None,
        *,
        timeout: float,
        environment: Mapping[str, str] | None = None,
        following: bool = False,
    ) -> Serving:
        """Start it and wait until the operator gets an answer and no replay is under way.

        Args:
            endpoint: where it is to answer, but for the port.
            choose_port: gives a port for each try; another program may take it before the server does.
            settings: on top of the usual ones.
            timeout: seconds until it must answer.
            environment: variables of its process.
            following: it is a standby, whose replay never ends.

        Raises:
            PortTakenError: every port it tried belongs to somebody else.
            ServerExitedError: it ended.
            ProvisionError: it ended because the disk is full.
            DatabaseError: it did not answer in time, or does not know the operator or the database.
        """
        for _ in range(PORT_TRIES):
            endpoint = replace(endpoint, port=choose_port())
            try:
                process = self._start(endpoint.port, settings or {}, environment or {})
                self._await_answer(process, endpoint, timeout, following)
            except PortTakenError:
                self.clock.sleep(PORT_PAUSE)
            else:
                return Serving(endpoint, process)
        raise PortTakenError(endpoint.port)

    def launch(
        self, arguments: tuple[str, ...], port: int, environment: Mapping[str, str], *, runs_commands: bool
    ) -> Running:
        """Start the program.

        Args:
            arguments: of ``postgres``.
            port: where it is to answer, which stands in the arguments too.
            environment: variables of its process, on top of the usual ones.
            runs_commands: a backup tool has it archive or fetch its log with programs of the system.

        Raises:
            PortTakenError: somebody else has the port; a server may also say so later, in its log.
            ProvisionError: it cannot be started.
        """
        del port
        require_reach(self.sandbox.account, self.data.parent, "the data directory's place")
        with server_programs(self.sandbox) as programs:
            command: list[str | Path] = [programs / "postgres", *arguments]
            return self.sandbox.start(
                command,
                log=self.log,
                directory=self.lease.directory,
                environment=environment,
                drop=True,
                bounds=Bounds(reads=(programs.parents[2],), runs=SYSTEM if runs_commands else ()),
            )

    def place_settings(self, port: int) -> Mapping[str, str]:
        """Settings that say where it listens."""
        return {"port": str(port)}

    @property
    def hba(self) -> str:
        """Whom it admits."""
        return HBA

    def _start(self, port: int, settings: Mapping[str, str], environment: Mapping[str, str]) -> Running:
        self._write_files()
        self.log.unlink(missing_ok=True)  # of an attempt at a port that was taken
        options = {**USUAL_SETTINGS, **self._own_settings(), **self.place_settings(port), **settings}
        if options["archive_mode"] == "on":
            # The archiving tool sets it with ALTER SYSTEM, which a command line would beat.
            del options["archive_command"]
        arguments = ["-D", str(self.data)]
        for name, value in options.items():
            arguments += ["-c", f"{name}={value}"]
        runs_commands = options["archive_mode"] == "on" or RESTORE_COMMAND in options
        return self.launch(tuple(arguments), port, environment, runs_commands=runs_commands)

    def _await_answer(self, process: Running, endpoint: Endpoint, timeout: float, following: bool) -> None:
        began = self.clock.stamp()
        while refusal := self._refusal(endpoint, following):
            self._check_running(process, endpoint.port)
            if _is_final(refusal) or self.clock.stamp().since(began) > timeout:
                raise DatabaseError(
                    f"{endpoint.service}: the server runs but does not serve: {refusal}",
                    hint="its data may not be this service's, or its replay needs longer",
                )
            self.clock.sleep(POLL_SECONDS)

    def _refusal(self, endpoint: Endpoint, following: bool) -> str:
        """Why it does not serve; empty when it does."""
        if LISTENING not in self._log_text():
            # Whoever answers on the port before that is not ours, and gets no login.
            return "it does not listen yet"
        try:
            with session(endpoint) as connection:
                ((replaying,),) = connection.execute("SELECT pg_is_in_recovery()").fetchall()
        except DatabaseError as error:
            return error.message
        return "replay is under way" if replaying and not following else ""

    def _log_text(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.is_file() else ""

    def _write_files(self) -> None:
        contents = {
            HBA_FILE: self.hba,
            IDENT_FILE: "",
            CONFIG_FILE: "# All settings stand on the command line.\n",
        }
        for name, content in contents.items():
            path = self.lease.directory / name
            path.write_text(content, encoding="utf-8")
            path.chmod(0o644)

    def _own_settings(self) -> dict[str, str]:
        return {
            "hba_file": str(self.lease.directory / HBA_FILE),
            "ident_file": str(self.lease.directory / IDENT_FILE),
            "config_file": str(self.lease.directory / CONFIG_FILE),
            "fsync": "on" if self.fsync else "off",
            MARKER_SETTING: self.lease.marker,
        }

    def _check_running(self, process: Running, port: int) -> None:
        if process.poll() is None:
            return
        log = self._log_text()
        if CANNOT_LISTEN in log:
            raise PortTakenError(port)
        if DISK_FULL in log:
            raise ProvisionError(
                f"the server of {self.lease.service} ended because the disk is full", hint="free some space"
            )
        raise ServerExitedError("\n".join(log.splitlines()[-LOG_LINES:]))


def _is_final(refusal: str) -> bool:
    return "password authentication failed" in refusal or "does not exist" in refusal
