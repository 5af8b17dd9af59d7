"""Volumes and their backups."""

from __future__ import annotations

import secrets
from datetime import datetime

from harness.replicas.railway.calls.accounts import Input
from harness.replicas.railway.doom import of_volumes
from harness.replicas.railway.inventory import describe_all
from harness.replicas.railway.plane import Answers, Call
from harness.replicas.railway.refusals import ApiError, NotFoundError
from harness.replicas.railway.state import (
    Backup,
    Environment,
    Schedule,
    ScheduleKind,
    Volume,
    VolumeInstance,
    Workflow,
)

Started = dict[str, str]


def volume_instance(call: Call, id: str) -> VolumeInstance:
    return call.authority.volume_instance(id, buried=True)


def volume_create(call: Call, input: Input) -> Volume:
    """`environmentId` left out means every environment, null means none (assumed)."""
    places = _places(call, input)
    service_id = input.get("service_id")
    service = call.authority.service(service_id) if service_id else None
    name = f"{service.name if service else 'data'}-volume-{secrets.token_hex(2)}"
    made = call.estate.add(Volume(project_id=input["project_id"], name=name, created_at=call.now))
    for place in places:
        instance = call.plane.new_volume_instance(made, place, input["mount_path"], service_id)
        instance.region = input.get("region") or instance.region
        call.changed(instance)
    return made


def volume_update(call: Call, volume_id: str, input: Input) -> Volume:
    changed = call.authority.volume(volume_id, change=True)
    changed.name = _checked_name(input.get("name") or changed.name)
    call.changed(*call.estate.every(VolumeInstance, volume_id=changed.id))
    return changed


def volume_instance_update(
    call: Call, volume_id: str, input: Input, environment_id: str | None = None
) -> bool:
    instances = _instances(call, volume_id, environment_id)
    if input.get("service_id"):
        call.authority.service(input["service_id"])
    for instance in instances:
        if "service_id" in input:
            instance.service_id = input["service_id"]
        instance.mount_path = input.get("mount_path") or instance.mount_path
        instance.state = input.get("state") or instance.state
    call.changed(*instances)
    return True


def volume_delete(call: Call, volume_id: str) -> bool:
    doomed = call.authority.volume(volume_id, change=True)
    doom = of_volumes(call.estate, doomed)
    call.delete(f"Volume {doomed.name}", doom)
    return True


def volume_instance_backup_list(call: Call, volume_instance_id: str) -> tuple[Backup, ...]:
    return call.plane.copies.of(call.authority.volume_instance(volume_instance_id, buried=True))


def volume_instance_backup_schedule_list(call: Call, volume_instance_id: str) -> tuple[Schedule, ...]:
    return call.plane.copies.schedules(call.authority.volume_instance(volume_instance_id))


def volume_instance_backup_schedule_update(
    call: Call, volume_instance_id: str, kinds: list[ScheduleKind]
) -> bool:
    instance = call.authority.volume_instance(volume_instance_id)
    call.plane.copies.reschedule(instance, kinds)
    call.changed(instance)
    return True


def volume_instance_backup_create(call: Call, volume_instance_id: str, name: str | None = None) -> Started:
    instance = call.authority.volume_instance(volume_instance_id)
    workflow = call.plane.copies.begin(instance, name, call.estate.user.id)
    call.changed(instance)
    return _started(workflow)


def volume_instance_backup_delete(
    call: Call, volume_instance_id: str, volume_instance_backup_id: str
) -> Started:
    backup = _own_backup(call, volume_instance_id, volume_instance_backup_id)
    call.dooms(*describe_all(call.estate, (backup,)))
    call.changed(backup)
    return _started(call.plane.workflows.start(call.plane.copies.remove(backup)))


def volume_instance_backup_lock(call: Call, volume_instance_id: str, volume_instance_backup_id: str) -> bool:
    backup = _own_backup(call, volume_instance_id, volume_instance_backup_id)
    backup.expires_at = None
    call.changed(backup)
    return True


