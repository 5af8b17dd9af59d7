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

import gzip
import re
import shlex
import shutil
import subprocess
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha1
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
from psycopg.sql import SQL, Identifier, Literal
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from harness.backups.backrest_repository import Repository, repository_of
from harness.backups.client_tools import TAIL_LINES
from harness.backups.wal_archive import SegmentGrid
from harness.errors import BackupError, DatabaseError, Failure, HarnessError, MissingToolError, RestoreError
from harness.facts import OPERATOR, Endpoint, RecoveryPoint
from harness.scenario.models import PgBackRest, Protection
from harness.seams.drivers import Database, Due, PartTimer, Setting, Vessel
from harness.seams.postgres_client import connect
from harness.seams.postgres_tools import binary, connection_environment

PROGRAM = "pgbackrest"
INSTALL = "install it: apt-get install pgbackrest, or see https://pgbackrest.org; PostgreSQL 18 takes 2.55.1"
CONFIGURATION = "pgbackrest.conf"
TAKEN = "taken"
"""The annotation with a backup's date in scenario time; pgBackRest's own are those of the clock."""

TROUBLE = 99
"""``info`` ends well whatever happens, and then says this of the repository."""

UNREADABLE = "unable to load info file"
"""The list of backups is damaged, and so is its copy: nothing can be restored from there."""

TOOL_SECONDS = 3600.0
PATIENCE_SECONDS = 60.0
POLL_SECONDS = 0.02
UNKNOWN_RELEASE = re.compile(r"unexpected control version = (\d+)|VersionNotSupportedError")
SEGMENT = re.compile(
    r"archive/(?P<stanza>[^/]+)/(?P<id>[^/]+)/[0-9A-F]{16}/"
    r"(?P<segment>[0-9A-F]{24})-(?P<sha1>[0-9a-f]{40})\.gz"
)
COMMIT = re.compile(r"\blsn: (\S+), .*\bdesc: COMMIT (?:PREPARED )?(\S+ \S+) UTC")
SERVER = """
    SELECT current_setting('archive_mode'),
           (SELECT setting::bigint FROM pg_settings WHERE name = 'wal_segment_size')
"""
ALTER_SYSTEM = SQL("ALTER SYSTEM SET {} = {}")
ARCHIVES = "SELECT current_setting('archive_command')"
SWITCH = "SELECT pg_walfile_name(pg_switch_wal() - 1)"
ARCHIVED = """
    SELECT NOT EXISTS (
               SELECT FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready' AND left(name, 24) <= :segment
           ),
           (SELECT coalesce(last_failed_time > :asked::timestamptz, false) FROM pg_stat_archiver)
"""
"""``last_archived_wal`` would not do: a backup's own file is archived after segments that follow it."""

HINT = "see what it says; does the server still run, and is the repository's place still there?"
OLDER = "an older backup may be whole; `pgbackrest verify` tells what the repository lacks"


class Archived(BaseModel):
    """The log that a backup needs to be consistent."""

    model_config = ConfigDict(frozen=True)

    start: str
    stop: str


class Stamps(BaseModel):
    """When a backup began and ended, in seconds since 1970."""

    model_config = ConfigDict(frozen=True)

    start: int
    stop: int


class Delta(BaseModel):
    """Bytes that a backup added to the repository."""

    model_config = ConfigDict(frozen=True)

    delta: int = 0


class Sizes(BaseModel):
    """How large a backup is."""

    model_config = ConfigDict(frozen=True)

    repository: Delta = Delta()


