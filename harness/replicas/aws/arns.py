"""What a call is about, as IAM policies name it.

Source: Service Authorization Reference, the pages "Actions, resources, and condition keys" of Amazon RDS,
Amazon EC2, Amazon ECS, AWS Backup, Recycle Bin and IAM. A parameter that names a resource leads to its ARN; a
call without such a parameter is about ``*``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from harness.replicas.aws.wire import ApiCall

SNAPSHOT = "arn:aws:ec2:{region}::snapshot/{}"
"""EBS snapshots are the one resource here whose ARN names no account."""

TAGGED = ""
"""A resource of any type, which its own id tells."""

TYPES = {
    "vol": "volume/{}",
    "snap": SNAPSHOT,
    "i": "instance/{}",
    "vpc": "vpc/{}",
    "subnet": "subnet/{}",
    "sg": "security-group/{}",
    "igw": "internet-gateway/{}",
    "rtb": "route-table/{}",
}
"""What the ids of EC2's resources begin with."""

DEFAULT_CLUSTER = "default"

PATTERNS: Mapping[str, Mapping[str, str]] = {
    "rds": {
        "DBInstanceIdentifier": "db:{}",
        "SourceDBInstanceIdentifier": "db:{}",
        "DBSnapshotIdentifier": "snapshot:{}",
        "SourceDBSnapshotIdentifier": "snapshot:{}",
        "TargetDBSnapshotIdentifier": "snapshot:{}",
        "DBSubnetGroupName": "subgrp:{}",
        "DBParameterGroupName": "pg:{}",
        "DbiResourceId": "auto-backup:{}",
        "ResourceName": "{}",
    },
    "ec2": {
        "VolumeId": "volume/{}",
        "SnapshotId": SNAPSHOT,
        "SourceSnapshotId": SNAPSHOT,
        "VpcId": "vpc/{}",
        "SubnetId": "subnet/{}",
        "GroupId": "security-group/{}",
        "InternetGatewayId": "internet-gateway/{}",
        "RouteTableId": "route-table/{}",
        "InstanceIds": "instance/{}",
        "InstanceId": "instance/{}",
        "Resources": TAGGED,
    },
    "ecs": {"cluster": "cluster/{}", "service": "service/{cluster}/{}", "clusterName": "cluster/{}"},
    "elasticloadbalancing": {"LoadBalancerArn": "{}", "TargetGroupArn": "{}", "ListenerArn": "{}"},
    "backup": {
        "RecoveryPointArn": "{}",
        "BackupVaultName": "backup-vault:{}",
        "BackupPlanId": "backup-plan:{}",
        "SourceBackupVaultName": "backup-vault:{}",
        "DestinationBackupVaultArn": "{}",
        "ResourceArn": "{}",
    },
    "rbin": {"Identifier": "rule/{}", "ResourceArn": "{}"},
    "iam": {
        "UserName": "user/{}",
        "RoleName": "role/{}",
        "GroupName": "group/{}",
        "PolicyArn": "{}",
        "InstanceProfileName": "instance-profile/{}",
    },
    "sts": {"RoleArn": "{}"},
}
LISTED: Mapping[str, Mapping[str, str]] = {
    "rds": {
        "DescribeDBInstances": "db:*",
        "DescribeDBSnapshots": "snapshot:*",
        "DescribeDBInstanceAutomatedBackups": "auto-backup:*",
    },
}
"""What a call is about that could have named a resource and did not."""

INSTEAD: Mapping[str, tuple[str, ...]] = {
    "backup.DeleteRecoveryPoint": ("RecoveryPointArn",),
    "backup.StartRestoreJob": ("RecoveryPointArn",),
    "backup.StartCopyJob": ("RecoveryPointArn",),
    "backup.StartBackupJob": ("BackupVaultName",),
    "backup.CreateBackupPlan": (),
    "rds.CreateDBInstance": ("DBInstanceIdentifier",),
    "rds.ModifyDBInstance": ("DBInstanceIdentifier",),
    # The cluster of these is a condition key, and no resource.
    "ecs.DeleteService": ("service",),
    "ecs.UpdateService": ("service",),
}
"""Operations of which only these parameters count."""

GLOBAL = ("iam",)
"""Services whose ARNs name no region."""


def resources_of(call: ApiCall, account: str) -> tuple[str, ...]:
    """The ARNs that a call is about; ``*`` when it names none."""
    patterns = PATTERNS.get(call.service, {})
    counted = INSTEAD.get(call.name, tuple(patterns))
    found = tuple(
        value if value.startswith("arn:") else _arn(call, account, patterns[name], value)
        for name in counted
        for value in _texts(call.parameters.get(name))
    )
    listed = LISTED.get(call.service, {}).get(call.operation)
    return found or ((_arn(call, account, listed, ""),) if listed else ("*",))


def _arn(call: ApiCall, account: str, pattern: str, value: str) -> str:
    pattern = pattern or TYPES.get(value.partition("-")[0], "*/{}")
    region = "" if call.service in GLOBAL else call.region
    cluster = str(call.get("cluster") or DEFAULT_CLUSTER).rpartition("/")[2]
    named = pattern.format(value, region=region, cluster=cluster)
    return named if named.startswith("arn:") else f"arn:aws:{call.service}:{region}:{account}:{named}"


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str) and value:
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)
