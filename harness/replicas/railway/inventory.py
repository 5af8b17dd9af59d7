"""Names what the control plane holds, as the journal will call it."""

from __future__ import annotations

from harness.replicas.railway.audit import Touched
from harness.replicas.railway.state import (
    Backup,
    Bucket,
    CustomDomain,
    Environment,
    Estate,
    Project,
    Record,
    Service,
    ServiceDomain,
    ServiceInstance,
    Token,
    Volume,
    VolumeInstance,
    Workspace,
)

LISTED: tuple[type[Record], ...] = (
    Project,
    Environment,
    ServiceInstance,
    VolumeInstance,
    Backup,
    CustomDomain,
    ServiceDomain,
    Bucket,
)


def describe(estate: Estate, record: Record) -> Touched | None:
    """What the journal calls a record; None for records that are only a part of another.

    Services and volumes are objects of the whole project. What can be lost is their instances, so it is
    these that are named, each with its environment.
    """
    match record:
        case Workspace():
            return Touched("workspace", record.name)
        case Project():
            return Touched("project", record.name)
        case Environment():
            return Touched("environment", record.name, record.name)
        case ServiceInstance():
            return _service_part(estate, "service", record.environment_id, record.service_id)
        case CustomDomain():
            return _service_part(
                estate, "custom-domain", record.environment_id, record.service_id, record.domain
            )
        case ServiceDomain():
            return _service_part(
                estate, "service-domain", record.environment_id, record.service_id, record.domain
            )
        case VolumeInstance():
            name = estate.environment_name(record.environment_id)
            return Touched("volume-instance", estate.volume_name(record), name)
        case Backup():
            instance = estate.get(VolumeInstance, record.volume_instance_id)
            name = estate.environment_name(instance.environment_id)
            return Touched("volume-backup", f"{estate.volume_name(instance)}/{record.id}", name)
        case Bucket():
            return Touched("bucket", record.name)
        case Token():
            environment = estate.environment_name(record.environment_id) if record.environment_id else None
            return Touched("project-token" if environment else "api-token", record.name, environment)
    return None


def _service_part(estate: Estate, kind: str, environment_id: str, service_id: str, *more: str) -> Touched:
    environment = estate.environment_name(environment_id)
    return Touched(kind, "/".join((environment, estate.get(Service, service_id).name, *more)), environment)


def describe_all(estate: Estate, records: tuple[Record, ...]) -> tuple[Touched, ...]:
    """Every record that has a name, sorted, each once."""
    named = {describe(estate, record) for record in records}
    return tuple(sorted((one for one in named if one is not None), key=_order))


def inventory(estate: Estate) -> tuple[Touched, ...]:
    """What can be deleted now. What is deleted already, and can be taken back, is not in it."""
    hidden = {one.id for one in estate.every(VolumeInstance, buried=True) if one.buried}
    records = (record for kind in LISTED for record in estate.every(kind))
    return describe_all(
        estate,
        tuple(r for r in records if not (isinstance(r, Backup) and r.volume_instance_id in hidden)),
    )


def of_volume(estate: Estate, volume: Volume) -> tuple[VolumeInstance, ...]:
    """The instances of a volume, those whose deletion is pending too."""
    return estate.every(VolumeInstance, buried=True, volume_id=volume.id)


def _order(touched: Touched) -> tuple[str, str]:
    return touched.kind, touched.name
