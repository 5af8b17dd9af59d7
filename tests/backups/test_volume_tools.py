"""Copies of a volume: archives in a bucket, and snapshots beside it or on another volume."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_hex
from subprocess import CompletedProcess
from typing import Any

import pytest

from harness.backups.archive import ArchiveTool
from harness.backups.volume_snapshot import VolumeSnapshotTool
from harness.clock import SystemClock
from harness.errors import BackupError, RestoreError
from harness.facts import OPERATOR, Endpoint, Fingerprint, Lease
from harness.replicas.s3 import S3Replica
from harness.replicas.volume import VolumeReplica
from harness.sandbox import Sandbox
from harness.scenario.models import Archive, Stack, VolumeSnapshot
from harness.seams.drivers import BackupTool, Due, Setting, Vessel
from harness.seams.s3_client import open_client
from harness.seams.volume_client import READ_WRITE, VolumeClient

FOLDERS = ("notes", "photos")
STACK = Stack.model_validate(
    {
        "services": {
            "files": {"kind": "volume", "collections": FOLDERS},
            "spare": {"kind": "volume"},
            "vault": {"kind": "s3", "bucket": "vault", "object_lock": False},
        }
    }
)


@dataclass
class Disk:
    """A volume, what its copies go to, and what a test does with them."""

    replica: VolumeReplica
    setting: Setting
    files: Endpoint
    parts: list[str] = field(default_factory=list)

    def put(self, key: str, body: bytes) -> None:
        VolumeClient(self.files, self.files.credentials[OPERATOR]).put("notes", key, body)

    def content(self, endpoint: Endpoint | None = None) -> Fingerprint:
        return self.replica.fingerprint(endpoint or self.files, FOLDERS)

    def vessel(self) -> Vessel:
        name = f"files@{token_hex(4)}"
        lease = self.files.lease.model_copy(
            update={"service": name, "directory": self.setting.sandbox.root / name}
        )
        lease.directory.mkdir()
        return self.replica.vessel(lease, self.files, self.setting, replace=False)

    def mark(self, part: str) -> None:
        self.parts.append(part)

    def archive(self) -> ArchiveTool:
        model = Archive.model_validate(
            {"tool": "archive", "of": "files", "to": "vault", "every": "1d", "keep": 2}
        )
        return ArchiveTool(f"archive-{token_hex(4)}", model, self.files, self.replica, self.setting)

    def snapshot(self, to: str | None = None) -> VolumeSnapshotTool:
        model = VolumeSnapshot.model_validate(
            {"tool": "volume-snapshot", "of": "files", "to": to, "every": "1h", "keep": 3}
        )
        return VolumeSnapshotTool(f"snapshot-{token_hex(4)}", model, self.files, self.replica, self.setting)

    def tool(self, name: str) -> BackupTool:
        return {"archive": self.archive, "beside": self.snapshot, "apart": lambda: self.snapshot("spare")}[
            name
        ]()


@pytest.fixture(scope="module")
def peers(sandbox: Sandbox) -> Iterator[dict[str, Endpoint]]:
    setting = Setting(STACK, sandbox.root, sandbox, SystemClock(), {})
    lease = Lease(run_id=sandbox.run_id, service="vault", kind="s3", directory=sandbox.root / "vault")
    vault = S3Replica()
    try:
        yield {"vault": vault.provision(lease, setting)}
    finally:
        vault.destroy(lease)


@pytest.fixture
def disk(sandbox: Sandbox, peers: dict[str, Endpoint]) -> Iterator[Disk]:
    setting = Setting(STACK, sandbox.root, sandbox, SystemClock(), peers)
    replica = VolumeReplica()
    leases = [
        Lease(run_id=sandbox.run_id, service=name, kind="volume", directory=sandbox.root / name)
        for name in ("spare", "files")
    ]
    spare, files = (replica.provision(lease, setting) for lease in leases)
    yield Disk(replica, replace_peers(setting, spare), files)
    for lease in leases:
        replica.destroy(lease)


def replace_peers(setting: Setting, spare: Endpoint) -> Setting:
    return replace(setting, peers={**setting.peers, "spare": spare})


def ago(**time: float) -> Due:
    return Due(datetime.now(UTC) - timedelta(**time), "copy")


TOOLS = pytest.mark.parametrize("name", ["archive", "beside", "apart"])


@TOOLS
def test_a_copy_brings_back_what_there_was_when_it_was_taken(disk: Disk, name: str) -> None:
    tool = disk.tool(name)
    disk.put("a", b"1")
    disk.put("b", b"2" * 100_000)
    then = disk.content()
    point = tool.take(ago(hours=1))
    disk.put("a", b"changed")
    assert tool.points() == (point,)
    restored = tool.restore(point, disk.vessel(), disk.mark)
    assert disk.content(restored) == then != disk.content()
    assert disk.parts == ["restore"]
    again = tool.restore(point, disk.vessel(), disk.mark)
    assert disk.content(again) == then


@TOOLS
def test_the_newest_that_retention_keeps_are_due_and_listed_first(disk: Disk, name: str) -> None:
    tool = disk.tool(name)
    now = datetime.now(UTC)
    due = tool.due(now, timedelta(days=30))
    taken = [tool.take(each) for each in due]
    assert tool.points() == tuple(reversed(taken))
    assert [point.taken for point in taken] == [each.at for each in due]
    assert tool.due(now, timedelta(minutes=1)) == ()


def test_a_snapshot_outlives_the_files_and_not_the_volume(
    disk: Disk,
) -> None:
    beside, apart = disk.snapshot(), disk.snapshot("spare")
    disk.put("a", b"1")
    points = beside.take(ago(hours=1)), apart.take(ago(hours=1))
    assert [point.shares_fate for point in points] == [True, False]
    assert [point.place for point in points] == ["files", "spare"]
    disk.replica.fence(disk.files)
    assert (beside.points(), apart.points()) == ((points[0],), (points[1],))
    disk.replica.destroy(disk.files.lease)
    assert (beside.points(), apart.points()) == ((), (points[1],))
    with pytest.raises(RestoreError, match="is gone"):
        beside.restore(points[0], disk.vessel(), disk.mark)


def test_a_file_that_was_deleted_in_a_copy_is_missing_after_the_restore(disk: Disk) -> None:
    tool = disk.snapshot("spare")
    disk.put("a", b"1")
    then = disk.content()
    point = tool.take(ago(hours=1))
    (copy,) = disk.setting.peers["spare"].path.rglob("a")
    copy.unlink()
    assert disk.content(tool.restore(point, disk.vessel(), disk.mark)) != then


def test_an_archive_that_was_cut_short_is_a_failed_restore(disk: Disk) -> None:
    tool = disk.archive()
    disk.put("a", b"1" * 10_000)
    point = tool.take(ago(hours=1))
    vault = disk.setting.peers["vault"]
    store = open_client(vault, vault.credentials[OPERATOR])
    key = point.location.rpartition("@")[0]
    whole = store.get_object(Bucket=vault.name, Key=key)
    body = whole["Body"].read()
    store.put_object(Bucket=vault.name, Key=key, Body=body[:-20])  # no metadata: nobody noted its digest
    newest = max(tool.points(), key=lambda each: each.id != point.id)
    with pytest.raises(RestoreError, match="cannot be unpacked"):
        tool.restore(newest, disk.vessel(), disk.mark)


@TOOLS
def test_a_volume_that_is_gone_cannot_be_copied(disk: Disk, name: str) -> None:
    tool = disk.tool(name)
    disk.replica.fence(disk.files)
    with pytest.raises(BackupError, match="files"):
        tool.take(ago(hours=1))
    assert tool.points() == ()
    assert disk.files.credentials[OPERATOR].name == READ_WRITE


class Hurried(Sandbox):
    """Gives every program up at once."""

    def call(self, command: Sequence[str | Path], **more: Any) -> CompletedProcess[str]:
        return super().call(command, **{**more, "timeout": 0.0})


def test_a_copy_that_takes_too_long_is_none_and_nothing_is_left_of_it(disk: Disk) -> None:
    ours = disk.setting.sandbox
    hurried = replace(disk, setting=replace(disk.setting, sandbox=Hurried(**vars(ours))))
    tool, vessel = hurried.snapshot(), disk.vessel()
    with pytest.raises(BackupError, match=r"^cp did not end within 0 s"):
        tool.take(ago(hours=1))
    assert tool.points() == ()
    lasting = disk.snapshot("spare")
    kept = lasting.take(ago(hours=1))
    lasting._setting = hurried.setting
    with pytest.raises(RestoreError, match=r"^cp did not end within 0 s"):
        lasting.restore(kept, vessel, disk.mark)
    assert not vessel.directory.exists()
