"""A standby server that receives all log at once and applies each commit only after a while.

As long as a harm is younger than the delay it lies in the standby's log and not in its data, so that a
restore can stop just before it. What has been applied cannot be taken back: a harm that is older than the
delay when the recovery begins is in the copy like in the original. The time that people are assumed to take
until then counts, though nobody waits for it.

A restore stops the standby for good, so that it applies nothing more, and works on a copy of its files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import CompletedProcess

from harness.backups.client_tools import ClientTool
from harness.errors import BackupError, DatabaseError, RestoreError
from harness.facts import Endpoint, Fact, Lease, RecoveryPoint
from harness.scenario.models import DelayedReplica, Protection, format_duration
from harness.seams.drivers import Database, Due, EquippedVessel, Following, PartTimer, Setting, Vessel
from harness.seams.postgres_tools import binary

SEGMENT = re.compile(r"[0-9A-F]{24}")
COMMIT = re.compile(r"\bdesc: COMMIT (?:PREPARED )?(\S+ \S+) UTC")
STANDBY, RECOVERY = "standby.signal", "recovery.signal"
RECORD = "standby.json"
NO_RECORD = "could not find a valid record"
"""What ``pg_waldump`` says of a segment of another release, and of one in which nothing stands yet."""

TARGET_NOT_REACHED = "recovery ended before configured recovery target was reached"
CREATE_SLOT = """
    SELECT pg_create_physical_replication_slot(:slot, immediately_reserve => true)
    WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = :slot)
