"""Dumps of a MariaDB database, and the binary logs on the server's own disk that follow each of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from harness.backups.mariadb_dump import (
    ENDED,
    HINT,
    LOADING,
    LOG,
    OFFSET,
    MariadbDumpTool,
    Moment,
    call,
    program,
)
from harness.backups.object_store import Doom, StoredVersion
from harness.backups.piping import End, pipe
from harness.errors import BackupError, ProvisionError, RestoreError
from harness.facts import Endpoint, RecoveryPoint
from harness.seams.disks import files_on_disk
from harness.seams.drivers import PartTimer, Vessel
from harness.seams.mariadb_tools import binary

MAGIC = b"\xfebin"
"""What every binary log begins with."""

INDEX = "binlog.index"
LOGS = "binlog.*"

LIMIT = "max_allowed_packet"
MOST = 1 << 30
"""Bytes of the largest packet that a server can be told to take."""


class MariadbBinlogsTool(MariadbDumpTool):
    """Logical dumps of a MariaDB database, and the server's own binary logs from each of them on.

    A dump whose log is still on the server's disk can be brought forward to the second before the harm; one
    whose log was purged or reset is a dump and nothing more.
    """

    tool = "mariadb-binlogs"

    def restore(self, point: RecoveryPoint, into: Vessel, mark: PartTimer) -> Endpoint:
        """The dump and everything that was logged since, the harm too."""
        return self.restore_to(point, into, mark, None)

    def restore_to(
        self, point: RecoveryPoint, into: Vessel, mark: PartTimer, until: datetime | None
    ) -> Endpoint:
        """The dump and what was logged before the second of ``until``; see ``PointInTime``."""
        endpoint = super().restore(point, into, mark)
        if point.kind == "continuous":
            mark("replay")
            with self._disk() as disk:
                self._replay(self._moment(self._find(point)), disk, endpoint, until)
        return endpoint

    def _point(self, version: StoredVersion, taken: datetime, doom: Doom) -> RecoveryPoint:
        point = super()._point(version, taken, doom)
        with self._disk() as disk:
            if not _following(self._moment(version), disk):
                return point
        changes = {"kind": "continuous", "covers_until": self._now(), "shares_fate": True}
        return point.model_copy(update=changes)

    def _moment(self, version: StoredVersion) -> Moment | None:
        noted = self._store.facts(version).metadata
        if not {LOG, OFFSET, ENDED} <= noted.keys():
            return None
        return Moment(noted[LOG], int(noted[OFFSET]), datetime.fromisoformat(noted[ENDED]))

    @contextmanager
    def _disk(self) -> Iterator[Path]:
        """The server's data directory, with its logs as they are now.

        Raises:
            BackupError: nobody can look.
        """
        try:
            with files_on_disk(self._driver, self._source, LOGS, self._setting) as disk:
                yield disk
        except ProvisionError as error:
            raise BackupError(error.message, hint=error.hint) from error

    def _replay(self, taken: Moment | None, disk: Path, server: Endpoint, until: datetime | None) -> None:
        """Have a server run what was logged since a dump.

        Raises:
            RestoreError: a log is gone, or cannot be read, or the server refused a statement.
        """
        logs = _following(taken, disk)
        if taken is None or not logs:
            raise RestoreError(
                f"the binary logs of {self._source.service} do not go back to the dump",
                hint="they were purged or reset; the dump alone may do",
            )
        options = [
            "--no-defaults",
            f"--start-position={taken.offset}",
            "--skip-gtid-strict-mode",
            f"--database={self._source.name}",
        ]
        if until is not None:
            # The second that the harm is in is left out as a whole: the logs know no smaller unit.
            options.append(f"--stop-datetime={until.replace(microsecond=0):%Y-%m-%d %H:%M:%S}")
        decoder = End([binary("mariadb-binlog"), *options, *logs], {})
        client = program("mariadb", server, (*LOADING, f"--{LIMIT}={MOST}", server.name))
        with self._taking_any_statement(server):
            piped = pipe(self._setting.sandbox, self._setting.clock, decoder, client, RestoreError, HINT)
        if piped.complaint:
            raise RestoreError(piped.complaint, hint=HINT)

    @contextmanager
    def _taking_any_statement(self, server: Endpoint) -> Iterator[None]:
        """For the length of the block a server takes the largest packet; then its limit is as it was.

        A statement that changed many rows comes back as one, in base64: larger than a packet may be by
        default (16 MiB), although it never was one when it was first executed.
        """
        usual = self._asked(server, f"SELECT @@GLOBAL.{LIMIT}")
        self._asked(server, f"SET GLOBAL {LIMIT} = {MOST}")
        yield
        self._asked(server, f"SET GLOBAL {LIMIT} = {usual}")

    def _asked(self, server: Endpoint, statement: str) -> str:
        options = ("--batch", "--skip-column-names", f"--execute={statement}")
        return call(self._setting.sandbox, "mariadb", server, options, RestoreError).strip()


def _following(taken: Moment | None, disk: Path) -> tuple[Path, ...]:
    """The logs that follow a dump, in order; none when they do not go back to it."""
    index = disk / INDEX
    if taken is None or not index.is_file():
        return ()
    logs = [disk / line for line in index.read_text(encoding="utf-8").split()]
    names = [log.name for log in logs]
    if taken.log not in names or not _is_in(taken, logs[names.index(taken.log)]):
        return ()
    return tuple(logs[names.index(taken.log) :])


def _is_in(taken: Moment, log: Path) -> bool:
    """Whether a log of that name is the one: RESET MASTER begins another under the name of the first.

    A log's first event says when it was begun (MariaDB, "Format Description Event").
    """
    if not log.is_file() or log.stat().st_size < taken.offset:
        return False
    with log.open("rb") as file:
        head = file.read(len(MAGIC) + 4)
    return head.startswith(MAGIC) and int.from_bytes(head[len(MAGIC) :], "little") <= taken.ended.timestamp()