class Backup(BaseModel):
    """A backup as ``pgbackrest info --output=json`` lists it; what else it says is of no interest."""

    model_config = ConfigDict(frozen=True)

    label: str
    type: str
    archive: Archived
    timestamp: Stamps
    info: Sizes = Sizes()
    annotation: Mapping[str, str] = Field(default_factory=dict)
    reference: tuple[str, ...] | None = None

    @property
    def taken(self) -> datetime:
        """Its date in scenario time."""
        noted = self.annotation.get(TAKEN)
        return datetime.fromisoformat(noted) if noted else self.finished

    @property
    def finished(self) -> datetime:
        """When it was complete, by the wall clock: it brings back everything up to then."""
        return datetime.fromtimestamp(self.timestamp.stop, UTC)

    @property
    def labels(self) -> tuple[str, ...]:
        """Its own, and those of the backups that it builds on."""
        return (self.label, *(self.reference or ()))


class Status(BaseModel):
    """What became of looking at a repository."""

    model_config = ConfigDict(frozen=True)

    code: int
    message: str


class Look(BaseModel):
    """One look at a repository."""

    model_config = ConfigDict(frozen=True)

    status: Status


class Stanza(BaseModel):
    """All backups of one server."""

    model_config = ConfigDict(frozen=True)

    backup: tuple[Backup, ...] = ()
    repo: tuple[Look, ...] = ()

    @property
    def trouble(self) -> str:
        """Why nobody knows which backups there are; empty when that is known."""
        looks = [look.status.message for look in self.repo if look.status.code == TROUBLE]
        return next((_tail(told) for told in looks if UNREADABLE not in told), "")


