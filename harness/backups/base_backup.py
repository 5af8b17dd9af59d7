"""Base backups in an S3 service: the tar files of ``pg_basebackup``, and a record that says they are whole.

The record is written last. Without it, or without one of the files it names, there is no base backup.
"""

from __future__ import annotations

import gzip
import json
import tarfile
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from shutil import copyfileobj
from typing import IO, Literal, cast

from pydantic import ValidationError

from harness.backups.object_store import (
    DigestingReader,
    ObjectStore,
    Retention,
    StoredVersion,
    date_text,
    digest_of,
)
from harness.backups.wal_archive import SegmentGrid, parse_lsn
from harness.errors import BackupError, RestoreError
from harness.facts import Fact

RECORD = "backup.json"
MANIFEST = "backup_manifest"
UNPACKED_INTO = {"base.tar.gz": "", "pg_wal.tar.gz": "pg_wal"}
READ_BYTES = 1 << 16


class StoredFile(Fact):
    """One file of a base backup.

    Attributes:
        name: below the backup's prefix.
        size: bytes.
        sha256: of its content, in hex.
        tag: entity tag that the store gave it.
    """

    name: str
    size: int
    sha256: str
    tag: str


class BackupRecord(Fact):
    """What a base backup consists of, and what is needed to make a server of it.

    Attributes:
        version: of this format.
        service: that it is a copy of.
        taken: its date, in scenario time.
        finished: when it was complete, by the wall clock: it brings back everything up to then.
        server_version: ``server_version_num`` of the server, such as 180006.
        timeline: of its write-ahead log.
        start, end: LSNs between which the log must be replayed before the copy is consistent.
        segment_size: bytes of one segment of the log.
        files: all of them.
    """

    version: Literal[1] = 1
    service: str
    taken: datetime
    finished: datetime
    server_version: int
    timeline: int
    start: int
    end: int
    segment_size: int
    files: tuple[StoredFile, ...]

    @property
    def grid(self) -> SegmentGrid:
        """How its server cuts the log."""
        return SegmentGrid(self.segment_size)

    @property
    def first_segment(self) -> str:
        """The segment in which replay begins; all log before it serves older base backups only."""
        return self.grid.name(self.timeline, self.start)

    @property
    def last_segment(self) -> str:
        """The segment in which the backup itself ends; replay goes on from there with the archive."""
        return self.grid.name(self.timeline, self.end)


@dataclass(frozen=True)
class BaseBackup:
    """A base backup that exists, with every one of its files."""

    prefix: str
    record: BackupRecord
    record_version: StoredVersion
    files: Mapping[str, StoredVersion]

    @property
    def size(self) -> int:
        """Bytes in the store."""
        return sum(version.size for version in self.files.values())


@dataclass(frozen=True)
class ServerFacts:
    """What a base backup notes of its server."""

    service: str
    server_version: int
    segment_size: int


