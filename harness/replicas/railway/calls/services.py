"""Services, their settings in each environment, and their variables."""

from __future__ import annotations

from harness.replicas.railway.calls.accounts import Input
from harness.replicas.railway.calls.environments import copy_instance, deploy_service
from harness.replicas.railway.doom import of_service
from harness.replicas.railway.plane import Answers, Call
from harness.replicas.railway.refusals import NotFoundError
from harness.replicas.railway.staging import record_deployment
from harness.replicas.railway.state import (
    Environment,
    Project,
    Service,
    ServiceInstance,
    VolumeInstance,
)

LIMITS = {"free": (2.0, 0.5), "hobby": (8.0, 8.0), "pro": (32.0, 32.0)}
"""vCPUs and GB of memory that the replica tells for each plan."""


def service(call: Call, id: str) -> Service:
    return call.authority.service(id)


def service_instance(call: Call, environment_id: str, service_id: str) -> ServiceInstance:
    return call.authority.service_instance(service_id, environment_id)


def service_instance_is_updatable(call: Call, environment_id: str, service_id: str) -> bool:
    return call.authority.service_instance(service_id, environment_id).is_updatable


def service_instance_limit_override(
    call: Call, environment_id: str, service_id: str
) -> dict[str, object] | None:
    limits = call.authority.service_instance(service_id, environment_id).limits
    return {"containers": limits} if limits else None


def service_instance_limits(call: Call, environment_id: str, service_id: str) -> dict[str, object]:
    own = call.authority.service_instance(service_id, environment_id).limits
    cpus, memory = LIMITS[call.estate.plan]
    return {"containers": {"cpu": cpus, "memoryBytes": memory * 10**9, **own}}


def service_create(call: Call, input: Input) -> Service:
    project, places = _places(call, input)
    made = call.estate.add(
        Service(
            project_id=project.id,
            name=input.get("name") or "service",
            icon=input.get("icon"),
            created_at=call.now,
        )
    )
    source = input.get("source") or {}
    for place in places:
        instance = ServiceInstance(
            service_id=made.id,
            environment_id=place.id,
            image=source.get("image"),
            repo=source.get("repo"),
            variables={key: str(value) for key, value in (input.get("variables") or {}).items()},
            created_at=call.now,
        )
        call.changed(call.estate.add(instance))
    return made


def service_update(call: Call, id: str, input: Input) -> Service:
    changed = call.authority.service(id, change=True)
    changed.name = input.get("name") or changed.name
    changed.icon = input.get("icon") or changed.icon
    return _changed(call, changed)


def service_delete(call: Call, id: str, environment_id: str | None = None) -> bool:
    doomed = call.authority.service(id, change=environment_id is None)
    if environment_id is not None:
        call.authority.service_instance(id, environment_id)
    doom = of_service(call.estate, doomed, environment_id)
    call.delete(f"Service {doomed.name}", doom)
    return True


def service_connect(call: Call, id: str, input: Input) -> Service:
    return _set_source(call, id, input.get("image"), input.get("repo"))


def service_disconnect(call: Call, id: str) -> Service:
    return _set_source(call, id, None, None)


def service_duplicate(call: Call, environment_id: str, service_id: str) -> Service:
    like = call.authority.service_instance(service_id, environment_id)
    original = call.authority.service(service_id)
    made = call.estate.add(
        Service(
            project_id=original.project_id,
            name=f"{original.name} (copy)",
            icon=original.icon,
            created_at=call.now,
        )
    )
    copy_instance(call, like, made.id, environment_id)
    return _changed(call, made)


def service_remove_upstream_url(call: Call, id: str) -> Service:
    changed = call.authority.service(id, change=True)
    changed.upstream_url = None
    return _changed(call, changed)


def service_feature_flag_add(call: Call, input: Input) -> bool:
    changed = call.authority.service(input["service_id"], change=True)
    changed.feature_flags.add(input["flag"])
    _changed(call, changed)
    return True


def service_feature_flag_remove(call: Call, input: Input) -> bool:
    changed = call.authority.service(input["service_id"], change=True)
    changed.feature_flags.discard(input["flag"])
    _changed(call, changed)
    return True


def service_instance_deploy(call: Call, environment_id: str, service_id: str, **source: object) -> bool:
    del source
    return deploy_service(call, service_id, environment_id)


def service_instance_deploy_v2(
    call: Call, environment_id: str, service_id: str, commit_sha: str | None = None
) -> str:
    del commit_sha
    instance = call.authority.service_instance(service_id, environment_id)
    call.changed(instance)
    return record_deployment(call.estate, instance).id


def service_instance_update(
    call: Call, service_id: str, input: Input, environment_id: str | None = None
) -> bool:
    if environment_id is None:
        call.authority.service(service_id, change=True)
        instances = call.estate.every(ServiceInstance, service_id=service_id)
    else:
        instances = (call.authority.service_instance(service_id, environment_id),)
    source = input.pop("source", None) or {}
    input.pop("registry_credentials", None)
    for instance in instances:
        for key, value in {**input, **source}.items():
            setattr(instance, key, value)
    call.changed(*instances)
    return True


