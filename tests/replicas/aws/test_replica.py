"""The control plane as a replica, and who it lets in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import psutil
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from harness.errors import MissingToolError, ProvisionError
from harness.facts import OPERATOR
from harness.replicas.aws import AwsReplica
from harness.sandbox import Sandbox
from tests.replicas.aws.conftest import CLOCK, Account, account

pytestmark = pytest.mark.slow

BODY = "Action=DescribeDBInstances&Version=2014-10-31"
POLICIES: dict[str, Any] = {
    "reader": [{"Effect": "Allow", "Action": "rds:Describe*"}],
    "admin": [{"Effect": "Allow", "Action": "*"}],
    "over-tls": [
        {"Effect": "Allow", "Action": "*"},
        {"Effect": "Deny", "Action": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}},
    ],
    "tagged": [
        {"Effect": "Allow", "Action": "rds:Describe*"},
        {
            "Effect": "Allow",
            "Action": "rds:ModifyDBInstance",
            "Condition": {"StringEquals": {"aws:ResourceTag/stage": "test"}},
        },
    ],
}


@pytest.fixture(scope="module")
def made(sandbox: Sandbox) -> Iterator[Account]:
    setup = {
        "network": {
            "call": "ec2.CreateVpc",
            "with": {
                "CidrBlock": "10.1.0.0/16",
                "TagSpecifications": [
                    {"ResourceType": "vpc", "Tags": [{"Key": "environment", "Value": "production"}]}
                ],
            },
        },
        "cluster": {"call": "ecs.CreateCluster", "with": {"clusterName": "site"}},
    }
    with account(sandbox, POLICIES, setup=setup) as running:
        yield running


def send(made: Account, body: str = BODY, **changed: Any) -> httpx.Response:
    """A request that botocore signs; then something about it is changed."""
    credential = made.endpoint.credentials[OPERATOR]
    secret = changed.pop("secret", credential.secret.reveal())
    request = AWSRequest("POST", made.endpoint.url + "/", {"Content-Type": FORM}, body)
    auth = SigV4Auth(Credentials(credential.name, secret), "rds", "eu-west-1")
    auth.add_auth(request)
    headers = dict(request.headers.items()) | changed.pop("headers", {})
    content = changed.pop("content", body)
    path = changed.pop("path", "/")
    return httpx.post(made.endpoint.url + path, headers=headers, content=content, trust_env=False, timeout=30)


FORM = "application/x-www-form-urlencoded; charset=utf-8"


def test_a_policy_that_asks_for_tls_refuses_no_real_client(made: Account) -> None:
    assert made.client("rds", "over-tls").describe_db_instances()["DBInstances"]


def test_it_tells_its_marker_what_it_is_and_what_can_be_deleted(made: Account) -> None:
    replica = AwsReplica()
    assert replica.read_marker(made.endpoint) == made.endpoint.lease.marker
    assert replica.describe(made.endpoint)["region"] == "eu-west-1"
    found = {(one.kind, one.environment) for one in replica.inventory(made.endpoint)}
    assert {("db-instance", "production"), ("vpc", "production"), ("ecs-cluster", None)} <= found


def test_the_back_door_opens_for_its_own_secret_only(made: Account) -> None:
    for headers in ({}, {"X-Ninelives-Back-Door": "guess"}):
        answer = httpx.get(f"{made.endpoint.url}/_replica/inventory", headers=headers, trust_env=False)
        assert answer.status_code == 404


def test_a_request_is_let_in_by_its_signature(made: Account) -> None:
    assert send(made).status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        {"secret": "not the secret"},
        {"content": BODY.replace("Instances", "Snapshots")},
        {"path": "/?Action=DeleteDBInstance"},
        {"headers": {"X-Amz-Date": "20200101T000000Z"}},
        {"headers": {"Host": "elsewhere"}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_request_that_is_not_what_was_signed_is_turned_away(made: Account, change: Any) -> None:
    answer = send(made, **change)
    assert answer.status_code == 403
    assert "SignatureDoesNotMatch" in answer.text


def test_an_old_request_cannot_be_sent_again(made: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    old = CLOCK.stamp().wall - timedelta(minutes=16)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda **_: old.replace(tzinfo=None))
    answer = send(made)
    assert answer.status_code == 403
    assert "Signature expired" in answer.text


def test_a_request_without_a_signature_or_with_an_unknown_key_is_turned_away(made: Account) -> None:
    bare = httpx.post(made.endpoint.url, content=BODY, headers={"Content-Type": FORM}, trust_env=False)
    assert bare.status_code == 403
    with pytest.raises(ClientError, match="InvalidClientTokenId"):
        made.client("rds", aws_access_key_id="AKIAIOSFODNN7EXAMPLE").describe_db_instances()


def test_moto_s_own_doors_are_shut(made: Account) -> None:
    answer = send(made, path="/moto-api/reset")
    assert answer.status_code in (403, 404)
    assert made.names("db-instance") == ["courses"]


def test_policies_decide_by_action_resource_and_condition(made: Account) -> None:
    reader, tagged, owner = (made.client("rds", name) for name in ("reader", "tagged", OPERATOR))
    assert reader.describe_db_instances()["DBInstances"]
    with pytest.raises(ClientError) as denied:
        reader.delete_db_instance(DBInstanceIdentifier="courses", SkipFinalSnapshot=True)
    assert denied.value.response["Error"]["Code"] == "AccessDenied"
    assert denied.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert made.last_entry()["outcome"] == "refused"
    with pytest.raises(ClientError, match="UnauthorizedOperation"):
        made.client("ec2", "reader").describe_vpcs()
    with pytest.raises(ClientError, match="AccessDenied"):
        tagged.modify_db_instance(DBInstanceIdentifier="courses", BackupRetentionPeriod=8)
    arn = owner.describe_db_instances()["DBInstances"][0]["DBInstanceArn"]
    owner.add_tags_to_resource(ResourceName=arn, Tags=[{"Key": "stage", "Value": "test"}])
    assert tagged.modify_db_instance(DBInstanceIdentifier="courses", BackupRetentionPeriod=8)


def test_everybody_may_ask_who_they_are(made: Account) -> None:
    told = made.command("sts", "get-caller-identity", principal="reader")
    assert json.loads(told.stdout)["Arn"] == "arn:aws:iam::111122223333:user/reader"


def test_who_may_change_policies_can_give_himself_everything(made: Account) -> None:
    iam = made.client("iam", "admin")
    iam.create_user(UserName="helper")
    key = iam.create_access_key(UserName="helper")["AccessKey"]
    keys = {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
    helper = made.client("rds", **keys)
    with pytest.raises(ClientError, match="AccessDenied"):
        helper.describe_db_instances()
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    iam.put_user_policy(UserName="helper", PolicyName="all", PolicyDocument=json.dumps(policy))
    assert [one["name"] for one in made.last_entry()["resources"]] == ["helper"]
    assert helper.describe_db_instances()["DBInstances"]
    iam.delete_access_key(UserName="helper", AccessKeyId=key["AccessKeyId"])
    with pytest.raises(ClientError, match="InvalidClientTokenId"):
        helper.describe_db_instances()


def test_records_are_changed_and_listed_though_nothing_real_stands_behind_them(made: Account) -> None:
    ecs = made.client("ecs")
    ecs.delete_cluster(cluster="site")
    entry = made.last_entry()
    assert [(one["kind"], one["name"]) for one in entry["resources"]] == [("ecs-cluster", "site")]
    assert made.names("ecs-cluster") == []


def test_a_network_goes_when_nothing_lies_in_it_and_a_load_balancer_for_good(made: Account) -> None:
    ec2, balancers = made.client("ec2"), made.client("elbv2")
    vpc = ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.7.{n}.0/24", AvailabilityZone=f"eu-west-1{zone}")[
            "Subnet"
        ]["SubnetId"]
        for n, zone in enumerate("ab")
    ]
    (front,) = balancers.create_load_balancer(Name="front", Subnets=subnets)["LoadBalancers"]
    with pytest.raises(ClientError, match="DependencyViolation"):
        ec2.delete_vpc(VpcId=vpc)
    balancers.delete_load_balancer(LoadBalancerArn=front["LoadBalancerArn"])
    assert balancers.describe_load_balancers()["LoadBalancers"] == []
    for subnet in subnets:
        ec2.delete_subnet(SubnetId=subnet)
    ec2.delete_vpc(VpcId=vpc)
    assert vpc not in [one["VpcId"] for one in ec2.describe_vpcs()["Vpcs"]]


def test_no_secret_key_lies_on_the_disk(made: Account) -> None:
    directory = made.endpoint.lease.directory
    files = [path for path in directory.rglob("*") if path.is_file() and "resources" not in path.parts]
    assert directory / "server.log" in files
    written = b"".join(path.read_bytes() for path in files)
    for credential in made.endpoint.credentials.values():
        assert credential.secret.reveal().encode() not in written


def test_without_moto_it_says_what_to_install(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.replicas.aws.replica.NEEDED", ("moto", "no_such_package"))
    with pytest.raises(MissingToolError, match="no_such_package") as caught, account(sandbox):
        raise AssertionError("it came up")
    assert "ninelives[aws]" in caught.value.hint


def test_destroy_leaves_no_process_and_no_file_and_can_be_repeated(sandbox: Sandbox) -> None:
    with account(sandbox) as made:
        lease = made.endpoint.lease
        assert any(process.info["cwd"] == str(lease.directory) for process in psutil.process_iter(["cwd"]))
        AwsReplica().destroy(lease)
        AwsReplica().destroy(lease)
        assert not any(
            process.info["cwd"] and process.info["cwd"].startswith(str(lease.directory))
            for process in psutil.process_iter(["cwd"])
        )
        assert AwsReplica().inventory(made.endpoint) == ()


@pytest.mark.parametrize(
    ("setup", "says"),
    [
        ({"call": "nosuch.CreateThing"}, "names no service"),
        ({"call": "ec2.CreateThing"}, "none that AWS has"),
        ({"call": "ec2.CreateVpc", "with": {"Cidr": "10.0.0.0/16"}}, "fails"),
    ],
)
def test_a_setup_call_that_fails_says_which(sandbox: Sandbox, setup: Any, says: str) -> None:
    with pytest.raises(ProvisionError, match=says), account(sandbox, setup={"odd": setup}):
        raise AssertionError("it came up")
