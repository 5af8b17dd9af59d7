"""The schema and what answers it: every field of every object that the API shows can be asked for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    build_schema,
    get_named_type,
    is_required_argument,
)

from harness.facts import OPERATOR
from harness.replicas.railway.reference import operation_table
from harness.replicas.railway.schema import CURRENT_MUTATIONS, MUTATIONS, QUERIES, type_definitions
from tests.replicas.railway.conftest import ControlPlane

DEPTH = 2


@cache
def schema(profile: str) -> GraphQLSchema:
    return build_schema(type_definitions("legacy" if profile == "legacy" else "current"))


def selection(kind: Any, depth: int = DEPTH) -> str:
    """Every field of an object that needs no argument, and of what it leads to."""
    assert isinstance(kind, GraphQLObjectType)
    fields = []
    for name, field in kind.fields.items():
        inner = get_named_type(field.type)
        if any(is_required_argument(argument) for argument in field.args.values()):
            continue
        if isinstance(inner, (GraphQLScalarType, GraphQLEnumType)):
            fields.append(name)
        elif isinstance(inner, GraphQLObjectType) and depth > 1:
            fields.append(f"{name} {{ {selection(inner, depth - 1)} }}")
    return " ".join(fields) or "__typename"


@pytest.fixture(scope="module")
def known(current: ControlPlane) -> dict[str, str]:
    """Values for the arguments of queries, of objects that exist."""
    client = current.client("account")
    volume = current.volume()
    project = client.projects().edges[0].cursor
    at = datetime.now(UTC) - timedelta(days=1)
    body = {"volumeInstanceId": volume["id"], "kind": "DAILY", "at": at.isoformat()}
    current.tell("scheduled-backup", body)
    client.service_instance_deploy(volume["environmentId"], volume["serviceId"])
    client.project_invitation_create(project, "a@example.com", "VIEWER")
    client.private_network_create_or_get(volume["environmentId"], "net", project, [])
    domain = client.custom_domain_create(
        "a.example.com", volume["environmentId"], project, volume["serviceId"]
    )
    client.service_domain_create(volume["environmentId"], volume["serviceId"])
    client.bucket_create(project)
    client.project_token_create(volume["environmentId"], "t", project)
    workflow = client.volume_instance_backup_create(volume["id"]).workflow_id
    current.await_workflow(client, workflow)
    client.environment_patch_commit(volume["environmentId"], patch={})
    return {
        "projectId": project,
        "environmentId": volume["environmentId"],
        "serviceId": volume["serviceId"],
        "volumeInstanceId": volume["id"],
        "volumeId": volume["volumeId"],
        "workspaceId": client.api_token().workspaces[0].id,
        "workflowId": workflow or "",
        "domain": "b.example.com",
        "role": "MEMBER",
        "code": client.project_invite_code(project, "MEMBER").code or "",
        "project": project,
        "projectInvitations": project,
        "environment": volume["environmentId"],
        "environmentPatch": client.environment_staged_changes(volume["environmentId"]).id or "",
        "service": volume["serviceId"],
        "volumeInstance": volume["id"],
        "customDomain": domain.id or "",
    }


ANSWERED_OTHERWISE = {
    "projectToken": "asked with a project token",
    "projectInvitation": "a union; see test_client_conformance",
    "adminVolumeInstancesForVolume": "refused to everybody; see test_client_conformance",
}


@pytest.mark.parametrize("query", sorted(set(QUERIES) - set(ANSWERED_OTHERWISE)))
def test_every_field_of_every_query_can_be_asked_for(
    query: str, current: ControlPlane, known: dict[str, str]
) -> None:
    field = schema("current").query_type.fields[query]  # type: ignore[union-attr]
    arguments = [
        f"{name}: {known[name if name != 'id' else query]}"
        if name == "role"
        else f'{name}: "{known[query if name == "id" else name]}"'
        for name, argument in field.args.items()
        if is_required_argument(argument)
    ]
    inner = get_named_type(field.type)
    document = "{ " + query + (f"({', '.join(arguments)})" if arguments else "")
    document += f" {{ {selection(inner)} }} }}" if isinstance(inner, GraphQLObjectType) else " }"
    answer = current.ask(document, OPERATOR)
    assert answer.errors == []
    assert answer.status == 200


def test_every_field_of_a_project_token_can_be_asked_for(current: ControlPlane) -> None:
    kind = schema("current").get_type("ProjectToken")
    answer = current.ask(f"{{ projectToken {{ {selection(kind)} }} }}", "staging")
    assert answer.errors == []


@pytest.mark.parametrize("profile", ["legacy", "current"])
def test_every_operation_of_the_schema_is_answered_and_no_other(profile: str) -> None:
    built = schema(profile)
    assert built.query_type is not None
    assert built.mutation_type is not None
    mutations = {**MUTATIONS, **(CURRENT_MUTATIONS if profile == "current" else {})}
    assert set(built.query_type.fields) == set(QUERIES)
    assert set(built.mutation_type.fields) == set(mutations)


def test_every_operation_says_what_it_does() -> None:
    built = schema("current")
    for kind in (built.query_type, built.mutation_type):
        assert kind is not None
        assert [name for name, field in kind.fields.items() if not field.description] == []


def test_the_operations_of_the_incident_are_all_there() -> None:
    """The names of Railway's API that the facts about the incident list."""
    built = schema("current")
    assert built.query_type is not None
    assert built.mutation_type is not None
    signatures = {
        "volumeCreate": ({"input": "VolumeCreateInput!"}, "Volume!"),
        "volumeUpdate": ({"volumeId": "String!", "input": "VolumeUpdateInput!"}, "Volume!"),
        "volumeInstanceUpdate": (
            {"volumeId": "String!", "environmentId": "String", "input": "VolumeInstanceUpdateInput!"},
            "Boolean!",
        ),
        "volumeDelete": ({"volumeId": "String!"}, "Boolean!"),
        "volumeInstanceBackupCreate": ({"volumeInstanceId": "String!", "name": "String"}, "WorkflowId!"),
        "volumeInstanceBackupRestore": (
            {"volumeInstanceId": "String!", "volumeInstanceBackupId": "String!"},
            "WorkflowId!",
        ),
        "volumeInstanceBackupDelete": (
            {"volumeInstanceId": "String!", "volumeInstanceBackupId": "String!"},
            "WorkflowId!",
        ),
        "volumeInstanceBackupLock": (
            {"volumeInstanceId": "String!", "volumeInstanceBackupId": "String!"},
            "Boolean!",
        ),
        "volumeInstanceBackupScheduleUpdate": (
            {"volumeInstanceId": "String!", "kinds": "[VolumeInstanceBackupScheduleKind!]!"},
            "Boolean!",
        ),
        "volumeInstancePITRRestore": (
            {"volumeInstanceId": "String!", "targetTimestamp": "DateTime!", "newServiceName": "String"},
            "WorkflowId!",
        ),
        "environmentCreate": ({"input": "EnvironmentCreateInput!"}, "Environment!"),
        "environmentDelete": ({"id": "String!"}, "Boolean!"),
        "serviceDelete": ({"id": "String!", "environmentId": "String"}, "Boolean!"),
        "projectDelete": ({"id": "String!"}, "Boolean!"),
        "projectScheduleDelete": ({"id": "String!"}, "Boolean!"),
        "projectScheduleDeleteCancel": ({"id": "String!"}, "Boolean!"),
        "projectScheduleDeleteForce": ({"id": "String!"}, "Boolean!"),
        "apiTokenCreate": ({"input": "ApiTokenCreateInput!"}, "String!"),
        "projectTokenCreate": ({"input": "ProjectTokenCreateInput!"}, "String!"),
        "volumeInstance": ({"id": "String!"}, "VolumeInstance!"),
        "volumeInstanceBackupList": ({"volumeInstanceId": "String!"}, "[VolumeInstanceBackup!]!"),
        "volumeInstanceBackupScheduleList": (
            {"volumeInstanceId": "String!"},
            "[VolumeInstanceBackupSchedule!]!",
        ),
        "workflowStatus": ({"workflowId": "String!"}, "WorkflowResult!"),
    }
    fields = {**built.query_type.fields, **built.mutation_type.fields}
    for name, (arguments, answer) in signatures.items():
        assert {key: str(argument.type) for key, argument in fields[name].args.items()} == arguments, name
        assert str(fields[name].type) == answer
    also = {"customDomainCreate", "customDomainDelete", "environmentStageChanges", "bucketCreate"}
    also |= {"workspaceDelete", "project", "environment", "environments", "projectToken", "projectTokens"}
    assert also | {"apiTokens", "me"} <= set(fields)


def test_the_documentation_lists_the_operations_as_they_are(request: pytest.FixtureRequest) -> None:
    text = (request.config.rootpath / "docs" / "railway.md").read_text(encoding="utf-8")
    begin, end = "<!-- generated: railway-operations -->\n", "\n<!-- end -->"
    assert text.partition(begin)[2].partition(end)[0] == operation_table()
