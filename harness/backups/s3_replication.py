"""A continuous copy of a bucket's objects in the bucket of a second S3 service.

A process of its own follows the bucket as long as it is in use (see ``s3_follower``). What it has not copied
when the harm comes is lost. Deleting versions of the original leaves the copies alone; deleting without a
version hides them too where ``deletes`` says so, and the copy of before is still there as a version.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from harness.backups import s3_follower
from harness.backups.companion import Access, Companion, tell, told
from harness.backups.object_store import Arriving, ObjectStore, StoredVersion, store_of
from harness.backups.s3_follower import DELETED, PUT, SHA256, VERSION, Follower, Order
from harness.errors import BackupError, RestoreError
from harness.facts import BACK_DOOR, OPERATOR, Endpoint, Fact, RecoveryPoint
from harness.scenario.models import Protection, S3Replication
from harness.seams.drivers import Due, PartTimer, Setting, Store, Vessel
from harness.seams.s3_items import noted_time, side_by_side, time_noted

RECORD = "replica.json"
LOG_FILE = "follower.log"
HINT = "are both S3 services up, and do they take their operator's calls?"
OURS = (PUT, VERSION, SHA256, DELETED)


class ReplicaRecord(Fact):
    """When the copy was begun, in scenario time."""

    taken: datetime


class S3ReplicationTool:
    """Copies of objects under other keys of a second S3 service, written while the first is in use.

    Args:
        name: of the protection; keys of copies begin with it.
        protection: of tool ``s3-replication``.
        source: the bucket that is followed.
        store: its driver.
        setting: has the second service among its peers.

    Raises:
        BackupError: an object cannot be copied, or the follower ended.
        RestoreError: no copy is left, or one is not what was copied.
    """

    def __init__(
        self, name: str, protection: Protection, source: Endpoint, store: Store, setting: Setting
    ) -> None:
        del store
        if not isinstance(protection, S3Replication):
            raise BackupError(
                f"the protection {name} is not one of tool s3-replication",
                hint="a protection with `tool: s3-replication` has `of` and `to`",
            )
        self._name = name
        self._protection = protection
        self._source = source
        self._setting = setting
        self._place = store_of(protection.to, setting)
        self._directory = setting.sandbox.root / f"{source.service}@{name}"
        self._follower = Companion(
            s3_follower.__name__, "the S3 follower", HINT, setting.sandbox, setting.clock, (LOG_FILE,)
        )

    def due(self, now: datetime, span: timedelta) -> tuple[Due, ...]:
        """The copy of all that is there when following begins."""
        del span
        return (Due(now, f"copy of {self._source.service}"),)

    def take(self, due: Due) -> RecoveryPoint:
        """Copy everything that is there now, whatever the delay."""
        covers = Follower(self._order(), self._setting.clock).look(timedelta(0))
        if covers is None:
            raise BackupError(f"{self._source.service} cannot be copied: it is gone, or changed", hint=HINT)
        self._begin(due.at, covers)
        found = self.points()
        if not found:
            raise BackupError(f"{self._source.service} holds nothing to copy", hint="give it a past")
        return found[0]

    def start(self) -> None:
        """Have it followed, and wait until the first look has ended."""
        asked = self._now()
        if self._record() is None:
            self._begin(asked, datetime.min.replace(tzinfo=UTC))
        self._follower.launch(self._directory, self._order().to_line())
        self._follower.wait(
            lambda: self._follower.covers() >= asked - self._protection.delay, "does not keep up"
        )

    def stop(self) -> None:
        """Look once more, and follow no longer. Idempotent."""
        self._follower.end()

    def points(self) -> tuple[RecoveryPoint, ...]:
        """One, for as long as any copy is left."""
        self._follower.check()
        record, versions = self._record(), self._place.versions(f"{self._name}/")
        if record is None or not versions:
            return ()
        newest = tuple({version.key: version for version in reversed(versions)}.values())
        return (
            RecoveryPoint(
                id=f"{self._name}/replica",
                protection=self._name,
                service=self._source.service,
                kind="continuous",
                taken=record.taken,
                covers_until=max(record.taken, told(self._directory)),
                place=self._protection.to,
                location=f"{self._name}/",
                size=sum(version.size for version in versions),
                locked_until=self._locked_until(newest),
                doomed_at=self._place.doom().at(newest),
            ),
        )

    def restore(self, point: RecoveryPoint, into: Vessel, mark: PartTimer) -> Endpoint:
        """Every object as it was copied last."""
        return self.restore_to(point, into, mark, None)

    def restore_to(
        self, point: RecoveryPoint, into: Vessel, mark: PartTimer, until: datetime | None
    ) -> Endpoint:
        """Every object as it was put before that second; see ``harness.seams.drivers.PointInTime``."""
        mark("provision")
        copies: dict[str, list[StoredVersion]] = {}
        for version in self._place.versions(point.location):
            copies.setdefault(version.key, []).append(version)
        if not copies:
            raise RestoreError(f"no copy is left in {point.place}", hint="see which points are left")
        fresh = into.start()
        mark("restore")
        target, before = ObjectStore(fresh), None if until is None else until.replace(microsecond=0)

        def bring_back(key: str) -> None:
            for version in copies[key]:
                if self._settle(version, before, target):
                    return

        for _ in side_by_side(bring_back, sorted(copies)):
            pass
        return fresh

    def _settle(self, version: StoredVersion, before: datetime | None, target: ObjectStore) -> bool:
        """Leave an object as a copy of it says, which is asked once; no call is made besides to look at it.

        Returns:
            Whether it tells how the object stood before that instant, so that no older one is wanted.
        """
        with self._place.arriving(version.key, version.id) as arriving:
            put = _put(arriving.metadata)
            if put is None or (before is not None and put >= before):
                return False
            if DELETED not in arriving.metadata:
                self._bring_back(version, arriving, put, target)
            return True

    def _bring_back(
        self, version: StoredVersion, arriving: Arriving, put: datetime, target: ObjectStore
    ) -> None:
        def describe(metadata: Mapping[str, str], digest: str) -> Mapping[str, str]:
            if digest != metadata.get(SHA256):
                raise RestoreError(
                    f"{version.name} in {self._protection.to} is not what was copied: its SHA-256 is another",
                    hint="it was cut short or altered; another copy may be whole",
                )
            own = {name: value for name, value in metadata.items() if name not in OURS}
            return own if time_noted(own) else {**own, **noted_time(put)}

        target.take_over(arriving, version.key.removeprefix(f"{self._name}/"), describe)

    def _begin(self, taken: datetime, covers: datetime) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        tell(self._directory, covers)
        self._record_file.write_text(ReplicaRecord(taken=taken).model_dump_json(), encoding="utf-8")

    def _record(self) -> ReplicaRecord | None:
        try:
            return ReplicaRecord.model_validate_json(self._record_file.read_bytes())
        except FileNotFoundError:
            return None

    @property
    def _record_file(self) -> Path:
        return self._directory / RECORD

    def _locked_until(self, newest: tuple[StoredVersion, ...]) -> datetime | None:
        """Until when nobody can delete the newest copy of any object."""
        if self._protection.lock is None:
            return None
        now = self._now()
        found = side_by_side(lambda version: self._place.facts(version).locked_until(now), newest)
        locks = [until for _, until in found]
        held = [until for until in locks if until is not None]
        return min(held) if held and len(held) == len(locks) else None

    def _order(self) -> Order:
        lock = self._protection.lock
        door = replace(self._source, credentials={OPERATOR: self._source.credentials[BACK_DOOR]})
        return Order(
            protection=self._name,
            source=Access.to(self._source),
            door=Access.to(door),
            place=Access.to(self._setting.peers[self._protection.to]),
            deletes=self._protection.deletes,
            delay=self._protection.delay.total_seconds(),
            lock_mode=lock.mode if lock else None,
            lock_seconds=lock.for_.total_seconds() if lock else 0.0,
            directory=str(self._directory),
        )

    def _now(self) -> datetime:
        return self._setting.clock.stamp().wall


def _put(metadata: Mapping[str, str]) -> datetime | None:
    """When the original of a copy was put; None for what is no copy of ours."""
    noted = metadata.get(PUT)
    return datetime.fromisoformat(noted) if noted else None
