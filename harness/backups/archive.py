"""``tar`` of a volume to an S3 service, compressed."""

from __future__ import annotations

import tarfile
from pathlib import Path

from harness.backups.dumps import DumpTool
from harness.backups.piping import End
from harness.errors import BackupError, RestoreError
from harness.facts import Endpoint, RecoveryPoint
from harness.seams.drivers import PartTimer, Vessel


class ArchiveTool(DumpTool):
    """Compressed archives of a volume in an S3 service."""

    tool = "archive"
    suffix = "tar.gz"

    def restore(self, point: RecoveryPoint, into: Vessel, mark: PartTimer) -> Endpoint:
        """Have ``tar`` unpack the archive, as it arrives, where the volume is mounted, and mount it."""
        mark("restore")
        options = ("--extract", "--preserve-permissions", "--file=-", f"--directory={into.directory}")
        # `tar --gzip` cuts what comes through a pipe into pieces of 10 KiB before it is decompressed.
        complaint = self._pour(
            point, End(["gzip", "--decompress", "--stdout"], {}), End(["tar", *options], {})
        )
        if complaint:
            raise RestoreError(
                f"the archive {point.location} cannot be unpacked: {complaint}",
                hint="an older one may be whole",
            )
        return into.start()

    def _write(self, dump: Path) -> None:
        try:
            with tarfile.open(dump, "x:gz", compresslevel=1) as tar:
                tar.add(self._source.path, arcname=".")
        except OSError as error:
            raise BackupError(
                f"the volume {self._source.service} cannot be archived: {error}",
                hint="is it there, and is there room on the disk?",
            ) from error
