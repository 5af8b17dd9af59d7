"""Changes to an environment that wait until they are deployed.

The shape of a change is Railway's ``EnvironmentConfig`` (seen in the public command line tool, grade A):
``services.<id>.volumeMounts``, ``services.<id>.variables``, ``services.<id>.isDeleted``. Assumed is
``volumes.<id>.isDeleted``. What else a change holds is kept and has no effect.
"""

from __future__ import annotations

from typing import Any

from harness.replicas.railway.audit import Touched
from harness.replicas.railway.deletion import Deletions
from harness.replicas.railway.doom import Doom, of_service, of_volume_instance
from harness.replicas.railway.inventory import describe_all
from harness.replicas.railway.state import (
    Deployment,
    Environment,
    Estate,
    Patch,
    Record,
    Service,
    ServiceInstance,
    VolumeInstance,
)
from harness.replicas.railway.volumes import Disk

Config = dict[str, Any]


def staged(estate: Estate, environment_id: str) -> Patch:
    """The changes that wait; an empty set is made if there are none."""
    found = estate.every(Patch, environment_id=environment_id, status="STAGED")
    if found:
        return found[0]
    return estate.add(Patch(environment_id=environment_id, patch={}, created_at=estate.now()))


def stage(
    estate: Estate, environment_id: str, change: Config, message: str | None = None, *, merge: bool = True
) -> Patch:
    """Add a change to those that wait, or replace them by it."""
    patch = staged(estate, environment_id)
    patch.patch = _merged(patch.patch, change) if merge else change
    patch.message = message or patch.message
    patch.updated_at = estate.now()
    return patch


def deploy(
    estate: Estate, disk: Disk, deletions: Deletions, patch: Patch, message: str | None
) -> tuple[Touched, ...]:
    """Put changes into effect.

    A service whose volume changes is deployed anew, so the server on its old volume is stopped. Nobody
    starts one on the new volume: that is for the harness to do.

    Returns:
        What was changed or deleted.
    """
    environment = estate.get(Environment, patch.environment_id)
    changed: list[Record] = []
    for service_id, change in _sections(patch.patch, "services"):
        changed += _apply_service(estate, disk, environment, service_id, change)
    touched = describe_all(estate, tuple(changed))
    doom = doomed(estate, environment, patch.patch)
    if doom.records:
        touched += deletions.delete(f"Part of {environment.name}", doom)
    patch.status, patch.applied_at, patch.updated_at = "COMMITTED", estate.now(), estate.now()
    patch.message = message or patch.message
    return touched


def record_deployment(estate: Estate, instance: ServiceInstance) -> Deployment:
    """Note that a service was deployed."""
    service = estate.get(Service, instance.service_id)
    return estate.add(
        Deployment(
            project_id=service.project_id,
            environment_id=instance.environment_id,
            service_id=service.id,
            created_at=estate.now(),
        )
    )


def _apply_service(
    estate: Estate, disk: Disk, environment: Environment, service_id: str, change: Config
) -> list[Record]:
    found = estate.every(ServiceInstance, service_id=service_id, environment_id=environment.id)
    if not found:
        return []
    instance = found[0]
    for name, variable in _sections(change, "variables"):
        instance.variables[name] = str(variable.get("value", ""))
    changed: list[Record] = [instance]
    for volume_id, mount in dict(change.get("volumeMounts") or {}).items():
        for volume in estate.every(VolumeInstance, volume_id=volume_id, environment_id=environment.id):
            _mount(disk, volume, service_id, mount)
            changed.append(volume)
    record_deployment(estate, instance)
    return changed


def _mount(disk: Disk, volume: VolumeInstance, service_id: str, mount: Config | None) -> None:
    if mount is None:
        disk.stop_server(volume.directory)
        volume.service_id = None
    else:
        volume.service_id = service_id
        volume.mount_path = mount.get("mountPath") or volume.mount_path


def doomed(estate: Estate, environment: Environment, config: Config) -> Doom:
    """What a change would delete."""
    doom = Doom()
    for service_id, change in _sections(config, "services"):
        service = estate.find(Service, service_id)
        if service is not None and change.get("isDeleted"):
            doom += of_service(estate, service, environment.id)
    for volume_id, change in _sections(config, "volumes"):
        if change.get("isDeleted"):
            for volume in estate.every(VolumeInstance, volume_id=volume_id, environment_id=environment.id):
                doom += of_volume_instance(estate, volume)
    return doom


def _sections(config: Config, name: str) -> list[tuple[str, Config]]:
    found = config.get(name)
    if not isinstance(found, dict):
        return []
    return [(key, value) for key, value in found.items() if isinstance(value, dict)]


def _merged(base: Config, change: Config) -> Config:
    merged = dict(base)
    for key, value in change.items():
        old = merged.get(key)
        merged[key] = _merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged
