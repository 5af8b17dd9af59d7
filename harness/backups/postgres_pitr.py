"""Base backups and a continuous archive of write-ahead log in an S3 service: restore to any instant.

Base backups are taken with ``pg_basebackup``, which brings along the log that makes each consistent by
itself. All log that is written from then on is received by ``pg_receivewal`` over a replication slot and
shipped, piece by piece, by a process of its own (``wal_shipper``).

What is missing decides what can be restored. A base backup without one of its files is no recovery point.
A gap in the archive ends what the points before it cover: ``covers_until`` says up to where, and a restore
goes exactly that far. Log that turns out, while it is read, not to be what was written is a RestoreError.
"""

from __future__ import annotations

import re
import shlex
import shutil
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from harness.backups.base_backup import BaseBackup, BaseBackupShelf, ServerFacts
from harness.backups.client_tools import ClientTool
from harness.backups.companion import Access
from harness.backups.lifecycle import first_of
from harness.backups.object_store import Doom, Retention, store_of
from harness.backups.schedule import coming
from harness.backups.tampering import tamperings_of
from harness.backups.wal_archive import Piece, WalArchive, chain_from
from harness.backups.wal_shipper import WAL_DIRECTORY, Order
from harness.backups.wal_shipping import WalShipping
from harness.errors import BackupError, DatabaseError, Failure, RestoreError
from harness.facts import Endpoint, RecoveryPoint
from harness.scenario.models import PostgresPitr, Protection
from harness.seams.drivers import Database, Due, EquippedVessel, PartTimer, Setting, Tampering, Vessel

ARCHIVE_DIRECTORY = "wal-archive"
CREATE_SLOT = """
    SELECT pg_create_physical_replication_slot(:slot, immediately_reserve => true)
    WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = :slot)
"""
SERVER_FACTS = """
    SELECT current_setting('server_version_num')::int,
           (SELECT setting::bigint FROM pg_settings WHERE name = 'wal_segment_size')
"""
TARGET_NOT_REACHED = "recovery ended before configured recovery target was reached"


