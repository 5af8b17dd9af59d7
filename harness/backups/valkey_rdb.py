"""Dumps of a Valkey server (RDB files) to an S3 service."""

from __future__ import annotations

import shutil
from pathlib import Path

from valkey.exceptions import ValkeyError

from harness.backups.dumps import DumpTool
from harness.errors import BackupError, ProvisionError
from harness.facts import OPERATOR, Endpoint, RecoveryPoint
from harness.seams.disks import files_on_disk
from harness.seams.drivers import PartTimer, Vessel
from harness.seams.valkey_client import connect

DUMP_FILE = "dump.rdb"
SAVE_SECONDS = 600.0


class ValkeyRdbTool(DumpTool):
    """RDB dumps of a Valkey server in an S3 service."""

    tool = "valkey-rdb"
    suffix = "rdb"

    def restore(self, point: RecoveryPoint, into: Vessel, mark: PartTimer) -> Endpoint:
        """Fetch the dump to where a server looks for it, and start one; it is checked while that loads it."""
        mark("restore")
        with self._checked_meanwhile(point, into.directory / DUMP_FILE):
            mark("replay")
            return into.start()

    def _write(self, dump: Path) -> None:
        """Have the server save, and copy what it has saved."""
        operator = self._source.credentials[OPERATOR]
        try:
            with connect(self._source, operator, seconds=SAVE_SECONDS) as client:
                client.save()
            with files_on_disk(self._driver, self._source, DUMP_FILE, self._setting) as disk:
                shutil.copyfile(disk / DUMP_FILE, dump)
        except (ValkeyError, OSError, ProvisionError) as error:
            raise BackupError(
                f"{self._source.service} cannot be saved: {error}",
                hint="does the server still run, and is there room on the disk?",
            ) from error
