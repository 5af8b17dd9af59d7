"""Fields of objects that are more than an attribute of the record behind them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from harness.replicas.railway.calls.domains import of_instance
from harness.replicas.railway.calls.environments import config_of, visible
from harness.replicas.railway.copies import RHYTHMS
from harness.replicas.railway.inventory import of_volume
from harness.replicas.railway.paging import Connection, Page, page_of
from harness.replicas.railway.plane import Answers, Call
from harness.replicas.railway.state import (
    Bucket,
    Deployment,
    Environment,
    Invitation,
    Member,
    Patch,
    Project,
    Record,
    Schedule,
    Service,
    ServiceInstance,
    User,
    Volume,
    VolumeInstance,
    Workspace,
)
from harness.replicas.railway.volumes import size_of

Shape = dict[str, object]
R = TypeVar("R", bound=Record)


def _get(call: Call, kind: type[R], id: str | None) -> R | None:
    return None if id is None else call.estate.find(kind, id, buried=True)


def rate_limit(call: Call, owner: User | Workspace) -> Shape:
    """What the caller's own token has left."""
    del owner
    remaining, resets_at = call.plane.limits.remaining(call.caller.key, call.now)
    return {"remaining_points": remaining, "resets_at": resets_at.isoformat()}


def user_workspace(call: Call, user: User) -> Workspace | None:
    del user
    return next(iter(call.estate.every(Workspace)), None)


def user_workspaces(call: Call, user: User) -> tuple[Workspace, ...]:
    del user
    return call.estate.every(Workspace)


def workspace_members(call: Call, workspace: Workspace) -> list[User]:
    del workspace
    return [call.estate.user]


def workspace_projects(call: Call, workspace: Workspace, **page: Any) -> Connection:
    return page_of(call.estate.every(Project, workspace_id=workspace.id), Page(**page))


def project_of(call: Call, record: Any) -> Project | None:
    return _get(call, Project, record.project_id)


def project_workspace(call: Call, project: Project) -> Workspace | None:
    return _get(call, Workspace, project.workspace_id)


def project_base_environment(call: Call, project: Project) -> Environment | None:
    base = _get(call, Environment, project.base_environment_id)
    return base if base in visible(call, project.id) else None


def project_plan(call: Call, project: Project) -> str:
    del project
    return call.estate.plan


def project_members(call: Call, project: Project) -> tuple[Member, ...]:
    return call.estate.every(Member, project_id=project.id)


def project_environments(
    call: Call, project: Project, is_ephemeral: bool | None = None, **page: Any
) -> Connection:
    return page_of(visible(call, project.id, is_ephemeral), Page(**page))


def project_services(call: Call, project: Project, **page: Any) -> Connection:
    services = call.estate.every(Service, project_id=project.id)
    own = call.authority.token.environment_id
    seen = [one for one in services if own is None or _stands_in(call, one, own)]
    return page_of(seen, Page(**page))


def project_volumes(call: Call, project: Project, **page: Any) -> Connection:
    volumes = call.estate.every(Volume, buried=True, project_id=project.id)
    own = call.authority.token.environment_id
    seen = [one for one in volumes if own is None or _seen_instances(call, one)]
    return page_of(seen, Page(**page))


def project_buckets(call: Call, project: Project, **page: Any) -> Connection:
    return page_of(call.estate.every(Bucket, project_id=project.id), Page(**page))


def environment_config(call: Call, environment: Environment, **options: object) -> Shape:
    del options
    return config_of(call, environment)


def environment_source(call: Call, environment: Environment) -> Environment | None:
    return _get(call, Environment, environment.source_environment_id)


def environment_unmerged(call: Call, environment: Environment) -> int:
    staged = call.estate.every(Patch, environment_id=environment.id, status="STAGED")
    sections = [section for patch in staged for section in patch.patch.values()]
    return sum(len(section) for section in sections if isinstance(section, dict))


def environment_services(call: Call, environment: Environment, **page: Any) -> Connection:
    return page_of(call.estate.every(ServiceInstance, environment_id=environment.id), Page(**page))


def environment_volumes(call: Call, environment: Environment, **page: Any) -> Connection:
    found = call.estate.every(VolumeInstance, buried=True, environment_id=environment.id)
    return page_of(found, Page(**page))


def environment_of(call: Call, record: Any) -> Environment | None:
    return _get(call, Environment, record.environment_id)


def patch_author(call: Call, patch: Patch) -> User | None:
    return call.estate.user if patch.applied_at else None


def service_of(call: Call, record: Any) -> Service | None:
    return _get(call, Service, record.service_id)


def service_instances(call: Call, service: Service, **page: Any) -> Connection:
    own = call.authority.token.environment_id
    every = call.estate.every(ServiceInstance, service_id=service.id)
    return page_of([one for one in every if own in (None, one.environment_id)], Page(**page))


