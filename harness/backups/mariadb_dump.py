"""``mariadb-dump`` to an S3 service."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from harness.backups.dumps import DumpTool
from harness.backups.piping import End
from harness.errors import BackupError, Failure, RestoreError
from harness.facts import OPERATOR, Endpoint, RecoveryPoint
from harness.sandbox import Sandbox
from harness.seams.drivers import Due, PartTimer, Vessel
from harness.seams.mariadb_tools import binary

COMPLETED = re.compile(rb"^-- Dump completed on (\S+ +\S+)\s*$", re.MULTILINE)
"""The last line of a whole dump (mariadb-dump, ``--dump-date``)."""

POSITION = re.compile(rb"^-- CHANGE MASTER TO MASTER_LOG_FILE='([^']+)', MASTER_LOG_POS=(\d+);", re.MULTILINE)
HEAD_BYTES, TAIL_BYTES = 65536, 200
CALL_SECONDS = 3600.0
LOADING = ("--binary-mode", "--batch")
"""Options of a client that is given a script."""

HINT = "see what it says; does the server still run, and is there room on the disk?"
OPTIONS = (
    "--single-transaction",
    "--master-data=2",
    "--routines",
    "--triggers",
    "--hex-blob",
    "--skip-lock-tables",
)
LOG, OFFSET, ENDED = "binlog", "binlog-offset", "ended"
"""Metadata of a dump: the binary log that was written when it was taken, and when it was complete."""


class MariadbDumpTool(DumpTool):
    """Logical dumps of a MariaDB database in an S3 service."""

    tool = "mariadb-dump"
    suffix = "sql"

    def restore(self, point: RecoveryPoint, into: Vessel, mark: PartTimer) -> Endpoint:
        """Start an empty server and feed it the dump."""
        mark("provision")
        endpoint = into.start()
        mark("restore")
        with self._fetched(point, into) as dump:
            taken_at(dump, point.location, RestoreError)
            call(self._setting.sandbox, "mariadb", endpoint, (*LOADING, endpoint.name), RestoreError, dump)
        return endpoint

    def _write(self, dump: Path) -> None:
        options = (*OPTIONS, f"--result-file={dump}", self._source.name)
        call(self._setting.sandbox, "mariadb-dump", self._source, options, BackupError)

    def _metadata(self, due: Due, dump: Path) -> Mapping[str, str]:
        taken = taken_at(dump, f"of {self._source.service}", BackupError)
        return {
            **super()._metadata(due, dump),
            LOG: taken.log,
            OFFSET: str(taken.offset),
            ENDED: taken.ended.isoformat(),
        }


@dataclass(frozen=True)
class Moment:
    """When a dump was taken, by the binary log that the server wrote then.

    Attributes:
        log: its name; empty when the dump does not say.
        offset: bytes of it that came before the dump.
        ended: when the dump was complete, by the server's clock.
    """

    log: str
    offset: int
    ended: datetime


def taken_at(dump: Path, name: str, failure: Failure) -> Moment:
    """When a dump was taken, as it says itself.

    Args:
        dump: the file.
        name: for messages.
        failure: what is raised.

    Raises:
        BackupError, RestoreError: it does not end as a dump does.
    """
    with dump.open("rb") as file:
        head = file.read(HEAD_BYTES)
        file.seek(max(0, dump.stat().st_size - TAIL_BYTES))
        completed = COMPLETED.search(file.read())
    if completed is None:
        raise failure(
            f"the dump {name} has no end: it was cut short, or is something else",
            hint="an older dump may be whole",
        )
    date = " ".join(completed[1].decode().split())
    ended = datetime.strptime(date, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    found = POSITION.search(head)
    return Moment(found[1].decode(), int(found[2]), ended) if found else Moment("", 0, ended)


def program(name: str, server: Endpoint, options: Sequence[str]) -> End:
    """One of MariaDB's programs against a server, as its operator.

    Raises:
        MissingToolError: it is not installed.
    """
    operator = server.credentials[OPERATOR]
    command: list[str | Path] = [
        binary(name),
        "--no-defaults",
        "--protocol=tcp",
        # From 11.4 on a client wants it, and a server before that has none.
        "--skip-ssl",
        f"--host={server.host}",
        f"--port={server.port}",
        f"--user={operator.name}",
        *options,
    ]
    # Arguments are visible to everybody; the environment is not.
    return End(command, {"MYSQL_PWD": operator.secret.reveal()})


def call(
    sandbox: Sandbox,
    name: str,
    server: Endpoint,
    options: Sequence[str],
    failure: Failure,
    stdin: Path | str = "",
) -> str:
    """Run one of MariaDB's programs against a server to its end, as its operator.

    Returns:
        What it printed.

    Raises:
        BackupError, RestoreError: it failed, or took too long; with the end of what it said.
        MissingToolError: it is not installed.
    """
    called = program(name, server, options)
    ran = sandbox.call(
        called.command,
        environment=called.environment,
        timeout=CALL_SECONDS,
        stdin=stdin,
        failure=failure,
    )
    if ran.returncode != 0:
        tail = "\n".join(ran.stderr.strip().splitlines()[-6:])
        raise failure(f"{name} failed with exit code {ran.returncode}: {tail}", hint=HINT)
    return ran.stdout
