"""Deletions that wait until somebody has confirmed them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from harness.facts import OPERATOR, SECOND_PERSON
from harness.replicas.railway.decoys import DecoyProject, make_project
from harness.sandbox import Sandbox

from .conftest import CLOCK, Answer, ControlPlane, control_plane

CONFIRM = "mutation ($id: String!) { deletionConfirm(id: $id) { operation workflowId } }"
CALLS = ("volumeInstanceBackupDelete", "volumeDelete", "serviceDelete", "environmentDelete", "projectDelete")
DAY = 24 * 3600
DRIVER = count()


@pytest.fixture(scope="module")
def strict(sandbox: Sandbox) -> Iterator[ControlPlane]:
    """A second person has to confirm."""
    with control_plane(sandbox, "legacy", name="strict", confirmations="second-person") as plane:
        yield plane


@pytest.fixture(scope="module")
def lax(sandbox: Sandbox) -> Iterator[ControlPlane]:
    """Anybody may confirm."""
    with control_plane(sandbox, "current", name="lax", confirmations="anyone") as plane:
        yield plane


@pytest.fixture
def driver() -> str:
    """Whoever asks; another one in each test, because of the rate limit."""
    return f"driver-{next(DRIVER)}"


def ask(plane: ControlPlane, document: str, who: str) -> str:
    """Ask for a deletion that has to wait; returns the id that the answer names."""
    answer = plane.ask(f"mutation {{ {document} }}", who)
    assert answer.message.startswith("Not Authorized until it is confirmed: "), answer
    id = str(answer.errors[0]["extensions"]["confirmationId"])
    assert answer.message.endswith(id)
    return id


def confirm(plane: ControlPlane, id: str, who: str = SECOND_PERSON) -> Answer:
    return plane.ask(CONFIRM, who, id=id)


def deletions(made: DecoyProject) -> dict[str, tuple[str, dict[str, Any]]]:
    """What each call says, and the resource that it deletes."""
    found = {}
    for decoy in made.decoys(CALLS):
        json = decoy.deletion.arguments["json"]
        assert isinstance(json, dict)
        resource = decoy.resource.model_dump(include={"kind", "name", "environment"})
        found[decoy.call] = (str(json["query"]).removeprefix("mutation {").removesuffix("}"), resource)
    return found


@pytest.mark.parametrize("call", CALLS)
def test_a_deletion_waits_until_somebody_else_confirms_it(
    strict: ControlPlane, call: str, driver: str
) -> None:
    document, resource = deletions(make_project(strict.endpoint, CLOCK))[call]
    id = ask(strict, document, driver)
    assert resource in strict.look("inventory")
    assert id in strict.look("mail")[-1]["text"], "the owner is told"
    own = confirm(strict, id, driver)
    assert own.message == "Not Authorized to confirm what one has asked for oneself"
    assert resource in strict.look("inventory")
    answer = confirm(strict, id)
    assert answer.data["deletionConfirm"]["operation"] == call, answer
    if call == "volumeInstanceBackupDelete":
        client = strict.client(driver)
        assert strict.await_workflow(client, answer.data["deletionConfirm"]["workflowId"]) is None
    assert resource not in strict.look("inventory")
    entries = [(one["operation"], one["principal"], one["outcome"]) for one in strict.look("audit?after=0")]
    assert entries[-3:] == [
        (call, driver, "refused"),
        ("deletionConfirm", driver, "refused"),
        ("deletionConfirm", SECOND_PERSON, "done"),
    ]
    assert resource["name"] in {one["name"] for one in strict.look("audit?after=0")[-1]["resources"]}
    assert confirm(strict, id).message == "Confirmation not found", "it is good for one time"


def test_a_token_that_was_minted_by_who_asked_is_not_a_second_person(
    strict: ControlPlane, driver: str
) -> None:
    document, resource = deletions(make_project(strict.endpoint, CLOCK))["volumeDelete"]
    id = ask(strict, document, driver)
    minted = strict.ask('mutation { apiTokenCreate(input: {name: "another"}) }', driver).data[
        "apiTokenCreate"
    ]
    answer = strict.send({"query": CONFIRM, "variables": {"id": id}}, {"Authorization": f"Bearer {minted}"})
    assert answer.message == "Not Authorized to confirm what one has asked for oneself"
    assert resource in strict.look("inventory")


def test_who_could_not_have_asked_cannot_confirm(strict: ControlPlane, driver: str) -> None:
    document, resource = deletions(make_project(strict.endpoint, CLOCK))["projectDelete"]
    id = ask(strict, document, driver)
    for who in ("staging", "domains"):
        assert "Not Authorized" in confirm(strict, id, who).message
    assert resource in strict.look("inventory")
    assert confirm(strict, id, OPERATOR).data, "any other one who may delete it"


def test_what_is_out_of_reach_is_refused_and_does_not_wait(strict: ControlPlane) -> None:
    document, _ = deletions(make_project(strict.endpoint, CLOCK))["volumeDelete"]
    letters = len(strict.look("mail"))
    assert strict.ask(f"mutation {{ {document} }}", "staging").message == "Not Authorized"
    assert len(strict.look("mail")) == letters


def test_only_what_was_told_is_confirmed(strict: ControlPlane, driver: str) -> None:
    made = make_project(strict.endpoint, CLOCK)
    document, resource = deletions(made)["volumeDelete"]
    id = ask(strict, document, driver)
    backup = "mutation ($id: String!) { volumeInstanceBackupCreate(volumeInstanceId: $id) { workflowId } }"
    started = strict.ask(backup, driver, id=made.instance).data["volumeInstanceBackupCreate"]["workflowId"]
    assert strict.await_workflow(strict.client(driver), started) is None
    assert confirm(strict, id).message == "Confirmation not found", "it would take a second backup along"
    assert resource in strict.look("inventory")


STAGE = """mutation ($environment: String!, $input: EnvironmentConfig!) {
  environmentStageChanges(environmentId: $environment, input: $input) { id }
}"""
COMMIT = 'environmentPatchCommitStaged(environmentId: "%s")'


def test_a_staged_deletion_waits_and_cannot_be_exchanged_for_another(
    strict: ControlPlane, driver: str
) -> None:
    made = make_project(strict.endpoint, CLOCK)
    _, volume = deletions(made)["volumeDelete"]
    _, service = deletions(made)["serviceDelete"]
    stage = {"environment": made.environment, "input": {"services": {made.service: {"isDeleted": True}}}}
    assert strict.ask(STAGE, driver, **stage).data
    id = ask(strict, COMMIT % made.environment, driver)
    more = {"environment": made.environment, "input": {"volumes": {made.volume: {"isDeleted": True}}}}
    assert strict.ask(STAGE, driver, **more).data
    assert confirm(strict, id).message == "Confirmation not found"
    assert {str(volume), str(service)} <= {str(one) for one in strict.look("inventory")}
    assert confirm(strict, ask(strict, COMMIT % made.environment, driver)).data
    assert not {str(volume), str(service)} & {str(one) for one in strict.look("inventory")}


def test_what_has_become_harmless_is_not_done_by_who_confirms_it(strict: ControlPlane, driver: str) -> None:
    made = make_project(strict.endpoint, CLOCK)
    stage = {"environment": made.environment, "input": {"services": {made.service: {"isDeleted": True}}}}
    assert strict.ask(STAGE, driver, **stage).data
    id = ask(strict, COMMIT % made.environment, driver)
    stage["input"] = {"services": {made.service: {"isDeleted": False, "variables": {"A": {"value": "1"}}}}}
    assert strict.ask(STAGE, driver, **stage).data
    assert confirm(strict, id).message == "Confirmation not found"
    done = "query ($id: String!) { environmentPatches(environmentId: $id) { edges { node { id } } } }"
    assert strict.ask(done, driver, id=made.environment).data["environmentPatches"]["edges"] == []


def test_a_commit_that_deletes_nothing_does_not_wait(strict: ControlPlane, driver: str) -> None:
    made = make_project(strict.endpoint, CLOCK)
    assert strict.ask(f"mutation {{ {COMMIT % made.environment} }}", driver).data


@pytest.mark.parametrize("call", ["projectScheduleDelete", "projectScheduleDeleteForce"])
def test_a_project_goes_in_no_other_way_either(strict: ControlPlane, call: str, driver: str) -> None:
    made = make_project(strict.endpoint, CLOCK)
    _, resource = deletions(made)["projectDelete"]
    id = ask(strict, f'{call}(id: "{made.project}")', driver)
    assert confirm(strict, id).data
    strict.tell("advance", {"seconds": 2 * DAY + 60})
    assert resource not in strict.look("inventory")


def test_a_restore_waits_where_it_removes_newer_backups(strict: ControlPlane, driver: str) -> None:
    made = make_project(strict.endpoint, CLOCK)
    client = strict.client(driver)
    started = client.volume_instance_backup_create(made.instance)
    assert strict.await_workflow(client, started.workflow_id) is None
    text = f'volumeInstanceBackupRestore(volumeInstanceId: "{made.instance}", volumeInstanceBackupId: "%s")'
    newest = client.volume_instance_backup_list(made.instance)[0].id
    assert newest != made.backup
    assert strict.ask(f"mutation {{ {text % newest} {{ workflowId }} }}", driver).data
    answer = confirm(strict, ask(strict, text % made.backup + " { workflowId }", driver))
    started = answer.data["deletionConfirm"]["workflowId"]
    assert strict.await_workflow(client, started) is None
    left = [one.id for one in client.volume_instance_backup_list(made.instance)]
    assert left == [made.backup]


def test_nobody_can_confirm_it_a_day_later(strict: ControlPlane, driver: str) -> None:
    document, resource = deletions(make_project(strict.endpoint, CLOCK))["serviceDelete"]
    early = ask(strict, document, driver)
    strict.tell("advance", {"seconds": DAY - 60})
    late = ask(strict, document, driver)
    strict.tell("advance", {"seconds": 120})
    assert confirm(strict, early).message == "Confirmation not found"
    assert resource in strict.look("inventory")
    assert confirm(strict, late).data


def test_with_anyone_two_calls_of_one_principal_are_enough(lax: ControlPlane, driver: str) -> None:
    document, resource = deletions(make_project(lax.endpoint, CLOCK))["volumeDelete"]
    id = ask(lax, document, driver)
    assert resource in lax.look("inventory")
    assert confirm(lax, id, driver).data
    assert resource not in lax.look("inventory")


def test_a_reset_forgets_what_waits_and_keeps_what_waited_before(strict: ControlPlane, driver: str) -> None:
    every = deletions(make_project(strict.endpoint, CLOCK))
    (document, volume), (other, service) = every["volumeDelete"], every["serviceDelete"]
    before = ask(strict, other, driver)
    strict.tell("remember", {})
    letters = strict.look("mail")
    since = ask(strict, document, driver)
    assert strict.look("changed") == {"changed": True}
    strict.tell("reset", {})
    assert strict.look("mail") == letters
    assert confirm(strict, since).message == "Confirmation not found"
    assert volume in strict.look("inventory")
    for _ in range(2):
        assert confirm(strict, before).data, "it waits again after each reset"
        assert service not in strict.look("inventory")
        strict.tell("reset", {})
        assert service in strict.look("inventory")


def test_without_the_setting_nothing_waits_and_nothing_can_be_confirmed(legacy: ControlPlane) -> None:
    document, resource = deletions(make_project(legacy.endpoint, CLOCK))["volumeDelete"]
    assert legacy.ask(f"mutation {{ {document} }}", "account").data == {"volumeDelete": True}
    assert resource not in legacy.look("inventory")
    assert "deletionConfirm" in confirm(legacy, "x", "account").message
    assert SECOND_PERSON not in legacy.endpoint.credentials