"""
RECEIVED = "SELECT pg_last_wal_receive_lsn() >= (:lsn)::pg_lsn"
APPLIED = "SELECT pg_last_xact_replay_timestamp()"
FLUSHED = "SELECT pg_current_wal_flush_lsn()::text"
PATIENCE_SECONDS = 60.0
COPY_SECONDS = 3600.0
POLL_SECONDS = 0.02
HINT = "is the server up, and does it take replication connections of its operator?"


class StandbyRecord(Fact):
    """What there is of a standby.

    Attributes:
        data: its data directory.
        taken: its date, in scenario time.
        covers: when its base backup was complete; it brings back everything up to then.
        halted: when it was stopped; it follows as long as that is None.
        applied: when the newest commit was made that was in its data then, if it still said so.
    """

    data: Path
    taken: datetime
    covers: datetime
    halted: datetime | None = None
    applied: datetime | None = None


class DelayedReplicaTool:
    """A standby that stays ``delay`` behind, and can be stopped before a harm that is younger than that.

    Args:
        name: of the protection.
        protection: of tool ``delayed-replica``.
        source: the service that it follows; its operator may replicate.
        database: how to ask it, and what makes the standby.
        setting: says how long people take before a recovery begins.

    Raises:
        BackupError: there is no standby, or it does not receive what it should.
        RestoreError: the harm has been applied, or the server does not start from the standby's files.
        MissingToolError: PostgreSQL's client programs are not installed.
    """

    def __init__(
        self, name: str, protection: Protection, source: Endpoint, database: Database, setting: Setting
    ) -> None:
        if not isinstance(protection, DelayedReplica):
            raise BackupError(
                f"the protection {name} is not one of tool delayed-replica",
                hint="a protection with `tool: delayed-replica` has `of` and `delay`",
            )
        self._name = name
        self._delay = protection.delay
        self._source = source
        self._database = database
        self._setting = setting
        service = f"{source.service}@{name}"
        self._lease = Lease(
            run_id=setting.sandbox.run_id,
            service=service,
            kind=source.lease.kind,
            directory=setting.sandbox.root / service,
        )
        self._standby: Endpoint | None = None
        self._vessel: Vessel | None = None

    def due(self, now: datetime, span: timedelta) -> tuple[Due, ...]:
        """The standby as it is: its data are ``delay`` old, and the rest of the past is log."""
        return (Due(now - min(self._delay, span), f"standby of {self._source.service}"),)

    def take(self, due: Due) -> RecoveryPoint:
        """Make the standby of a base backup, and have it follow. One that was there before is replaced."""
        self._standby = self._make(due.at)
        return self.points()[0]

    def start(self) -> None:
        """Wait until it has received all that was written so far; without one that follows, make one."""
        record = self._read()
        follows = record is not None and record.halted is None
        standby = self._standby if follows and self._standby is not None else self._make(self._now())
        self._standby = standby
        try:
            ((lsn,),) = self._database.query(self._source, FLUSHED, {})
            began = self._setting.clock.stamp()
            while not self._ask(standby, RECEIVED, {"lsn": lsn}):
                if self._setting.clock.stamp().since(began) > PATIENCE_SECONDS:
                    raise BackupError(
                        f"the standby {self._name} has not received {lsn} within {PATIENCE_SECONDS:.0f} s",
                        hint=HINT,
                    )
                self._setting.clock.sleep(POLL_SECONDS)
        except DatabaseError as error:
            raise BackupError(f"the standby {self._name}: {error.message}", hint=HINT) from error

    def stop(self) -> None:
        """Stop the standby; its files stay as long as the run. Idempotent."""
        record = self._read()
        if record is not None:
            self._halt(record)
        else:
            self._database.fence(replace(self._source, lease=self._lease))

    def points(self) -> tuple[RecoveryPoint, ...]:
        """The standby, as long as its files are there; it covers all that it has received."""
        record = self._read()
        if record is None:
            return ()
        return (
            RecoveryPoint(
                id=self._lease.service,
                protection=self._name,
                service=self._source.service,
                kind="continuous",
                taken=record.taken,
                covers_until=max(record.covers, self._newest_commit(record.data) or record.covers),
                place=self._name,
                location=self._lease.service,
                size=_size(record.data),
            ),
        )

    def restore(self, point: RecoveryPoint, into: Vessel, mark: PartTimer) -> Endpoint:
        """Restore everything that the standby has received, applied or not."""
        return self.restore_to(point, into, mark, None)

    def restore_to(
        self, point: RecoveryPoint, into: Vessel, mark: PartTimer, until: datetime | None
    ) -> Endpoint:
        """Stop the standby, and bring a copy of it to an instant; see ``harness.seams.drivers.PointInTime``.

        Raises:
            RestoreError: what was committed after ``until`` is older than the delay.
        """
        mark("provision")
        record = self._read()
        if record is None:
            raise RestoreError(f"the standby {point.location} is gone", hint="see which points are left")
        self._refuse_if_applied(self._halt(record), until)
        mark("restore")
        self._copy(record.data, into.directory)
        mark("replay")
        # The harm may have come since the point was listed, so that what it covered then tells nothing.
        try:
            return into.start(_recovery_settings(until))
        except RestoreError as error:
            if TARGET_NOT_REACHED not in error.message:
                raise
            return into.start(_recovery_settings(None))

    def _make(self, taken: datetime) -> Endpoint:
        self._database.destroy(self._lease)
        vessel = self._database.vessel(self._lease, self._source, self._setting, replace=False)
        try:
            standby = self._follow(vessel, taken)
        except BaseException:
            vessel.discard()
            raise
        self._vessel = vessel
        return standby

    def _follow(self, vessel: Vessel, taken: datetime) -> Endpoint:
        if not isinstance(vessel, Following):
            raise BackupError(
                f"{self._source.service} has no standby: its driver offers none",
                hint="its vessel needs `follow`, as in harness/seams/drivers.py",
            )
        slot = f"ninelives_{self._name.replace('-', '_')}"[:63]
        try:
            self._database.query(self._source, CREATE_SLOT, {"slot": slot})
        except DatabaseError as error:
            raise BackupError(
                f"no replication slot can be made on {self._source.service}: {error.message}", hint=HINT
            ) from error
        ClientTool("pg_basebackup", self._setting.sandbox, BackupError, HINT).run(
            [f"--pgdata={vessel.directory}", "--wal-method=stream", "--checkpoint=fast", "--no-sync"],
            server=self._source,
        )
        covers = self._now()
        delay = f"{self._delay / timedelta(milliseconds=1):.0f}ms"
        settings = {"recovery_min_apply_delay": delay, "primary_slot_name": slot}
        try:
            standby = vessel.follow(self._source, settings)
        except RestoreError as error:
            raise BackupError(f"no standby comes up: {error.message}", hint=error.hint) from error
        self._write(StandbyRecord(data=vessel.directory, taken=taken, covers=covers))
        return standby

    def _read(self) -> StandbyRecord | None:
        """What there is of the standby; None when there is none, or its files are gone."""
        try:
            record = StandbyRecord.model_validate_json((self._lease.directory / RECORD).read_bytes())
        except FileNotFoundError:
            return None
        return record if (record.data / "PG_VERSION").is_file() else None

    def _write(self, record: StandbyRecord) -> StandbyRecord:
        (self._lease.directory / RECORD).write_text(record.model_dump_json(), encoding="utf-8")
        return record

    def _halt(self, record: StandbyRecord) -> StandbyRecord:
        """Stop the standby for good, so that it applies nothing more, and note how far it had come."""
        if record.halted is not None:
            return record
        applied = self._newest_applied()
        halted = self._now()
        self._database.fence(replace(self._source, lease=self._lease))
        return self._write(record.model_copy(update={"halted": halted, "applied": applied}))

    def _refuse_if_applied(self, record: StandbyRecord, until: datetime | None) -> None:
        if until is None or record.halted is None:
            return
        assumed = self._setting.assumed
        age = record.halted - until + assumed
        if age >= self._delay or (record.applied is not None and record.applied > until):
            people = f", {format_duration(assumed)} of it assumed" if assumed else ""
            raise RestoreError(
                f"the harm is in the standby too: it was {format_duration(age)} old when the recovery began"
                f"{people}, and the standby is {format_duration(self._delay)} behind",
                hint="a longer delay, or somebody who notices sooner, would have saved it",
            )

    def _newest_applied(self) -> datetime | None:
        """When the newest commit was made that is in the standby's data; None when it does not answer."""
        if self._standby is None:
            return None
        try:
            found = self._ask(self._standby, APPLIED, {})
        except DatabaseError:
            return None
        return found if isinstance(found, datetime) else None

    def _ask(self, standby: Endpoint, statement: str, values: Mapping[str, object]) -> object:
        ((found,),) = self._database.query(standby, statement, values)
        return found

    def _copy(self, source: Path, target: Path) -> None:
        ran = self._setting.sandbox.call(
            ["cp", "-R", "-p", f"{source}/.", target],
            directory=target.parent,
            timeout=COPY_SECONDS,
            failure=RestoreError,
        )
        if ran.returncode != 0:
            raise RestoreError(
                f"the standby {self._lease.service} cannot be copied: {ran.stderr.strip()}",
                hint="is there room on the disk?",
            )
        (target / STANDBY).unlink(missing_ok=True)
        (target / RECOVERY).touch()

    def _newest_commit(self, data: Path) -> datetime | None:
        """When the newest commit was made that has been received, from the log itself; None without any.

        The last segment ends somewhere in the middle, where ``pg_waldump`` gives up with an error.

        Raises:
            BackupError: there is a log, and nothing in it can be read.
        """
        segments = [path for path in (data / "pg_wal").iterdir() if SEGMENT.fullmatch(path.name)]
        unread = 0
        for segment in sorted(segments, key=lambda path: path.name[8:], reverse=True):
            ran = self._show_log(segment)
            found = COMMIT.findall(ran.stdout)
            if found:
                return datetime.fromisoformat(found[-1]).replace(tzinfo=UTC)
            unread += NO_RECORD in ran.stderr
        if segments and unread == len(segments):
            raise BackupError(
                f"nothing can be read of the log that the standby {self._name} has received",
                hint="`pg_waldump` reads the log of its own release only",
            )
        return None

    def _show_log(self, segment: Path) -> CompletedProcess[str]:
        """Read a segment with the program of the standby's own release."""
        arguments = ["--rmgr=Transaction", str(segment), str(segment)]
        if isinstance(self._vessel, EquippedVessel):
            return self._vessel.call(["pg_waldump", *arguments])
        return self._setting.sandbox.call([binary("pg_waldump"), *arguments], failure=BackupError)

    def _now(self) -> datetime:
        return self._setting.clock.stamp().wall


def _recovery_settings(until: datetime | None) -> dict[str, str]:
    """Settings of a server that replays the log it has and then opens (PostgreSQL 18, section 19.5.5)."""
    settings = {
        # There is no archive: what it needs lies in pg_wal, where it looks next.
        "restore_command": "false",
        "recovery_target_timeline": "latest",
        "recovery_target_action": "promote",
    }
    return settings if until is None else {**settings, "recovery_target_time": until.isoformat()}


def _size(directory: Path) -> int:
    """Bytes of all files; a server that runs may remove some meanwhile."""
    total = 0
    for path in directory.rglob("*"):
        with suppress(FileNotFoundError):
            total += path.lstat().st_size
    return total