class PostgresPitrTool:
    """Base backups every ``base_every``, of which the newest ``keep`` are kept, and all log since.

    Args:
        name: of the protection; its keys begin with it.
        protection: of tool ``postgres-pitr``.
        source: the service that is backed up; its operator may replicate.
        database: how to ask it.
        setting: has the S3 service among its peers.

    Raises:
        BackupError: a base backup could not be taken, log not be shipped, or the bucket not be listed.
        RestoreError: something is missing or altered, or the server does not accept it.
        MissingToolError: PostgreSQL's client programs are not installed.
    """

    def __init__(
        self, name: str, protection: Protection, source: Endpoint, database: Database, setting: Setting
    ) -> None:
        if not isinstance(protection, PostgresPitr):
            raise BackupError(
                f"the protection {name} is not one of tool postgres-pitr",
                hint="a protection with `tool: postgres-pitr` has `of` and `to`",
            )
        self._name = name
        self._protection = protection
        self._source = source
        self._database = database
        self._setting = setting
        store = store_of(protection.to, setting)
        self._store = store
        self._shelf = BaseBackupShelf(store, name)
        self._archive = WalArchive(store, name)
        self._shipping = WalShipping(setting.sandbox, setting.clock)

    def due(self, now: datetime, span: timedelta) -> tuple[Due, ...]:
        """The newest ``keep`` base backups of the last ``span``; at its beginning if none falls into it.

        The newest is ``base_every`` old, as it is at worst.
        """
        every, keep = self._protection.base_every, self._protection.keep
        ages = [every * number for number in range(keep, 0, -1) if every * number <= span]
        label = f"base backup of {self._source.service}"
        return tuple(Due(now - age, label) for age in ages or [span])

    def take(self, due: Due) -> RecoveryPoint:
        """Take a base backup of the service as it is now, dated ``due.at``; shipping begins before it."""
        if not self._shipping.runs:
            self._begin_shipping()
        server = self._server_facts()
        with TemporaryDirectory(prefix="pg_basebackup-", dir=self._setting.sandbox.root) as directory:
            target = Path(directory) / "backup"
            self._tool("pg_basebackup").run(
                [
                    f"--pgdata={target}",
                    "--format=tar",
                    "--compress=client-gzip:1",
                    "--wal-method=stream",
                    "--checkpoint=fast",
                    "--no-sync",
                ],
                server=self._source,
            )
            finished = self._now()
            retention = Retention.of(self._protection.lock, due.at, finished)
            prefix = self._shelf.add(target, due.at, finished, server, retention)
        self._shipping.await_ready()
        for point in self.points():
            if point.location == prefix:
                return point
        raise BackupError(
            f"the base backup {prefix} cannot be found again in {self._protection.to}",
            hint="something deletes what is written there; look at its lifecycle rules",
        )

    def coming(self, present: datetime, since: datetime, until: datetime) -> tuple[Due, ...]:
        """A base backup every ``base_every``; see ``schedule.coming``."""
        label = f"base backup of {self._source.service}"
        return coming(self._protection.base_every, present, since, until, label)

    def expire(self, now: datetime, *, taken: bool) -> None:
        """Delete all base backups but the newest ``keep``, and the log that only those before it needed.

        To an instant before the oldest that is left nobody can restore any longer. What is locked stays.
        """
        del now
        backups = self._shelf.all() if taken else ()
        over = backups[self._protection.keep :]
        removed = [backup for backup in over if self._shelf.remove(backup)]
        if removed:
            left = [backup.record.first_segment for backup in backups if backup not in removed]
            self._archive.remove_before(min(left))

    def start(self) -> None:
        """Begin to ship log, unless it runs already; returns when everything written so far is archived."""
        if not self._shipping.runs:
            self._begin_shipping()
        self._shipping.await_caught_up()

    def stop(self) -> None:
        """Ship what is left, and end shipping. Idempotent."""
        if self._shipping.runs:
            self._shipping.stop()
            # By now all of it is in the archive; a server that is reset meanwhile writes other log there.
            shutil.rmtree(self._shipper_directory / WAL_DIRECTORY, ignore_errors=True)

    def points(self) -> tuple[RecoveryPoint, ...]:
        """One for each base backup that is complete; what goes furthest first, then what is newest."""
        pieces = self._archive.pieces()
        doom = self._store.doom()
        found = [self._point(backup, pieces, doom) for backup in self._shelf.all()]
        return tuple(sorted(found, key=lambda point: (point.covers_until, point.taken), reverse=True))

    def tamperings(self, point: RecoveryPoint) -> tuple[Tampering, ...]:
        """Files of the base backup, and pieces of the log; see ``harness.seams.drivers.Tamperable``."""
        backup = self._find(point)
        chain = chain_from(self._archive.pieces(), backup.record.last_segment, backup.record.grid)
        versions = (backup.record_version, *backup.files.values(), *(piece.version for piece in chain.pieces))
        now = self._now()
        return tamperings_of((version.name for version in versions), point.locked_until or now, now)

    def restore(self, point: RecoveryPoint, into: Vessel, mark: PartTimer) -> Endpoint:
        """Restore everything that a point covers."""
        return self.restore_to(point, into, mark, None)

    def restore_to(
        self, point: RecoveryPoint, into: Vessel, mark: PartTimer, until: datetime | None
    ) -> Endpoint:
        """Restore what the service held at an instant; see ``harness.seams.drivers.PointInTime``."""
        mark("provision")
        archive = into.lease.directory / ARCHIVE_DIRECTORY
        archive.mkdir(mode=0o700)
        mark("restore")
        backup = self._find(point)
        self._check_version(backup, into)
        self._shelf.lay_out(backup, into.directory)
        self._verify(into)
        chain = chain_from(self._archive.pieces(), backup.record.last_segment, backup.record.grid)
        self._archive.fetch(chain, archive, backup.record.grid)
        self._setting.sandbox.give(archive)
        (into.directory / "recovery.signal").touch()
        mark("replay")
        # Commits are dated by the server as they happen. What the point covered when it was listed tells
        # nothing: the harm may have been archived since. When the archive ends before the instant, all of it
        # is wanted, and a server told to stop there gives up (PostgreSQL 18, section 19.5.6).
        try:
            endpoint = into.start(_recovery_settings(archive, until))
        except RestoreError as error:
            if TARGET_NOT_REACHED not in error.message:
                raise
            endpoint = into.start(_recovery_settings(archive, None))
        shutil.rmtree(archive)
        return endpoint

    def _begin_shipping(self) -> None:
        try:
            self._database.query(self._source, CREATE_SLOT, {"slot": self._slot})
        except DatabaseError as error:
            raise BackupError(
                f"no replication slot can be made on {self._source.service}: {error.message}",
                hint="the server must run with wal_level=replica, and have a slot left",
            ) from error
        lock = self._protection.lock
        self._shipping.start(
            Order(
                protection=self._name,
                source=Access.to(self._source),
                place=Access.to(self._setting.peers[self._protection.to]),
                slot=self._slot,
                segment_size=self._server_facts().segment_size,
                ship_every=self._protection.ship_every.total_seconds(),
                lock_mode=lock.mode if lock else None,
                lock_seconds=lock.for_.total_seconds() if lock else 0.0,
                directory=str(self._shipper_directory),
                cache=str(self._setting.sandbox.cache),
            )
        )

    def _server_facts(self) -> ServerFacts:
        try:
            ((version, segment_size),) = self._database.query(self._source, SERVER_FACTS, {})
        except DatabaseError as error:
            raise BackupError(
                f"{self._source.service} cannot be backed up: {error.message}",
                hint="the server must be up while it is backed up",
            ) from error
        return ServerFacts(self._source.service, int(str(version)), int(str(segment_size)))

    def _point(self, backup: BaseBackup, pieces: tuple[Piece, ...], doom: Doom) -> RecoveryPoint:
        chain = chain_from(pieces, backup.record.last_segment, backup.record.grid)
        archived = self._archive.covers_until(chain)
        finished = backup.record.finished
        ends = (
            doom.at(backup.files.values(), backup.record.taken),
            doom.at(piece.version for piece in chain.pieces),
        )
        return RecoveryPoint(
            id=backup.prefix,
            protection=self._name,
            service=backup.record.service,
            kind="continuous",
            taken=backup.record.taken,
            covers_until=finished if archived is None else max(finished, archived),
            place=self._protection.to,
            location=backup.prefix,
            size=backup.size + chain.size,
            locked_until=self._shelf.locked_until(backup, self._now()),
            doomed_at=first_of(ends),
        )

    def _find(self, point: RecoveryPoint) -> BaseBackup:
        for backup in self._shelf.all():
            if backup.prefix == point.location:
                return backup
        raise RestoreError(
            f"the base backup {point.location} is not whole: one of its files is gone or altered",
            hint="list the points again; an older base backup may be whole",
        )

    def _check_version(self, backup: BaseBackup, into: Vessel) -> None:
        """Raises RestoreError unless the backup is of the PostgreSQL release that is to start from it."""
        ours, theirs = self._release(into), backup.record.server_version // 10000
        if ours != theirs:
            raise RestoreError(
                f"{backup.prefix} is a backup of PostgreSQL {theirs}; here is PostgreSQL {ours}",
                hint=f"a base backup only fits its own major release; install PostgreSQL {theirs}",
            )

    def _release(self, into: Vessel) -> int:
        if isinstance(into, EquippedVessel):
            return into.release()
        told = self._tool("pg_verifybackup", RestoreError).run(["--version"])
        match = re.search(r"\(PostgreSQL\) (\d+)", told)
        return int(match[1]) if match else 0

    def _verify(self, into: Vessel) -> None:
        """Raises RestoreError unless what lies there is what the backup's manifest says."""
        options = ["--exit-on-error", "--quiet", str(into.directory)]
        if not isinstance(into, EquippedVessel):
            self._tool("pg_verifybackup", RestoreError).run(options)
            return
        self._setting.sandbox.give(into.directory)
        ran = into.call(["pg_verifybackup", *options])
        if ran.returncode != 0:
            raise RestoreError(
                f"pg_verifybackup failed with exit code {ran.returncode}: {ran.stderr.strip()}",
                hint="the backup is damaged, or was changed; an older one may be whole",
            )

    @property
    def _shipper_directory(self) -> Path:
        return self._setting.sandbox.root / "shippers" / self._name

    @property
    def _slot(self) -> str:
        return f"ninelives_{self._name.replace('-', '_')}"[:63]

    def _now(self) -> datetime:
        return self._setting.clock.stamp().wall

    def _tool(self, name: str, failure: Failure = BackupError) -> ClientTool:
        hint = "see what it says; does the server still run, and is there room on the disk?"
        return ClientTool(name, self._setting.sandbox, failure, hint)


def _recovery_settings(archive: Path, until: datetime | None) -> dict[str, str]:
    """Settings of a server that replays an archive and then opens (PostgreSQL 18, section 19.5.5)."""
    directory = shlex.quote(str(archive).replace("%", "%%"))
    settings = {
        "restore_command": f"cp {directory}/%f %p",
        "recovery_target_timeline": "latest",
        "recovery_target_action": "promote",
    }
    if until is not None:
        settings["recovery_target_time"] = until.isoformat()
    return settings
