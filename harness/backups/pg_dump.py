"""``pg_dump`` in custom format to an S3 service."""

from __future__ import annotations

from pathlib import Path

from harness.backups.client_tools import ClientTool
from harness.backups.dumps import DumpTool
from harness.backups.object_store import DigestingReader
from harness.backups.piping import End, feed
from harness.errors import BackupError, RestoreError
from harness.facts import Endpoint, RecoveryPoint
from harness.seams.drivers import PartTimer, Vessel
from harness.seams.postgres_tools import binary, connection_environment, connection_options

HINT = "see what it says; does the server still run, and is there room on the disk?"


class PgDumpTool(DumpTool):
    """Logical dumps of a PostgreSQL database in an S3 service."""

    tool = "pg_dump"
    suffix = "dump"

    def restore(self, point: RecoveryPoint, into: Vessel, mark: PartTimer) -> Endpoint:
        """Start an empty server, and have ``pg_restore`` load the dump as it arrives, as one transaction."""
        mark("provision")
        endpoint = into.start()
        mark("restore")
        version = self._find(point)
        load = End(
            [
                binary("pg_restore"),
                *connection_options(endpoint),
                *("--exit-on-error", "--single-transaction", f"--dbname={endpoint.name}"),
            ],
            connection_environment(endpoint),
        )
        with self._store.open(version) as body:
            reader = DigestingReader(body)
            complaint = feed(self._setting.sandbox, reader, load)
        self._refuse_altered(point, version, reader.hexdigest())
        if complaint:
            raise RestoreError(complaint, hint=HINT)
        return endpoint

    def _write(self, dump: Path) -> None:
        ClientTool("pg_dump", self._setting.sandbox, BackupError, HINT).run(
            ["--format=custom", f"--file={dump}", f"--dbname={self._source.name}"], server=self._source
        )
