"""What a deletion takes along.

Graded: a volume is deleted with all of its instances, since the call takes no environment (A); wiping it
deletes its backups (A); deleting an environment, a service or a project deletes "all its deployments" (A,
Railway's documentation). That a service's volumes are detached and stay, and that a volume goes when its
last instance goes, is assumed.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.replicas.railway.inventory import of_volume
from harness.replicas.railway.state import (
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


@dataclass(frozen=True)
class Doom:
    """What is to go.

    Attributes:
        records: what is deleted.
        stopped: volume instances that lose their server because its deployment goes.
        detached: those of them that are themselves not deleted.
    """

    records: tuple[Record, ...] = ()
    stopped: tuple[VolumeInstance, ...] = ()
    detached: tuple[VolumeInstance, ...] = ()

    def __add__(self, other: Doom) -> Doom:
        records = {record.id: record for record in (*self.records, *other.records)}
        detached = {one.id: one for one in (*self.detached, *other.detached) if one.id not in records}
        return Doom(tuple(records.values()), (*self.stopped, *other.stopped), tuple(detached.values()))


def of_volumes(estate: Estate, volume: Volume) -> Doom:
    """A volume goes in every environment. The server on it is not asked."""
    return Doom((*estate.every(VolumeInstance, volume_id=volume.id), volume))


def of_volume_instance(estate: Estate, instance: VolumeInstance) -> Doom:
    """A volume goes in one environment; with its last instance it goes altogether."""
    volume = estate.get(Volume, instance.volume_id)
    others = [other for other in of_volume(estate, volume) if other.id != instance.id and not other.buried]
    return Doom((instance,) if others else (instance, volume))


def of_service(estate: Estate, service: Service, environment_id: str | None) -> Doom:
    """A service goes in one environment or in all; with its last instance it goes altogether."""
    every = estate.every(ServiceInstance, service_id=service.id)
    instances = [one for one in every if environment_id in (None, one.environment_id)]
    places = {one.environment_id for one in instances}
    domains: list[CustomDomain | ServiceDomain] = [
        *estate.every(CustomDomain, service_id=service.id),
        *estate.every(ServiceDomain, service_id=service.id),
    ]
    domains = [domain for domain in domains if domain.environment_id in places]
    mounted = tuple(
        one for one in estate.every(VolumeInstance, service_id=service.id) if one.environment_id in places
    )
    last = [service] if len(instances) == len(every) else []
    return Doom((*domains, *instances, *last), stopped=mounted, detached=mounted)


def of_environment(estate: Estate, environment: Environment) -> Doom:
    """An environment goes with all that stands in it."""
    doom = Doom()
    for service in estate.every(Service, project_id=environment.project_id):
        if estate.every(ServiceInstance, service_id=service.id, environment_id=environment.id):
            doom += of_service(estate, service, environment.id)
    for instance in estate.every(VolumeInstance, environment_id=environment.id):
        doom += of_volume_instance(estate, instance)
    return doom + Doom((*estate.every(Token, environment_id=environment.id), environment))


def of_project(estate: Estate, project: Project) -> Doom:
    """A project goes with everything in it."""
    doom = Doom()
    for environment in estate.every(Environment, project_id=project.id):
        doom += of_environment(estate, environment)
    left = (
        record for kind in (Service, Volume, Bucket) for record in estate.every(kind, project_id=project.id)
    )
    return doom + Doom((*left, project))


def of_workspace(estate: Estate, workspace: Workspace) -> Doom:
    """A workspace goes with its projects and tokens."""
    doom = Doom()
    for project in estate.every(Project, workspace_id=workspace.id):
        doom += of_project(estate, project)
    return doom + Doom((*estate.every(Token, workspace_id=workspace.id), workspace))