class BaseBackupShelf:
    """The base backups of one protection.

    Args:
        store: the bucket.
        protection: its name; keys begin with it.

    Raises:
        BackupError: the bucket cannot be written or listed.
        RestoreError: a file is gone, or not what was written.
    """

    def __init__(self, store: ObjectStore, protection: str) -> None:
        self._store = store
        self._prefix = f"{protection}/base/"

    def add(
        self,
        directory: Path,
        taken: datetime,
        finished: datetime,
        server: ServerFacts,
        retention: Retention | None,
    ) -> str:
        """Store what ``pg_basebackup`` has written into ``directory``; returns its prefix."""
        names = sorted(path.name for path in directory.iterdir())
        expected = sorted([*UNPACKED_INTO, MANIFEST])
        if names != expected:
            raise BackupError(
                f"a base backup of {server.service} has the files {names}, not {expected}",
                hint="tablespaces outside of the data directory are not supported; move them into it",
            )
        prefix = f"{self._prefix}{date_text(taken)}/"
        timeline, start, end = _replay_range(directory / MANIFEST)
        record = BackupRecord(
            service=server.service,
            taken=taken,
            finished=finished,
            server_version=server.server_version,
            timeline=timeline,
            start=start,
            end=end,
            segment_size=server.segment_size,
            files=tuple(self._put(directory / name, prefix, retention) for name in names),
        )
        self._store.put(record.model_dump_json().encode(), f"{prefix}{RECORD}", {}, retention)
        return prefix

    def all(self) -> tuple[BaseBackup, ...]:
        """Every base backup that is complete, newest first."""
        versions = self._store.versions(self._prefix)
        found: dict[str, BaseBackup] = {}
        # The first record of its key is the one that was written with the backup: oldest first.
        for version in reversed(versions):
            prefix, _, name = version.key.rpartition("/")
            if name == RECORD and prefix not in found:
                backup = self._read(f"{prefix}/", version, versions)
                if backup is not None:
                    found[prefix] = backup
        return tuple(sorted(found.values(), key=lambda backup: backup.record.taken, reverse=True))

    def remove(self, backup: BaseBackup) -> bool:
        """Delete every version of its files for good, the record first; whether that was not forbidden."""
        try:
            self._store.remove(backup.record_version.key, backup.record_version.id)
        except BackupError:
            return False  # it is locked, and so is all of it
        for version in self._store.versions(backup.prefix):
            with suppress(BackupError):
                self._store.remove(version.key, version.id)
        return True

    def locked_until(self, backup: BaseBackup, now: datetime) -> datetime | None:
        """Until when none of its files can be deleted by anybody."""
        versions = (backup.record_version, *backup.files.values())
        locks = [self._store.facts(version).locked_until(now) for version in versions]
        held = [lock for lock in locks if lock is not None]
        return min(held) if len(held) == len(locks) else None

    def lay_out(self, backup: BaseBackup, directory: Path) -> None:
        """Unpack it, as it arrives, into an empty data directory; its manifest too."""
        for file in backup.record.files:
            with self._store.open(backup.files[file.name]) as body:
                reader = DigestingReader(body)
                if file.name in UNPACKED_INTO:
                    _unpack(reader, directory / UNPACKED_INTO[file.name], file.name)
                else:
                    with (directory / file.name).open("xb") as target:
                        copyfileobj(cast("IO[bytes]", reader), target, READ_BYTES)
                reader.drain()
            if reader.hexdigest() != file.sha256:
                raise RestoreError(
                    f"{backup.prefix}{file.name} is not what was written: its SHA-256 is another",
                    hint="it was cut short or altered; an older base backup may be whole",
                )

    def _put(self, path: Path, prefix: str, retention: Retention | None) -> StoredFile:
        stored = self._store.put_file(path, f"{prefix}{path.name}", {}, retention)
        return StoredFile(name=path.name, size=stored.size, sha256=digest_of(path), tag=stored.tag)

    def _read(
        self, prefix: str, version: StoredVersion, versions: tuple[StoredVersion, ...]
    ) -> BaseBackup | None:
        """None when that is no record, or a file that it names is gone or altered."""
        try:
            record = BackupRecord.model_validate_json(self._store.read(version))
        except ValidationError:
            return None
        files = {}
        for file in record.files:
            for candidate in versions:
                if (candidate.key, candidate.size, candidate.tag) == (
                    f"{prefix}{file.name}",
                    file.size,
                    file.tag,
                ):
                    files[file.name] = candidate
        if len(files) < len(record.files):
            return None
        return BaseBackup(prefix, record, version, files)


def _replay_range(manifest: Path) -> tuple[int, int, int]:
    """Timeline and LSNs of the log that the backup needs (PostgreSQL 18, chapter 77)."""
    ranges = json.loads(manifest.read_text(encoding="utf-8"))["WAL-Ranges"]
    if len(ranges) != 1:
        raise BackupError(
            "a base backup spans more than one timeline", hint="take it again when no failover is going on"
        )
    return ranges[0]["Timeline"], parse_lsn(ranges[0]["Start-LSN"]), parse_lsn(ranges[0]["End-LSN"])


def _unpack(reader: DigestingReader, directory: Path, name: str) -> None:
    """Make the files and directories of a tar file; nothing outside of ``directory``, and nothing else."""
    try:
        # pg_basebackup writes several gzip members one after the other, which tarfile alone does not read.
        plain = gzip.GzipFile(fileobj=cast("IO[bytes]", reader))
        with plain, tarfile.open(fileobj=plain, mode="r|", bufsize=READ_BYTES) as archive:
            for member in archive:
                path = PurePosixPath(member.name)
                if path.is_absolute() or ".." in path.parts or not (member.isdir() or member.isreg()):
                    raise RestoreError(
                        f"{name} holds {member.name}, which has no place in a data directory",
                        hint="this is not what pg_basebackup wrote; try an older base backup",
                    )
                target = directory / path
                if member.isdir():
                    target.mkdir(mode=0o700, parents=True, exist_ok=True)
                    continue
                target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                content = archive.extractfile(member)
                with target.open("xb") as file:
                    if content is not None:
                        copyfileobj(content, file, READ_BYTES)
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise RestoreError(
            f"{name} is no whole tar.gz: {error}",
            hint="it was cut short or altered; an older base backup may be whole",
        ) from error
