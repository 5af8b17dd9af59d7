"""Every operation that the control plane carries out, and how far it behaves as AWS does.

An operation that is not in the table is answered ``NotImplemented``: a call that only seems to work would be
worse. ``documented`` is what AWS's documentation says; ``modelled`` is what it does not say, or what is
simpler here. Nothing was compared with an account at AWS.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Grade = Literal["documented", "modelled"]

READS = ("Describe", "List", "Get")
"""How the names of operations begin that change nothing."""


@dataclass(frozen=True)
class Operation:
    """One operation.

    Attributes:
        name: ``rds.DeleteDBInstance``.
        does: what it does here.
        grade: see above.
        source: page of AWS's documentation.
    """

    name: str
    does: str
    grade: Grade
    source: str

    @property
    def reads(self) -> bool:
        """Whether it changes nothing."""
        return self.name.partition(".")[2].startswith(READS)


def _rds(name: str, does: str, grade: Grade = "documented", page: str = "") -> Operation:
    return Operation(f"rds.{name}", does, grade, page or f"Amazon RDS API Reference, {name}")


def _records(service: str, book: str, *names: str) -> tuple[Operation, ...]:
    """Operations that only keep records."""
    does = "changes the record; nothing real stands behind it"
    tells = "tells the record"
    return tuple(
        Operation(
            f"{service}.{name}", tells if name.startswith(READS) else does, "modelled", f"{book}, {name}"
        )
        for name in names
    )


RDS = (
    _rds("CreateDBInstance", "makes the record and an empty directory; no server is started", "modelled"),
    _rds(
        "DeleteDBInstance",
        "kills the server and removes its files; automated snapshots go along unless"
        " `DeleteAutomatedBackups` is false, manual ones stay; asks for `FinalDBSnapshotIdentifier` unless"
        " `SkipFinalSnapshot`; refused under `DeletionProtection`. It is done when it answers: there is no"
        " state `deleting`",
    ),
    _rds(
        "ModifyDBInstance",
        "`DeletionProtection` changes at once; `BackupRetentionPeriod` 0 with `ApplyImmediately` deletes the"
        " automated snapshots, without it waits for a maintenance window that never comes; a new master"
        " password does not reach the server",
    ),
    _rds("DescribeDBInstances", "tells the record; the address is the server's own, on loopback"),
    _rds(
        "CreateDBSnapshot",
        "copies the server's files while all of its processes stand still, as a snapshot of its disk would;"
        " it is done when it answers",
    ),
    _rds("CopyDBSnapshot", "copies the copy, within the region; the copy is a manual one"),
    _rds("DeleteDBSnapshot", "removes a manual snapshot and its copy; refused for an automated one"),
    _rds("DescribeDBSnapshots", "tells the record"),
    _rds("ModifyDBSnapshotAttribute", "shares the record; the other account has no replica", "modelled"),
    _rds("DescribeDBSnapshotAttributes", "tells the record"),
    _rds(
        "RestoreDBInstanceFromDBSnapshot",
        "makes a new instance with the snapshot's files; the identifier must be free; `DeletionProtection` is"
        " off unless asked for. The server on it is started by whoever restores",
        "modelled",
    ),
    _rds("DescribeDBInstanceAutomatedBackups", "tells the record: retained ones outlive their instance"),
    _rds("DeleteDBInstanceAutomatedBackup", "removes the retained automated snapshots of a deleted instance"),
    _rds("AddTagsToResource", "changes the record; conditions on tags see it"),
    _rds("RemoveTagsFromResource", "changes the record; conditions on tags see it"),
    _rds("ListTagsForResource", "tells the record"),
    *_records(
        "rds",
        "Amazon RDS API Reference",
        "CreateDBSubnetGroup",
        "DeleteDBSubnetGroup",
        "DescribeDBSubnetGroups",
        "CreateDBParameterGroup",
        "DeleteDBParameterGroup",
        "DescribeDBParameterGroups",
        "DescribeEvents",
    ),
)


def _ebs(name: str, does: str, grade: Grade = "documented", page: str = "") -> Operation:
    return Operation(f"ec2.{name}", does, grade, page or f"Amazon EC2 API Reference, {name}")


_LOCK = "Amazon EBS User Guide, Amazon EBS snapshot lock"
_BIN = "Recycle Bin User Guide, Retention rules"
EBS = (
    _ebs(
        "CreateVolume",
        "makes a directory, filled from the snapshot if one is named; it has no device",
        "modelled",
    ),
    _ebs("AttachVolume", "changes the record; nothing is mounted", "modelled"),
    _ebs("DetachVolume", "changes the record; the server on the volume dies", "modelled"),
    _ebs(
        "DeleteVolume",
        "removes the directory, or puts it into the recycle bin if a rule covers it; refused while attached."
        " Snapshots stay",
    ),
    _ebs("DescribeVolumes", "tells the record"),
    _ebs("CreateSnapshot", "copies the directory while the server on it stands still; done when it answers"),
    _ebs("CopySnapshot", "copies the copy, within the region"),
    _ebs(
        "DeleteSnapshot",
        "removes the copy, or puts it into the recycle bin if a rule covers it; refused while it is locked."
        " How AWS words that is not known",
    ),
    _ebs("DescribeSnapshots", "tells the record; nobody else's snapshots are there, public ones neither"),
    _ebs(
        "LockSnapshot",
        "governance: until it is unlocked; compliance: until it expires, and after its cooling-off it can"
        " only be extended",
        page=_LOCK,
    ),
    _ebs("UnlockSnapshot", "governance at any time, compliance within its cooling-off only", page=_LOCK),
    _ebs("DescribeLockedSnapshots", "tells the locks", page=_LOCK),
    _ebs("ListSnapshotsInRecycleBin", "tells what is kept, and until when", page=_BIN),
    _ebs("ListVolumesInRecycleBin", "tells what is kept, and until when", page=_BIN),
    _ebs("RestoreSnapshotFromRecycleBin", "the snapshot is back, with its tags", page=_BIN),
    _ebs("RestoreVolumeFromRecycleBin", "the volume is back; no server is started on it", page=_BIN),
    _ebs("RunInstances", "makes the record of a machine; nothing runs", "modelled"),
    _ebs("StopInstances", "the servers on its volumes die", "modelled"),
    _ebs(
        "TerminateInstances",
        "the servers on its volumes die; volumes that were attached later stay, and are free then",
        "modelled",
    ),
    _ebs("DescribeInstances", "tells the record"),
)
RBIN = tuple(
    Operation(f"rbin.{name}", does, "documented", page)
    for name, does, page in (
        ("CreateRule", "from now on what it covers is kept when it is deleted", _BIN),
        ("GetRule", "tells the rule", _BIN),
        ("ListRules", "tells the rules of a type", _BIN),
        ("UpdateRule", "changes what is deleted from now on; refused while locked", _BIN),
        ("DeleteRule", "what is in the bin stays for its time; refused while locked", _BIN),
        ("LockRule", "nobody can change or delete the rule", "Recycle Bin User Guide, Lock a retention rule"),
        (
            "UnlockRule",
            "takes effect after the delay, 7 days at least",
            "Recycle Bin User Guide, Unlock a retention rule",
        ),
    )
)

_VAULT_LOCK = "AWS Backup Developer Guide, AWS Backup Vault Lock"


def _backup(name: str, does: str, grade: Grade = "documented", page: str = "") -> Operation:
    return Operation(f"backup.{name}", does, grade, page or f"AWS Backup API Reference, {name}")


BACKUP = (
    _backup("CreateBackupVault", "makes an empty vault"),
    _backup("DeleteBackupVault", "removes an empty vault; refused while recovery points are in it"),
    _backup("DescribeBackupVault", "tells the record"),
    _backup("ListBackupVaults", "tells the record"),
    _backup(
        "PutBackupVaultLockConfiguration",
        "with `ChangeableForDays`, 3 at least, compliance mode after so many days: then nobody can change it."
        " Without, governance mode",
        page=_VAULT_LOCK,
    ),
    _backup(
        "DeleteBackupVaultLockConfiguration",
        "takes the lock off; refused in compliance mode once its cooling-off is over",
        page=_VAULT_LOCK,
    ),
    _backup(
        "StartBackupJob",
        "copies an RDS instance or an EBS volume as a snapshot does; done when it answers. A life shorter"
        " than the locked vault asks for fails the call, where AWS fails the job",
        "modelled",
    ),
    _backup("DescribeBackupJob", "tells the job, which is completed"),
    _backup("ListRecoveryPointsByBackupVault", "tells what is in a vault"),
    _backup("ListRecoveryPointsByResource", "tells the copies of a resource, which may be gone"),
    _backup("DescribeRecoveryPoint", "tells one"),
    _backup("UpdateRecoveryPointLifecycle", "changes how long it is kept; refused in a locked vault"),
    _backup(
        "DeleteRecoveryPoint",
        "removes the copy; refused in a locked vault, whatever its mode. How AWS words that is not known",
        page=_VAULT_LOCK,
    ),
    _backup(
        "StartRestoreJob",
        "makes a new instance or volume with the copy's files; done when it answers. Across accounts AWS asks"
        " for a copy back first",
        "modelled",
    ),
    _backup("DescribeRestoreJob", "tells the job, with the ARN of what it made"),
)

OTHERS = (
    *_records(
        "ec2",
        "Amazon EC2 API Reference",
        "CreateVpc",
        "DeleteVpc",
        "DescribeVpcs",
        "CreateSubnet",
        "DeleteSubnet",
        "DescribeSubnets",
        "CreateInternetGateway",
        "AttachInternetGateway",
        "DetachInternetGateway",
        "DeleteInternetGateway",
        "DescribeInternetGateways",
        "CreateSecurityGroup",
        "DeleteSecurityGroup",
        "DescribeSecurityGroups",
        "CreateTags",
        "DeleteTags",
        "DescribeTags",
        "DescribeRegions",
        "DescribeAvailabilityZones",
    ),
    *_records(
        "ecs",
        "Amazon ECS API Reference",
        "CreateCluster",
        "DeleteCluster",
        "DescribeClusters",
        "ListClusters",
        "RegisterTaskDefinition",
        "DeregisterTaskDefinition",
        "CreateService",
        "UpdateService",
        "DeleteService",
        "DescribeServices",
        "ListServices",
    ),
    *_records(
        "elasticloadbalancing",
        "Elastic Load Balancing API Reference",
        "CreateLoadBalancer",
        "DeleteLoadBalancer",
        "DescribeLoadBalancers",
    ),
    Operation(
        "sts.GetCallerIdentity", "tells who signed", "documented", "AWS STS API Reference, GetCallerIdentity"
    ),
)

IAM_BOOK = "IAM API Reference"
IAM = tuple(
    Operation(f"iam.{name}", does, "documented", f"{IAM_BOOK}, {name}")
    for name, does in {
        "CreateUser": "makes a user without keys and policies",
        "DeleteUser": "removes a user; its keys open nothing any more",
        "GetUser": "tells the record",
        "ListUsers": "tells the record",
        "CreateAccessKey": "makes a pair of keys that works at once",
        "DeleteAccessKey": "from now on nothing that is signed with it is let in",
        "UpdateAccessKey": "an inactive key opens nothing",
        "ListAccessKeys": "tells the record",
        "PutUserPolicy": "counts at the next call: a user that may do this can give itself everything",
        "DeleteUserPolicy": "counts at the next call",
        "GetUserPolicy": "tells the record",
        "ListUserPolicies": "tells the record",
        "AttachUserPolicy": "counts at the next call",
        "DetachUserPolicy": "counts at the next call",
        "ListAttachedUserPolicies": "tells the record",
    }.items()
)

OPERATIONS: Mapping[str, Operation] = {one.name: one for one in (*RDS, *EBS, *RBIN, *BACKUP, *OTHERS, *IAM)}
"""By name."""


def operation_table() -> str:
    """Every operation with what it does, as a Markdown table."""
    rows = ["| operation | here it | is | source |", "|---|---|---|---|"]
    for one in OPERATIONS.values():
        rows.append(f"| `{one.name}` | {one.does} | {one.grade} | {one.source} |")
    return "\n".join(rows)
