"""``pg_dump`` in custom format to an S3 service."""

from __future__ import annotations

from pathlib import Path

from harness.backups.client_tools import ClientTool, Failure
from harness.backups.dumps import DumpTool
from harness.errors import BackupError, RestoreError
from harness.facts import Endpoint, RecoveryPoint
from harness.seams.drivers import PartTimer, Vessel


class PgDumpTool(DumpTool):
    """Logical dumps of a PostgreSQL database in an S3 service."""

    tool = "pg_dump"
    suffix = "dump"

    def restore(self, point: RecoveryPoint, into: Vessel, mark: PartTimer) -> Endpoint:
        """Start an empty server, then fetch the dump and have ``pg_restore`` load it as one transaction."""
        mark("provision")
        endpoint = into.start()
        mark("restore")
        with self._fetched(point, into) as dump:
            self._tool("pg_restore", RestoreError).run(
                ["--exit-on-error", "--single-transaction", f"--dbname={endpoint.name}", dump],
                server=endpoint,
            )
        return endpoint

    def _write(self, dump: Path) -> None:
        self._tool("pg_dump").run(
            ["--format=custom", f"--file={dump}", f"--dbname={self._source.name}"], server=self._source
        )

    def _tool(self, name: str, failure: Failure = BackupError) -> ClientTool:
        hint = "see what it says; does the server still run, and is there room on the disk?"
        return ClientTool(name, self._setting.sandbox, failure, hint)
