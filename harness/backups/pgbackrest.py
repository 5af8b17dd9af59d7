"""A pgBackRest repository: full and partial backups, and the log that the server itself archives in it.

The program is the machine's own. It reads and writes the server's files as the account that the server runs
as, and the server archives with it: what is not archived when the server is lost, is lost. That can be as
much as fits into one segment of the log, or was written within ``archive_timeout``.

``pgbackrest info`` lists backups whose files are gone. Here a backup whose manifest is gone, or that of one
which it builds on, is no recovery point; damage inside shows when it is restored, since pgBackRest compares
the checksum of every file. Log is different: for PostgreSQL a segment that cannot be had ends the log, so a
restore insists on the last commit that the archive was found to hold, or on the instant that was asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory

from harness.backups.backrest_archiving import Archiving, quoted
from harness.backups.backrest_listing import STANZAS, TAKEN, Backup
from harness.backups.backrest_log import ArchivedLog, segment_of
from harness.backups.backrest_program import HINT, OLDER, Program
from harness.backups.backrest_repository import Repository, repository_of
from harness.backups.wal_archive import SegmentGrid
from harness.errors import BackupError, RestoreError
from harness.facts import Endpoint, RecoveryPoint
from harness.scenario.models import PgBackRest, Protection
from harness.seams.drivers import Database, Due, PartTimer, Setting, Vessel


class PgBackRestTool:
    """Full backups, of which the newest ``keep`` are kept, partial ones between them, and all log since.

    Args:
        name: of the protection; its repository lies below that prefix.
        protection: of tool ``pgbackrest``.
        source: the service that is backed up, whose server was started to archive.
        database: how to ask it.
        setting: has the repository's place among its peers.

    Raises:
        BackupError: a backup could not be taken, log not be archived, or the repository not be listed.
        RestoreError: something is missing or altered, or the server does not accept it.
        MissingToolError: pgBackRest is not installed, or does not know the server's release.
    """

    def __init__(
        self, name: str, protection: Protection, source: Endpoint, database: Database, setting: Setting
    ) -> None:
        if not isinstance(protection, PgBackRest):
            raise BackupError(
                f"the protection {name} is not one of tool pgbackrest",
                hint="a protection with `tool: pgbackrest` has `of` and `to`",
            )
        self._name = name
        self._protection = protection
        self._source = source
        self._setting = setting
        self._repository: Repository = repository_of(protection.to, name, setting)
        self._archiving = Archiving(setting.sandbox.root / f"pgbackrest-{name}", source, database, setting)
        self._grid = SegmentGrid(self._archiving.segment_size())
        self._program = Program.of(source, setting.sandbox)
        self._listed: tuple[Mapping[str, int], ArchivedLog] | None = None

    def due(self, now: datetime, span: timedelta) -> tuple[Due, ...]:
        """The full backups that are kept of the last ``span``, and the partial ones that followed each.

        The newest is as old as it is at worst; at the beginning of ``span`` if none falls into it.
        """
        full = self._protection.full_every
        ages: set[timedelta] = set()
        for number in range(1, self._protection.keep + 1):
            ages.add(full * number)
            for every in filter(
                None, (self._protection.differential_every, self._protection.incremental_every)
            ):
                between = range(1, ceil(full / every))
                ages |= {full * number - every * count for count in between}
        kept = sorted((age for age in ages if age <= span), reverse=True)
        label = f"pgBackRest backup of {self._source.service}"
        return tuple(Due(now - age, label) for age in kept or [span])

    def take(self, due: Due) -> RecoveryPoint:
        """Take a backup of the service as it is now, dated ``due.at``; what is too old then expires.

        It is a full one, a differential or an incremental one, whichever is due by the dates of those before.
        """
        self._begin_archiving()
        with self._repository.changing(), self._configured() as configuration:
            kind = self._kind_due(due.at, self._backups(configuration))
            options = [f"--type={kind}", f"--annotation={TAKEN}={due.at.isoformat()}"]
            self._program.run(configuration, "backup", options, connects=True)
            (newest, *_) = sorted(self._backups(configuration), key=lambda each: each.label, reverse=True)
            if self._protection.lock is not None:
                self._repository.lock(self._protection.lock, due.at)
        for point in self.points():
            if point.location == newest.label:
                return point
        raise BackupError(
            f"the backup {newest.label} cannot be found again in {self._protection.to}",
            hint="something deletes what is written there; look at its lifecycle rules",
        )

    def start(self) -> None:
        """Have everything written so far archived, and whatever comes from now on locked, if it is to be."""
        self._begin_archiving()
        if self._protection.lock is not None:
            self._repository.lock_what_comes(self._protection.lock)
        self._archiving.flush()

    def stop(self) -> None:
        """Have what is left archived, and no more from then on. Idempotent.

        What cannot be archived any more is missing from ``points``; it is no error here.
        """
        self._archiving.end()

    def points(self) -> tuple[RecoveryPoint, ...]:
        """One for each backup that is listed and there; what goes furthest first, then what is newest."""
        with self._configured() as configuration:
            files = self._repository.files()
            log, doomed = self._log(files), self._repository.doomed_at()
            self._listed = files, log
            found = [
                self._point(each, files, log, doomed)
                for each in self._backups(configuration)
                if self._is_there(each, files)
            ]
        return tuple(sorted(found, key=lambda point: (point.covers_until, point.taken), reverse=True))

    def restore(self, point: RecoveryPoint, into: Vessel, mark: PartTimer) -> Endpoint:
        """Restore everything that a point covers."""
        return self.restore_to(point, into, mark, None)

    def restore_to(
        self, point: RecoveryPoint, into: Vessel, mark: PartTimer, until: datetime | None
    ) -> Endpoint:
        """Restore what the service held at an instant; see ``harness.seams.drivers.PointInTime``.

        Raises:
            RestoreError: as for ``restore``; also when the log ends before what the point covers.
        """
        mark("provision")
        files = self._repository.files()
        with self._configured(into.lease.directory) as configuration:
            backup = self._find(configuration, point, files)
            last = self._log_as_listed(files).chain(backup).last
            mark("restore")
            options = [f"--set={backup.label}", f"--pg1-path={into.directory}", *self._as_of()]
            self._program.run(configuration, "restore", options, RestoreError)
            mark("replay")
            fetch = [*self._program.command(configuration), f"--pg1-path={into.directory}", *self._as_of()]
            settings = {
                "restore_command": f'{quoted([*fetch, "archive-get"])} %f "%p"',
                "recovery_target_timeline": "latest",
                "recovery_target_action": "promote",
            }
            if until is not None and last is not None and until < last.at:
                settings["recovery_target_time"] = until.isoformat()
            elif last is not None:
                # Log that cannot be read would end the replay early, and nothing would tell.
                settings["recovery_target_lsn"] = last.lsn
            return into.start(settings)

    def _kind_due(self, at: datetime, backups: Sequence[Backup]) -> str:
        """What a schedule with these intervals runs at ``at``."""
        protection = self._protection
        fulls = [each.taken for each in backups if each.type == "full"]
        if not fulls or max(fulls) + protection.full_every <= at:
            return "full"
        whole = [each.taken for each in backups if each.type != "incr"]
        every = protection.differential_every
        if every is not None and max(whole) + every <= at:
            return "diff"
        return "incr" if protection.incremental_every is not None else "full"

    def _backups(self, configuration: Path) -> tuple[Backup, ...]:
        """Those that pgBackRest lists; none when there is no repository any more."""
        if not self._repository.files():
            return ()
        told = self._program.run(configuration, "info", ["--output=json", *self._as_of()])
        stanzas = STANZAS.validate_json(told)
        for stanza in stanzas:
            if stanza.trouble:
                raise BackupError(f"pgbackrest info: {stanza.trouble}", hint=HINT)
        return tuple(backup for stanza in stanzas for backup in stanza.backup)

    def _is_there(self, backup: Backup, files: Mapping[str, int]) -> bool:
        """Whether its manifest is, and those of the backups that it builds on."""
        return all(f"{self._place_of(label)}backup.manifest" in files for label in backup.labels)

    def _place_of(self, label: str) -> str:
        return f"backup/{self._program.stanza}/{label}/"

    def _find(self, configuration: Path, point: RecoveryPoint, files: Mapping[str, int]) -> Backup:
        try:
            backups = self._backups(configuration)
        except BackupError as error:
            raise RestoreError(error.message, hint=OLDER) from error
        for backup in backups:
            if backup.label == point.location and self._is_there(backup, files):
                return backup
        raise RestoreError(
            f"the backup {point.location} is not whole: it, or one that it builds on, is gone",
            hint="list the points again; an older backup may be whole",
        )

    def _point(
        self, backup: Backup, files: Mapping[str, int], log: ArchivedLog, doomed: datetime | None
    ) -> RecoveryPoint:
        chain = log.chain(backup)
        needed = [
            name
            for name in files
            if any(name.startswith(self._place_of(label)) for label in backup.labels)
            or (name in chain.files and segment_of(name) <= backup.archive.stop)
        ]
        return RecoveryPoint(
            id=f"{self._name}/{backup.label}",
            protection=self._name,
            service=self._source.service,
            kind="continuous",
            taken=backup.taken,
            covers_until=max(backup.taken, backup.finished, chain.last.at if chain.last else backup.taken),
            place=self._protection.to,
            location=backup.label,
            size=backup.info.repository.delta + sum(files[name] for name in chain.files),
            locked_until=self._repository.locked_until(needed, self._setting.clock.stamp().wall),
            doomed_at=doomed,
        )

    def _log(self, files: Mapping[str, int]) -> ArchivedLog:
        return ArchivedLog(self._repository, files, self._program.stanza, self._grid, self._setting.sandbox)

    def _log_as_listed(self, files: Mapping[str, int]) -> ArchivedLog:
        """Without reading it again, if the same files are there as when the points were last listed.

        Whoever has altered one since does not get by with it: the replay then ends before the commit that
        it must reach, which is an error.
        """
        if self._listed is not None and self._listed[0] == files:
            return self._listed[1]
        return self._log(files)

    def _begin_archiving(self) -> None:
        """Have the server archive, unless it does already."""
        if self._archiving.runs:
            return
        with self._configured() as configuration:
            self._program.run(configuration, "stanza-create", connects=True)
        self._archiving.begin(self._program, self._configure, self._protection.archive_timeout)

    @contextmanager
    def _configured(self, parent: Path | None = None) -> Iterator[Path]:
        """A configuration for as long as the block runs."""
        place = parent or self._setting.sandbox.root
        with TemporaryDirectory(prefix="pgbackrest-", dir=place) as directory:
            yield self._configure(Path(directory))

    def _configure(self, directory: Path) -> Path:
        """It has the keys of the store."""
        return self._program.configure(directory, self._repository.settings(directory), self._protection.keep)

    def _as_of(self) -> list[str]:
        instant = self._repository.instant()
        return [] if instant is None else ["--repo=1", f"--repo-target-time={instant:%Y-%m-%d %H:%M:%S+00}"]
