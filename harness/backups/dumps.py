"""Whole copies in an S3 service, one object each, named by its date: what such tools do alike."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from shutil import copyfileobj
from tempfile import TemporaryDirectory
from typing import ClassVar

from harness.backups.object_store import (
    READ_BYTES,
    DigestingReader,
    Doom,
    Retention,
    StoredVersion,
    date_text,
    digest_of,
    store_of,
)
from harness.backups.piping import End, feed
from harness.backups.schedule import coming, every
from harness.backups.tampering import tamperings_of
from harness.errors import BackupError, HarnessError, RestoreError
from harness.facts import Endpoint, RecoveryPoint
from harness.scenario.models import Dumps, Protection
from harness.seams.drivers import Due, PartTimer, Setting, Store, Tampering, Vessel

KEY = re.compile(r"(?P<date>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)\.(?P<suffix>[a-z.]+)")


class DumpTool:
    """Dumps of one service, every ``every``, of which the newest ``keep`` are kept.

    Every version of a dump that exists counts as a recovery point, hidden behind a delete marker or
    overwritten: it can be restored by its version id. A dump is what its key says it is; whether it can be
    restored shows when it is.

    Args:
        name: of the protection; its keys begin with it.
        protection: of the tool that it is.
        source: the service that is dumped.
        store: its driver.
        setting: has the S3 service among its peers.

    Raises:
        BackupError: a dump could not be taken, or the bucket not be listed.
        RestoreError: a dump is truncated, empty, missing, or cannot be loaded.
        MissingToolError: a program that it needs is not installed.
    """

    tool: ClassVar[str]
    """Its name in a stack."""

    suffix: ClassVar[str]
    """What the keys of its dumps end in."""

    def __init__(
        self, name: str, protection: Protection, source: Endpoint, store: Store, setting: Setting
    ) -> None:
        if not isinstance(protection, Dumps) or protection.tool != self.tool:
            raise BackupError(
                f"the protection {name} is not one of tool {self.tool}",
                hint=f"a protection with `tool: {self.tool}` has `of`, `to`, `every` and `keep`",
            )
        self._name = name
        self._protection = protection
        self._source = source
        self._setting = setting
        self._driver = store
        self._store = store_of(protection.to, setting)

    def due(self, now: datetime, span: timedelta) -> tuple[Due, ...]:
        """The newest ``keep`` dumps of the last ``span``; see ``schedule.every``."""
        label = f"dump of {self._source.service}"
        return every(self._protection.every, self._protection.keep, now, span, label)

    def take(self, due: Due) -> RecoveryPoint:
        """Dump the service as it is now, dated ``due.at``."""
        with TemporaryDirectory(prefix="dump-", dir=self._setting.sandbox.root) as directory:
            dump = Path(directory) / "dump"
            self._write(dump)
            stored = self._store.put_file(
                dump,
                f"{self._name}/{date_text(due.at)}.{self.suffix}",
                self._metadata(due, dump),
                self._retention(due),
            )
        return self._point(stored, due.at, self._store.doom())

    def coming(self, present: datetime, since: datetime, until: datetime) -> tuple[Due, ...]:
        """A dump every ``every``; see ``schedule.coming``."""
        return coming(self._protection.every, present, since, until, f"dump of {self._source.service}")

    def expire(self, now: datetime, *, taken: bool) -> None:
        """Delete every version of a dump but the newest ``keep``; one that is locked stays.

        Newest is which was taken last: an old dump that logs bring forward covers as much as any.
        """
        del now
        newest_first = sorted(self.points() if taken else (), key=lambda point: point.taken, reverse=True)
        for point in newest_first[self._protection.keep :]:
            key, _, version = point.location.rpartition("@")
            with suppress(BackupError):
                self._store.remove(key, version)

    def start(self) -> None:
        """Nothing runs all the time."""

    def stop(self) -> None:
        """Nothing runs all the time."""

    def points(self) -> tuple[RecoveryPoint, ...]:
        """Every version of every dump in the bucket, newest first."""
        found, doom = [], self._store.doom()
        for version in self._store.versions(f"{self._name}/"):
            match = KEY.fullmatch(version.key.removeprefix(f"{self._name}/"))
            if match and match["suffix"] == self.suffix:
                found.append(self._point(version, datetime.fromisoformat(match["date"]), doom))
        return tuple(sorted(found, key=lambda point: point.covers_until, reverse=True))

    def tamperings(self, point: RecoveryPoint) -> tuple[Tampering, ...]:
        """A dump is one object; see ``harness.seams.drivers.Tamperable``."""
        now = self._now()
        return tamperings_of((point.location,), point.locked_until or now, now)

    def restore(self, point: RecoveryPoint, into: Vessel, mark: PartTimer) -> Endpoint:
        """Load the dump, by ``_fetched`` or ``_pour``; see ``harness.seams.drivers.BackupTool``."""
        raise NotImplementedError

    def _write(self, dump: Path) -> None:
        """Write a dump of the service as it is now into a file that is not there yet."""
        raise NotImplementedError

    @contextmanager
    def _fetched(self, point: RecoveryPoint, into: Vessel) -> Iterator[Path]:
        """A dump, beside the vessel's own files for the length of the block.

        Raises:
            RestoreError: it is not, byte for byte, what was written when it was taken.
        """
        dump = into.lease.directory / f"restore.{self.suffix}"
        version = self._find(point)
        self._refuse_altered(point, version, self._store.fetch(version, dump))
        try:
            yield dump
        finally:
            dump.unlink()

    @contextmanager
    def _checked_meanwhile(self, point: RecoveryPoint, dump: Path) -> Iterator[None]:
        """Fetch a dump into a file, and see whether it is what was written while the block reads it too.

        Raises:
            RestoreError: it is not, byte for byte, what was written, whatever error of ours the block raised.
        """
        version = self._find(point)
        with self._store.open(version) as body, dump.open("wb") as file:
            copyfileobj(body, file, READ_BYTES)
        with ThreadPoolExecutor(1, thread_name_prefix="digest") as digester:
            digest = digester.submit(digest_of, dump)
            try:
                yield
            except HarnessError:
                self._refuse_altered(point, version, digest.result())
                raise
            self._refuse_altered(point, version, digest.result())

    def _pour(self, point: RecoveryPoint, *sinks: End) -> str:
        """Have programs, each reading from the one before, read a dump as it arrives.

        Returns:
            Why one failed, with the end of what it said; empty when all ended well.

        Raises:
            RestoreError: what arrived is not, byte for byte, what was written.
        """
        version = self._find(point)
        with self._store.open(version) as body:
            reader = DigestingReader(body)
            complaint = feed(self._setting.sandbox, reader, *sinks)
        self._refuse_altered(point, version, reader.hexdigest())
        return complaint

    def _refuse_altered(self, point: RecoveryPoint, version: StoredVersion, digest: str) -> None:
        """Raises RestoreError unless what was read is, byte for byte, what was written.

        Args:
            point: of the dump.
            version: that was read.
            digest: SHA-256 of all of it, in hex.
        """
        if version.size == 0:
            raise RestoreError(f"the dump {point.location} is empty", hint="an older dump may be whole")
        noted = self._store.facts(version).metadata.get("sha256")
        if noted is not None and digest != noted:
            raise RestoreError(
                f"the dump {point.location} is not what was written: its SHA-256 is another",
                hint="it was cut short or altered; an older dump may be whole",
            )

    def _find(self, point: RecoveryPoint) -> StoredVersion:
        for version in self._store.versions(point.location.rpartition("@")[0]):
            if version.name == point.location:
                return version
        raise RestoreError(
            f"the dump {point.location} is no longer in {point.place}", hint="see which points are left"
        )

    def _point(self, version: StoredVersion, taken: datetime, doom: Doom) -> RecoveryPoint:
        facts = self._store.facts(version)
        return RecoveryPoint(
            id=version.name,
            protection=self._name,
            service=self._source.service,
            kind="dump",
            taken=taken,
            covers_until=taken,
            place=self._protection.to,
            location=version.name,
            size=version.size,
            locked_until=facts.locked_until(self._now()),
            doomed_at=doom.at((version,), taken),
        )

    def _metadata(self, due: Due, dump: Path) -> Mapping[str, str]:
        return {
            "taken": date_text(due.at),
            "sha256": digest_of(dump),
            "service": self._source.service,
            "protection": self._name,
        }

    def _retention(self, due: Due) -> Retention | None:
        return Retention.of(self._protection.lock, due.at, self._now())

    def _now(self) -> datetime:
        return self._setting.clock.stamp().wall
