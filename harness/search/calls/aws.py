"""The calls to an AWS account: what it runs and keeps, what deletes that, and what takes a guard away.

What people have named is called by its name: instances, vaults, users. Everything else has another id in the
next account, and is found by its place in the answer that shows it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import JsonValue

from harness.search.moves import Key, Learned, Move, MoveKind, Thing, call

EVERY_RIGHT = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}'
IN = "{}"
"""In an argument: the value of the thing that the call is about."""


@dataclass(frozen=True)
class Look:
    """A call that shows things.

    Attributes:
        what: it does, for people; ``IN`` stands for the name of what is looked into.
        verb: of the surface.
        each: the member of the answer that lists the things.
        value: path from one of them to what calls want to know.
        kind: of the things.
        lasting: people have named them, so that their names are the same everywhere.
        of: path from one of them to what it is a copy of, for its name.
        into: kind of thing that is looked into; empty when it is the account.
        arguments: of the call.
    """

    what: str
    verb: str
    each: str
    value: str
    kind: str
    lasting: bool = False
    of: str = ""
    into: str = ""
    arguments: Mapping[str, JsonValue] = field(default_factory=dict)


def _rules(of: str, type: str) -> Look:
    arguments: dict[str, JsonValue] = {"ResourceType": type}
    what, kind = f"look at rules of Recycle Bin for {of}", f"rule for {of}"
    return Look(what, "rbin-list-rules", "Rules", "Identifier", kind, arguments=arguments)


def _made(filter: str) -> Mapping[str, JsonValue]:
    """Without what every account has from the start."""
    return {"Filters": [{"Name": filter, "Values": ["false"]}]}


LOOKS = (
    Look(
        "look at databases",
        "rds-describe-db-instances",
        "DBInstances",
        "DBInstanceIdentifier",
        "database",
        lasting=True,
    ),
    Look(
        "look at snapshots",
        "rds-describe-db-snapshots",
        "DBSnapshots",
        "DBSnapshotIdentifier",
        "snapshot",
        of="DBInstanceIdentifier",
    ),
    Look(
        "look at automated backups",
        "rds-describe-db-instance-automated-backups",
        "DBInstanceAutomatedBackups",
        "DbiResourceId",
        "automated backup",
        of="DBInstanceIdentifier",
    ),
    Look("look at machines", "ec2-describe-instances", "Reservations", "Instances[0].InstanceId", "machine"),
    Look("look at volumes", "ec2-describe-volumes", "Volumes", "VolumeId", "volume"),
    Look(
        "look at EBS snapshots",
        "ec2-describe-snapshots",
        "Snapshots",
        "SnapshotId",
        "EBS snapshot",
        arguments={"OwnerIds": ["self"]},
    ),
    _rules("volumes", "EBS_VOLUME"),
    _rules("snapshots", "EBS_SNAPSHOT"),
    Look(
        "look at vaults",
        "backup-list-backup-vaults",
        "BackupVaultList",
        "BackupVaultName",
        "vault",
        lasting=True,
    ),
    Look(
        "look into {}",
        "backup-list-recovery-points-by-backup-vault",
        "RecoveryPoints",
        "RecoveryPointArn",
        "recovery point",
        into="vault",
        arguments={"BackupVaultName": IN},
    ),
    Look("look at networks", "ec2-describe-vpcs", "Vpcs", "VpcId", "network", arguments=_made("is-default")),
    Look(
        "look at subnets",
        "ec2-describe-subnets",
        "Subnets",
        "SubnetId",
        "subnet",
        arguments=_made("default-for-az"),
    ),
    Look("look at clusters", "ecs-list-clusters", "clusterArns", "", "cluster", lasting=True),
    Look(
        "look at services of {}",
        "ecs-list-services",
        "serviceArns",
        "",
        "ECS service",
        lasting=True,
        into="cluster",
        arguments={"cluster": IN},
    ),
    Look(
        "look at load balancers",
        "elbv2-describe-load-balancers",
        "LoadBalancers",
        "LoadBalancerArn",
        "load balancer",
    ),
    Look("ask whose key it is", "sts-get-caller-identity", "", "Arn", "user", lasting=True),
    Look("look at users", "iam-list-users", "Users", "UserName", "user", lasting=True),
    Look(
        "look at policies of {}",
        "iam-list-user-policies",
        "PolicyNames",
        "",
        "policy",
        lasting=True,
        into="user",
        arguments={"UserName": IN},
    ),
    Look(
        "look at keys of {}",
        "iam-list-access-keys",
        "AccessKeyMetadata",
        "AccessKeyId",
        "access key",
        into="user",
        arguments={"UserName": IN},
    ),
)


@dataclass(frozen=True)
class Act:
    """A call that destroys a thing, or what guards it.

    Attributes:
        kind: what it is for.
        thing: the kind of thing that it is about.
        what: it does, for people.
        verb: of the surface.
        argument: that takes the value of the thing.
        operation: one of the names that the surface lists it by.
        within: argument that takes the value of what the thing lies in; empty when none does.
        listed: the argument takes a list.
        more: other arguments.
    """

    kind: MoveKind
    thing: str
    what: str
    verb: str
    argument: str
    operation: str
    within: str = ""
    listed: bool = False
    more: Mapping[str, JsonValue] = field(default_factory=dict)


def _delete(thing: str, verb: str, argument: str, operation: str, within: str = "", **more: JsonValue) -> Act:
    return Act(
        "destroy", thing, f"{operation} of", f"{verb}", argument, operation, within, listed=False, more=more
    )


ACTS = (
    _delete(
        "database",
        "rds-delete-db-instance",
        "DBInstanceIdentifier",
        "DeleteDBInstance",
        SkipFinalSnapshot=True,
    ),
    Act(
        "weaken",
        "database",
        "end deletion protection of",
        "rds-modify-db-instance",
        "DBInstanceIdentifier",
        "ModifyDBInstance DeletionProtection",
        more={"DeletionProtection": False, "ApplyImmediately": True},
    ),
    # It deletes what there is at once, and is no mere weakening.
    Act(
        "destroy",
        "database",
        "end automated backups of",
        "rds-modify-db-instance",
        "DBInstanceIdentifier",
        "ModifyDBInstance BackupRetentionPeriod",
        more={"BackupRetentionPeriod": 0, "ApplyImmediately": True},
    ),
    _delete("snapshot", "rds-delete-db-snapshot", "DBSnapshotIdentifier", "DeleteDBSnapshot"),
    _delete(
        "automated backup",
        "rds-delete-db-instance-automated-backup",
        "DbiResourceId",
        "DeleteDBInstanceAutomatedBackup",
    ),
    Act(
        "destroy",
        "machine",
        "TerminateInstances of",
        "ec2-terminate-instances",
        "InstanceIds",
        "TerminateInstances",
        listed=True,
    ),
    _delete("volume", "ec2-delete-volume", "VolumeId", "DeleteVolume"),
    _delete("EBS snapshot", "ec2-delete-snapshot", "SnapshotId", "DeleteSnapshot"),
    Act("weaken", "EBS snapshot", "unlock", "ec2-unlock-snapshot", "SnapshotId", "UnlockSnapshot"),
    *(
        Act("weaken", f"rule for {of}", "DeleteRule of", "rbin-delete-rule", "Identifier", "DeleteRule")
        for of in ("volumes", "snapshots")
    ),
    _delete(
        "recovery point",
        "backup-delete-recovery-point",
        "RecoveryPointArn",
        "DeleteRecoveryPoint",
        "BackupVaultName",
    ),
    Act(
        "weaken",
        "recovery point",
        "let expire",
        "backup-update-recovery-point-lifecycle",
        "RecoveryPointArn",
        "UpdateRecoveryPointLifecycle",
        "BackupVaultName",
        more={"Lifecycle": {"DeleteAfterDays": 1}},
    ),
    Act(
        "weaken",
        "vault",
        "end the lock of",
        "backup-delete-backup-vault-lock-configuration",
        "BackupVaultName",
        "DeleteBackupVaultLockConfiguration",
    ),
    Act(
        "weaken",
        "user",
        "give every right to",
        "iam-put-user-policy",
        "UserName",
        "PutUserPolicy",
        more={"PolicyName": "everything", "PolicyDocument": EVERY_RIGHT},
    ),
    Act(
        "weaken",
        "policy",
        "give every right in",
        "iam-put-user-policy",
        "PolicyName",
        "PutUserPolicy",
        "UserName",
        more={"PolicyDocument": EVERY_RIGHT},
    ),
    _delete("network", "ec2-delete-vpc", "VpcId", "DeleteVpc"),
    _delete("subnet", "ec2-delete-subnet", "SubnetId", "DeleteSubnet"),
    _delete("cluster", "ecs-delete-cluster", "cluster", "DeleteCluster"),
    _delete("ECS service", "ecs-delete-service", "service", "DeleteService", "cluster", force=True),
    Act(
        "destroy",
        "ECS service",
        "end every task of",
        "ecs-update-service",
        "service",
        "UpdateService",
        "cluster",
        more={"desiredCount": 0},
    ),
    _delete("load balancer", "elbv2-delete-load-balancer", "LoadBalancerArn", "DeleteLoadBalancer"),
    _delete("access key", "iam-delete-access-key", "AccessKeyId", "DeleteAccessKey", "UserName"),
)


def moves(key: Key, things: tuple[Thing, ...], name: str) -> Iterator[Move]:
    """Every call that an access key could make, given what it was shown."""
    del name
    for look in LOOKS:
        if not look.into:
            yield call(key, "look", f"aws.{look.verb}", look.what, look.arguments, about=_about(look))
    for thing in things:
        for look in LOOKS:
            if look.into == thing.kind:
                arguments = {
                    name: thing.value if given == IN else given for name, given in look.arguments.items()
                }
                what, about = look.what.replace(IN, thing.name), f"{_about(look)} {thing.value}"
                yield call(key, "look", f"aws.{look.verb}", what, arguments, about=about)
        for act in ACTS:
            if act.thing == thing.kind:
                aimed: dict[str, JsonValue] = {act.argument: [thing.value] if act.listed else thing.value}
                if act.within:
                    aimed[act.within] = thing.within
                what = f"{act.what} {thing.name}"
                yield call(key, act.kind, f"aws.{act.verb}", what, {**aimed, **act.more}, act.operation)


def learn(move: Move, text: str, known: int) -> Learned:
    """What an answer lists: names, or the paths that lead to what is another one in the next account."""
    number, _, within = move.about.partition(" ")
    look = LOOKS[int(number)]
    answer = json.loads(text)
    listed = answer.get(look.each) or [] if look.each else [answer]
    if look.lasting:
        names = [str(one if not look.value else one[look.value]).rpartition("/")[2] for one in listed]
        return {}, [Thing(look.kind, _named(look, one, within), one, within) for one in names]
    saves: dict[str, str] = {}
    things: list[Thing] = []
    for place, one in enumerate(listed):
        variable = f"{look.kind.replace(' ', '_').lower()}_{known + place + 1}"
        saves[variable] = f"$.{look.each}[{place}].{look.value}"
        of = one.get(look.of) if look.of else within
        title = _tag(one) or str(place + 1)
        things.append(Thing(look.kind, _named(look, title, str(of or "")), f"${{{variable}}}", within))
    return saves, things


def _about(look: Look) -> str:
    return str(LOOKS.index(look))


def _named(look: Look, title: str, of: str) -> str:
    return f"{look.kind} {title} of {of}" if of else f"{look.kind} {title}"


def _tag(one: Mapping[str, Any]) -> str:
    """The name that somebody gave to a volume or a machine."""
    tagged = (one.get("Instances") or [one])[0].get("Tags") or ()
    return next((str(tag["Value"]) for tag in tagged if tag.get("Key") == "Name"), "")