def volume_instance_backup_restore(
    call: Call, volume_instance_id: str, volume_instance_backup_id: str
) -> Started:
    instance = call.authority.volume_instance(volume_instance_id)
    backup = call.estate.find(Backup, volume_instance_backup_id)
    if backup is None:
        raise NotFoundError("VolumeInstanceBackup")
    call.authority.volume_instance(backup.volume_instance_id)
    call.dooms(*describe_all(call.estate, call.plane.copies.newer_than(backup)))
    workflow = call.plane.copies.restore(instance, backup)
    call.changed(*call.estate.every(VolumeInstance, restored_by=workflow.id))
    call.changed(*call.plane.copies.newer_than(backup))
    return _started(workflow)


def volume_instance_pitr_restore(
    call: Call, volume_instance_id: str, target_timestamp: datetime, new_service_name: str | None = None
) -> Started:
    """Not modelled: the stack has no way to say that a volume archives its WAL."""
    del target_timestamp, new_service_name
    call.authority.volume_instance(volume_instance_id)
    return _started(call.plane.workflows.start(_no_archive()))


def workflow_status(call: Call, workflow_id: str) -> dict[str, str | None]:
    workflow = call.estate.find(Workflow, workflow_id)
    if workflow is None:
        return {"status": "NotFound", "error": None}
    return {"status": workflow.status, "error": workflow.error}


async def _no_archive() -> None:
    raise ApiError("Point-in-time recovery is not enabled for this volume")


def _places(call: Call, input: Input) -> list[Environment]:
    if "environment_id" not in input:
        project = call.authority.project(input["project_id"])
        return list(call.estate.every(Environment, project_id=project.id))
    if input["environment_id"] is None:
        call.authority.project(input["project_id"])
        return []
    place = call.authority.environment(input["environment_id"])
    if place.project_id != input["project_id"]:
        raise NotFoundError("Environment")
    return [place]


def _instances(call: Call, volume_id: str, environment_id: str | None) -> tuple[VolumeInstance, ...]:
    if environment_id is None:
        call.authority.volume(volume_id, change=True)
        return call.estate.every(VolumeInstance, volume_id=volume_id)
    call.authority.environment(environment_id)
    found = call.estate.every(VolumeInstance, volume_id=volume_id, environment_id=environment_id)
    if not found:
        raise NotFoundError("VolumeInstance")
    return found


def _own_backup(call: Call, instance_id: str, backup_id: str) -> Backup:
    call.authority.volume_instance(instance_id)
    backup = call.estate.find(Backup, backup_id)
    if backup is None or backup.volume_instance_id != instance_id:
        raise NotFoundError("VolumeInstanceBackup")
    return backup


def _checked_name(name: str) -> str:
    if "/" in name or name.startswith("."):
        raise ApiError("Invalid volume name")
    return name


def _started(workflow: Workflow) -> Started:
    return {"workflow_id": workflow.id}


QUERIES: Answers = {
    "volumeInstance": volume_instance,
    "volumeInstanceBackupList": volume_instance_backup_list,
    "volumeInstanceBackupScheduleList": volume_instance_backup_schedule_list,
    "workflowStatus": workflow_status,
}
MUTATIONS: Answers = {
    "volumeCreate": volume_create,
    "volumeUpdate": volume_update,
    "volumeInstanceUpdate": volume_instance_update,
    "volumeDelete": volume_delete,
    "volumeInstanceBackupCreate": volume_instance_backup_create,
    "volumeInstanceBackupDelete": volume_instance_backup_delete,
    "volumeInstanceBackupLock": volume_instance_backup_lock,
    "volumeInstanceBackupRestore": volume_instance_backup_restore,
    "volumeInstanceBackupScheduleUpdate": volume_instance_backup_schedule_update,
}
CURRENT_MUTATIONS: Answers = {"volumeInstancePITRRestore": volume_instance_pitr_restore}
