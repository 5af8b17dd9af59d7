"""The versions that a bucket keeps of its objects, in the bucket itself.

What is deleted without naming a version, or overwritten, is still there under its version's id. A restore
puts into a fresh bucket what a reader would have got just before the harm. S3 tells the time of a version in
whole seconds, so that it ends before the second in which the harm began.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from harness.backups.object_store import ObjectStore, StoredVersion
from harness.backups.own_history import OwnHistory
from harness.errors import BackupError, DatabaseError, ProvisionError, RestoreError
from harness.facts import Endpoint, RecoveryPoint
from harness.scenario.models import Protection, S3Service, S3Versions
from harness.seams.drivers import PartTimer, Reopening, Setting, Store, Vessel
from harness.seams.s3_items import UNVERSIONED, Listed, noted_time, rank, side_by_side, time_noted


class S3VersionsTool(OwnHistory):
    """Every version in a bucket, as one continuous copy that lies with its source.

    Deleting versions takes it along, a lifecycle rule dooms it; Object Lock keeps it. When some are gone of
    those that readers got when the bucket's use began, it covers no more than came before the first of them,
    so that a copy that is whole goes before it.

    Args:
        name: of the protection.
        protection: of tool ``s3-versions``.
        source: the bucket.
        store: its driver, which can serve a fenced one again.
        setting: what it runs in.

    Raises:
        BackupError: it is no such protection.
        RestoreError: no version is left, or one cannot be read.
    """

    consists_of = "a history of versions"

    def __init__(
        self, name: str, protection: Protection, source: Endpoint, store: Store, setting: Setting
    ) -> None:
        if not isinstance(protection, S3Versions):
            raise BackupError(
                f"the protection {name} is not one of tool s3-versions", hint="it has `of` and nothing else"
            )
        if not isinstance(store, Reopening):
            raise BackupError(
                f"{source.service} cannot be read once it is fenced: its driver does not offer it",
                hint="it needs `reopen`, as in harness/seams/drivers.py",
            )
        self._name = name
        self._source = source
        self._store = store
        self._setting = setting
        self._kept: Mapping[tuple[str, str], datetime] = {}

    def start(self) -> None:
        """Note what readers get now: what of that is missing later was deleted."""
        try:
            everything = self._bucket().everything()
        except (DatabaseError, ProvisionError) as error:
            raise BackupError(error.message, hint=error.hint) from error
        # A version without an id goes when its object is deleted or overwritten, which is no loss of a copy.
        now = (listed for listed in standing(everything, None) if listed.id != UNVERSIONED)
        self._kept = {(listed.key, listed.id): listed.modified for listed in now}

    def points(self) -> tuple[RecoveryPoint, ...]:
        """One, for as long as any version is left."""
        try:
            bucket = self._bucket()
        except (DatabaseError, ProvisionError):
            return ()
        versions = bucket.versions("")
        if not versions:
            return ()
        newest = {version.key: version for version in reversed(versions)}.values()
        left = {(version.key, version.id) for version in versions}
        lost = [modified for place, modified in self._kept.items() if place not in left]
        covers = min(lost, default=self._now())
        return (
            RecoveryPoint(
                id=f"{self._name}/versions",
                protection=self._name,
                service=self._source.service,
                kind="continuous",
                taken=min(versions[-1].modified, covers),
                covers_until=covers,
                place=self._source.service,
                location=self._source.name,
                size=sum(version.size for version in versions),
                locked_until=self._locked_until(bucket, newest),
                doomed_at=bucket.doom().at(newest),
                shares_fate=True,
            ),
        )

    def restore_to(
        self, point: RecoveryPoint, into: Vessel, mark: PartTimer, until: datetime | None
    ) -> Endpoint:
        """Every object as it stood before that second; see ``harness.seams.drivers.PointInTime``."""
        mark("provision")
        try:
            bucket = self._bucket()
        except (DatabaseError, ProvisionError) as error:
            raise RestoreError(error.message, hint=error.hint) from error
        everything = bucket.everything()
        if all(listed.is_marker for listed in everything):
            raise RestoreError(
                f"no version of any object is left in {point.location}", hint="see which points are left"
            )
        before = None if until is None else until.replace(microsecond=0)
        wanted = standing(everything, before)
        if not wanted and before is not None:
            raise RestoreError(
                f"no version is left in {point.location} of an object that stood there before {before}",
                hint="versions were deleted; see which points are left",
            )
        fresh = into.start()
        mark("restore")
        target = ObjectStore(fresh)

        def copy(listed: Listed) -> None:
            def describe(metadata: Mapping[str, str], digest: str) -> Mapping[str, str]:
                del digest
                return metadata if time_noted(metadata) else {**metadata, **noted_time(listed.modified)}

            bucket.copy(listed.key, listed.id, target, listed.key, describe)

        for _ in side_by_side(copy, wanted):
            pass
        return fresh

    def _bucket(self) -> ObjectStore:
        return ObjectStore(self._store.reopen(self._source, self._setting))

    def _locked_until(self, bucket: ObjectStore, newest: Iterable[StoredVersion]) -> datetime | None:
        """Until when nobody can delete the newest version of any object; only a lock of the bucket tells."""
        service = self._setting.stack.services[self._source.service]
        if not isinstance(service, S3Service) or service.lock is None:
            return None
        now = self._now()
        locks = [
            until for _, until in side_by_side(lambda each: bucket.facts(each).locked_until(now), newest)
        ]
        held = [until for until in locks if until is not None]
        return min(held) if held and len(held) == len(locks) else None

    def _now(self) -> datetime:
        return self._setting.clock.stamp().wall


def standing(everything: Iterable[Listed], before: datetime | None) -> list[Listed]:
    """The versions that readers got, one for each object that was there.

    Args:
        everything: versions and delete markers; of one key, the newest version before older ones.
        before: leave out what came at this instant or later; None for what stands now.
    """
    found: dict[str, Listed] = {}
    for listed in everything:
        if before is not None and listed.modified >= before:
            continue
        known = found.get(listed.key)
        if known is None or rank(listed) > rank(known):
            found[listed.key] = listed
    return [listed for listed in found.values() if not listed.is_marker]
