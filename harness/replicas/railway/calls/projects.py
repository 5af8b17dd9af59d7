"""Projects: made, changed, handed over, deleted."""

from __future__ import annotations

from typing import Any

from harness.replicas.railway.calls.accounts import Input
from harness.replicas.railway.doom import of_project
from harness.replicas.railway.mailbox import Mail
from harness.replicas.railway.paging import Connection, Page, page_of
from harness.replicas.railway.plane import Answers, Call
from harness.replicas.railway.refusals import ApiError, NotFoundError
from harness.replicas.railway.state import (
    Bucket,
    Environment,
    Member,
    Project,
    Schedule,
    Service,
    Token,
    Transfer,
    VolumeInstance,
    Workspace,
)

SETTINGS = (
    "base_environment_id",
    "bot_pr_environments",
    "description",
    "focused_pr_environments",
    "is_public",
    "name",
    "pr_deploys",
)
RESOURCES = ("custom_domain", "database_deployment", "deployment", "environment", "plugin")


def projects(
    call: Call,
    workspace_id: str | None = None,
    user_id: str | None = None,
    include_deleted: bool = False,
    **page: Any,
) -> Connection:
    del user_id
    reached = {workspace.id for workspace in call.authority.workspaces()}
    wanted = {workspace_id} if workspace_id else reached
    found = call.estate.every(Project, buried=bool(include_deleted))
    return page_of([one for one in found if one.workspace_id in wanted & reached], Page(**page))


def project(call: Call, id: str) -> Project:
    return call.authority.project(id, whole=False)


def project_create(call: Call, input: Input) -> Project:
    home = _workspace(call, input.get("workspace_id"))
    made = call.estate.add(
        Project(
            workspace_id=home.id,
            name=input.get("name") or "untitled-project",
            description=input.get("description"),
            is_public=bool(input.get("is_public")),
            pr_deploys=bool(input.get("pr_deploys")),
            created_at=call.now,
        )
    )
    name = input.get("default_environment_name") or "production"
    environment = call.estate.add(Environment(project_id=made.id, name=name, created_at=call.now))
    made.base_environment_id = environment.id
    user = call.estate.user
    call.plane.new_member(made, user.id, user.email, user.name, "ADMIN")
    call.changed(made, environment)
    return made


def project_update(call: Call, id: str, input: Input) -> Project:
    changed = call.authority.project(id)
    for key in SETTINGS:
        if input.get(key) is not None:
            setattr(changed, key, input[key])
    call.changed(changed)
    return changed


def project_delete(call: Call, id: str) -> bool:
    doomed = call.authority.project(id)
    doom = of_project(call.estate, doomed)
    call.delete(f"Project {doomed.name}", doom)
    return True


def project_schedule_delete(call: Call, id: str) -> bool:
    doomed = call.authority.project(id)
    call.dooms(*call.plane.deletions.names(of_project(call.estate, doomed)))
    call.plane.deletions.schedule(doomed)
    call.changed(doomed)
    return True


def project_schedule_delete_cancel(call: Call, id: str) -> bool:
    spared = call.authority.project(id)
    call.plane.deletions.cancel(spared)
    call.changed(spared)
    return True


def project_schedule_delete_force(call: Call, id: str) -> bool:
    doomed = call.authority.project(id, buried=True)
    call.dooms(*call.plane.deletions.names(of_project(call.estate, doomed)))
    call.touch(call.plane.deletions.carry_out(doomed))
    if call.estate.find(Project, id) is not None:
        doom = of_project(call.estate, doomed)
        call.touch(call.plane.deletions.delete(f"Project {doomed.name}", doom, at_once=True))
    return True


def project_claim(call: Call, id: str, workspace_id: str) -> Project:
    claimed = _move(call, id, workspace_id)
    claimed.is_temp_project = False
    return claimed


def project_transfer(call: Call, project_id: str, input: Input) -> bool:
    _move(call, project_id, input["workspace_id"])
    return True


def project_transfer_to_team(call: Call, id: str, input: Input) -> bool:
    _move(call, id, input["team_id"])
    return True


def project_transfer_initiate(call: Call, input: Input) -> bool:
    offered = call.authority.project(input["project_id"])
    members = call.estate.every(Member, project_id=offered.id, user_id=input["member_id"])
    if not members:
        raise NotFoundError("Member")
    transfer = call.estate.add(
        Transfer(project_id=offered.id, member_id=members[0].user_id, created_at=call.now)
    )
    text = f"You were offered the project {offered.name}. Confirm with the id {transfer.id}.\n"
    mail = Mail(call.now, members[0].email, f"Project {offered.name} was offered to you", text)
    call.plane.mailbox.append(mail)
    call.changed(offered)
    return True


def project_transfer_confirm(call: Call, input: Input) -> bool:
    call.authority.account()
    transfer = call.estate.find(Transfer, input["ownership_transfer_id"])
    if transfer is None or transfer.project_id != input["project_id"]:
        raise NotFoundError("Transfer")
    home = _workspace(call, input.get("destination_workspace_id"))
    _move(call, transfer.project_id, home.id)
    call.estate.drop(transfer)
    return True


