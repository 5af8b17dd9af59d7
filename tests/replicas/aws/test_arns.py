"""What a call is about, in the forms of the Service Authorization Reference."""

from __future__ import annotations

from typing import Any, cast

import pytest

from harness.replicas.aws.arns import resources_of
from harness.replicas.aws.wire import ApiCall, OperationModel

ACCOUNT = "111122223333"
EC2, ECS = f"arn:aws:ec2:eu-west-1:{ACCOUNT}", f"arn:aws:ecs:eu-west-1:{ACCOUNT}"
SNAPSHOT = "arn:aws:ec2:eu-west-1::snapshot/snap-1"


@pytest.mark.parametrize(
    ("name", "parameters", "arns"),
    [
        ("rds.DeleteDBInstance", {"DBInstanceIdentifier": "a"}, [f"arn:aws:rds:eu-west-1:{ACCOUNT}:db:a"]),
        ("rds.DescribeDBInstances", {}, [f"arn:aws:rds:eu-west-1:{ACCOUNT}:db:*"]),
        ("ec2.DeleteSnapshot", {"SnapshotId": "snap-1"}, [SNAPSHOT]),
        ("ec2.DeleteVolume", {"VolumeId": "vol-1"}, [f"{EC2}:volume/vol-1"]),
        ("ec2.CreateTags", {"Resources": ["snap-1", "vol-1"]}, [SNAPSHOT, f"{EC2}:volume/vol-1"]),
        ("ecs.DeleteCluster", {"cluster": "web"}, [f"{ECS}:cluster/web"]),
        ("ecs.DeleteService", {"cluster": "web", "service": "api"}, [f"{ECS}:service/web/api"]),
        (
            "ecs.UpdateService",
            {"cluster": f"{ECS}:cluster/web", "service": "api"},
            [f"{ECS}:service/web/api"],
        ),
        ("ecs.DeleteService", {"service": "api"}, [f"{ECS}:service/default/api"]),
        ("iam.DeleteUser", {"UserName": "bob"}, [f"arn:aws:iam::{ACCOUNT}:user/bob"]),
        ("ec2.DescribeVolumes", {}, ["*"]),
    ],
)
def test_a_call_is_about_what_it_names(name: str, parameters: dict[str, Any], arns: list[str]) -> None:
    service, _, operation = name.partition(".")
    model = cast(OperationModel, None)
    call = ApiCall(service, operation, parameters, "eu-west-1", "AKIA", model, "")
    assert list(resources_of(call, ACCOUNT)) == arns