STANZAS: TypeAdapter[tuple[Stanza, ...]] = TypeAdapter(tuple[Stanza, ...])


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
        self._database = database
        self._setting = setting
        self._repository: Repository = repository_of(protection.to, name, setting)
        self._program = installed()
        self._commits: dict[str, Commit | None] = {}
        self._grid = SegmentGrid(self._segment_size())
        self._refuse_unknown_release()

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
            options = [
                f"--type={kind}",
                f"--annotation={TAKEN}={due.at.isoformat()}",
                *self._server_options(),
            ]
            self._run(configuration, "backup", options, BackupError, connection_environment(self._source))
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
        if not self._flush(give_up_early=False):
            raise BackupError(
                f"{self._source.service} does not archive its log within {PATIENCE_SECONDS:.0f} s",
                hint=f"its server's log says why: {self._source.lease.directory / 'postgres.log'}",
            )

    def stop(self) -> None:
        """Have what is left archived, and no more from then on. Idempotent.

        What cannot be archived any more is missing from ``points``; it is no error here.
        """
        if not self._home.exists():
            return
        with suppress(DatabaseError):  # the server may be gone, and its archiving with it
            if self._archives():
                self._flush(give_up_early=True)
                self._set_up_server({"archive_command": ""})
        shutil.rmtree(self._home)

    def points(self) -> tuple[RecoveryPoint, ...]:
        """One for each backup that is listed and there; what goes furthest first, then what is newest."""
        self._commits.clear()
        with self._configured() as configuration:
            files = self._repository.files()
            doomed = self._repository.doomed_at()
            found = [
                self._point(each, files, doomed)
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
        """Restore what the service held at an instant, so that what happened after it is undone.

        Args:
            point: from ``points``.
            into: where to.
            mark: as for ``restore``.
            until: wall time of the live part; None, or an instant after the last commit that is archived,
                for everything.

        Raises:
            RestoreError: as for ``restore``; also when the log ends before what the point covers.
        """
        mark("provision")
        self._commits.clear()
        files = self._repository.files()
        with self._configured(into.lease.directory) as configuration:
            backup = self._find(configuration, point, files)
            last = self._chain(backup, files).last
            mark("restore")
            options = [f"--set={backup.label}", f"--pg1-path={into.directory}", *self._as_of()]
            self._run(configuration, "restore", options, RestoreError, {})
            mark("replay")
            fetch = [*self._command(configuration), f"--pg1-path={into.directory}", *self._as_of()]
            settings = {
                "restore_command": f'{_quoted([*fetch, "archive-get"])} %f "%p"',
                "recovery_target_timeline": "latest",
                "recovery_target_action": "promote",
            }
            if until is not None and last is not None and until < last.at:
                settings["recovery_target_time"] = until.isoformat()
            elif last is not None:
                # Log that cannot be read would end the replay early, and nothing would tell.
                settings["recovery_target_lsn"] = last.lsn
            return into.start(settings)

    # --- backups ---------------------------------------------------------------------------------------

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
        told = self._run(configuration, "info", ["--output=json", *self._as_of()], BackupError, {})
        stanzas = STANZAS.validate_json(told)
        for stanza in stanzas:
            if stanza.trouble:
                raise BackupError(f"pgbackrest info: {stanza.trouble}", hint=HINT)
        return tuple(backup for stanza in stanzas for backup in stanza.backup)

    def _is_there(self, backup: Backup, files: Mapping[str, int]) -> bool:
        """Whether its manifest is, and those of the backups that it builds on."""
        return all(f"{self._place_of(label)}backup.manifest" in files for label in backup.labels)

    def _place_of(self, label: str) -> str:
        return f"backup/{self._stanza}/{label}/"

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

    def _point(self, backup: Backup, files: Mapping[str, int], doomed: datetime | None) -> RecoveryPoint:
        chain = self._chain(backup, files)
        needed = [
            name
            for name in files
            if any(name.startswith(self._place_of(label)) for label in backup.labels)
            or (name in chain.files and _segment(name) <= backup.archive.stop)
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
            locked_until=self._repository.locked_until(needed, self._now()),
            doomed_at=doomed,
        )

    # --- log -------------------------------------------------------------------------------------------

    def _chain(self, backup: Backup, files: Mapping[str, int]) -> Chain:
        """The log that is there without a gap from where the backup begins."""
        archived = {_segment(name): name for name in sorted(files) if self._is_log(name)}
        names: list[str] = []
        segment = backup.archive.start
        while segment in archived:
            names.append(archived[segment])
            segment = self._grid.after(segment)
        for name in reversed(names):
            if _segment(name) <= backup.archive.stop:
                break
            commit = self._newest_commit(name)
            if commit is not None:
                return Chain(tuple(names), commit)
        return Chain(tuple(names), None)

    def _is_log(self, name: str) -> bool:
        found = SEGMENT.fullmatch(name)
        return found is not None and found["stanza"] == self._stanza

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
        with TemporaryDirectory(prefix="pgbackrest-", dir=self._setting.sandbox.root) as directory:
            segment = Path(directory) / found["segment"]
            segment.write_bytes(content)
            ran = self._setting.sandbox.call([binary("pg_waldump"), "--rmgr=Transaction", segment, segment])
        commits = COMMIT.findall(ran.stdout)
        if not commits:
            return None
        lsn, at = commits[-1]
        return Commit(datetime.fromisoformat(at).replace(tzinfo=UTC), lsn)

    # --- the server ------------------------------------------------------------------------------------

    def _segment_size(self) -> int:
        """Bytes; raises BackupError for a server that was not started to archive."""
        try:
            ((mode, size),) = self._database.query(self._source, SERVER, {})
        except DatabaseError as error:
            raise BackupError(
                f"{self._source.service} cannot be backed up: {error.message}",
                hint="the server must be up when its protections are set up",
            ) from error
        if mode != "on":
            raise BackupError(
                f"the server of {self._source.service} cannot archive: its archive_mode is {mode}",
                hint="pgBackRest works on the files of an embedded server: leave `--provider docker` out",
            )
        return int(str(size))

    def _refuse_unknown_release(self) -> None:
        """Raises MissingToolError unless pgBackRest can read the server's files; nothing stays of trying."""
        with TemporaryDirectory(prefix="pgbackrest-", dir=self._setting.sandbox.root) as place:
            directory = Path(place)
            configuration = _write(directory, {"repo1-type": "posix", "repo1-path": place})
            self._setting.sandbox.give(directory)
            options = ["--no-online", f"--pg1-path={self._source.path}"]
            try:
                ran = self._call(configuration, "stanza-create", options, {}, BackupError)
            except PermissionError as error:
                raise MissingToolError(
                    f"the account that servers run as may not run {self._program}: {error}",
                    hint="put it where everybody may, such as /usr/local/bin",
                ) from error
        if UNKNOWN_RELEASE.search(ran.stderr):
            raise MissingToolError(
                f"{self._program} does not know the PostgreSQL release of {self._source.service}: "
                f"{_tail(ran.stderr)}",
                hint=INSTALL,
            )
        _refuse_failure(ran, "stanza-create", BackupError)

    def _begin_archiving(self) -> None:
        """Have the server archive, unless it does already."""
        if self._home.exists():
            return
        with self._configured() as configuration:
            options, environment = self._server_options(), connection_environment(self._source)
            self._run(configuration, "stanza-create", options, BackupError, environment)
        self._home.mkdir(mode=0o700)
        configuration = self._configure(self._home)
        push = [*self._command(configuration), f"--pg1-path={self._source.path}", "archive-push"]
        seconds = max(1, ceil(self._protection.archive_timeout.total_seconds()))
        try:
            self._set_up_server({"archive_timeout": str(seconds), "archive_command": f'{_quoted(push)} "%p"'})
            if self._await(self._archives):
                return
            why = f"it has not read its settings within {PATIENCE_SECONDS:.0f} s"
        except DatabaseError as error:
            why = error.message
        shutil.rmtree(self._home)
        raise BackupError(f"{self._source.service} cannot be told to archive: {why}", hint=HINT)

    def _set_up_server(self, settings: Mapping[str, str]) -> None:
        """Change settings, on a session without the transaction that these statements do not take."""
        operator = self._source.credentials[OPERATOR]
        try:
            with connect(self._source.port, operator.name, operator.secret, self._source.name) as session:
                for name, value in settings.items():
                    session.execute(ALTER_SYSTEM.format(Identifier(name), Literal(value)))
                session.execute("SELECT pg_reload_conf()")
        except psycopg.Error as error:
            raise DatabaseError(f"{self._source.service}: {error}", hint=HINT) from error

    def _archives(self) -> bool:
        """Whether the server archives into this repository."""
        return str(self._home) in str(self._ask(ARCHIVES))

    def _flush(self, *, give_up_early: bool) -> bool:
        """Have everything archived that was written so far; returns whether it is.

        Args:
            give_up_early: after the first failure; the server itself goes on trying.
        """
        asked = self._now()
        segment = self._ask(SWITCH)

        def over() -> bool:
            ((done, failed),) = self._database.query(
                self._source, ARCHIVED, {"segment": segment, "asked": asked}
            )
            return bool(done) or (give_up_early and bool(failed))

        return self._await(over)

    def _await(self, condition: Callable[[], bool]) -> bool:
        began = self._setting.clock.stamp()
        while not condition():
            if self._setting.clock.stamp().since(began) > PATIENCE_SECONDS:
                return False
            self._setting.clock.sleep(POLL_SECONDS)
        return True

    def _ask(self, statement: str, **values: object) -> object:
        rows = self._database.query(self._source, statement, values)
        return rows[0][0] if rows else None

    # --- the program -----------------------------------------------------------------------------------

    @property
    def _stanza(self) -> str:
        return self._source.service

    @property
    def _home(self) -> Path:
        """Where the configuration lies that the server archives with; there as long as it does."""
        return self._setting.sandbox.root / f"pgbackrest-{self._name}"

    @contextmanager
    def _configured(self, parent: Path | None = None) -> Iterator[Path]:
        """A configuration for as long as the block runs."""
        place = parent or self._setting.sandbox.root
        with TemporaryDirectory(prefix="pgbackrest-", dir=place) as directory:
            yield self._configure(Path(directory))

    def _configure(self, directory: Path) -> Path:
        """Write it for the account that the server runs as, and nobody else: it has the keys of the store."""
        settings = self._repository.settings(directory)
        configuration = _write(directory, settings, self._protection.keep)
        self._setting.sandbox.give(directory)
        return configuration

    def _server_options(self) -> list[str]:
        operator = self._source.credentials[OPERATOR].name
        return [
            f"--pg1-path={self._source.path}",
            f"--pg1-port={self._source.port}",
            f"--pg1-user={operator}",
        ]

    def _as_of(self) -> list[str]:
        instant = self._repository.instant()
        return [] if instant is None else ["--repo=1", f"--repo-target-time={instant:%Y-%m-%d %H:%M:%S+00}"]

    def _command(self, configuration: Path) -> list[str]:
        return [str(self._program), f"--config={configuration}", f"--stanza={self._stanza}"]

    def _call(
        self,
        configuration: Path,
        verb: str,
        options: Sequence[str],
        environment: Mapping[str, str],
        failure: Failure,
    ) -> subprocess.CompletedProcess[str]:
        """As the account that owns the server's files."""
        # libpq is not told a host by pgBackRest, which would use a socket in the file system.
        host = {"PGHOST": self._source.host} if environment else {}
        return self._setting.sandbox.call(
            [*self._command(configuration), *options, verb],
            environment={**environment, **host},
            drop=True,
            timeout=TOOL_SECONDS,
            failure=failure,
        )

    def _run(
        self,
        configuration: Path,
        verb: str,
        options: Sequence[str],
        failure: Failure,
        environment: Mapping[str, str],
    ) -> str:
        ran = self._call(configuration, verb, options, environment, failure)
        _refuse_failure(ran, verb, failure)
        return ran.stdout

    def _now(self) -> datetime:
        return self._setting.clock.stamp().wall


def installed() -> Path:
    """Where pgBackRest is.

    Raises:
        MissingToolError: it is not installed.
    """
    found = shutil.which(PROGRAM)
    if found is None:
        raise MissingToolError("pgbackrest is not installed, and a protection uses it", hint=INSTALL)
    return Path(found).absolute()


def _write(directory: Path, repository: Mapping[str, str], keep: int = 1) -> Path:
    """The configuration; whatever pgBackRest would put elsewhere on the machine goes into ``directory``."""
    settings = {
        **repository,
        "repo1-bundle": "y",
        "repo1-retention-full": str(keep),
        "compress-type": "gz",
        "compress-level": "1",
        "start-fast": "y",
        "io-timeout": "20",
        # What is gone or cut short would be asked for again after 15 s; a replica's store has no bad moments.
        "job-retry": "0",
        "log-level-file": "off",
        "log-level-console": "off",
        "log-level-stderr": "warn",
        "log-timestamp": "n",
        "lock-path": str(directory / "lock"),
        "log-path": str(directory / "log"),
        "spool-path": str(directory / "spool"),
    }
    configuration = directory / CONFIGURATION
    configuration.touch(mode=0o600)
    lines = [f"{name}={value}\n" for name, value in settings.items()]
    configuration.write_text("".join(["[global]\n", *lines]), encoding="utf-8")
    return configuration


def _segment(name: str) -> str:
    """The segment that an archived file is."""
    return name.rpartition("/")[2][:24]


def _quoted(command: Sequence[str]) -> str:
    """For a setting in which ``%`` stands for something."""
    return shlex.join(command).replace("%", "%%")


def _tail(text: str) -> str:
    return " ".join(text.strip().splitlines()[-TAIL_LINES:])


def _refuse_failure(ran: subprocess.CompletedProcess[str], verb: str, failure: Failure) -> None:
    if ran.returncode != 0:
        hint = OLDER if verb == "restore" else HINT
        error: HarnessError = failure(
            f"pgbackrest {verb} failed with exit code {ran.returncode}: {_tail(ran.stderr)}", hint=hint
        )
        raise error
