"""``tar`` of a volume to an S3 service, compressed."""

from __future__ import annotations

import tarfile
from pathlib import Path

from harness.backups.dumps import DumpTool
from harness.errors import BackupError, RestoreError
from harness.facts import Endpoint, RecoveryPoint
from harness.seams.drivers import PartTimer, Vessel

READ_BYTES = 1 << 20


class ArchiveTool(DumpTool):
    """Compressed archives of a volume in an S3 service."""

    tool = "archive"
    suffix = "tar.gz"

    def restore(self, point: RecoveryPoint, into: Vessel, mark: PartTimer) -> Endpoint:
        """Fetch the archive, unpack it where the volume is mounted, and mount it."""
        mark("restore")
        with self._fetched(point, into) as archive:
            try:
                with tarfile.open(archive, "r:gz") as tar:
                    tar.extractall(into.directory, filter="tar")
                    # What follows the last file is part of the checksum; a copy cut short there is not whole.
                    while tar.fileobj and tar.fileobj.read(READ_BYTES):
                        pass
            except (tarfile.TarError, OSError, EOFError) as error:
                raise RestoreError(
                    f"the archive {point.location} cannot be unpacked: {error}",
                    hint="an older one may be whole",
                ) from error
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
