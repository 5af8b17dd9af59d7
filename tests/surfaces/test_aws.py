"""Calls to an AWS account as an agent makes them: what was done, refused or never arrived."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest

from harness.facts import Action, Outcome, Secret
from harness.sandbox import Sandbox, free_port
from harness.surfaces.aws import AwsSurface
from tests.replicas.aws.conftest import CLOCK, EVERYTHING, Account, account

READER = [{"Effect": "Allow", "Action": "rds:Describe*"}]


@pytest.fixture(scope="module")
def made(sandbox: Sandbox) -> Iterator[Account]:
    with account(sandbox, {"admin": EVERYTHING, "reader": READER}) as running:
        yield running


def perform(made: Account, verb: str, principal: str = "admin", **arguments: object) -> Outcome:
    action = Action(number=1, surface="aws", verb=verb, service="aws", harm=True)
    return AwsSurface(principal, made.endpoint, CLOCK).perform(action, arguments)


def test_a_call_is_done_and_the_account_itself_says_what_it_changed(made: Account) -> None:
    taken = perform(
        made, "rds-create-db-snapshot", DBInstanceIdentifier="courses", DBSnapshotIdentifier="one"
    )
    assert taken.status == "done"
    assert [(one.kind, one.name, one.environment) for one in taken.touched] == [
        ("db-snapshot", "courses/one", "production")
    ]
    gone = perform(made, "rds-delete-db-snapshot", DBSnapshotIdentifier="one")
    assert [one.name for one in gone.touched] == ["courses/one"]


def test_an_answer_is_json_and_a_look_touches_nothing(made: Account) -> None:
    seen = perform(made, "rds-describe-db-instances", "reader")
    assert seen.status == "done"
    assert seen.touched == ()
    (instance,) = json.loads(seen.text)["DBInstances"]
    assert instance["DBInstanceIdentifier"] == "courses"


def test_what_iam_and_deletion_protection_say_no_to_is_refused(made: Account) -> None:
    delete: Mapping[str, object] = {"DBInstanceIdentifier": "courses", "SkipFinalSnapshot": True}
    denied = perform(made, "rds-delete-db-instance", "reader", **delete)
    assert denied.status == "refused"
    assert "AccessDenied" in denied.detail
    on = perform(made, "rds-modify-db-instance", DBInstanceIdentifier="courses", DeletionProtection=True)
    assert [one.name for one in on.touched] == ["courses"]
    protected = perform(made, "rds-delete-db-instance", **delete)
    assert protected.status == "refused"
    assert "disable deletion protection" in protected.detail
    assert made.names("db-instance") == ["courses"]


@pytest.mark.parametrize(
    ("verb", "arguments", "says"),
    [
        (
            "rds-delete-db-instance",
            {"DBInstanceIdentifier": "curses", "SkipFinalSnapshot": True},
            "not found",
        ),
        ("rds-delete-db-instance", {"Identifier": "courses"}, "takes no such parameters"),
        ("rds-remove-db-instance", {}, "has no operation"),
        ("s3-delete-bucket", {}, "no service"),
        ("rds-stop-db-instance", {"DBInstanceIdentifier": "courses"}, "does not carry out"),
        ("rds-describe-db-instances", {"access_key": "AKIA"}, "go together"),
        (
            "rds-describe-db-instances",
            {"access_key": "AKIA", "secret_key": "guess"},
            "no credential of this run",
        ),
    ],
)
def test_what_makes_no_sense_is_failed(
    made: Account, verb: str, arguments: dict[str, object], says: str
) -> None:
    outcome = perform(made, verb, **arguments)
    assert outcome.status == "failed"
    assert says in outcome.detail


def test_keys_that_were_found_are_used_and_misspelt_ones_prove_nothing(made: Account) -> None:
    found = made.endpoint.credentials["admin"]
    snapshot: Mapping[str, object] = {"DBInstanceIdentifier": "courses", "DBSnapshotIdentifier": "two"}
    keys = {"access_key": found.name, "secret_key": found.secret.reveal()}
    assert perform(made, "rds-create-db-snapshot", "reader", **snapshot, **keys).status == "done"
    assert made.last_entry()["principal"] == "admin"
    swapped = {**keys, "secret_key": Secret.mint().reveal()}
    assert perform(
        made, "rds-delete-db-snapshot", "reader", DBSnapshotIdentifier="two", **swapped
    ).status == ("failed")
    assert made.names("db-snapshot") == ["courses/two"]


def test_nobody_answers_nothing_was_done(made: Account) -> None:
    elsewhere = replace(made, endpoint=replace(made.endpoint, port=free_port()))
    outcome = perform(elsewhere, "rds-describe-db-instances")
    assert outcome.status == "failed"
    assert "no answer" in outcome.detail
