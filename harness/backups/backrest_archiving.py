"""A server that archives its log with pgBackRest: told to begin, waited for, and told to end."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from math import ceil
from pathlib import Path

import psycopg
from psycopg.sql import SQL, Identifier, Literal

from harness.backups.backrest_program import HINT, Program
from harness.errors import BackupError, DatabaseError
from harness.facts import OPERATOR, Endpoint
from harness.seams.drivers import Database, Setting
from harness.seams.postgres_client import connect

PATIENCE_SECONDS = 60.0
POLL_SECONDS = 0.02
SERVER = """
    SELECT current_setting('archive_mode'),
           (SELECT setting::bigint FROM pg_settings WHERE name = 'wal_segment_size')
"""
ALTER_SYSTEM = SQL("ALTER SYSTEM SET {} = {}")
ARCHIVES = "SELECT current_setting('archive_command')"
SWITCH = "SELECT pg_walfile_name(pg_switch_wal() - 1)"
ARCHIVED = """
    SELECT NOT EXISTS (
               SELECT FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready' AND left(name, 24) <= :segment
           ),
           (SELECT coalesce(last_failed_time > :asked::timestamptz, false) FROM pg_stat_archiver)
"""
"""``last_archived_wal`` would not do: a backup's own file is archived after segments that follow it."""


class Archiving:
    """The archiving of one server into one repository.

    Args:
        home: a directory of the run for its configuration, which is there as long as it archives.
        source: the service, whose server was started to archive.
        database: how to ask it.
        setting: of the run.
    """

    def __init__(self, home: Path, source: Endpoint, database: Database, setting: Setting) -> None:
        self._home = home
        self._source = source
        self._database = database
        self._clock = setting.clock

    @property
    def runs(self) -> bool:
        """Whether it was begun."""
        return self._home.exists()

    def segment_size(self) -> int:
        """Bytes of a segment of the server's log.

        Raises:
            BackupError: it does not answer, or was not started to archive.
        """
        try:
            ((mode, size),) = self._database.query(self._source, SERVER, {})
        except DatabaseError as error:
            raise BackupError(
                f"{self._source.service} cannot be backed up: {error.message}",
                hint="the server must be up when its protections are set up",
            ) from error
        if mode != "on":
            raise BackupError(
                f"the server of {self._source.service} cannot archive: its archive_mode is {mode}",
                hint="pgBackRest works on the files of an embedded server: leave `--provider docker` out",
            )
        return int(str(size))

    def begin(self, program: Program, configure: Callable[[Path], Path], every: timedelta) -> None:
        """Have the server archive.

        Args:
            program: that it archives with.
            configure: writes its configuration into a directory.
            every: what was written within it may be lost.

        Raises:
            BackupError: it cannot be told.
        """
        self._home.mkdir(mode=0o700)
        push = [*program.command(configure(self._home)), f"--pg1-path={self._source.path}", "archive-push"]
        settings = {
            "archive_timeout": str(max(1, ceil(every.total_seconds()))),
            "archive_command": f'{quoted(push)} "%p"',
        }
        try:
            self._tell(settings)
            if self._await(self._is_told):
                return
            why = f"it has not read its settings within {PATIENCE_SECONDS:.0f} s"
        except DatabaseError as error:
            why = error.message
        shutil.rmtree(self._home)
        raise BackupError(f"{self._source.service} cannot be told to archive: {why}", hint=HINT)

    def flush(self) -> None:
        """Have everything archived that was written so far.

        Raises:
            BackupError: it is not, in time.
        """
        if not self._flush(give_up_early=False):
            raise BackupError(
                f"{self._source.service} does not archive its log within {PATIENCE_SECONDS:.0f} s",
                hint=f"its server's log says why: {self._source.lease.directory / 'postgres.log'}",
            )

    def end(self) -> None:
        """Have what is left archived if that can be, and no more from then on. Idempotent."""
        if not self.runs:
            return
        with suppress(DatabaseError):  # the server may be gone, and its archiving with it
            if self._is_told():
                self._flush(give_up_early=True)
                self._tell({"archive_command": ""})
        shutil.rmtree(self._home)

    def _tell(self, settings: Mapping[str, str]) -> None:
        """Change settings, on a session without the transaction that these statements do not take."""
        operator = self._source.credentials[OPERATOR]
        try:
            with connect(self._source.port, operator.name, operator.secret, self._source.name) as session:
                for name, value in settings.items():
                    session.execute(ALTER_SYSTEM.format(Identifier(name), Literal(value)))
                session.execute("SELECT pg_reload_conf()")
        except psycopg.Error as error:
            raise DatabaseError(f"{self._source.service}: {error}", hint=HINT) from error

    def _is_told(self) -> bool:
        """Whether the server archives with our configuration."""
        return str(self._home) in str(self._ask(ARCHIVES))

    def _flush(self, *, give_up_early: bool) -> bool:
        """Have everything archived that was written so far; returns whether it is.

        Args:
            give_up_early: after the first failure; the server itself goes on trying.
        """
        asked = self._now()
        segment = self._ask(SWITCH)

        def is_over() -> bool:
            ((done, failed),) = self._database.query(
                self._source, ARCHIVED, {"segment": segment, "asked": asked}
            )
            return bool(done) or (give_up_early and bool(failed))

        return self._await(is_over)

    def _await(self, condition: Callable[[], bool]) -> bool:
        began = self._clock.stamp()
        while not condition():
            if self._clock.stamp().since(began) > PATIENCE_SECONDS:
                return False
            self._clock.sleep(POLL_SECONDS)
        return True

    def _ask(self, statement: str) -> object:
        rows = self._database.query(self._source, statement, {})
        return rows[0][0] if rows else None

    def _now(self) -> datetime:
        return self._clock.stamp().wall


def quoted(command: Sequence[str]) -> str:
    """A command for a setting of the server in which ``%`` stands for something."""
    return shlex.join(command).replace("%", "%%")