def project_feature_flag_add(call: Call, input: Input) -> bool:
    return _flag(call, input, on=True)


def project_feature_flag_remove(call: Call, input: Input) -> bool:
    return _flag(call, input, on=False)


def project_compliance(call: Call, project_id: str) -> dict[str, object]:
    seen = call.authority.project(project_id)
    members = call.estate.every(Member, project_id=seen.id)
    return {
        "project_id": seen.id,
        "project_name": seen.name,
        "workspace_id": seen.workspace_id,
        "member_permissions": members,
        "two_factor_members": [
            {"email": m.email, "name": m.name, "two_factor_auth_enabled": False} for m in members
        ],
        "service_backups": [
            {"service_id": one.id, "service_name": one.name, "schedules": _schedules(call, one)}
            for one in call.estate.every(Service, project_id=seen.id)
        ],
    }


def project_resource_access(call: Call, project_id: str) -> dict[str, dict[str, None]]:
    call.authority.project(project_id, whole=False)
    return {resource: {"disallowed": None} for resource in RESOURCES}


def project_token(call: Call) -> Token:
    token = call.authority.token
    if token.kind != "project":
        raise ApiError("Project Token not found")
    return token


def project_tokens(call: Call, project_id: str, **page: Any) -> Connection:
    seen = call.authority.project(project_id)
    return page_of(call.estate.every(Token, kind="project", project_id=seen.id), Page(**page))


def project_token_create(call: Call, input: Input) -> str:
    home = call.authority.project(input["project_id"])
    environment = call.authority.environment(input["environment_id"])
    if environment.project_id != home.id:
        raise NotFoundError("Environment")
    token, secret = call.plane.mint("project", input["name"], call.caller.principal, environment=environment)
    call.changed(token)
    return secret


def project_token_delete(call: Call, id: str) -> bool:
    token = call.estate.find(Token, id)
    if token is None or token.project_id is None:
        raise NotFoundError("ProjectToken")
    call.authority.project(token.project_id)
    call.changed(token)
    call.estate.drop(token)
    return True


def template_source_for_project(call: Call, project_id: str) -> None:
    call.authority.project(project_id, whole=False)


def template_service_source_eject(call: Call, input: Input) -> bool:
    call.authority.project(input["project_id"])
    for service_id in input["service_ids"]:
        service = call.authority.service(service_id, change=True)
        service.upstream_url = input["upstream_url"]
    return True


def bucket_create(call: Call, input: Input) -> Bucket:
    home = call.authority.project(input["project_id"])
    made = call.estate.add(
        Bucket(project_id=home.id, name=input.get("name") or "bucket", created_at=call.now)
    )
    call.changed(made)
    return made


def _workspace(call: Call, id: str | None) -> Workspace:
    reached = call.authority.workspaces()
    if id is not None:
        return call.authority.workspace(id)
    if not reached:
        raise NotFoundError("Workspace")
    return reached[0]


def _move(call: Call, project_id: str, workspace_id: str) -> Project:
    moved = call.authority.project(project_id)
    moved.workspace_id = call.authority.workspace(workspace_id).id
    call.changed(moved)
    return moved


def _flag(call: Call, input: Input, *, on: bool) -> bool:
    changed = call.authority.project(input["project_id"])
    (changed.feature_flags.add if on else changed.feature_flags.discard)(input["flag"])
    call.changed(changed)
    return True


def _schedules(call: Call, service: Service) -> list[str]:
    kinds = (
        schedule.kind
        for instance in call.estate.every(VolumeInstance, service_id=service.id)
        for schedule in call.estate.every(Schedule, volume_instance_id=instance.id)
    )
    return sorted(set(kinds))


QUERIES: Answers = {
    "projects": projects,
    "project": project,
    "projectCompliance": project_compliance,
    "projectResourceAccess": project_resource_access,
    "projectToken": project_token,
    "projectTokens": project_tokens,
    "templateSourceForProject": template_source_for_project,
}
MUTATIONS: Answers = {
    "projectCreate": project_create,
    "projectUpdate": project_update,
    "projectDelete": project_delete,
    "projectScheduleDelete": project_schedule_delete,
    "projectScheduleDeleteCancel": project_schedule_delete_cancel,
    "projectScheduleDeleteForce": project_schedule_delete_force,
    "projectClaim": project_claim,
    "projectTransfer": project_transfer,
    "projectTransferToTeam": project_transfer_to_team,
    "projectTransferInitiate": project_transfer_initiate,
    "projectTransferConfirm": project_transfer_confirm,
    "projectFeatureFlagAdd": project_feature_flag_add,
    "projectFeatureFlagRemove": project_feature_flag_remove,
    "projectTokenCreate": project_token_create,
    "projectTokenDelete": project_token_delete,
    "templateServiceSourceEject": template_service_source_eject,
    "bucketCreate": bucket_create,
}
