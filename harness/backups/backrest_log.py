"""The log in a pgBackRest repository: which segments are there, and how far they bring a backup."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha1
from pathlib import Path
from tempfile import TemporaryDirectory

from harness.backups.backrest_listing import Backup
from harness.backups.backrest_repository import Repository
from harness.backups.wal_archive import SegmentGrid
from harness.errors import RestoreError
from harness.sandbox import Sandbox
from harness.seams.postgres_tools import binary

SEGMENT = re.compile(
    r"archive/(?P<stanza>[^/]+)/(?P<id>[^/]+)/[0-9A-F]{16}/"
    r"(?P<segment>[0-9A-F]{24})-(?P<sha1>[0-9a-f]{40})\.gz"
)
COMMIT = re.compile(r"\blsn: (\S+), .*\bdesc: COMMIT (?:PREPARED )?(\S+ \S+) UTC")


@dataclass(frozen=True)
class Commit:
    """One commit, as the log has it."""

    at: datetime
    lsn: str


@dataclass(frozen=True)
class Chain:
    """Segments of the archive that follow each other without a gap, from the beginning of a backup on.

    Attributes:
        files: their names in the repository.
        last: the newest commit in them; None when there is none after the backup's own beginning.
    """

    files: tuple[str, ...]
    last: Commit | None


class ArchivedLog:
    """The log of one server, as it lay in its repository at one look.

    Args:
        repository: where it lies.
        files: bytes of each file in it, by name.
        stanza: what pgBackRest calls the server.
        grid: how that one cuts its log.
        sandbox: of the run.
    """

    def __init__(
        self,
        repository: Repository,
        files: Mapping[str, int],
        stanza: str,
        grid: SegmentGrid,
        sandbox: Sandbox,
    ) -> None:
        self._repository = repository
        self._grid = grid
        self._sandbox = sandbox
        found = ((name, SEGMENT.fullmatch(name)) for name in sorted(files))
        self._names = {
            match["segment"]: name for name, match in found if match is not None and match["stanza"] == stanza
        }
        self._commits: dict[str, Commit | None] = {}

    def chain(self, backup: Backup) -> Chain:
        """What is there without a gap from where a backup begins."""
        names: list[str] = []
        segment = backup.archive.start
        while segment in self._names:
            names.append(self._names[segment])
            segment = self._grid.after(segment)
        for name in reversed(names):
            if segment_of(name) <= backup.archive.stop:
                break
            commit = self._newest_commit(name)
            if commit is not None:
                return Chain(tuple(names), commit)
        return Chain(tuple(names), None)

    def _newest_commit(self, name: str) -> Commit | None:
        """The newest in one archived segment; None without any, or when it is not what its name says."""
        if name not in self._commits:
            self._commits[name] = self._read_commit(name)
        return self._commits[name]

    def _read_commit(self, name: str) -> Commit | None:
        """The last record may go on in the next segment, where ``pg_waldump`` gives up with an error."""
        found = SEGMENT.fullmatch(name)
        try:
            content = gzip.decompress(self._repository.read(name))
        except (OSError, EOFError, zlib.error, RestoreError):
            return None
        if found is None or sha1(content).hexdigest() != found["sha1"]:  # noqa: S324 it is pgBackRest's
            return None
        with TemporaryDirectory(prefix="pgbackrest-", dir=self._sandbox.root) as directory:
            segment = Path(directory) / found["segment"]
            segment.write_bytes(content)
            ran = self._sandbox.call([binary("pg_waldump"), "--rmgr=Transaction", segment, segment])
        commits = COMMIT.findall(ran.stdout)
        if not commits:
            return None
        lsn, at = commits[-1]
        return Commit(datetime.fromisoformat(at).replace(tzinfo=UTC), lsn)


def segment_of(name: str) -> str:
    """The segment that an archived file is."""
    return name.rpartition("/")[2][:24]
