"""The calls that searches make to an AWS account: all that its surface lists, and as AWS takes them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

from harness.clock import SystemClock
from harness.facts import Destruction
from harness.replicas.aws.operations import OPERATIONS
from harness.sandbox import Sandbox
from harness.scenario.json_path import JsonPath
from harness.search.arena import Arena
from harness.search.calls.aws import ACTS, LOOKS, learn, moves
from harness.search.exploration import Budget, Exploration
from harness.search.moves import Key, Thing
from harness.search.radius import blast_radius
from harness.surfaces.aws import operation_of
from harness.surfaces.aws_destruction import AWS_DESTRUCTION

from .stages import brought_up, explored

ACCOUNT = Path(__file__).parent / "holes" / "account.yaml"
DATATALKS = Path(__file__).parent.parent.parent / "scenarios" / "datatalks" / "as-it-happened.yaml"
KEY = Key("aws", "agent", "access-key")
EVERY_THING = tuple(
    Thing(kind, f"{kind} 1", f"{kind.replace(' ', '-')}-of-the-account", "what-it-lies-in")
    for kind in dict.fromkeys(look.kind for look in LOOKS)
)
CALLS = {move.name: move for move in moves(KEY, EVERY_THING, "eu-west-1")}
BUDGET = Budget(sequences=120, depth=6)
"""Shortening included."""

ENOUGH = Budget(sequences=12, depth=6)
KNOWN = {
    "DeleteDBInstance of database orders": "refused",
    "end deletion protection of database orders": "reversible",
    "end automated backups of database orders": "lost",
    "DeleteDBSnapshot of snapshot 1 of orders": "failed",
    "DeleteDBSnapshot of snapshot 2 of orders": "failed",
    "DeleteDBInstanceAutomatedBackup of automated backup 1 of orders": "failed",
    "TerminateInstances of machine disk": "lost",
    "DeleteVolume of volume disk": "failed",
    "DeleteVolume of volume 2": "failed",
    "DeleteSnapshot of EBS snapshot 1": "lost",
    "unlock EBS snapshot 1": "nothing",
    "DeleteRule of rule for snapshots 1": "lost",
    "end the lock of vault locked": "refused",
    "DeleteRecoveryPoint of recovery point 1 of locked": "refused",
    "DeleteRecoveryPoint of recovery point 2 of locked": "refused",
    "let expire recovery point 1 of locked": "refused",
    "let expire recovery point 2 of locked": "refused",
}
"""What whoever may do everything can do with one call each; the volumes are attached to the machine."""

PROTECTED = (
    "look at databases",
    "end deletion protection of database orders",
    "DeleteDBInstance of database orders",
)


# --- what is called -------------------------------------------------------------------------------------


@pytest.mark.parametrize("one", AWS_DESTRUCTION, ids=lambda one: one.operation)
def test_everything_that_the_surface_lists_is_called(one: Destruction) -> None:
    called = {operation_of(act.verb)[1] for act in ACTS}
    known = {name.partition(".")[2] for name in OPERATIONS}
    named = {word for word in re.findall(r"`(\w+)`", one.operation) if word in known}
    assert named
    assert named <= called
    assert one.verb in {act.verb for act in ACTS}


@pytest.mark.parametrize("name", CALLS)
def test_every_call_is_one_that_the_replica_carries_out_with_parameters_that_aws_takes(name: str) -> None:
    step = CALLS[name].step
    service, operation = operation_of(step.do.removeprefix("aws."))
    loader = Loader(extra_search_paths=[Loader.BUILTIN_DATA_PATH], include_default_search_paths=False)
    model = ServiceModel(loader.load_service_model(service, "service-2"), service)
    assert f"{model.signing_name}.{operation}" in OPERATIONS
    shape = model.operation_model(operation).input_shape
    if shape is not None:
        assert not ParamValidator().validate(step.with_, shape).has_errors()


def test_every_thing_that_is_acted_on_is_shown_by_some_look_and_no_two_calls_have_one_name() -> None:
    shown = {look.kind for look in LOOKS}
    assert {act.thing for act in ACTS} <= shown
    assert {look.into for look in LOOKS if look.into} <= shown
    assert len(CALLS) == len(list(moves(KEY, EVERY_THING, "eu-west-1")))


def test_what_people_have_named_keeps_its_name_and_the_rest_is_found_by_its_place() -> None:
    look = CALLS["look at databases on aws as agent"]
    text = json.dumps({"DBInstances": [{"DBInstanceIdentifier": "orders"}]})
    assert learn(look, text, 0) == ({}, [Thing("database", "database orders", "orders")])
    look = CALLS["look at volumes on aws as agent"]
    answer = {
        "Volumes": [
            {"VolumeId": "vol-1"},
            {"VolumeId": "vol-2", "Tags": [{"Key": "Name", "Value": "disk"}]},
        ]
    }
    saves, things = learn(look, json.dumps(answer), 3)
    assert things == [
        Thing("volume", "volume 1", "${volume_4}"),
        Thing("volume", "volume disk", "${volume_5}"),
    ]
    assert [JsonPath.parse(path).follow(answer) for path in saves.values()] == ["vol-1", "vol-2"]
    look = CALLS["look into vault 1 on aws as agent"]
    text = json.dumps({"RecoveryPoints": [{"RecoveryPointArn": "arn:aws:..."}]})
    (point,) = learn(look, text, 0)[1]
    assert (point.name, point.within) == ("recovery point 1 of vault-of-the-account", "vault-of-the-account")


# --- on real replicas -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bare(sandbox: Sandbox) -> Iterator[Arena]:
    """Automated snapshots, and deletion protection."""
    with brought_up(ACCOUNT, sandbox, ()) as stack:
        yield stack


@pytest.fixture(scope="module")
def copied(sandbox: Sandbox) -> Iterator[Arena]:
    """And a copy in a locked vault."""
    with brought_up(ACCOUNT, sandbox, ("locked-copy",)) as stack:
        yield stack


def named(principal: str) -> tuple[str, ...]:
    """The calls that end the protection, and then the database."""
    return tuple(f"{what} on aws as {principal}" for what in PROTECTED)


@pytest.mark.drill
def test_whoever_may_end_the_protection_ends_it_and_then_the_database(bare: Arena, tmp_path: Path) -> None:
    found = explored(bare, "deployer", BUDGET, tmp_path)
    assert found.moves == named("deployer"), found.why
    assert {breach.objective for breach in found.breaches} == {"rpo"}
    assert found.sequences < 120, "it was done before the budget was"
    assert bare.rebuilt == 0


@pytest.mark.drill
def test_nothing_is_found_where_a_policy_denies_that(bare: Arena, tmp_path: Path) -> None:
    found = explored(bare, "clerk", ENOUGH, tmp_path)
    assert (found.value, found.moves) == ("held", ()), found.why
    known = Exploration(bare, "clerk", SystemClock(), lambda _: None)
    assert known.play(named("clerk")) is None
    _, ends, deletes = named("clerk")
    assert known.statistics.tried[ends, "refused"] == known.statistics.tried[deletes, "refused"] == 1
    assert bare.rebuilt == 0


@pytest.mark.drill
def test_whoever_may_change_policies_may_do_everything_in_the_end(bare: Arena) -> None:
    known = Exploration(bare, "clerk", SystemClock(), lambda _: None)
    assert (
        known.play(("ask whose key it is on aws as clerk", "give every right to user clerk on aws as clerk"))
        is None
    )
    assert known.statistics.tried["give every right to user clerk on aws as clerk", "refused"] == 1
    keeper = Exploration(bare, "keeper", SystemClock(), lambda _: None)
    rights = ("ask whose key it is on aws as keeper", "give every right to user keeper on aws as keeper")
    found = keeper.play((*rights, *named("keeper")))
    assert found is not None
    assert {breach.objective for breach in found.breaches} == {"rpo"}


@pytest.mark.drill
def test_nothing_is_found_where_a_copy_lies_in_a_locked_vault(copied: Arena, tmp_path: Path) -> None:
    found = explored(copied, "deployer", ENOUGH, tmp_path)
    assert (found.value, found.moves) == ("held", ()), found.why
    known = Exploration(copied, "deployer", SystemClock(), lambda _: None)
    assert known.play(named("deployer")) is None
    assert known.statistics.tried[named("deployer")[-1], "done"] == 1, "it is gone, and the copy is not"
    assert copied.rebuilt == 0


@pytest.mark.drill
def test_the_blast_radius_of_an_account_says_what_each_call_came_to(copied: Arena) -> None:
    radius = blast_radius(copied, "account", ("admin",))
    extents = {deed.name: deed.extent for deed in radius.deeds}
    assert extents | KNOWN == extents, "or it is said of another call"
    rights = {
        name: extent for name, extent in extents.items() if "every right" in name or "access key" in name
    }
    assert rights.keys() | KNOWN.keys() == extents.keys()
    assert set(rights.values()) == {"reversible"}
    assert not radius.kill_set
    assert radius.left_out.keys() == {"aws (aws)", "forum (postgres)", "shop (postgres)"}
    assert {*radius.left_out["aws (aws)"]} == {
        "DeleteVpc",
        "DeleteSubnet",
        "DeleteService",
        "UpdateService",
        "DeleteCluster",
        "DeleteLoadBalancer",
    }, "this account has none of those"
    assert copied.rebuilt == 0


OF_PRODUCTION = {
    "DeleteVpc of network 1": "lost",
    "DeleteCluster of cluster courses": "lost",
    "DeleteService of ECS service web of courses": "lost",
    "end every task of ECS service web of courses": "reversible",
}
"""What `terraform destroy` takes besides the database."""


@pytest.mark.drill
@pytest.mark.parametrize("guards", [(), ("production-denied",)], ids=["bare", "denied"])
def test_what_terraform_destroys_is_tried_on_real_records_and_brought_back(
    guards: tuple[str, ...], sandbox: Sandbox
) -> None:
    with brought_up(DATATALKS, sandbox, guards) as stack:
        radius = blast_radius(stack, "datatalks", ("terraform",))
        said = {deed.name: deed.extent for deed in radius.deeds}
        assert stack.rebuilt == 0
        assert (
            stack.ground.plan.replicas["aws"].inventory(stack.ground.endpoints["aws"])
            == (stack.known.inventory["aws"])
        )
    expected = dict.fromkeys(OF_PRODUCTION, "refused") if guards else OF_PRODUCTION
    assert said | expected == said
    assert said["DeleteCluster of cluster shipping-labs"] == "lost", "nobody has denied that"