def instance_name(call: Call, instance: ServiceInstance) -> str:
    return call.estate.get(Service, instance.service_id).name


def instance_source(call: Call, instance: ServiceInstance) -> Shape:
    del call
    return {"image": instance.image, "repo": instance.repo}


def instance_domains(call: Call, instance: ServiceInstance) -> Shape:
    return of_instance(call, instance.service_id, instance.environment_id)


def instance_upstream(call: Call, instance: ServiceInstance) -> str | None:
    return call.estate.get(Service, instance.service_id).upstream_url


def deployments(call: Call, instance: ServiceInstance) -> tuple[Deployment, ...]:
    return call.estate.every(
        Deployment, service_id=instance.service_id, environment_id=instance.environment_id
    )[-1:]


def latest_deployment(call: Call, instance: ServiceInstance) -> Deployment | None:
    return next(iter(deployments(call, instance)), None)


def domain_status(call: Call, domain: Record) -> Shape:
    del call, domain
    return {"verified": True}


def invitation_is_expired(call: Call, invitation: Invitation) -> bool:
    return invitation.expires_at <= call.now


def invitation_inviter(call: Call, invitation: Invitation) -> User:
    del invitation
    return call.estate.user


def volume_instances(call: Call, volume: Volume, **page: Any) -> Connection:
    return page_of(_seen_instances(call, volume), Page(**page))


def volume_of(call: Call, instance: VolumeInstance) -> Volume | None:
    return _get(call, Volume, instance.volume_id)


def volume_service_instance(call: Call, instance: VolumeInstance) -> ServiceInstance | None:
    found = call.estate.every(
        ServiceInstance, service_id=instance.service_id, environment_id=instance.environment_id
    )
    return next(iter(found), None)


def volume_size(call: Call, instance: VolumeInstance) -> float:
    return size_of(call.plane.disk.location(instance.directory, instance.id)) / 1_000_000


def schedule_name(call: Call, schedule: Schedule) -> str:
    del call
    return RHYTHMS[schedule.kind].name


def schedule_cron(call: Call, schedule: Schedule) -> str:
    del call
    return RHYTHMS[schedule.kind].cron


def schedule_retention(call: Call, schedule: Schedule) -> int:
    del call
    return round(RHYTHMS[schedule.kind].keep.total_seconds())


def _stands_in(call: Call, service: Service, environment_id: str) -> bool:
    return bool(call.estate.every(ServiceInstance, service_id=service.id, environment_id=environment_id))


def _seen_instances(call: Call, volume: Volume) -> list[VolumeInstance]:
    own = call.authority.token.environment_id
    return [one for one in of_volume(call.estate, volume) if own in (None, one.environment_id)]


FIELDS: Mapping[str, Answers] = {
    "User": {
        "apiTokenRateLimit": rate_limit,
        "workspace": user_workspace,
        "workspaces": user_workspaces,
    },
    "Workspace": {
        "apiTokenRateLimit": rate_limit,
        "members": workspace_members,
        "projects": workspace_projects,
    },
    "Project": {
        "workspace": project_workspace,
        "baseEnvironment": project_base_environment,
        "subscriptionType": project_plan,
        "members": project_members,
        "environments": project_environments,
        "services": project_services,
        "volumes": project_volumes,
        "buckets": project_buckets,
    },
    "ProjectToken": {"environment": environment_of, "project": project_of},
    "ProjectInvitation": {
        "isExpired": invitation_is_expired,
        "inviter": invitation_inviter,
        "project": project_of,
    },
    "InviteCode": {"project": project_of},
    "Bucket": {"project": project_of},
    "Environment": {
        "config": environment_config,
        "sourceEnvironment": environment_source,
        "unmergedChangesCount": environment_unmerged,
        "serviceInstances": environment_services,
        "volumeInstances": environment_volumes,
    },
    "EnvironmentPatch": {"environment": environment_of, "appliedBy": patch_author},
    "Service": {"project": project_of, "serviceInstances": service_instances},
    "ServiceInstance": {
        "service": service_of,
        "serviceName": instance_name,
        "environment": environment_of,
        "source": instance_source,
        "domains": instance_domains,
        "upstreamUrl": instance_upstream,
        "activeDeployments": deployments,
        "latestDeployment": latest_deployment,
    },
    "CustomDomain": {"status": domain_status},
    "Volume": {"project": project_of, "volumeInstances": volume_instances},
    "VolumeInstance": {
        "volume": volume_of,
        "environment": environment_of,
        "service": service_of,
        "serviceInstance": volume_service_instance,
        "currentSizeMB": volume_size,
    },
    "VolumeInstanceBackupSchedule": {
        "name": schedule_name,
        "cron": schedule_cron,
        "retentionSeconds": schedule_retention,
    },
}
