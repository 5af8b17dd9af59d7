"""An AWS account is as it was before, with all that moto and we keep of it, whatever was done to it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from harness.backups.aws_control_plane import AwsControlPlane
from harness.contracts import Bench
from harness.facts import Action, Endpoint
from harness.replicas.control_plane import ask

from .test_resets import POSTGRES_THINGS, PostgresReset, let_days_pass

SHOWN = (
    ("rds", "describe_db_instances", {}),
    ("rds", "describe_db_snapshots", {}),
    ("ec2", "describe_volumes", {}),
    ("ec2", "describe_snapshots", {"OwnerIds": ["self"]}),
    ("ec2", "describe_instances", {}),
    ("ec2", "describe_locked_snapshots", {}),
    ("ec2", "list_volumes_in_recycle_bin", {}),
    ("ec2", "list_snapshots_in_recycle_bin", {}),
    ("ec2", "describe_vpcs", {}),
    ("ec2", "describe_subnets", {}),
    ("ecs", "list_clusters", {}),
    ("ecs", "describe_services", {"cluster": "web", "services": ["site"]}),
    ("elbv2", "describe_load_balancers", {}),
    ("rbin", "list_rules", {"ResourceType": "EBS_VOLUME"}),
    ("backup", "list_backup_vaults", {}),
    ("backup", "list_recovery_points_by_backup_vault", {"BackupVaultName": "safe"}),
    ("iam", "list_users", {}),
    ("iam", "list_user_policies", {"UserName": "reader"}),
    ("iam", "list_access_keys", {"UserName": "reader"}),
)
ZONE = "eu-west-1a"
EVERYTHING = [{"Effect": "Allow", "Action": "*"}]
ALL = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}'


def shown(plane: AwsControlPlane) -> list[Mapping[str, Any]]:
    """What an account says of itself, to its owner."""
    answers = [dict(plane.ask(service, operation, **given)) for service, operation, given in SHOWN]
    for answer in answers:
        del answer["ResponseMetadata"]
        for database in answer.get("DBInstances", ()):
            # It is the present, whenever somebody asks.
            del database["LatestRestorableTime"]
    return answers


def subnets(plane: AwsControlPlane) -> list[str]:
    """Those that somebody has made."""
    asked = {"Filters": [{"Name": "default-for-az", "Values": ["false"]}]}
    return [str(one["SubnetId"]) for one in plane.ask("ec2", "describe_subnets", **asked)["Subnets"]]


class OnAws(PostgresReset):
    """A database that lies in an account, with all sorts of copies."""

    with_ = ("cloud",)

    def fill(self, bench: Bench, endpoint: Endpoint) -> None:
        super().fill(bench, endpoint)
        for name in bench.stack.protections:
            tool = bench.tool(name)
            for due in tool.due(bench.clock.stamp().wall, timedelta(days=3)):
                tool.take(due)

        plane = AwsControlPlane(bench.endpoints["cloud"])
        network = plane.ask("ec2", "create_vpc", CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
        for number, zone in enumerate((ZONE, "eu-west-1b")):
            block = {"CidrBlock": f"10.7.{number}.0/24", "AvailabilityZone": zone}
            plane.ask("ec2", "create_subnet", VpcId=network, **block)
        plane.ask("elbv2", "create_load_balancer", Name="front", Subnets=subnets(plane))

    def look(self, bench: Bench, endpoint: Endpoint) -> object:
        cloud = bench.endpoints["cloud"]
        points = [bench.tool(name).points() for name in bench.stack.protections]
        places = (cloud.path, cloud.path / ".copies", cloud.path / ".volumes")
        files = {str(path.relative_to(cloud.path)) for place in places for path in place.iterdir()}
        copies = {
            str(path.relative_to(cloud.path)): path.stat().st_size
            for path in (cloud.path / ".copies").rglob("*")
        }
        let_in = [self._let_in(bench, principal) for principal in ("admin", "reader")]
        log = len(ask(cloud, "audit"))
        return (
            super().look(bench, endpoint),
            shown(AwsControlPlane(cloud)),
            points,
            files,
            copies,
            let_in,
            log,
        )

    def make(self, bench: Bench, verb: str, **arguments: Any) -> None:
        """A call of somebody who may do everything, which is done."""
        action = Action(number=1, surface="aws", verb=verb, service="cloud")
        outcome = bench.surface("aws", "admin", bench.endpoints["cloud"]).perform(action, arguments)
        assert outcome.status == "done", outcome.detail

    def _let_in(self, bench: Bench, principal: str) -> str:
        action = Action(number=1, surface="aws", verb="rds-describe-db-instances", service="cloud")
        return bench.surface("aws", principal, bench.endpoints["cloud"]).perform(action, {}).status


def on_aws(where: str, protections: Mapping[str, Any]) -> dict[str, Any]:
    """A stack with one database in an account."""
    return {
        "services": {
            "cloud": {
                "kind": "aws",
                "region": "eu-west-1",
                "databases": {"data": {"backup_retention": 7}},
                "volumes": ["disk"],
                "vaults": {"safe": {}},
                "setup": {
                    "cluster": {"call": "ecs.CreateCluster", "with": {"clusterName": "web"}},
                    "task": {
                        "call": "ecs.RegisterTaskDefinition",
                        "with": {
                            "family": "site",
                            "containerDefinitions": [{"name": "site", "image": "site:1", "memory": 64}],
                        },
                    },
                    "service": {
                        "call": "ecs.CreateService",
                        "with": {
                            "cluster": "web",
                            "serviceName": "site",
                            "taskDefinition": "site",
                            "desiredCount": 2,
                        },
                    },
                    "empty": {
                        "call": "ec2.CreateVolume",
                        "with": {"Size": 8, "AvailabilityZone": "eu-west-1a"},
                    },
                    "bin": {
                        "call": "rbin.CreateRule",
                        "with": {
                            "ResourceType": "EBS_VOLUME",
                            "RetentionPeriod": {"RetentionPeriodValue": 7, "RetentionPeriodUnit": "DAYS"},
                        },
                    },
                },
            },
            "shop": {**POSTGRES_THINGS, "environment": "production", "volume": f"cloud/{where}"},
        },
        "principals": {
            "owner": {"grants": {"shop": "owner"}},
            "admin": {"grants": {"cloud": {"policy": EVERYTHING}}},
            "reader": {"grants": {"cloud": {"policy": [{"Effect": "Allow", "Action": "rds:Describe*"}]}}},
        },
        "protections": protections,
    }


class TestRds(OnAws):
    """The instance goes with its server and its snapshots, others take their names, and keys stop working."""

    stack = on_aws(
        "data",
        {
            "automated": {"tool": "rds-snapshots", "of": "shop"},
            "manual": {"tool": "rds-snapshots", "of": "shop", "kind": "manual", "every": "1d", "keep": 2},
            "vaulted": {"tool": "aws-backup", "of": "shop", "vault": "safe", "every": "1d", "keep": 2},
        },
    )

    def ruin(self, bench: Bench, endpoint: Endpoint) -> None:
        manual, vaulted = bench.tool("manual").points()[0], bench.tool("vaulted").points()[0]
        (reader,) = AwsControlPlane(bench.endpoints["cloud"]).ask(
            "iam", "list_access_keys", UserName="reader"
        )["AccessKeyMetadata"]
        self.make(bench, "rds-delete-db-instance", DBInstanceIdentifier="data", SkipFinalSnapshot=True)
        self.make(bench, "rds-delete-db-snapshot", DBSnapshotIdentifier=manual.location)
        self.make(
            bench,
            "rds-restore-db-instance-from-db-snapshot",
            DBInstanceIdentifier="data",
            DBSnapshotIdentifier=bench.tool("manual").points()[0].location,
        )
        given = {"BackupVaultName": "safe", "RecoveryPointArn": vaulted.location}
        self.make(bench, "backup-delete-recovery-point", **given)
        lock = {"MinRetentionDays": 3000, "ChangeableForDays": 3}
        self.make(bench, "backup-put-backup-vault-lock-configuration", BackupVaultName="safe", **lock)
        self.make(bench, "iam-delete-access-key", UserName="reader", AccessKeyId=reader["AccessKeyId"])
        self.make(bench, "iam-put-user-policy", UserName="reader", PolicyName="theirs", PolicyDocument=ALL)
        self.make(bench, "ecs-update-service", cluster="web", service="site", desiredCount=0)
        self.make(bench, "ecs-delete-service", cluster="web", service="site", force=True)
        self.make(bench, "ecs-delete-cluster", cluster="web")
        plane = AwsControlPlane(bench.endpoints["cloud"])
        (balancer,) = plane.ask("elbv2", "describe_load_balancers")["LoadBalancers"]
        self.make(bench, "elbv2-delete-load-balancer", LoadBalancerArn=balancer["LoadBalancerArn"])
        for subnet in subnets(plane):
            self.make(bench, "ec2-delete-subnet", SubnetId=subnet)
        self.make(bench, "ec2-delete-vpc", VpcId=balancer["VpcId"])


class TestRdsDaysLater(OnAws):
    """New copies of all three kinds, and old ones that are over."""

    stack = on_aws("data", TestRds.stack["protections"])

    def ruin(self, bench: Bench, endpoint: Endpoint) -> None:
        let_days_pass(bench, 6)


class TestEbsDaysLater(OnAws):
    """New snapshots, and old ones that are over."""

    stack = on_aws("disk", {"snapshots": {"tool": "ebs-snapshots", "of": "shop", "every": "1d", "keep": 2}})

    def ruin(self, bench: Bench, endpoint: Endpoint) -> None:
        let_days_pass(bench, 3)


class TestEbs(OnAws):
    """The machine ends, its volume goes into the recycle bin, a copy is locked for good, the rule goes."""

    stack = on_aws("disk", {"snapshots": {"tool": "ebs-snapshots", "of": "shop", "every": "1d", "keep": 2}})

    def ruin(self, bench: Bench, endpoint: Endpoint) -> None:
        plane = AwsControlPlane(bench.endpoints["cloud"])
        newest, oldest = (point.location for point in bench.tool("snapshots").points())
        (machine,) = (
            one["InstanceId"]
            for each in plane.ask("ec2", "describe_instances")["Reservations"]
            for one in each["Instances"]
        )
        self.make(bench, "ec2-terminate-instances", InstanceIds=[machine])
        for volume in plane.ask("ec2", "describe_volumes")["Volumes"]:
            self.make(bench, "ec2-delete-volume", VolumeId=volume["VolumeId"])
        (rule,) = plane.ask("rbin", "list_rules", ResourceType="EBS_VOLUME")["Rules"]
        self.make(bench, "rbin-delete-rule", Identifier=rule["Identifier"])
        self.make(bench, "ec2-delete-snapshot", SnapshotId=newest)
        self.make(bench, "ec2-lock-snapshot", SnapshotId=oldest, LockMode="compliance", LockDuration=999)
        self.make(bench, "ec2-create-volume", SnapshotId=oldest, AvailabilityZone=ZONE, VolumeType="gp3")