def service_instance_limits_update(call: Call, input: Input) -> bool:
    instance = call.authority.service_instance(input["service_id"], input["environment_id"])
    if input.get("v_cp_us") is not None:
        instance.limits["cpu"] = input["v_cp_us"]
    if input.get("memory_gb") is not None:
        instance.limits["memoryBytes"] = input["memory_gb"] * 10**9
    call.changed(instance)
    return True


def variables(
    call: Call,
    environment_id: str,
    project_id: str,
    service_id: str | None = None,
    unrendered: bool | None = None,
) -> dict[str, str]:
    del project_id, unrendered
    return dict(_variables(call, environment_id, service_id))


def variables_for_service_deployment(
    call: Call, environment_id: str, project_id: str, service_id: str
) -> dict[str, str]:
    environment = call.authority.environment(environment_id)
    project = call.authority.project(project_id, whole=False)
    instance = call.authority.service_instance(service_id, environment_id)
    mounts = call.estate.every(VolumeInstance, service_id=service_id, environment_id=environment_id)
    return {
        **environment.variables,
        **instance.variables,
        "RAILWAY_PROJECT_ID": project.id,
        "RAILWAY_PROJECT_NAME": project.name,
        "RAILWAY_ENVIRONMENT_ID": environment.id,
        "RAILWAY_ENVIRONMENT_NAME": environment.name,
        "RAILWAY_SERVICE_ID": service_id,
        "RAILWAY_SERVICE_NAME": call.estate.get(Service, service_id).name,
        **({"RAILWAY_VOLUME_MOUNT_PATH": mounts[0].mount_path} if mounts else {}),
    }


def variable_upsert(call: Call, input: Input) -> bool:
    _variables(call, input["environment_id"], input.get("service_id"))[input["name"]] = input["value"]
    _note_variables(call, input)
    return True


def variable_collection_upsert(call: Call, input: Input) -> bool:
    kept = _variables(call, input["environment_id"], input.get("service_id"))
    if input.get("replace"):
        kept.clear()
    kept.update({key: str(value) for key, value in input["variables"].items()})
    _note_variables(call, input)
    return True


def variable_delete(call: Call, input: Input) -> bool:
    _variables(call, input["environment_id"], input.get("service_id")).pop(input["name"], None)
    _note_variables(call, input)
    return True


def _places(call: Call, input: Input) -> tuple[Project, list[Environment]]:
    if input.get("environment_id"):
        place = call.authority.environment(input["environment_id"])
        project = call.authority.project(input["project_id"], whole=False)
        if place.project_id != project.id:
            raise NotFoundError("Environment")
        return project, [place]
    project = call.authority.project(input["project_id"])
    places = call.estate.every(Environment, project_id=project.id, is_ephemeral=False)
    return project, list(places)


def _set_source(call: Call, id: str, image: str | None, repo: str | None) -> Service:
    changed = call.authority.service(id, change=True)
    for instance in call.estate.every(ServiceInstance, service_id=id):
        instance.image, instance.repo = image, repo
    return _changed(call, changed)


def _changed(call: Call, changed: Service) -> Service:
    call.changed(changed, *call.estate.every(ServiceInstance, service_id=changed.id))
    return changed


def _variables(call: Call, environment_id: str, service_id: str | None) -> dict[str, str]:
    if service_id is None:
        return call.authority.environment(environment_id).variables
    return call.authority.service_instance(service_id, environment_id).variables


def _note_variables(call: Call, input: Input) -> None:
    service_id, environment_id = input.get("service_id"), input["environment_id"]
    if service_id is None:
        call.changed(call.authority.environment(environment_id))
    else:
        call.changed(call.authority.service_instance(service_id, environment_id))


QUERIES: Answers = {
    "service": service,
    "serviceInstance": service_instance,
    "serviceInstanceIsUpdatable": service_instance_is_updatable,
    "serviceInstanceLimitOverride": service_instance_limit_override,
    "serviceInstanceLimits": service_instance_limits,
    "variables": variables,
    "variablesForServiceDeployment": variables_for_service_deployment,
}
MUTATIONS: Answers = {
    "serviceCreate": service_create,
    "serviceUpdate": service_update,
    "serviceDelete": service_delete,
    "serviceConnect": service_connect,
    "serviceDisconnect": service_disconnect,
    "serviceDuplicate": service_duplicate,
    "serviceRemoveUpstreamUrl": service_remove_upstream_url,
    "serviceFeatureFlagAdd": service_feature_flag_add,
    "serviceFeatureFlagRemove": service_feature_flag_remove,
    "serviceInstanceDeploy": service_instance_deploy,
    "serviceInstanceDeployV2": service_instance_deploy_v2,
    "serviceInstanceRedeploy": service_instance_deploy,
    "serviceInstanceUpdate": service_instance_update,
    "serviceInstanceLimitsUpdate": service_instance_limits_update,
    "variableUpsert": variable_upsert,
    "variableCollectionUpsert": variable_collection_upsert,
    "variableDelete": variable_delete,
}
