"""Starts a MariaDB server for one replica, on a copy of a data directory made once for the machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import ClassVar

import pymysql

from harness.clock import Clock
from harness.errors import ProvisionError, RestoreError
from harness.facts import OPERATOR, Endpoint, Lease
from harness.replicas.cache import prepared
from harness.replicas.running import Running
from harness.sandbox import LOOPBACK, Sandbox
from harness.seams.mariadb_client import connect
from harness.seams.mariadb_tools import binary

LOG_FILE = "mariadb.log"
READY = "ready for connections"
TAKEN = "Address already in use"
MARKER_SETTING = "report_host"
"""A text that a server tells of itself (MariaDB, "Replication and Binary Log System Variables")."""

PORT_TRIES = 5
POLL_SECONDS = 0.02
LOG_LINES = 8
SMALL = (
    "--innodb-log-file-size=16M",
    "--innodb-buffer-pool-size=64M",
    "--innodb-data-file-path=ibdata1:4M:autoextend",
)
USUAL = (
    "--skip-name-resolve",
    "--socket=mariadb.sock",
    "--pid-file=mariadb.pid",
    "--server-id=1",
    "--log-bin=binlog",
    "--binlog-format=ROW",
    "--sync-binlog=1",
    "--innodb-flush-log-at-trx-commit=1",
    "--character-set-server=utf8mb4",
    "--default-time-zone=+00:00",
    "--performance-schema=OFF",
    "--local-infile=OFF",
    "--max-connections=300",
    "--loose-feedback=OFF",
    *SMALL,
)
FORGET = ("DELETE FROM mysql.global_priv WHERE User <> 'mariadb.sys'", "DELETE FROM mysql.proxies_priv")
"""What makes a fresh data directory one that nobody can log in to; its root has no password."""


def release(sandbox: Sandbox) -> str:
    """What the machine's server says of its version.

    Raises:
        MissingToolError: there is none.
    """
    return sandbox.call([binary("mariadbd"), "--no-defaults", "--version"]).stdout.strip()


def clone(sandbox: Sandbox, into: Path) -> None:
    """Copy the prepared data directory, which has no accounts that can log in.

    Args:
        sandbox: of the run; the prepared one lies in its cache.
        into: the data directory, empty.

    Raises:
        ProvisionError: it cannot be made, or not be copied.
        MissingToolError: there is no MariaDB on this machine.
    """
    owner = sandbox.account.uid if sandbox.account else os.geteuid()
    key = sha256(f"{release(sandbox)} {SMALL} {FORGET} {owner}".encode()).hexdigest()[:12]

    def build(content: Path) -> None:
        sandbox.give(content)
        made = sandbox.call(
            [
                binary("mariadb-install-db"),
                "--no-defaults",
                f"--datadir={content}",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
                "--skip-name-resolve",
                *SMALL,
            ],
            directory=content,
            environment={"TMPDIR": str(content)},
            drop=True,
        )
        if made.returncode != 0:
            raise ProvisionError(
                f"mariadb-install-db could not fill {content}: {_tail(made.stderr or made.stdout)}",
                hint="see what it says; is there room on the disk?",
            )
        feed(sandbox, content, FORGET)

    with prepared(sandbox.cache / f"mariadb-{key}", build) as content:
        copied = sandbox.call(["cp", "-a", "--reflink=auto", f"{content}/.", into])
    if copied.returncode != 0:
        raise ProvisionError(
            f"cannot copy the prepared data directory to {into}: {_tail(copied.stderr)}",
            hint="free some space",
        )


def feed(sandbox: Sandbox, data: Path, statements: Iterable[str]) -> None:
    """Run statements, one a line, in a server that nobody can connect to (mariadbd --bootstrap).

    Raises:
        ProvisionError: it refused one.
    """
    ran = sandbox.call(
        [
            binary("mariadbd"),
            "--no-defaults",
            "--bootstrap",
            f"--datadir={data}",
            "--skip-networking",
            *SMALL,
        ],
        directory=data,
        environment={"TMPDIR": str(data)},
        drop=True,
        stdin="".join(f"{statement};\n" for statement in statements),
    )
    if ran.returncode != 0:
        raise ProvisionError(
            f"MariaDB refused to set up {data}: {_tail(ran.stderr)}",
            hint="if the message names an account or database, rename that principal or service",
        )


@dataclass(frozen=True)
class Server:
    """A server that is to run on a data directory.

    Attributes:
        lease: whose it is.
        data: the data directory, owned by the account it runs as.
        sandbox: how to start it.
        clock: to wait by.
    """

    lease: Lease
    data: Path
    sandbox: Sandbox
    clock: Clock

    clients: ClassVar[str] = LOOPBACK
    """Where those may come from who log in."""

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.lease.directory / LOG_FILE

    def lay_out(self, statements: Iterable[str]) -> None:
        """Make an empty data directory one of a server.

        Args:
            statements: make its database and accounts.

        Raises:
            ProvisionError: it cannot be copied, or a statement was refused.
            MissingToolError: there is no MariaDB on this machine.
        """
        clone(self.sandbox, self.data)
        feed(self.sandbox, self.data, statements)

    def serve(
        self, endpoint: Endpoint, choose_port: Callable[[], int], *, timeout: float
    ) -> tuple[Endpoint, Running]:
        """Start it and wait until the operator gets an answer.

        Args:
            endpoint: where it is to answer, but for the port.
            choose_port: gives a port for each try.
            timeout: seconds until it must answer.

        Raises:
            ProvisionError: every port is taken.
            RestoreError: it does not start from what lies in its directory.
        """
        for _ in range(PORT_TRIES):
            endpoint = replace(endpoint, port=choose_port())
            process = self._start(endpoint.port)
            if process is not None and self._answers(process, endpoint, timeout):
                return endpoint, process
        raise ProvisionError(
            f"{PORT_TRIES} ports in a row were taken before {self.lease.service} had them",
            hint="something takes every free port on this machine; end it and run the drill again",
        )

    def launch(self, options: Sequence[str], port: int) -> Running | None:
        """Start the program; None when it shows at once that somebody else has the port.

        Args:
            options: of the server.
            port: where it is to answer.

        Raises:
            ProvisionError: it cannot be started.
            MissingToolError: there is no MariaDB on this machine.
        """
        del port
        return self.sandbox.start(
            [binary("mariadbd"), *options], log=self.log, directory=self.data, drop=True
        )

    def place_options(self, port: int) -> tuple[str, ...]:
        """Options that say where it listens."""
        return f"--bind-address={LOOPBACK}", f"--port={port}"

    def _start(self, port: int) -> Running | None:
        self.log.unlink(missing_ok=True)
        own = (
            f"--datadir={self.data}",
            f"--tmpdir={self.data}",
            f"--secure-file-priv={self.lease.directory}",
            f"--{MARKER_SETTING}={self.lease.marker}",
        )
        return self.launch(("--no-defaults", *own, *self.place_options(port), *USUAL), port)

    def _answers(self, process: Running, endpoint: Endpoint, timeout: float) -> bool:
        """Whether it answers; False when another program has its port."""
        began = self.clock.stamp()
        while True:
            said = self.log.read_text(encoding="utf-8", errors="replace")
            # Whoever answers on the port before that is not ours, and gets no log-in.
            if READY in said and self._pong(endpoint):
                return True
            if process.poll() is not None and TAKEN in said:
                return False
            if process.poll() is not None or self.clock.stamp().since(began) > timeout:
                raise RestoreError(
                    f"no server starts for {self.lease.service}: {_tail(said)}",
                    hint="what lies in its directory is damaged, or of another version; an older copy may do",
                )
            self.clock.sleep(POLL_SECONDS)

    def _pong(self, endpoint: Endpoint) -> bool:
        try:
            connect(endpoint, endpoint.credentials[OPERATOR], seconds=1, statement_seconds=1).close()
        except pymysql.Error:
            return False
        return True


def _tail(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-LOG_LINES:])
