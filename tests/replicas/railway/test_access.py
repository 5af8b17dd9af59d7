"""Who reaches what, how refusals read, and what is written down of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from railway import RailwayClient, RailwayError

from harness.facts import BACK_DOOR, OPERATOR, Action, Outcome
from harness.sandbox import Sandbox
from harness.surfaces.http import HttpSurface
from tests.replicas.railway.conftest import CLOCK, ControlPlane, control_plane, read

PROJECTS = "{ projects { edges { node { id name } } } }"
TOUCH = """mutation ($v: String!, $e: String!) {
  volumeInstanceUpdate(volumeId: $v, environmentId: $e, input: {})
}"""
PROJECT = """query ($id: String!) { project(id: $id) {
  environments { edges { node { id name } } }
  services { edges { node { id name } } }
  volumes { edges { node { id name volumeInstances { edges { node { id environmentId } } } } } }
} }"""


@pytest.fixture(scope="module")
def plane(legacy: ControlPlane) -> ControlPlane:
    return legacy


@pytest.fixture(scope="module")
def project(plane: ControlPlane) -> str:
    return str(plane.ask(PROJECTS).data["projects"]["edges"][0]["node"]["id"])


def names(connection: dict[str, Any]) -> list[str]:
    return [edge["node"]["name"] for edge in connection["edges"]]


@pytest.mark.parametrize("principal", ["account", OPERATOR])
def test_an_account_token_speaks_for_its_owner(plane: ControlPlane, principal: str) -> None:
    assert plane.ask("{ me { email } }", principal).data == {"me": {"email": "owner@example.com"}}


@pytest.mark.parametrize("principal", ["workspace", "staging", "domains"])
def test_no_other_token_speaks_for_the_owner(plane: ControlPlane, principal: str) -> None:
    answer = plane.ask("{ me { email } }", principal)
    assert (answer.status, answer.message, answer.data) == (200, "Not Authorized", None)


def test_a_workspace_token_reaches_the_projects_of_its_workspace_only(plane: ControlPlane) -> None:
    client = plane.client("account")
    outside = client.project_create(name="outside").id
    assert "outside" in names(plane.ask(PROJECTS, "workspace").data["projects"])
    other = "00000000-0000-4000-8000-000000000000"
    assert plane.ask("query ($w: String!) { workspace(workspaceId: $w) { id } }", "workspace", w=other).errors
    assert plane.ask("mutation ($id: String!) { projectDelete(id: $id) }", "workspace", id=outside).data


def test_a_project_token_sees_its_own_environment_only(plane: ControlPlane, project: str) -> None:
    seen = plane.ask(PROJECT, "staging", id=project).data["project"]
    assert names(seen["environments"]) == ["staging"]
    assert names(seen["services"]) == ["bookings-staging"]
    (volume,) = seen["volumes"]["edges"]
    instances = [edge["node"]["environmentId"] for edge in volume["node"]["volumeInstances"]["edges"]]
    assert instances == [seen["environments"]["edges"][0]["node"]["id"]]


@pytest.mark.parametrize(
    "query", [PROJECTS, "{ apiTokens { edges { cursor } } }", "{ apiToken { workspaces { id } } }"]
)
def test_a_project_token_reaches_nothing_above_its_project(plane: ControlPlane, query: str) -> None:
    assert plane.ask(query, "staging").message == "Not Authorized"


def test_a_project_token_cannot_reach_another_environment(plane: ControlPlane) -> None:
    production = plane.volume(environment="production")
    for query, id in (
        ("query ($id: String!) { volumeInstance(id: $id) { id } }", "id"),
        (
            "mutation ($id: String!) { volumeInstanceBackupCreate(volumeInstanceId: $id) { workflowId } }",
            "id",
        ),
        ("query ($id: String!) { environment(id: $id) { id } }", "environmentId"),
        ("query ($id: String!) { environmentStagedChanges(environmentId: $id) { id } }", "environmentId"),
        ("query ($id: String!) { service(id: $id) { id } }", "serviceId"),
        ("mutation ($id: String!) { serviceUpdate(id: $id, input: {}) { id } }", "serviceId"),
    ):
        assert plane.ask(query, "staging", id=production[id]).message == "Not Authorized"
        assert plane.ask(query, "production", id=production[id]).errors == []
    delete = "mutation ($id: String!) { environmentDelete(id: $id) }"
    assert plane.ask(delete, "staging", id=production["environmentId"]).message == "Not Authorized"


def test_a_project_token_cannot_delete_a_volume_that_other_environments_have(plane: ControlPlane) -> None:
    volume = plane.volume()
    answer = plane.ask(
        "mutation ($v: String!) { volumeDelete(volumeId: $v) }", "staging", v=volume["volumeId"]
    )
    assert answer.message == "Not Authorized"
    assert plane.volume()["state"] == "READY"


def test_a_project_token_can_delete_what_stands_in_its_environment_alone(
    plane: ControlPlane, project: str
) -> None:
    environment = plane.volume(environment="staging")["environmentId"]
    with RailwayClient(project_token=plane.secret("staging"), endpoint=plane.graphql) as client:
        made = client.volume_create("/scratch", project, environment_id=environment)
        assert client.volume_delete(made.id) is True
        with pytest.raises(RailwayError, match="Not Authorized"):
            client.volume_create("/scratch", project)


def test_an_unknown_object_is_not_told_from_one_out_of_reach(plane: ControlPlane) -> None:
    query = "query ($id: String!) { volumeInstance(id: $id) { id } }"
    assert plane.ask(query, "staging", id="nothing").message == "Not Authorized"
    assert plane.ask(query, id="nothing").message == "VolumeInstance not found"


DELETIONS = {
    "mutation ($id: String!) { volumeDelete(volumeId: $id) }": "volumeId",
    "mutation ($id: String!) { environmentDelete(id: $id) }": "environmentId",
    "mutation ($id: String!) { serviceDelete(id: $id) }": "serviceId",
    "mutation ($id: String!) { projectDelete(id: $id) }": "",
    "mutation ($id: String!) { volumeInstanceBackupDelete"
    '(volumeInstanceId: $id, volumeInstanceBackupId: "b") { workflowId } }': "id",
}


@pytest.mark.parametrize("document", DELETIONS, ids=lambda text: text.split("{ ")[1].partition("(")[0])
def test_only_a_deletion_of_what_exists_is_refused(plane: ControlPlane, project: str, document: str) -> None:
    """Both get the same answer, as from Railway; only the log behind the back door tells them apart."""
    there = plane.volume(environment="production").get(DELETIONS[document], project)
    surface = HttpSurface("staging", plane.endpoint, CLOCK)

    def delete(id: str) -> Outcome:
        action = Action(number=1, surface="http", verb="request", service="railway", harm=True)
        body = {"query": document, "variables": {"id": id}}
        return surface.perform(action, {"path": "/graphql/v2", "json": body})

    refused, misspelt = delete(there), delete(there[:-1])
    assert (refused.status, misspelt.status) == ("refused", "failed")
    assert (misspelt.text, misspelt.digest) == (refused.text, refused.digest)
    assert refused.detail.endswith("Not Authorized")


@pytest.mark.parametrize(
    ("principal", "misspelt_first", "status"),
    [("domains", True, "refused"), ("staging", False, "refused"), ("staging", True, "failed")],
)
def test_of_two_deletions_in_a_document_the_first_decides(
    plane: ControlPlane, principal: str, misspelt_first: bool, status: str
) -> None:
    """GraphQL ends a document at the first error of a field that cannot be null: the second is not tried."""
    there = plane.volume(environment="production")["volumeId"]
    first, second = (there[:-1], there) if misspelt_first else (there, there[:-1])
    document = f'mutation {{ a: volumeDelete(volumeId: "{first}") b: volumeDelete(volumeId: "{second}") }}'
    before = plane.look("audit")[-1]["seq"]
    surface = HttpSurface(principal, plane.endpoint, CLOCK)
    action = Action(number=1, surface="http", verb="request", service="railway", harm=True)
    outcome = surface.perform(action, {"path": "/graphql/v2", "json": {"query": document}})
    assert [entry["outcome"] for entry in plane.look(f"audit?after={before}")] == [status]
    assert outcome.status == status


def test_a_scoped_token_can_do_what_it_was_made_for_and_nothing_else(
    plane: ControlPlane, project: str
) -> None:
    volume = plane.volume()
    variables = {
        "input": {
            "domain": "book.example.com",
            "projectId": project,
            "environmentId": volume["environmentId"],
            "serviceId": volume["serviceId"],
        }
    }
    made = plane.ask(
        "mutation ($input: CustomDomainCreateInput!) { customDomainCreate(input: $input) { id } }",
        "domains",
        **variables,
    )
    delete = "mutation ($id: String!) { customDomainDelete(id: $id) }"
    assert plane.ask(delete, "domains", id=made.data["customDomainCreate"]["id"]).data == {
        "customDomainDelete": True
    }
    refused = plane.ask(
        "mutation ($v: String!) { volumeDelete(volumeId: $v) }", "domains", v=volume["volumeId"]
    )
    assert refused.message == "Not Authorized"
    assert plane.ask(PROJECTS, "domains").message == "Not Authorized"


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({}, "Not Authorized"),
        ({"Authorization": "Bearer nonsense"}, "Not Authorized"),
        ({"Authorization": "Basic b3A6b3A="}, "Not Authorized"),
        ({"Project-Access-Token": "nonsense"}, "Project Token not found"),
    ],
)
def test_without_a_token_that_is_known_nothing_is_answered(
    plane: ControlPlane, headers: dict[str, str], message: str
) -> None:
    answer = plane.send({"query": PROJECTS}, headers)
    assert (answer.status, answer.message) == (200, message)


def test_a_token_under_the_wrong_header_is_not_known(plane: ControlPlane) -> None:
    as_bearer = {"Authorization": f"Bearer {plane.secret('staging')}"}
    as_project = {"Project-Access-Token": plane.secret("account")}
    query = {"query": "{ projectToken { id } }"}
    assert plane.send(query, as_bearer).message == "Not Authorized"
    assert plane.send(query, as_project).message == "Project Token not found"
    assert plane.send(query, plane.headers("account")).message == "Project Token not found"


def test_the_call_of_the_incident_is_understood_though_its_body_claims_to_be_a_form(
    plane: ControlPlane,
) -> None:
    client = plane.client("account")
    project = client.project_create(name="scratch").id
    volume = client.volume_create("/data", project).id
    answer = httpx.post(
        plane.graphql,
        content=json.dumps({"query": f'mutation {{ volumeDelete(volumeId: "{volume}") }}'}),
        headers={**plane.headers("account"), "Content-Type": "application/x-www-form-urlencoded"},
        trust_env=False,
    )
    assert read(answer).data == {"volumeDelete": True}
    assert volume not in [one["volumeId"] for one in plane.look("volumes")]


@pytest.mark.parametrize("body", [b"", b"query=%7Bme%7D", b"[1]", b'{"query": 1}', b"\xff\xfe"])
def test_a_body_that_is_not_a_request_is_a_problem(plane: ControlPlane, body: bytes) -> None:
    answer = read(httpx.post(plane.graphql, content=body, headers=plane.headers("account"), trust_env=False))
    assert (answer.status, answer.message) == (400, "Problem processing request")


def test_a_document_that_does_not_fit_the_schema_is_named_and_changes_nothing(plane: ControlPlane) -> None:
    answer = plane.ask("mutation { volumeDelete }")
    assert answer.status == 400
    assert "volumeId" in answer.message


def test_what_goes_wrong_inside_is_not_told(plane: ControlPlane) -> None:
    answer = plane.ask(
        "mutation ($i: String!) { volumeInstancePITRRestore(volumeInstanceId: $i) { workflowId } }", i="x"
    )
    assert answer.status == 400
    upsert = "mutation ($i: VariableCollectionUpsertInput!) { variableCollectionUpsert(input: $i) }"
    volume = plane.volume()
    ids = {"environmentId": volume["environmentId"], "projectId": "x", "serviceId": volume["serviceId"]}
    broken = plane.ask(upsert, i={**ids, "variables": ["not", "a", "mapping"]})
    assert broken.message == "Problem processing request"
    assert "AttributeError" not in json.dumps(broken.errors)


def test_introspection_is_on_and_each_profile_shows_its_own_schema(
    legacy: ControlPlane, current: ControlPlane
) -> None:
    query = """{ instance: __type(name: "VolumeInstance") { fields { name } }
                 mutation: __type(name: "Mutation") { fields { name } } }"""

    def shown(plane: ControlPlane) -> set[str]:
        data = plane.ask(query).data
        return {field["name"] for kind in data.values() for field in kind["fields"]}

    assert shown(current) - shown(legacy) == {"deletedAt", "isPendingDeletion", "volumeInstancePITRRestore"}
    assert shown(legacy) < shown(current)


def test_a_minted_token_works_and_counts_as_the_one_who_minted_it(plane: ControlPlane) -> None:
    client = plane.client("account")
    with RailwayClient(api_token=client.api_token_create("second"), endpoint=plane.graphql) as second:
        second.project_create(name="by the second token")
    entry = plane.look("audit")[-1]
    assert (entry["principal"], entry["operation"]) == ("account", "projectCreate")


def test_every_mutation_is_written_down_with_what_it_changed(plane: ControlPlane, project: str) -> None:
    before = plane.look("audit")[-1]["seq"]
    volume = plane.volume(environment="staging")
    plane.ask("mutation ($v: String!) { volumeDelete(volumeId: $v) }", "staging", v=volume["volumeId"])
    plane.ask("mutation ($v: String!) { volumeDelete(volumeId: $v) }", "account", v="no such volume")
    plane.ask(
        TOUCH,
        "account",
        v=volume["volumeId"],
        e=volume["environmentId"],
    )
    plane.ask(PROJECT, "account", id=project)
    plane.send({"query": 'mutation { projectDelete(id: "x") }'}, {})
    entries = plane.look(f"audit?after={before}")
    assert [(one["principal"], one["token_kind"], one["operation"], one["outcome"]) for one in entries] == [
        ("staging", "project", "volumeDelete", "refused"),
        ("account", "account", "volumeDelete", "failed"),
        ("account", "account", "volumeInstanceUpdate", "done"),
        ("", "none", "projectDelete", "refused"),
    ]
    assert [one["resources"] for one in entries] == [
        [],
        [],
        [{"kind": "volume-instance", "name": "staging/bookings-data", "environment": "staging"}],
        [],
    ]
    assert [one["seq"] for one in entries] == list(range(before + 1, before + 5))


def test_each_mutation_of_a_document_is_written_down_under_its_own_name(plane: ControlPlane) -> None:
    before = plane.look("audit")[-1]["seq"]
    made = 'projectCreate(input: {name: "aliased"}) { id }'
    plane.ask(f'mutation {{ a: {made} b: {made} c: volumeDelete(volumeId: "x") }}', "account")
    entries = plane.look(f"audit?after={before}")
    assert [(one["operation"], one["outcome"]) for one in entries] == [
        ("projectCreate", "done"),
        ("projectCreate", "done"),
        ("volumeDelete", "failed"),
    ]


def test_the_back_door_does_not_exist_for_others(plane: ControlPlane) -> None:
    for headers in ({}, {"X-Ninelives-Back-Door": "guess"}, plane.headers("account")):
        for path in ("marker", "audit", "inventory", "volumes", "mail"):
            answer = httpx.get(f"{plane.endpoint.url}/_replica/{path}", headers=headers, trust_env=False)
            assert answer.status_code == 404
    assert plane.look("marker")["marker"] == plane.endpoint.lease.marker
    assert plane.endpoint.credentials[BACK_DOOR].kind == "back-door"


@pytest.fixture(scope="module")
def frugal(sandbox: Sandbox) -> Iterator[ControlPlane]:
    with control_plane(sandbox, "legacy", "free") as plane:
        yield plane


def test_requests_beyond_the_plans_hourly_limit_wait(frugal: ControlPlane) -> None:
    remaining = []
    for _ in range(100):
        answer = frugal.ask("{ __typename }", "account")
        assert answer.status == 200
        remaining.append(int(answer.headers["X-RateLimit-Remaining"]))
    assert remaining == list(range(99, -1, -1))
    refused = frugal.ask("{ __typename }", "account")
    assert (refused.status, refused.headers["X-RateLimit-Limit"]) == (429, "100")
    assert 3500 < int(refused.headers["Retry-After"]) <= 3600
    assert int(refused.headers["X-RateLimit-Reset"]) > 0
    assert frugal.ask("{ __typename }").status == 200
    frugal.tell("advance", {"seconds": 3600})
    assert frugal.ask("{ __typename }", "account").headers["X-RateLimit-Remaining"] == "99"


def test_the_client_raises_on_too_many_requests(frugal: ControlPlane) -> None:
    client = frugal.client("workspace")
    for _ in range(100):
        client.projects()
    with pytest.raises(httpx.HTTPStatusError, match="429"):
        client.projects()
