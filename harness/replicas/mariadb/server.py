"""Starts a MariaDB server for one replica, on a copy of a data directory made once for the machine."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import ClassVar

import pymysql

from harness.confinement import Bounds
from harness.errors import ProvisionError
from harness.facts import OPERATOR, Endpoint
from harness.replicas.cache import prepared
from harness.replicas.running import Running
from harness.replicas.serving import LoggingServer, last_lines
from harness.sandbox import LOOPBACK, Sandbox
from harness.seams.mariadb_client import connect
from harness.seams.mariadb_tools import binary

LOG_FILE = "mariadb.log"
MARKER_SETTING = "report_host"
"""A text that a server tells of itself (MariaDB, "Replication and Binary Log System Variables")."""

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
                f"mariadb-install-db could not fill {content}: {last_lines(made.stderr or made.stdout)}",
                hint="see what it says; is there room on the disk?",
            )
        feed(sandbox, content, FORGET)

    with prepared(sandbox.cache / f"mariadb-{key}", build) as content:
        copied = sandbox.call(["cp", "-a", "--reflink=auto", f"{content}/.", into])
    if copied.returncode != 0:
        raise ProvisionError(
            f"cannot copy the prepared data directory to {into}: {last_lines(copied.stderr)}",
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
            f"MariaDB refused to set up {data}: {last_lines(ran.stderr)}",
            hint="if the message names an account or database, rename that principal or service",
        )


@dataclass(frozen=True)
class Server(LoggingServer):
    """A server that is to run on a data directory."""

    log_file: ClassVar[str] = LOG_FILE
    ready: ClassVar[str] = "ready for connections"
    clients: ClassVar[str] = LOOPBACK
    """Where those may come from who log in."""

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
        program = binary("mariadbd")
        bounds = Bounds(reads=(program.resolve().parents[1],))
        return self.sandbox.start(
            [program, *options], log=self.log, directory=self.data, drop=True, bounds=bounds
        )

    def place_options(self, port: int) -> tuple[str, ...]:
        """Options that say where it listens."""
        return f"--bind-address={LOOPBACK}", f"--port={port}"

    def start(self, port: int) -> Running | None:
        """Start the program; see ``LoggingServer``."""
        own = (
            f"--datadir={self.data}",
            f"--tmpdir={self.data}",
            f"--secure-file-priv={self.lease.directory}",
            f"--{MARKER_SETTING}={self.lease.marker}",
        )
        return self.launch(("--no-defaults", *own, *self.place_options(port), *USUAL), port)

    def responds(self, endpoint: Endpoint) -> bool:
        """Whether the operator can log in."""
        try:
            connect(endpoint, endpoint.credentials[OPERATOR], seconds=1, statement_seconds=1).close()
        except pymysql.Error:
            return False
        return True
