"""Environments, and the changes that are staged in them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from harness.replicas.railway.calls.accounts import Input
from harness.replicas.railway.doom import of_environment
from harness.replicas.railway.paging import Connection, Page, page_of
from harness.replicas.railway.plane import Answers, Call
from harness.replicas.railway.refusals import ApiError, NotFoundError
from harness.replicas.railway.staging import Config, deploy, doomed, record_deployment, stage, staged
from harness.replicas.railway.state import (
    Environment,
    Patch,
    PrivateNetwork,
    Service,
    ServiceInstance,
    Volume,
    VolumeInstance,
    Workflow,
    new_id,
)


def environment(call: Call, id: str, project_id: str | None = None) -> Environment:
    found = call.authority.environment(id)
    if project_id not in (None, found.project_id):
        raise NotFoundError("Environment")
    return found


def environments(call: Call, project_id: str, is_ephemeral: bool | None = None, **page: Any) -> Connection:
    call.authority.project(project_id, whole=False)
    return page_of(visible(call, project_id, is_ephemeral), Page(**page))


def visible(call: Call, project_id: str, is_ephemeral: bool | None = None) -> list[Environment]:
    """The environments of a project that the caller may see."""
    own = call.authority.token.environment_id
    return [
        one
        for one in call.estate.every(Environment, project_id=project_id)
        if own in (None, one.id) and is_ephemeral in (None, one.is_ephemeral)
    ]


def environment_logs(call: Call, environment_id: str, **window: object) -> list[object]:
    del window
    call.authority.environment(environment_id)
    return []


def environment_create(call: Call, input: Input) -> Environment:
    project = call.authority.project(input["project_id"])
    source_id = input.get("source_environment_id")
    source = call.authority.environment(source_id) if source_id else None
    name = _free_name(call, project.id, input["name"])
    made = call.estate.add(
        Environment(
            project_id=project.id,
            name=name,
            is_ephemeral=bool(input.get("ephemeral")),
            source_environment_id=source.id if source else None,
            variables=dict(source.variables) if source else {},
            created_at=call.now,
        )
    )
    call.changed(made)
    if source is not None:
        _duplicate(call, source, made)
    return made


def environment_rename(call: Call, id: str, input: Input) -> Environment:
    renamed = call.authority.environment(id)
    renamed.name = _free_name(call, renamed.project_id, input["name"])
    call.changed(renamed)
    return renamed


def environment_delete(call: Call, id: str) -> bool:
    doomed = call.authority.environment(id)
    doom = of_environment(call.estate, doomed)
    call.delete(f"Environment {doomed.name}", doom)
    return True


def base_environment_override(call: Call, id: str, input: Input) -> bool:
    changed = call.authority.environment(id)
    base = input.get("base_environment_override_id")
    changed.base_environment_override_id = call.authority.environment(base).id if base else None
    call.changed(changed)
    return True


def environment_patch(call: Call, id: str) -> Patch:
    patch = call.estate.find(Patch, id)
    if patch is None:
        raise NotFoundError("EnvironmentPatch")
    call.authority.environment(patch.environment_id)
    return patch


def environment_patches(call: Call, environment_id: str, **page: Any) -> Connection:
    call.authority.environment(environment_id)
    done = call.estate.every(Patch, environment_id=environment_id, status="COMMITTED")
    return page_of(done[::-1], Page(**page))


def environment_staged_changes(call: Call, environment_id: str) -> Patch:
    call.authority.environment(environment_id)
    return staged(call.estate, environment_id)


def environment_stage_changes(
    call: Call, environment_id: str, input: Config, merge: bool | None = None
) -> Patch:
    call.changed(call.authority.environment(environment_id))
    return stage(call.estate, environment_id, _checked(input), merge=merge is not False)


def environment_patch_commit(
    call: Call, environment_id: str, patch: Config | None = None, commit_message: str | None = None
) -> str:
    changed = _checked(patch or {})
    _dooms(call, call.authority.environment(environment_id), changed)
    made = call.estate.add(Patch(environment_id=environment_id, patch=changed, created_at=call.now))
    return _deploy(call, made, commit_message)


def environment_patch_commit_staged(
    call: Call, environment_id: str, commit_message: str | None = None, skip_deploys: bool | None = None
) -> str:
    del skip_deploys
    waiting = staged(call.estate, call.authority.environment(environment_id).id)
    _dooms(call, call.estate.get(Environment, environment_id), waiting.patch)
    return _deploy(call, waiting, commit_message)


def environment_triggers_deploy(call: Call, input: Input) -> bool:
    return deploy_service(call, input["service_id"], input["environment_id"])


def environment_unskip_service(call: Call, environment_id: str, service_id: str) -> bool:
    return deploy_service(call, service_id, environment_id)


def deploy_service(call: Call, service_id: str, environment_id: str) -> bool:
    """Record that a service was deployed."""
    instance = call.authority.service_instance(service_id, environment_id)
    record_deployment(call.estate, instance)
    call.changed(instance)
    return True


def private_networks(call: Call, environment_id: str) -> tuple[PrivateNetwork, ...]:
    call.authority.environment(environment_id)
    return call.estate.every(PrivateNetwork, environment_id=environment_id)


def private_network_create_or_get(call: Call, input: Input) -> PrivateNetwork:
    home = call.authority.environment(input["environment_id"])
    found = call.estate.every(PrivateNetwork, environment_id=home.id, name=input["name"])
    if found:
        return found[0]
    call.changed(home)
    return call.estate.add(
        PrivateNetwork(
            project_id=home.project_id,
            environment_id=home.id,
            name=input["name"],
            dns_name=input["name"],
            network_id=len(call.estate.every(PrivateNetwork)) + 1,
            tags=list(input["tags"]),
            created_at=call.now,
        )
    )


def private_networks_for_environment_delete(call: Call, environment_id: str) -> bool:
    for network in private_networks(call, environment_id):
        call.estate.drop(network)
    call.changed(call.authority.environment(environment_id))
    return True


def _dooms(call: Call, environment: Environment, config: Config) -> None:
    call.dooms(*call.plane.deletions.names(doomed(call.estate, environment, config)))


def _deploy(call: Call, patch: Patch, message: str | None) -> str:
    plane = call.plane
    call.touch(deploy(plane.estate, plane.disk, plane.deletions, patch, message))
    return plane.estate.add(Workflow(status="Complete", created_at=call.now)).id


def _free_name(call: Call, project_id: str, name: str) -> str:
    if not name or "/" in name or name.startswith("."):
        raise ApiError("Invalid environment name")
    if call.estate.every(Environment, project_id=project_id, name=name):
        raise ApiError("An environment with that name already exists")
    return name


def _checked(config: object) -> Config:
    if not isinstance(config, dict):
        raise ApiError("Invalid environment config")
    return config


def _duplicate(call: Call, source: Environment, made: Environment) -> None:
    """Copy services and settings. Volumes get an instance each, and those are empty (assumed)."""
    for instance in call.estate.every(ServiceInstance, environment_id=source.id):
        call.changed(copy_instance(call, instance, instance.service_id, made.id))
    for like in call.estate.every(VolumeInstance, environment_id=source.id):
        volume = call.estate.get(Volume, like.volume_id)
        call.changed(call.plane.new_volume_instance(volume, made, like.mount_path, like.service_id))


def copy_instance(call: Call, like: ServiceInstance, service_id: str, environment_id: str) -> ServiceInstance:
    """A service instance with the settings of another."""
    made = replace(
        like,
        id=new_id(),
        service_id=service_id,
        environment_id=environment_id,
        variables=dict(like.variables),
        limits={},
        created_at=call.now,
        updated_at=call.now,
    )
    return call.estate.add(made)


def config_of(call: Call, environment: Environment) -> Config:
    """What stands in an environment, in the shape that changes to it have."""
    mounted: dict[str, Config] = {}
    for volume in call.estate.every(VolumeInstance, environment_id=environment.id):
        if volume.service_id is not None:
            mounted.setdefault(volume.service_id, {})[volume.volume_id] = {"mountPath": volume.mount_path}
    return {
        "services": {
            one.service_id: {
                "source": {"image": one.image, "repo": one.repo},
                "variables": {name: {"value": value} for name, value in one.variables.items()},
                "volumeMounts": mounted.get(one.service_id, {}),
            }
            for one in call.estate.every(ServiceInstance, environment_id=environment.id)
            if call.estate.find(Service, one.service_id)
        },
        "sharedVariables": {name: {"value": value} for name, value in environment.variables.items()},
        "volumes": {
            one.volume_id: {"sizeMB": one.size_mb, "region": one.region}
            for one in call.estate.every(VolumeInstance, environment_id=environment.id)
        },
    }


QUERIES: Answers = {
    "environment": environment,
    "environments": environments,
    "environmentLogs": environment_logs,
    "environmentPatch": environment_patch,
    "environmentPatches": environment_patches,
    "environmentStagedChanges": environment_staged_changes,
    "privateNetworks": private_networks,
}
MUTATIONS: Answers = {
    "environmentCreate": environment_create,
    "environmentRename": environment_rename,
    "environmentDelete": environment_delete,
    "baseEnvironmentOverride": base_environment_override,
    "environmentStageChanges": environment_stage_changes,
    "environmentPatchCommit": environment_patch_commit,
    "environmentPatchCommitStaged": environment_patch_commit_staged,
    "environmentTriggersDeploy": environment_triggers_deploy,
    "environmentUnskipService": environment_unskip_service,
    "privateNetworkCreateOrGet": private_network_create_or_get,
    "privateNetworksForEnvironmentDelete": private_networks_for_environment_delete,
}
