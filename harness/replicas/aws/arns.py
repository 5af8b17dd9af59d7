"""What a call is about, as IAM policies name it.

Source: Service Authorization Reference, the pages "Actions, resources, and condition keys" of Amazon RDS,
Amazon EC2, Amazon ECS, AWS Backup, Recycle Bin and IAM. A parameter that names a resource leads to its ARN; a
call without such a parameter is about ``*``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from harness.replicas.aws.wire import ApiCall

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
        "SnapshotId": "snapshot/{}",
        "SourceSnapshotId": "snapshot/{}",
        "VpcId": "vpc/{}",
        "SubnetId": "subnet/{}",
        "GroupId": "security-group/{}",
        "InternetGatewayId": "internet-gateway/{}",
        "RouteTableId": "route-table/{}",
        "InstanceIds": "instance/{}",
        "InstanceId": "instance/{}",
        "Resources": "*/{}",
    },
    "ecs": {"cluster": "cluster/{}", "service": "service/{}", "clusterName": "cluster/{}"},
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
}
"""Operations of which only these parameters count."""

GLOBAL = ("iam",)
"""Services whose ARNs name no region."""


def resources_of(call: ApiCall, account: str) -> tuple[str, ...]:
    """The ARNs that a call is about; ``*`` when it names none."""
    patterns = PATTERNS.get(call.service, {})
    counted = INSTEAD.get(call.name, tuple(patterns))
    region = "" if call.service in GLOBAL else call.region
    prefix = f"arn:aws:{call.service}:{region}:{account}:"
    found = tuple(
        value if value.startswith("arn:") else prefix + patterns[name].format(value)
        for name in counted
        for value in _texts(call.parameters.get(name))
    )
    listed = LISTED.get(call.service, {}).get(call.operation)
    return found or ((prefix + listed,) if listed else ("*",))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str) and value:
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)
