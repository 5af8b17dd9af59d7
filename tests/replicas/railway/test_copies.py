"""Backups of volumes: how long they are kept, what locks and restores do to them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from railway import RailwayClient, RailwayError

from harness.sandbox import Sandbox
from tests.replicas.railway.conftest import DRIVERS, ControlPlane, control_plane

NUMBERS = count()
KEPT = {"DAILY": timedelta(days=6), "WEEKLY": timedelta(days=30), "MONTHLY": timedelta(days=90)}


@dataclass
class Disk:
    """A volume in one environment, mounted by a service."""

    plane: ControlPlane
    client: RailwayClient
    project: str
    environment: str
    service: str
    volume: str
    id: str
    directory: Path

    def now(self) -> datetime:
        return datetime.fromisoformat(self.plane.tell("advance", {"seconds": 0})["now"])

    def take(self, kind: str, age: timedelta) -> str:
        at = self.now() - age
        body = {"volumeInstanceId": self.id, "kind": kind, "at": at.isoformat()}
        return str(self.plane.tell("scheduled-backup", body)["id"])

    def back_up(self) -> str:
        started = self.client.volume_instance_backup_create(self.id)
        assert self.plane.await_workflow(self.client, started.workflow_id) is None
        return self.listed()[0]

    def listed(self) -> list[str]:
        return [one.id for one in self.client.volume_instance_backup_list(self.id) if one.id]

    def restore(self, backup: str) -> tuple[str | None, Path, str]:
        """The workflow's error, the new directory, the new volume instance's id."""
        started = self.client.volume_instance_backup_restore(backup, self.id)
        error = self.plane.await_workflow(self.client, started.workflow_id)
        (made,) = [one for one in self.plane.look("volumes") if one["restoredBy"] == started.workflow_id]
        return error, Path(made["directory"]), made["id"]


def disk(plane: ControlPlane) -> Disk:
    number = next(NUMBERS)
    client = plane.client(f"driver-{number % DRIVERS}")
    project = client.project_create(name=f"disk-{number}", default_environment_name=f"disk-{number}")
    environment = project.base_environment.id
    service = client.service_create(project.id, environment_id=environment, name="db").id
    volume = client.volume_create("/data", project.id, environment_id=environment, service_id=service).id
    (made,) = [one for one in plane.look("volumes") if one["volumeId"] == volume]
    return Disk(plane, client, project.id, environment, service, volume, made["id"], Path(made["directory"]))


@pytest.fixture
def volume(legacy: ControlPlane) -> Disk:
    return disk(legacy)


@pytest.mark.parametrize("kind", KEPT)
def test_a_scheduled_backup_is_there_as_long_as_its_schedule_keeps_it(volume: Disk, kind: str) -> None:
    at_the_limit = volume.take(kind, KEPT[kind])
    too_old = volume.take(kind, KEPT[kind] + timedelta(hours=2))
    assert volume.listed() == [at_the_limit]
    volume.plane.tell("advance", {"seconds": 3600})
    assert volume.listed() == []
    shelf = volume.plane.endpoint.path / ".backups" / volume.id
    assert list(shelf.iterdir()) == []
    assert too_old != at_the_limit


def test_a_scheduled_backup_tells_its_schedule_and_expiry(volume: Disk) -> None:
    volume.take("WEEKLY", timedelta(days=7))
    query = """query ($id: String!) {
      volumeInstanceBackupList(volumeInstanceId: $id) { createdAt expiresAt scheduleId creatorId }
      volumeInstanceBackupScheduleList(volumeInstanceId: $id) { id kind cron retentionSeconds }
    }"""
    seen = volume.client._execute(query, {"id": volume.id})
    (backup,), (schedule,) = seen["volumeInstanceBackupList"], seen["volumeInstanceBackupScheduleList"]
    kept = datetime.fromisoformat(backup["expiresAt"]) - datetime.fromisoformat(backup["createdAt"])
    assert (kept, schedule["kind"]) == (KEPT["WEEKLY"], "WEEKLY")
    assert schedule["retentionSeconds"] == kept.total_seconds()
    assert (backup["scheduleId"], backup["creatorId"]) == (schedule["id"], None)


def test_a_locked_backup_does_not_expire_but_can_be_deleted(volume: Disk) -> None:
    locked, loose = volume.take("DAILY", timedelta(days=2)), volume.take("DAILY", timedelta(days=1))
    assert volume.client.volume_instance_backup_lock(locked, volume.id) is True
    volume.plane.tell("advance", {"seconds": 7 * 86_400})
    assert volume.listed() == [locked]
    assert loose not in volume.listed()
    started = volume.client.volume_instance_backup_delete(locked, volume.id)
    assert volume.plane.await_workflow(volume.client, started.workflow_id) is None
    assert volume.listed() == []


def test_a_schedule_that_is_ended_takes_no_more_and_keeps_what_it_took(volume: Disk) -> None:
    kept = volume.take("DAILY", timedelta(days=1))
    assert volume.client.volume_instance_backup_schedule_update([], volume.id) is True
    assert volume.client.volume_instance_backup_schedule_list(volume.id) == []
    assert volume.listed() == [kept]
    volume.plane.tell("advance", {"seconds": 4 * 86_400})
    assert volume.listed() == [kept]
    volume.plane.tell("advance", {"seconds": 2 * 86_400})
    assert volume.listed() == []


def test_a_lock_does_not_save_a_backup_from_the_volumes_deletion(volume: Disk) -> None:
    volume.client.volume_instance_backup_lock(volume.take("DAILY", timedelta(days=1)), volume.id)
    volume.client.volume_delete(volume.volume)
    assert not (volume.plane.endpoint.path / ".backups" / volume.id).exists()


def test_a_backup_is_a_copy_that_later_writes_do_not_change(volume: Disk) -> None:
    (volume.directory / "folder").mkdir(mode=0o750)
    file = volume.directory / "folder" / "rows"
    file.write_text("before")
    file.chmod(0o640)
    os.utime(file, ns=(1_000_000_000, 2_000_000_000))
    (volume.directory / "link").symlink_to("folder/rows")
    backup = volume.back_up()
    file.write_text("after")
    error, restored, _ = volume.restore(backup)
    assert error is None
    copy = restored / "folder" / "rows"
    assert copy.read_text() == "before"
    assert (copy.stat().st_mode & 0o777, copy.stat().st_mtime_ns) == (0o640, 2_000_000_000)
    assert (copy.stat().st_uid, copy.parent.stat().st_mode & 0o777) == (file.stat().st_uid, 0o750)
    assert (restored / "link").readlink() == Path("folder/rows")
    assert file.read_text() == "after"


def test_a_restore_goes_to_a_new_volume_named_by_date_that_waits_to_be_deployed(volume: Disk) -> None:
    backup = volume.take("DAILY", timedelta(days=1))
    _, restored, id = volume.restore(backup)
    date = volume.now() - timedelta(days=1)
    made = volume.client.volume_instance(id)
    assert made.volume.name.startswith(f"{date:%Y-%m-%dT%H}")
    assert restored.name == made.volume.name
    assert made.service_id is None
    assert volume.client.volume_instance(volume.id).service_id == volume.service
    mounts = volume.client._execute(
        "query ($id: String!) { environmentStagedChanges(environmentId: $id) { patch status } }",
        {"id": volume.environment},
    )["environmentStagedChanges"]
    assert mounts["status"] == "STAGED"
    assert mounts["patch"]["services"][volume.service]["volumeMounts"] == {
        made.volume.id: {"mountPath": "/data"},
        volume.volume: None,
    }
    volume.client.environment_patch_commit_staged(volume.environment)
    assert volume.client.volume_instance(id).service_id == volume.service
    assert volume.client.volume_instance(volume.id).service_id is None
    assert volume.directory.exists(), "the old volume stays, unmounted"


def test_a_restore_removes_newer_backups_and_keeps_older_ones(volume: Disk) -> None:
    oldest, middle, newest = (volume.take("DAILY", timedelta(days=age)) for age in (3, 2, 1))
    volume.restore(middle)
    assert volume.listed() == [middle, oldest]
    touched = volume.plane.look("audit")[-1]["resources"]
    assert [one["name"].rpartition("/")[2] for one in touched if one["kind"] == "volume-backup"] == [newest]


def test_the_same_backup_restores_twice(volume: Disk) -> None:
    backup = volume.take("DAILY", timedelta(days=1))
    (_, first, _), (_, second, _) = volume.restore(backup), volume.restore(backup)
    assert first != second


def test_a_backup_restores_only_within_its_environment(volume: Disk) -> None:
    backup = volume.take("DAILY", timedelta(days=1))
    other = disk(volume.plane)
    with pytest.raises(RailwayError, match="same project and environment"):
        volume.client.volume_instance_backup_restore(backup, other.id)
    with pytest.raises(RailwayError, match="VolumeInstanceBackup not found"):
        volume.client.volume_instance_backup_delete(backup, other.id)


def test_sizes_tell_what_a_backup_adds_to_the_one_before_it(volume: Disk) -> None:
    (volume.directory / "old").write_bytes(os.urandom(2_500_000))
    volume.back_up()
    (volume.directory / "new").write_bytes(os.urandom(1_500_000))
    volume.back_up()
    query = "query ($id: String!) { volumeInstanceBackupList(volumeInstanceId: $id) { usedMB referencedMB } }"
    seen = volume.client._execute(query, {"id": volume.id})["volumeInstanceBackupList"]
    assert seen == [{"usedMB": 2, "referencedMB": 4}, {"usedMB": 3, "referencedMB": 3}]


def test_a_volume_deleted_while_it_is_copied_leaves_no_copy(volume: Disk) -> None:
    for number in range(400):
        (volume.directory / f"file-{number}").write_bytes(b"x" * 50_000)
    started = volume.client.volume_instance_backup_create(volume.id)
    volume.client.volume_delete(volume.volume)
    error = volume.plane.await_workflow(volume.client, started.workflow_id)
    assert error in ("VolumeInstance not found", "Problem processing request", None)
    shelf = volume.plane.endpoint.path / ".backups" / volume.id
    assert not shelf.exists() or list(shelf.iterdir()) == []


@pytest.fixture(scope="module")
def free(sandbox: Sandbox) -> Iterator[ControlPlane]:
    with control_plane(sandbox, "legacy", "free", name="small") as plane:
        yield plane


def test_a_backup_by_hand_is_refused_when_more_than_half_of_the_volume_is_in_use(free: ControlPlane) -> None:
    volume = disk(free)
    half = 250 * 1_000_000
    with (volume.directory / "rows").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, half - 1_000_000)
    assert volume.back_up() in volume.listed()
    with (volume.directory / "more").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, 2_000_000)
    with pytest.raises(RailwayError, match="50%"):
        volume.client.volume_instance_backup_create(volume.id)
    assert volume.take("DAILY", timedelta(days=1)) in volume.listed(), "a scheduled one is taken all the same"


def test_a_point_in_time_restore_ends_in_an_error_since_no_volume_archives_its_wal(
    current: ControlPlane,
) -> None:
    volume = disk(current)
    started = volume.client._execute(
        """mutation ($id: String!, $at: DateTime!) {
          volumeInstancePITRRestore(volumeInstanceId: $id, targetTimestamp: $at) { workflowId }
        }""",
        {"id": volume.id, "at": "2026-04-24T12:00:00Z"},
    )["volumeInstancePITRRestore"]
    error = current.await_workflow(volume.client, started["workflowId"])
    assert error == "Point-in-time recovery is not enabled for this volume"
