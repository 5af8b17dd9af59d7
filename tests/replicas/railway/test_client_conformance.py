"""The client from PyPI, which is not ours, works against the control plane unchanged.

Every method of its class that has to do with volumes, backups, environments, services, projects, tokens,
workflows or the account is driven; a method that nobody drives fails the test that carries its name.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest
from railway import RailwayClient, RailwayError
from railway.enums import (
    ActiveProjectFeatureFlag,
    ActiveServiceFeatureFlag,
    ProjectRole,
    VolumeInstanceBackupScheduleKind,
    VolumeState,
)

from tests.replicas.railway.conftest import DRIVERS, ControlPlane

SUBJECT = re.compile(r"volume|backup|environment|service|project|token|workflow|(^|_)me($|_)")
METHODS = tuple(
    name
    for name, _ in inspect.getmembers(RailwayClient, inspect.isfunction)
    if not name.startswith("_") and SUBJECT.search(name)
)
EXCLUDED = {
    "project_invitation": "its own document selects no field of a union, which no GraphQL server accepts; "
    "test_what_the_client_cannot_ask drives the operation by hand",
}


@dataclass
class Ground:
    """A project of its own for each call: one environment, one service with a volume."""

    plane: ControlPlane
    client: RailwayClient
    workspace: str
    project: str
    environment: str
    service: str
    volume: str
    instance: str

    def ask(self, query: str, **variables: Any) -> Any:
        return self.client._execute(query, variables)

    def project_token(self) -> RailwayClient:
        secret = self.client.project_token_create(self.environment, "deploys", self.project)
        return RailwayClient(project_token=secret, endpoint=self.plane.graphql)

    def other_environment(self) -> str:
        made = self.client.environment_create("staging", self.project, source_environment_id=self.environment)
        assert made.id
        return made.id

    def back_up(self, name: str = "by hand") -> str:
        started = self.client.volume_instance_backup_create(self.instance, name=name)
        assert self.plane.await_workflow(self.client, started.workflow_id) is None
        newest = self.client.volume_instance_backup_list(self.instance)[0]
        assert newest.id
        return newest.id

    def me(self) -> str:
        id = self.client.me().id
        assert id
        return id

    def domain(self) -> str:
        id = self.client.service_domain_create(self.environment, self.service, target_port=80).id
        assert id
        return id


TURNS = count()


@pytest.fixture
def ground(either: ControlPlane) -> Ground:
    number = next(TURNS)
    client = either.client(f"driver-{number % DRIVERS}")
    workspace = client.api_token().workspaces[0].id
    project = client.project_create(name=f"project-{number}", workspace_id=workspace)
    environment = project.base_environment.id
    service = client.service_create(project.id, environment_id=environment, name="db").id
    volume = client.volume_create("/data", project.id, environment_id=environment, service_id=service).id
    (instance,) = [one["id"] for one in either.look("volumes") if one["volumeId"] == volume]
    return Ground(either, client, workspace, project.id, environment, service, volume, instance)


Drive = Callable[[Ground], object]


def admin_volume_instances_for_volume(g: Ground) -> None:
    with pytest.raises(RailwayError, match="Not Authorized"):
        g.client.admin_volume_instances_for_volume(g.volume)


def api_token(g: Ground) -> None:
    assert [one.id for one in g.client.api_token().workspaces] == [g.workspace]


def api_token_create(g: Ground) -> None:
    secret = g.client.api_token_create("for the script")
    with RailwayClient(api_token=secret, endpoint=g.plane.graphql) as other:
        assert other.me().id == g.me()


def api_token_delete(g: Ground) -> None:
    before = {edge.cursor for edge in g.client.api_tokens().edges}
    secret = g.client.api_token_create("short-lived", workspace_id=g.workspace)
    (made,) = {edge.cursor for edge in g.client.api_tokens().edges} - before
    assert g.client.api_token_delete(made) is True
    with (
        RailwayClient(api_token=secret, endpoint=g.plane.graphql) as other,
        pytest.raises(RailwayError, match="Not Authorized"),
    ):
        other.projects()


def api_tokens(g: Ground) -> None:
    every = g.client.api_tokens()
    first = g.client.api_tokens(first=2)
    rest = g.client.api_tokens(after=first.page_info.end_cursor)
    cursors = [edge.cursor for edge in every.edges]
    assert [edge.cursor for edge in first.edges] == cursors[:2]
    assert [edge.cursor for edge in rest.edges] == cursors[2:]
    assert first.page_info.has_next_page is True
    assert rest.page_info.has_next_page is False


def base_environment_override(g: Ground) -> None:
    staging = g.other_environment()
    assert g.client.base_environment_override(staging, base_environment_override_id=g.environment) is True
    assert g.client.base_environment_override(staging) is True


def environment(g: Ground) -> None:
    seen = g.client.environment(g.environment, project_id=g.project)
    assert (seen.id, seen.name, seen.project_id) == (g.environment, "production", g.project)
    assert seen.can_access is True


def environment_create(g: Ground) -> None:
    made = g.client.environment_create(
        "preview", g.project, source_environment_id=g.environment, ephemeral=True
    )
    assert (made.name, made.is_ephemeral, made.project_id) == ("preview", True, g.project)
    assert g.client.service_instance(made.id, g.service).service_name == "db"


def environment_delete(g: Ground) -> None:
    staging = g.other_environment()
    assert g.client.environment_delete(staging) is True
    assert [edge.cursor for edge in g.client.environments(g.project).edges] == [g.environment]


def environment_logs(g: Ground) -> None:
    assert g.client.environment_logs(g.environment, before_limit=10) == []


def environment_patch(g: Ground) -> None:
    staged = g.client.environment_staged_changes(g.environment)
    seen = g.client.environment_patch(staged.id)
    assert (seen.id, seen.environment_id, seen.applied_at) == (staged.id, g.environment, None)


def environment_patch_commit(g: Ground) -> None:
    change = {"services": {g.service: {"variables": {"COLOUR": {"value": "red"}}}}}
    workflow = g.client.environment_patch_commit(g.environment, commit_message="paint", patch=change)
    assert g.plane.await_workflow(g.client, workflow) is None
    variables = g.client.variables_for_service_deployment(g.environment, g.project, g.service)
    assert variables["COLOUR"] == "red"


def environment_patch_commit_staged(g: Ground) -> None:
    g.client.environment_stage_changes(g.environment, {"volumes": {g.volume: {"isDeleted": True}}})
    assert g.client.volume_instance(g.instance).id == g.instance
    g.client.environment_patch_commit_staged(g.environment, commit_message="away with it")
    assert "production" not in [
        one["environment"]
        for one in g.plane.look("volumes")
        if one["id"] == g.instance and not one["pending"]
    ]


def environment_patches(g: Ground) -> None:
    assert g.client.environment_patches(g.environment).edges == []
    g.client.environment_patch_commit(g.environment, patch={})
    assert len(g.client.environment_patches(g.environment, first=5).edges) == 1


def environment_rename(g: Ground) -> None:
    assert g.client.environment_rename(g.environment, "live").name == "live"
    assert g.client.environment(g.environment).name == "live"


def environment_stage_changes(g: Ground) -> None:
    first = g.client.environment_stage_changes(g.environment, {"services": {g.service: {"isDeleted": True}}})
    again = g.client.environment_stage_changes(g.environment, {}, merge=False)
    assert (first.id, first.environment_id) == (again.id, g.environment)
    assert g.client.environment(g.environment).unmerged_changes_count == 0


def environment_staged_changes(g: Ground) -> None:
    g.client.environment_stage_changes(g.environment, {"services": {g.service: {"isDeleted": True}}})
    assert g.client.environment_staged_changes(g.environment).environment_id == g.environment
    assert g.client.environment(g.environment).unmerged_changes_count == 1


def environment_triggers_deploy(g: Ground) -> None:
    assert g.client.environment_triggers_deploy(g.environment, g.project, g.service) is True
    assert g.client.service_instance(g.environment, g.service).latest_deployment.id


def environment_unskip_service(g: Ground) -> None:
    assert g.client.environment_unskip_service(g.environment, g.service) is True
    assert g.client.service_instance(g.environment, g.service).latest_deployment.id


def environments(g: Ground) -> None:
    staging = g.other_environment()
    every = [edge.cursor for edge in g.client.environments(g.project).edges]
    assert every == [g.environment, staging]
    assert g.client.environments(g.project, is_ephemeral=True).edges == []


def me(g: Ground) -> None:
    seen = g.client.me()
    assert seen.email == "owner@example.com"
    assert [one.id for one in seen.workspaces] == [g.workspace]
    assert 0 < seen.api_token_rate_limit.remaining_points < 10_000


def private_networks_for_environment_delete(g: Ground) -> None:
    g.client.private_network_create_or_get(g.environment, "inner", g.project, ["a"])
    assert [one.name for one in g.client.private_networks(g.environment)] == ["inner"]
    assert g.client.private_networks_for_environment_delete(g.environment) is True
    assert g.client.private_networks(g.environment) == []


def project(g: Ground) -> None:
    seen = g.client.project(g.project)
    assert (seen.id, seen.workspace_id, seen.deleted_at) == (g.project, g.workspace, None)
    assert seen.base_environment.id == g.environment
    assert [member.email for member in seen.members] == ["owner@example.com"]


def project_claim(g: Ground) -> None:
    assert g.client.project_claim(g.project, g.workspace).workspace_id == g.workspace


def project_compliance(g: Ground) -> None:
    g.client.volume_instance_backup_schedule_update([VolumeInstanceBackupScheduleKind.DAILY], g.instance)
    seen = g.client.project_compliance(g.project)
    assert [one.service_id for one in seen.service_backups] == [g.service]
    assert seen.member_permissions[0].email == "owner@example.com"


def project_create(g: Ground) -> None:
    made = g.client.project_create(name="second", default_environment_name="live", description="more")
    assert (made.name, made.description, made.base_environment.name) == ("second", "more", "live")


def project_delete(g: Ground) -> None:
    assert g.client.project_delete(g.project) is True
    assert g.project not in [edge.cursor for edge in g.client.projects().edges]


def project_feature_flag_add(g: Ground) -> None:
    assert g.client.project_feature_flag_add(ActiveProjectFeatureFlag.PLACEHOLDER, g.project) is True
    seen = g.ask("query ($id: String!) { project(id: $id) { featureFlags } }", id=g.project)
    assert seen["project"]["featureFlags"] == ["PLACEHOLDER"]


def project_feature_flag_remove(g: Ground) -> None:
    g.client.project_feature_flag_add(ActiveProjectFeatureFlag.PLACEHOLDER, g.project)
    assert g.client.project_feature_flag_remove(ActiveProjectFeatureFlag.PLACEHOLDER, g.project) is True
    seen = g.ask("query ($id: String!) { project(id: $id) { featureFlags } }", id=g.project)
    assert seen["project"]["featureFlags"] == []


def project_invitation_accept(g: Ground) -> None:
    code = g.client.project_invite_code(g.project, ProjectRole.MEMBER).code
    assert g.client.project_invitation_accept(code).project_id == g.project


def project_invitation_create(g: Ground) -> None:
    made = g.client.project_invitation_create(g.project, "new@example.com", ProjectRole.VIEWER)
    assert (made.email, made.is_expired, made.project.id) == ("new@example.com", False, g.project)
    assert g.plane.look("mail")[-1]["to"] == "new@example.com"


def project_invitation_delete(g: Ground) -> None:
    made = g.client.project_invitation_create(g.project, "new@example.com", ProjectRole.VIEWER)
    assert g.client.project_invitation_delete(made.id) is True
    assert g.client.project_invitations(g.project) == []


def project_invitation_resend(g: Ground) -> None:
    made = g.client.project_invitation_create(g.project, "new@example.com", ProjectRole.VIEWER)
    again = g.client.project_invitation_resend(made.id)
    assert again.id == made.id
    assert again.expires_at >= made.expires_at


def project_invitations(g: Ground) -> None:
    made = g.client.project_invitation_create(g.project, "new@example.com", ProjectRole.VIEWER)
    assert [one.id for one in g.client.project_invitations(g.project)] == [made.id]


def project_invite_code(g: Ground) -> None:
    first = g.client.project_invite_code(g.project, ProjectRole.MEMBER)
    assert first.project.id == g.project
    assert first.code == g.client.project_invite_code(g.project, ProjectRole.MEMBER).code
    assert first.code != g.client.project_invite_code(g.project, ProjectRole.ADMIN).code


def project_invite_user(g: Ground) -> None:
    assert g.client.project_invite_user(g.project, "b@example.com", "https://example.com/join") is True
    assert g.plane.look("mail")[-1]["to"] == "b@example.com"


def project_leave(g: Ground) -> None:
    with pytest.raises(RailwayError, match="last admin"):
        g.client.project_leave(g.project)
    g.client.project_member_add(g.project, ProjectRole.ADMIN, "somebody")
    assert g.client.project_leave(g.project) is True
    assert [one.id for one in g.client.project_members(g.project)] != []


def project_member_add(g: Ground) -> None:
    g.client.project_member_add(g.project, ProjectRole.MEMBER, "somebody")
    assert len(g.client.project_members(g.project)) == 2


def project_member_remove(g: Ground) -> None:
    g.client.project_member_add(g.project, ProjectRole.MEMBER, "somebody")
    left = g.client.project_member_remove(g.project, "somebody")
    assert [one.email for one in left] == ["owner@example.com"]


def project_member_update(g: Ground) -> None:
    g.client.project_member_add(g.project, ProjectRole.MEMBER, "somebody")
    assert g.client.project_member_update(g.project, ProjectRole.VIEWER, "somebody").id
    roles = g.ask("query ($id: String!) { projectMembers(projectId: $id) { role } }", id=g.project)
    assert [one["role"] for one in roles["projectMembers"]] == ["ADMIN", "VIEWER"]


def project_members(g: Ground) -> None:
    assert [one.email for one in g.client.project_members(g.project)] == ["owner@example.com"]


def project_resource_access(g: Ground) -> None:
    assert g.client.project_resource_access(g.project).environment.disallowed is None


def project_schedule_delete(g: Ground) -> None:
    assert g.client.project_schedule_delete(g.project) is True
    seen = g.client.project(g.project)
    assert seen.deleted_at is not None
    assert g.client.volume_instance(g.instance).id == g.instance


def project_schedule_delete_cancel(g: Ground) -> None:
    g.client.project_schedule_delete(g.project)
    assert g.client.project_schedule_delete_cancel(g.project) is True
    assert g.client.project(g.project).deleted_at is None


def project_schedule_delete_force(g: Ground) -> None:
    g.client.project_schedule_delete(g.project)
    assert g.client.project_schedule_delete_force(g.project) is True
    assert g.instance not in [one["id"] for one in g.plane.look("volumes")]


def project_token(g: Ground) -> None:
    with g.project_token() as narrow:
        seen = narrow.project_token()
    assert (seen.project_id, seen.environment_id, seen.name) == (g.project, g.environment, "deploys")
    assert seen.environment.id == g.environment
    assert seen.project.id == g.project


def project_token_create(g: Ground) -> None:
    with g.project_token() as narrow:
        assert narrow.environment(g.environment).id == g.environment


def project_token_delete(g: Ground) -> None:
    with g.project_token() as narrow:
        id = narrow.project_token().id
        assert g.client.project_token_delete(id) is True
        with pytest.raises(RailwayError, match="Project Token not found"):
            narrow.project_token()


def project_tokens(g: Ground) -> None:
    with g.project_token() as narrow:
        assert [edge.cursor for edge in g.client.project_tokens(g.project).edges] == [
            narrow.project_token().id
        ]


def project_transfer(g: Ground) -> None:
    assert g.client.project_transfer(g.workspace, g.project) is True


def project_transfer_confirm(g: Ground) -> None:
    g.client.project_transfer_initiate(g.me(), g.project)
    offer = re.search(r"id (\S+)\.", g.plane.look("mail")[-1]["text"])
    assert offer
    assert (
        g.client.project_transfer_confirm(offer[1], g.project, destination_workspace_id=g.workspace) is True
    )
    with pytest.raises(RailwayError, match="not found"):
        g.client.project_transfer_confirm(offer[1], g.project)


def project_transfer_initiate(g: Ground) -> None:
    assert g.client.project_transfer_initiate(g.me(), g.project) is True
    assert g.plane.look("mail")[-1]["to"] == "owner@example.com"


def project_transfer_to_team(g: Ground) -> None:
    assert g.client.project_transfer_to_team(g.project, g.workspace) is True


def project_update(g: Ground) -> None:
    changed = g.client.project_update(g.project, name="renamed", pr_deploys=True)
    assert (changed.name, changed.pr_deploys) == ("renamed", True)


def project_workspace_members(g: Ground) -> None:
    seen = g.client.project_workspace_members(g.project)
    assert [one.email for one in seen.members] == ["owner@example.com"]


def projects(g: Ground) -> None:
    seen = g.client.projects(workspace_id=g.workspace)
    assert g.project in [edge.cursor for edge in seen.edges]


def service(g: Ground) -> None:
    seen = g.client.service(g.service)
    assert (seen.name, seen.project.id, seen.deleted_at) == ("db", g.project, None)


def service_connect(g: Ground) -> None:
    g.client.service_connect(g.service, repo="acme/bookings", branch="main")
    assert g.client.service_instance(g.environment, g.service).source.repo == "acme/bookings"


def service_create(g: Ground) -> None:
    made = g.client.service_create(g.project, name="web", variables={"PORT": "80"})
    assert made.name == "web"
    variables = g.client.variables_for_service_deployment(g.environment, g.project, made.id)
    assert variables["PORT"] == "80"


def service_delete(g: Ground) -> None:
    staging = g.other_environment()
    assert g.client.service_delete(g.service, environment_id=staging) is True
    assert g.client.service(g.service).id == g.service
    assert g.client.service_delete(g.service) is True
    with pytest.raises(RailwayError, match="Service not found"):
        g.client.service(g.service)
    assert g.client.volume_instance(g.instance).service_id is None


def service_disconnect(g: Ground) -> None:
    g.client.service_connect(g.service, repo="acme/bookings")
    g.client.service_disconnect(g.service)
    assert g.client.service_instance(g.environment, g.service).source.repo is None


def service_domain_available(g: Ground) -> None:
    taken = g.client.service_domain_create(g.environment, g.service).domain
    assert g.client.service_domain_available(taken).available is False
    assert g.client.service_domain_available("free.up.railway.app").available is True


def service_domain_create(g: Ground) -> None:
    made = g.client.service_domain_create(g.environment, g.service, target_port=8080)
    assert made.domain.endswith(".up.railway.app")
    assert made.target_port == 8080


def service_domain_delete(g: Ground) -> None:
    assert g.client.service_domain_delete(g.domain()) is True
    assert g.client.domains(g.environment, g.project, g.service).service_domains == []


def service_domain_update(g: Ground) -> None:
    name = f"{g.service}.up.railway.app"
    assert g.client.service_domain_update(name, g.environment, g.domain(), g.service) is True
    assert g.client.domains(g.environment, g.project, g.service).service_domains[0].domain == name


def service_duplicate(g: Ground) -> None:
    made = g.client.service_duplicate(g.environment, g.service)
    assert made.id != g.service
    assert g.client.service_instance(g.environment, made.id).service_name == "db (copy)"


def service_feature_flag_add(g: Ground) -> None:
    assert g.client.service_feature_flag_add(ActiveServiceFeatureFlag.PLACEHOLDER, g.service) is True
    seen = g.ask("query ($id: String!) { service(id: $id) { featureFlags } }", id=g.service)
    assert seen["service"]["featureFlags"] == ["PLACEHOLDER"]


def service_feature_flag_remove(g: Ground) -> None:
    g.client.service_feature_flag_add(ActiveServiceFeatureFlag.PLACEHOLDER, g.service)
    assert g.client.service_feature_flag_remove(ActiveServiceFeatureFlag.PLACEHOLDER, g.service) is True
    seen = g.ask("query ($id: String!) { service(id: $id) { featureFlags } }", id=g.service)
    assert seen["service"]["featureFlags"] == []


def service_instance(g: Ground) -> None:
    seen = g.client.service_instance(g.environment, g.service)
    assert (seen.service_id, seen.environment_id) == (g.service, g.environment)
    assert seen.service.name == "db"


def service_instance_deploy(g: Ground) -> None:
    assert g.client.service_instance_deploy(g.environment, g.service, latest_commit=True) is True
    assert len(g.client.service_instance(g.environment, g.service).active_deployments) == 1


def service_instance_deploy_v2(g: Ground) -> None:
    deployment = g.client.service_instance_deploy_v2(g.environment, g.service)
    assert g.client.service_instance(g.environment, g.service).latest_deployment.id == deployment


def service_instance_is_updatable(g: Ground) -> None:
    assert g.client.service_instance_is_updatable(g.environment, g.service) is False


def service_instance_limit_override(g: Ground) -> None:
    assert g.client.service_instance_limit_override(g.environment, g.service) is None


def service_instance_limits(g: Ground) -> None:
    assert g.client.service_instance_limits(g.environment, g.service)["containers"]["cpu"] > 0


def service_instance_limits_update(g: Ground) -> None:
    # The client spells memoryGB and vCPUs as memoryGb and vCpUs, which the API does not know.
    assert g.client.service_instance_limits_update(g.environment, g.service) is True
    g.ask(
        "mutation ($i: ServiceInstanceLimitsUpdateInput!) { serviceInstanceLimitsUpdate(input: $i) }",
        i={"environmentId": g.environment, "serviceId": g.service, "memoryGB": 2, "vCPUs": 1},
    )
    limits = g.client.service_instance_limit_override(g.environment, g.service)
    assert limits == {"containers": {"cpu": 1, "memoryBytes": 2_000_000_000}}


def service_instance_redeploy(g: Ground) -> None:
    assert g.client.service_instance_redeploy(g.environment, g.service) is True
    assert g.client.service_instance(g.environment, g.service).latest_deployment.id


def service_instance_update(g: Ground) -> None:
    assert g.client.service_instance_update(g.service, environment_id=g.environment, start_command="serve")
    assert g.client.service_instance_update(g.service, num_replicas=3)
    seen = g.client.service_instance(g.environment, g.service)
    assert (seen.start_command, seen.num_replicas) == ("serve", 3)


def service_remove_upstream_url(g: Ground) -> None:
    g.client.template_service_source_eject(g.project, "repo", "acme", [g.service], "https://example.com")
    assert g.client.service_instance(g.environment, g.service).upstream_url == "https://example.com"
    g.client.service_remove_upstream_url(g.service)
    assert g.client.service_instance(g.environment, g.service).upstream_url is None


def service_update(g: Ground) -> None:
    assert g.client.service_update(g.service, name="store").name == "store"


def template_service_source_eject(g: Ground) -> None:
    done = g.client.template_service_source_eject(
        g.project, "repo", "acme", [g.service], "https://example.com"
    )
    assert done is True
    assert g.client.service_instance(g.environment, g.service).upstream_url == "https://example.com"


def template_source_for_project(g: Ground) -> None:
    assert g.client.template_source_for_project(g.project) is None


def variables_for_service_deployment(g: Ground) -> None:
    g.client.variable_upsert(g.environment, "SHARED", g.project, "1")
    g.client.variable_upsert(g.environment, "OWN", g.project, "2", service_id=g.service)
    seen = g.client.variables_for_service_deployment(g.environment, g.project, g.service)
    assert (seen["SHARED"], seen["OWN"]) == ("1", "2")
    assert seen["RAILWAY_ENVIRONMENT_ID"] == g.environment


def volume_create(g: Ground) -> None:
    staging = g.other_environment()
    made = g.client.volume_create("/more", g.project)
    assert made.project.id == g.project
    places = {one["environmentId"] for one in g.plane.look("volumes") if one["volumeId"] == made.id}
    assert places == {g.environment, staging}


def volume_delete(g: Ground) -> None:
    assert g.client.volume_delete(g.volume) is True
    left = [one for one in g.plane.look("volumes") if one["volumeId"] == g.volume and not one["pending"]]
    assert left == []


def volume_instance(g: Ground) -> None:
    seen = g.client.volume_instance(g.instance)
    assert (seen.volume_id, seen.environment_id, seen.service_id) == (g.volume, g.environment, g.service)
    assert (seen.mount_path, seen.volume.id, seen.service.name) == ("/data", g.volume, "db")
    assert seen.environment.name == "production"


def volume_instance_backup_create(g: Ground) -> None:
    started = g.client.volume_instance_backup_create(g.instance, name="before the migration")
    assert g.plane.await_workflow(g.client, started.workflow_id) is None
    assert [one.name for one in g.client.volume_instance_backup_list(g.instance)] == ["before the migration"]


def volume_instance_backup_delete(g: Ground) -> None:
    started = g.client.volume_instance_backup_delete(g.back_up(), g.instance)
    assert g.plane.await_workflow(g.client, started.workflow_id) is None
    assert g.client.volume_instance_backup_list(g.instance) == []


def volume_instance_backup_list(g: Ground) -> None:
    older, newer = g.back_up("older"), g.back_up("newer")
    seen = g.client.volume_instance_backup_list(g.instance)
    assert [one.id for one in seen] == [newer, older]
    assert seen[0].expires_at is None
    assert seen[0].creator_id == g.me()


def volume_instance_backup_lock(g: Ground) -> None:
    assert g.client.volume_instance_backup_lock(g.back_up(), g.instance) is True
    assert g.client.volume_instance_backup_list(g.instance)[0].expires_at is None


def volume_instance_backup_restore(g: Ground) -> None:
    started = g.client.volume_instance_backup_restore(g.back_up(), g.instance)
    assert g.plane.await_workflow(g.client, started.workflow_id) is None
    (made,) = [one for one in g.plane.look("volumes") if one["restoredBy"] == started.workflow_id]
    assert g.client.volume_instance(made["id"]).service_id is None
    g.client.environment_patch_commit_staged(g.environment)
    assert g.client.volume_instance(made["id"]).service_id == g.service
    assert g.client.volume_instance(g.instance).service_id is None


def volume_instance_backup_schedule_list(g: Ground) -> None:
    kinds = list(VolumeInstanceBackupScheduleKind)
    g.client.volume_instance_backup_schedule_update(kinds, g.instance)
    kept = {
        one.name: one.retention_seconds for one in g.client.volume_instance_backup_schedule_list(g.instance)
    }
    day = 86_400
    assert kept == {"Daily": 6 * day, "Weekly": 30 * day, "Monthly": 90 * day}


def volume_instance_backup_schedule_update(g: Ground) -> None:
    kinds = VolumeInstanceBackupScheduleKind
    assert g.client.volume_instance_backup_schedule_update([kinds.DAILY, kinds.WEEKLY], g.instance) is True
    assert g.client.volume_instance_backup_schedule_update([kinds.WEEKLY], g.instance) is True
    assert [one.name for one in g.client.volume_instance_backup_schedule_list(g.instance)] == ["Weekly"]


def volume_instance_update(g: Ground) -> None:
    other = g.client.service_create(g.project, environment_id=g.environment, name="other").id
    assert g.client.volume_instance_update(
        g.volume,
        environment_id=g.environment,
        mount_path="/elsewhere",
        service_id=other,
        state=VolumeState.UPDATING,
    )
    seen = g.client.volume_instance(g.instance)
    assert (seen.mount_path, seen.service_id) == ("/elsewhere", other)


def volume_update(g: Ground) -> None:
    assert g.client.volume_update(g.volume, name="ledger").name == "ledger"
    assert g.client.volume_instance(g.instance).volume.name == "ledger"


def workflow_status(g: Ground) -> None:
    assert g.client.workflow_status("no such workflow").error is None
    started = g.client.volume_instance_backup_create(g.instance)
    assert g.plane.await_workflow(g.client, started.workflow_id) is None
    assert g.client.workflow_status(started.workflow_id).error is None


@pytest.mark.parametrize("method", METHODS)
def test_the_client_works_unchanged(
    method: str, either: ControlPlane, request: pytest.FixtureRequest
) -> None:
    if method in EXCLUDED:
        assert method not in globals(), f"{method} is excluded and driven"
        return
    drive: Drive | None = globals().get(method)
    assert drive is not None, f"the client has {method}, and nothing drives it against the control plane"
    drive(request.getfixturevalue("ground"))


def test_only_methods_that_exist_are_excluded() -> None:
    assert set(EXCLUDED) <= set(METHODS)


def test_what_the_client_cannot_ask(either: ControlPlane) -> None:
    client = either.client("account")
    project = client.project_create(name="invites").id
    code = client.project_invite_code(project, ProjectRole.MEMBER).code
    seen = client._execute(
        """query ($code: String!) {
            projectInvitation(code: $code) { __typename ... on InviteCode { projectId } }
        }""",
        {"code": code},
    )
    assert seen["projectInvitation"] == {"__typename": "InviteCode", "projectId": project}
