"""EBS volumes and their snapshots, bound to directories and to copies of them.

moto keeps the records, ``settle`` makes the directories follow, as with RDS. What Recycle Bin's rules cover
is set aside when it is deleted, and can be taken back. A volume that a database lies on is attached to a
machine of its own: when the machine is stopped or terminated, the server on the volume dies.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from moto.ec2.models import ec2_backends

from harness.replicas.aws.audit import Touched
from harness.replicas.aws.calendar import Calendar
from harness.replicas.aws.disk import VOLUMES, Disk, Real, size_of
from harness.replicas.aws.handover import VolumeSeed
from harness.replicas.aws.parts import Check, Own
from harness.replicas.aws.recycle_bin import SNAPSHOT, VOLUME, RecycleBin
from harness.replicas.aws.wire import ApiCall, ApiError

IMAGE = "ami-12c6146b"
DEVICE = "/dev/sdf"
ENVIRONMENT = "environment"
LONGEST_COOLING_OFF = 72
LONGEST_LOCK = 36500
"""Hours and days (Amazon EC2 API Reference, "LockSnapshot")."""


@dataclass
class Lock:
    """A lock of a snapshot.

    Attributes:
        mode: ``governance`` or ``compliance``.
        until: when it expires.
        cools_until: until then a lock in compliance mode can still be taken off.
    """

    mode: str
    made: datetime
    until: datetime
    hours: int
    cools_until: datetime

    def state(self, now: datetime) -> str:
        """``governance``, ``compliance-cooloff``, ``compliance`` or ``expired``."""
        if now >= self.until:
            return "expired"
        if self.mode == "compliance" and now < self.cools_until:
            return "compliance-cooloff"
        return self.mode


@dataclass
class Discarded:
    """What lies in the recycle bin: the record, until when, and its tags."""

    record: Any
    until: datetime
    tags: dict[str, str]


class Volumes:
    """The EBS volumes of one account in one region.

    Args:
        account, region: that they belong to.
        seeds: what is there at the start.
        disk: where their files lie.
        bin: the rules of Recycle Bin.
        calendar: the present.
    """

    def __init__(
        self,
        account: str,
        region: str,
        seeds: tuple[VolumeSeed, ...],
        disk: Disk,
        bin: RecycleBin,
        calendar: Calendar,
    ) -> None:
        self._account, self._region = account, region
        self._ec2 = ec2_backends[account][region]
        self._disk = disk
        self._bin = bin
        self._calendar = calendar
        self._places: dict[str, Path] = {}
        self._copies: dict[str, Path] = {}
        self._locks: dict[str, Lock] = {}
        self._discarded: dict[str, Discarded] = {}
        self._going: dict[str, tuple[Any, dict[str, str]]] = {}
        # moto brings a thousand along that belong to its public images, and lists them to everybody.
        self._ec2.snapshots.clear()
        for seed in seeds:
            self._sow(seed, f"{region}a")

    @property
    def checks(self) -> Mapping[str, Check]:
        return {
            "ec2.DeleteSnapshot": self._check_delete_snapshot,
            "ec2.DeleteVolume": self._remember,
        }

    @property
    def own(self) -> Mapping[str, Own]:
        return {
            "ec2.LockSnapshot": self._lock,
            "ec2.UnlockSnapshot": self._unlock,
            "ec2.DescribeLockedSnapshots": self._describe_locked,
            "ec2.ListSnapshotsInRecycleBin": lambda _: {"Snapshots": self._listed(SNAPSHOT)},
            "ec2.ListVolumesInRecycleBin": lambda _: {"Volumes": self._listed(VOLUME)},
            "ec2.RestoreSnapshotFromRecycleBin": self._take_back_snapshot,
            "ec2.RestoreVolumeFromRecycleBin": self._take_back_volume,
        }

    def settle(self, call: ApiCall) -> None:
        """Make directories follow the records."""
        if call.service == "ec2":
            self._settle(call)

    def pass_time(self) -> None:
        """What has been in the recycle bin for long enough goes."""
        now = self._calendar.now()
        for id in [id for id, one in self._discarded.items() if one.until <= now]:
            del self._discarded[id]
        self._settle(None)

    def listing(self) -> Iterator[tuple[Touched, str]]:
        """Volumes, snapshots, and what lies in the recycle bin."""
        now = self._calendar.now()
        for volume in self._ec2.volumes.values():
            tags = _tags(volume)
            attached = volume.attachment.instance.id if volume.attachment else ""
            yield (
                Touched("ebs-volume", _name(volume, tags), tags.get(ENVIRONMENT)),
                f"{volume.size} {attached}",
            )
        for snapshot in self._ec2.snapshots.values():
            if snapshot.id not in self._copies:
                continue  # of a public image; moto brings some along
            tags = _tags(snapshot)
            lock = self._locks.get(snapshot.id)
            state = f"{lock.state(now)} {lock.until}" if lock else "unlocked"
            name = f"{snapshot.volume.id}/{snapshot.id}"
            yield Touched("ebs-snapshot", name, tags.get(ENVIRONMENT)), state
        for id, one in self._discarded.items():
            yield Touched("recycled", id, one.tags.get(ENVIRONMENT)), str(one.until)

    def find(self, arn: str) -> tuple[Path, str | None] | None:
        """The directory of a volume, and the environment that it stands in."""
        volume = self._ec2.volumes.get(arn.rpartition("/")[2])
        if volume is None:
            return None
        return self._places[volume.id], _tags(volume).get(ENVIRONMENT)

    def restore(self, copy: Path, environment: str | None) -> str:
        """Make a volume with the files of a copy; returns its ARN."""
        volume = self._ec2.create_volume(20, f"{self._region}a")
        if environment:
            self._ec2.create_tags([volume.id], {ENVIRONMENT: environment})
        self._places[volume.id] = self._disk.make(VOLUMES, volume.id)
        self._disk.fill(self._places[volume.id], copy)
        return f"arn:aws:ec2:{self._region}:{self._account}:volume/{volume.id}"

    def places(self) -> dict[str, str]:
        """The directory of each volume."""
        return {id: str(path) for id, path in self._places.items() if id in self._ec2.volumes}

    def real(self) -> Real:
        """The directories of volumes, by their ids, and of snapshots; of what is in the recycle bin too."""
        return Real(dict(self._places), frozenset(self._copies.values()))

    def snapshots(self) -> list[dict[str, Any]]:
        """Every snapshot with its size, its date, and until when it is locked."""
        now = self._calendar.now()
        found = []
        for id, copy in self._copies.items():
            if id in self._ec2.snapshots:
                lock = self._locks.get(id)
                until = lock.until.isoformat() if lock and lock.state(now) == "compliance" else None
                found.append({"id": id, "size": size_of(copy), "locked_until": until})
        return found

    def take(self, volume_id: str, at: datetime) -> dict[str, Any]:
        """Take a snapshot dated an instant that is over.

        Raises:
            ApiError: there is no such volume.
        """
        if volume_id not in self._ec2.volumes:
            raise ApiError("InvalidVolume.NotFound", f"The volume '{volume_id}' does not exist.")
        snapshot = self._ec2.create_snapshot(volume_id, "scheduled")
        environment = _tags(self._ec2.volumes[volume_id]).get(ENVIRONMENT)
        if environment:
            self._ec2.create_tags([snapshot.id], {ENVIRONMENT: environment})
        snapshot.start_time = at.astimezone(UTC).replace(tzinfo=None)
        self._settle(None)
        return {"id": snapshot.id, "size": size_of(self._copies[snapshot.id])}

    # --- before a call ----------------------------------------------------------------------------------

    def _check_delete_snapshot(self, call: ApiCall) -> None:
        """Source: Amazon EBS User Guide, "Amazon EBS snapshot lock"."""
        id = call.parameters["SnapshotId"]
        lock = self._locks.get(id)
        if lock is not None and lock.state(self._calendar.now()) != "expired":
            raise ApiError(
                "OperationNotPermitted", f"The snapshot {id} is locked until {lock.until}.", refused=True
            )
        self._remember(call)

    def _remember(self, call: ApiCall) -> None:
        """moto forgets record and tags with the resource."""
        for name, records in (("SnapshotId", self._ec2.snapshots), ("VolumeId", self._ec2.volumes)):
            record = records.get(call.get(name) or "")
            if record is not None:
                self._going[record.id] = (record, _tags(record))

    # --- what moto does not have ------------------------------------------------------------------------

    def _lock(self, call: ApiCall) -> Mapping[str, Any]:
        """Source: Amazon EC2 API Reference, "LockSnapshot"."""
        snapshot, now, mode = self._snapshot(call), self._calendar.now(), call.parameters["LockMode"]
        until = self._expiry(call, now)
        hours = int(call.get("CoolOffPeriod") or 0)
        if hours and (mode == "governance" or not 1 <= hours <= LONGEST_COOLING_OFF):
            raise ApiError("InvalidParameterValue", "CoolOffPeriod is 1 to 72 hours of compliance mode.")
        old = self._locks.get(snapshot.id)
        if old is not None and old.state(now) == "compliance" and (mode != "compliance" or until < old.until):
            raise ApiError(
                "OperationNotPermitted",
                f"The snapshot {snapshot.id} is locked in compliance mode: its lock can only be extended.",
                refused=True,
            )
        still = old.cools_until if old is not None and old.state(now) == "compliance" else None
        lock = Lock(mode, now, until, hours, still or now + timedelta(hours=hours))
        self._locks[snapshot.id] = lock
        return self._shown(snapshot.id, lock)

    def _unlock(self, call: ApiCall) -> Mapping[str, Any]:
        """Source: Amazon EC2 API Reference, "UnlockSnapshot"."""
        snapshot = self._snapshot(call)
        lock = self._locks.get(snapshot.id)
        if lock is not None and lock.state(self._calendar.now()) == "compliance":
            raise ApiError(
                "OperationNotPermitted",
                f"The snapshot {snapshot.id} is locked in compliance mode: nobody can unlock it.",
                refused=True,
            )
        self._locks.pop(snapshot.id, None)
        return {"SnapshotId": snapshot.id}

    def _describe_locked(self, call: ApiCall) -> Mapping[str, Any]:
        wanted = call.get("SnapshotIds") or list(self._locks)
        return {"Snapshots": [self._shown(id, self._locks[id]) for id in wanted if id in self._locks]}

    def _take_back_snapshot(self, call: ApiCall) -> Mapping[str, Any]:
        one = self._take_out(call.parameters["SnapshotId"], "InvalidSnapshot.NotFound")
        self._ec2.snapshots[one.record.id] = one.record
        self._ec2.create_tags([one.record.id], one.tags)
        return {"SnapshotId": one.record.id, "VolumeId": one.record.volume.id, "State": "completed"}

    def _take_back_volume(self, call: ApiCall) -> Mapping[str, Any]:
        one = self._take_out(call.parameters["VolumeId"], "InvalidVolume.NotFound")
        self._ec2.volumes[one.record.id] = one.record
        self._ec2.create_tags([one.record.id], one.tags)
        return {"Return": True}

    def _take_out(self, id: str, code: str) -> Discarded:
        if id not in self._discarded:
            raise ApiError(code, f"{id} is not in the recycle bin.")
        return self._discarded.pop(id)

    def _listed(self, type: str) -> list[dict[str, Any]]:
        name = "SnapshotId" if type == SNAPSHOT else "VolumeId"
        prefix = "snap-" if type == SNAPSHOT else "vol-"
        return [
            {name: id, "RecycleBinExitTime": one.until}
            for id, one in self._discarded.items()
            if id.startswith(prefix)
        ]

    def _snapshot(self, call: ApiCall) -> Any:
        id = call.parameters["SnapshotId"]
        if id not in self._ec2.snapshots:
            raise ApiError("InvalidSnapshot.NotFound", f"The snapshot '{id}' does not exist.")
        return self._ec2.snapshots[id]

    def _expiry(self, call: ApiCall, now: datetime) -> datetime:
        duration, date = call.get("LockDuration"), call.get("ExpirationDate")
        if (duration is None) == (date is None):
            raise ApiError("InvalidParameterCombination", "Give LockDuration or ExpirationDate.")
        if duration is not None and not 1 <= int(duration) <= LONGEST_LOCK:
            raise ApiError("InvalidParameterValue", f"LockDuration is 1 to {LONGEST_LOCK} days.")
        if duration is not None:
            return now + timedelta(days=int(duration))
        assert isinstance(date, datetime)
        return date if date.tzinfo else date.replace(tzinfo=UTC)

    def _shown(self, id: str, lock: Lock) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "SnapshotId": id,
            "LockState": lock.state(self._calendar.now()),
            "LockCreatedOn": lock.made,
            "LockDurationStartTime": lock.made,
            "LockExpiresOn": lock.until,
            "LockDuration": (lock.until - lock.made).days,
        }
        if lock.hours:
            shown |= {"CoolOffPeriod": lock.hours, "CoolOffPeriodExpiresOn": lock.cools_until}
        return shown

    # --- after a call -----------------------------------------------------------------------------------

    def _settle(self, call: ApiCall | None) -> None:
        """First what is new, because it may be copied from what goes."""
        for id, snapshot in list(self._ec2.snapshots.items()):
            source = self._source(snapshot, call)
            if id not in self._copies and source is not None:
                try:
                    self._copies[id] = self._disk.copy(source)
                except BaseException:
                    del self._ec2.snapshots[id]
                    raise
        for id, volume in self._ec2.volumes.items():
            if id not in self._places:
                self._places[id] = self._disk.make(VOLUMES, id)
                if volume.snapshot_id in self._copies:
                    self._disk.fill(self._places[id], self._copies[volume.snapshot_id])
        self._drop(self._copies, self._ec2.snapshots, SNAPSHOT)
        self._drop(self._places, self._ec2.volumes, VOLUME)
        for id, place in self._places.items():
            volume = self._ec2.volumes.get(id)
            machine = volume.attachment.instance if volume is not None and volume.attachment else None
            if (machine is None or machine.state != "running") and any(place.glob("*")):
                self._disk.stop_server(place)

    def _drop(self, kept: dict[str, Path], records: Mapping[str, Any], type: str) -> None:
        for id in [id for id in kept if id not in records and id not in self._discarded]:
            record, tags = self._going.pop(id, (None, {}))
            until = self._bin.keeps_until(type, tags) if record is not None else None
            if until is not None:
                self._discarded[id] = Discarded(record, until, tags)
                self._disk.stop_server(kept[id])
            else:
                self._disk.wipe(kept[id])
                del kept[id]
                self._locks.pop(id, None)

    def _source(self, snapshot: Any, call: ApiCall | None) -> Path | None:
        if call is not None and call.operation == "CopySnapshot":
            copied = self._copies.get(call.parameters["SourceSnapshotId"])
            if copied is not None:
                return copied
        return self._places.get(snapshot.volume.id)

    def _sow(self, seed: VolumeSeed, zone: str) -> None:
        volume = self._ec2.create_volume(20, zone)
        tags = {"Name": seed.name}
        if seed.environment:
            tags[ENVIRONMENT] = seed.environment
        machine = self._ec2.run_instances(IMAGE, 1, None, [], is_instance_type_default=True).instances[0]
        self._ec2.create_tags([volume.id, machine.id], tags)
        self._ec2.attach_volume(volume.id, machine.id, DEVICE)
        self._places[volume.id] = self._disk.make(seed.name)


def _tags(record: Any) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in record.get_tags()}


def _name(volume: Any, tags: Mapping[str, str]) -> str:
    """A volume by its name and its id: people know the one, calls need the other."""
    return f"{tags['Name']}/{volume.id}" if "Name" in tags else str(volume.id)
