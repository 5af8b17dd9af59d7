"""``pg_dump`` in custom format to an S3 service."""

from __future__ import annotations

from pathlib import Path

from harness.backups.client_tools import ClientTool
from harness.backups.dumps import DumpTool
from harness.backups.piping import End
from harness.errors import BackupError, DatabaseError, RestoreError
from harness.facts import Endpoint, RecoveryPoint
from harness.scenario.models import Protection
from harness.seams.drivers import Database, PartTimer, Setting, Store, Vessel
from harness.seams.postgres_tools import binary, connection_environment, connection_options

OLDEST = 17
"""Our ``pg_restore`` begins with a setting that older servers do not know: ``transaction_timeout``."""

RELEASE = "SELECT current_setting('server_version_num')::int / 10000"
HINT = "see what it says; does the server still run, and is there room on the disk?"


class PgDumpTool(DumpTool):
    """Logical dumps of a PostgreSQL database in an S3 service."""

    tool = "pg_dump"
    suffix = "dump"

    def __init__(
        self, name: str, protection: Protection, source: Endpoint, store: Store, setting: Setting
    ) -> None:
        super().__init__(name, protection, source, store, setting)
        self._database = store

    def restore(self, point: RecoveryPoint, into: Vessel, mark: PartTimer) -> Endpoint:
        """Start an empty server, and have ``pg_restore`` load the dump as it arrives, as one transaction."""
        mark("provision")
        endpoint = into.start()
        mark("restore")
        load = End(
            [
                binary("pg_restore"),
                *connection_options(endpoint),
                *("--exit-on-error", "--single-transaction", f"--dbname={endpoint.name}"),
            ],
            connection_environment(endpoint),
        )
        complaint = self._pour(point, load)
        if complaint:
            raise RestoreError(complaint, hint=HINT)
        return endpoint

    def _write(self, dump: Path) -> None:
        self._refuse_old_server()
        ClientTool("pg_dump", self._setting.sandbox, BackupError, HINT).run(
            ["--format=custom", f"--file={dump}", f"--dbname={self._source.name}"], server=self._source
        )

    def _refuse_old_server(self) -> None:
        """Before a dump is taken that no server of its release would take back from our programs."""
        if not isinstance(self._database, Database):
            return
        try:
            ((release,),) = self._database.query(self._source, RELEASE, {})
        except DatabaseError:
            return  # pg_dump says why it does not answer
        if int(str(release)) < OLDEST:
            raise BackupError(
                f"dumps of PostgreSQL {release} cannot be restored by our pg_restore, which is newer",
                hint=f"run an image of PostgreSQL {OLDEST} or later, or use postgres-pitr or tool: command",
            )
