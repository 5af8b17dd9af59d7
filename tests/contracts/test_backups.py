"""Every built-in backup tool keeps to the contract."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest

from harness.contracts import MARIADB, POSTGRES, THINGS, BackupContract, Bench, ItemThings, SqlThings
from harness.contracts.backup import LONG, Parts
from harness.contracts.things import SCHEMA_FILE, fingerprint
from harness.facts import OPERATOR, Action, Endpoint, RecoveryPoint
from harness.seams.aws_client import open_aws_client
from harness.seams.drivers import BackupTool, Rotating, Store, Tamperable
from harness.seams.s3_client import open_client
from harness.surfaces.aws import AwsSurface
from tests.backups.test_command import BACKUP, LIST, RESTORE

from .place import Here

SHOP = {"kind": "postgres", "fsync": False, **THINGS}
UPLOADS = {"kind": "volume", "collections": ["things"]}
PLAIN = {"kind": "s3", "bucket": "plain", "versioning": False, "object_lock": False}


class InBucket(Here, BackupContract):
    """What is alike in tools that write to S3.

    Attributes:
        part: the end of the key that a copy cannot do without.
    """

    protection = "copies"
    part: ClassVar[str] = ""

    def lose(self, bench: Bench, point: RecoveryPoint) -> None:
        for key, _ in self._objects(bench, point):
            self._client(bench).delete_object(Bucket="plain", Key=key)

    def cut(self, bench: Bench, point: RecoveryPoint) -> None:
        ((key, content, metadata),) = [
            (key, found["Body"].read(), found["Metadata"])
            for key, found in self._objects(bench, point)
            if key.endswith(self.part)
        ]
        half = content[: len(content) // 2]
        self._client(bench).put_object(Bucket="plain", Key=key, Body=half, Metadata=metadata)

    def _objects(self, bench: Bench, point: RecoveryPoint) -> list[tuple[str, Any]]:
        client, prefix = self._client(bench), point.location.partition("@")[0]
        listed = client.list_objects_v2(Bucket="plain", Prefix=prefix)["Contents"]
        return [(item["Key"], client.get_object(Bucket="plain", Key=item["Key"])) for item in listed]

    def _client(self, bench: Bench) -> Any:
        endpoint = bench.endpoints["vault"]
        return open_client(endpoint, endpoint.credentials[OPERATOR])


class TestPgDump(InBucket):
    stack = {
        "services": {"shop": SHOP, "vault": PLAIN},
        "protections": {"copies": {"tool": "pg_dump", "of": "shop", "to": "vault", "every": "1d", "keep": 7}},
    }


@pytest.mark.slow
class TestPostgresPitr(InBucket):
    part = "base.tar.gz"
    stack = {
        "services": {"shop": SHOP, "vault": PLAIN},
        "protections": {
            "copies": {"tool": "postgres-pitr", "of": "shop", "to": "vault", "ship_every": "200ms"}
        },
    }


@pytest.mark.slow
class TestDelayedReplica(Here, BackupContract):
    protection = "copies"
    stack = {
        "services": {"shop": SHOP},
        "protections": {"copies": {"tool": "delayed-replica", "of": "shop", "delay": "1h"}},
    }

    def lose(self, bench: Bench, point: RecoveryPoint) -> None:
        shutil.rmtree(bench.sandbox.root / point.location / "pgdata")

    def cut(self, bench: Bench, point: RecoveryPoint) -> None:
        control = bench.sandbox.root / point.location / "pgdata" / "global" / "pg_control"
        control.write_bytes(control.read_bytes()[:100])


@pytest.mark.slow
@pytest.mark.restic
class TestRestic(InBucket):
    stack = {
        "services": {"shop": SHOP, "vault": PLAIN},
        "protections": {"copies": {"tool": "restic", "of": "shop", "to": "vault", "every": "1d", "keep": 7}},
    }

    def lose(self, bench: Bench, point: RecoveryPoint) -> None:
        key = f"copies/snapshots/{point.location}"
        self._client(bench).delete_object(Bucket="plain", Key=key)

    def cut(self, bench: Bench, point: RecoveryPoint) -> None:
        client = self._client(bench)
        for item in client.list_objects_v2(Bucket="plain", Prefix="copies/data/")["Contents"]:
            content = client.get_object(Bucket="plain", Key=item["Key"])["Body"].read()
            client.put_object(Bucket="plain", Key=item["Key"], Body=content[: len(content) // 2])


@pytest.mark.slow
@pytest.mark.pgbackrest
class TestPgBackRest(InBucket):
    stack = {
        "services": {"shop": SHOP, "vault": PLAIN},
        "protections": {"copies": {"tool": "pgbackrest", "of": "shop", "to": "vault"}},
    }

    def lose(self, bench: Bench, point: RecoveryPoint) -> None:
        client, prefix = self._client(bench), f"copies/backup/shop/{point.location}/"
        for item in client.list_objects_v2(Bucket="plain", Prefix=prefix)["Contents"]:
            client.delete_object(Bucket="plain", Key=item["Key"])

    def cut(self, bench: Bench, point: RecoveryPoint) -> None:
        client, prefix = self._client(bench), f"copies/backup/shop/{point.location}/bundle/"
        for item in client.list_objects_v2(Bucket="plain", Prefix=prefix)["Contents"]:
            content = client.get_object(Bucket="plain", Key=item["Key"])["Body"].read()
            client.put_object(Bucket="plain", Key=item["Key"], Body=content[: len(content) // 2])


@pytest.mark.slow
@pytest.mark.pgbackrest
class TestPgBackRestOnAVolume(Here, BackupContract):
    protection = "copies"
    stack = {
        "services": {"shop": SHOP, "shelf": {"kind": "volume"}},
        "protections": {"copies": {"tool": "pgbackrest", "of": "shop", "to": "shelf"}},
    }

    def lose(self, bench: Bench, point: RecoveryPoint) -> None:
        shutil.rmtree(self._backup(bench, point))

    def cut(self, bench: Bench, point: RecoveryPoint) -> None:
        for bundle in (self._backup(bench, point) / "bundle").iterdir():
            bundle.write_bytes(bundle.read_bytes()[: bundle.stat().st_size // 2])

    def _backup(self, bench: Bench, point: RecoveryPoint) -> Path:
        return bench.endpoints["shelf"].path / "copies" / "backup" / "shop" / point.location


@pytest.mark.slow
class TestCommand(InBucket):
    stack = {
        "services": {"shop": SHOP, "plain": PLAIN},
        "protections": {
            "copies": {
                "tool": "command",
                "of": "shop",
                "to": "plain",
                "every": "1d",
                "keep": 2,
                "backup": "backup",
                "list": "list",
                "restore": "restore",
            }
        },
    }
    files = {SCHEMA_FILE: POSTGRES.schema, "backup": BACKUP, "list": LIST, "restore": RESTORE}

    def _client(self, bench: Bench) -> Any:
        endpoint = bench.endpoints["plain"]
        return open_client(endpoint, endpoint.credentials[OPERATOR])


class TestArchive(InBucket):
    content = ItemThings()
    stack = {
        "services": {"uploads": UPLOADS, "vault": PLAIN},
        "protections": {
            "copies": {"tool": "archive", "of": "uploads", "to": "vault", "every": "1d", "keep": 7}
        },
    }


class TestValkeyRdb(InBucket):
    content = ItemThings()
    stack = {
        "services": {"uploads": {"kind": "valkey", "collections": ["things"]}, "vault": PLAIN},
        "protections": {
            "copies": {"tool": "valkey-rdb", "of": "uploads", "to": "vault", "every": "1d", "keep": 7}
        },
    }


@pytest.mark.docker
class TestValkeyRdbInContainer(TestValkeyRdb):
    provider = "docker"


class TestGitBundle(InBucket):
    content = ItemThings()
    things = 10
    stack = {
        "services": {"code": {"kind": "git", "collections": ["things"]}, "vault": PLAIN},
        "protections": {
            "copies": {"tool": "git-bundle", "of": "code", "to": "vault", "every": "1d", "keep": 7}
        },
    }


@pytest.mark.mariadb
@pytest.mark.slow
class TestMariadbDump(InBucket):
    content = SqlThings(MARIADB)
    files = {SCHEMA_FILE: MARIADB.schema}
    stack = {
        "services": {"shop": {"kind": "mariadb", **THINGS}, "vault": PLAIN},
        "protections": {
            "copies": {"tool": "mariadb-dump", "of": "shop", "to": "vault", "every": "1d", "keep": 7}
        },
    }


@pytest.mark.mariadb
@pytest.mark.slow
class TestMariadbBinlogs(InBucket):
    content = SqlThings(MARIADB)
    files = {SCHEMA_FILE: MARIADB.schema}
    stack = {
        "services": {"shop": {"kind": "mariadb", **THINGS}, "vault": PLAIN},
        "protections": {
            "copies": {"tool": "mariadb-binlogs", "of": "shop", "to": "vault", "every": "1d", "keep": 7}
        },
    }

    def test_one_statement_with_more_than_a_packet_comes_back(
        self, bench: Bench, tool: BackupTool, source: Endpoint, store: Store
    ) -> None:
        point = self.take(bench, tool)
        database = bench.database("shop")
        self.content.write(store, source, self.things + 1, 2 * self.things)
        database.execute(source, "UPDATE things SET note = REPEAT(MD5(id), 2000)", {})
        ((limit,),) = database.query(source, "SELECT @@GLOBAL.max_allowed_packet", {})
        ((changed,),) = database.query(source, "SELECT SUM(LENGTH(note)) FROM things", {})
        assert int(str(changed)) > int(str(limit))
        (found,) = [each for each in tool.points() if each.id == point.id]
        with self._place(bench, source) as vessel:
            restored = tool.restore(found, vessel, Parts())
            self._holds(store, restored, fingerprint(store, source))
            assert database.query(restored, "SELECT @@GLOBAL.max_allowed_packet", {}) == [(limit,)]


@pytest.mark.docker
class TestMariadbBinlogsInContainer(TestMariadbBinlogs):
    provider = "docker"


class TestSnapshotBesideIt(Here, BackupContract):
    protection = "snapshots"
    content = ItemThings()
    checks = False
    stack = {
        "services": {"uploads": UPLOADS},
        "protections": {"snapshots": {"tool": "volume-snapshot", "of": "uploads", "every": "1d", "keep": 7}},
    }

    def lose(self, bench: Bench, point: RecoveryPoint) -> None:
        shutil.rmtree(self._snapshot(bench, point))

    def cut(self, bench: Bench, point: RecoveryPoint) -> None:
        (self._snapshot(bench, point) / "things" / "thing-0001").write_bytes(b"thi")

    def _snapshot(self, bench: Bench, point: RecoveryPoint) -> Path:
        place = bench.endpoints[point.place]
        (found,) = [path for path in place.path.parent.rglob(point.location) if path.is_dir()]
        return found


class TestSnapshotElsewhere(TestSnapshotBesideIt):
    stack = {
        "services": {"uploads": UPLOADS, "shelf": {"kind": "volume"}},
        "protections": {
            "snapshots": {
                "tool": "volume-snapshot",
                "of": "uploads",
                "to": "shelf",
                "every": "1d",
                "keep": 7,
            }
        },
    }


class TestRailwayVolumeBackup(Here, BackupContract):
    protection = "snapshots"
    stack = {
        "services": {
            "cloud": {"kind": "railway", "project": "shop", "environments": ["production"]},
            "shop": {**SHOP, "environment": "production", "volume": "cloud/data"},
        },
        "protections": {
            "snapshots": {"tool": "railway-volume-backup", "of": "shop", "schedule": ["daily", "weekly"]}
        },
    }

    def first_over(self, points: list[str]) -> str:
        """Daily ones are kept for six days, and weekly ones are older."""
        return points[5]

    def lose(self, bench: Bench, point: RecoveryPoint) -> None:
        cloud = bench.endpoints["cloud"]
        directory = self._directory(bench, point)
        query = (
            f'mutation {{ volumeInstanceBackupDelete(volumeInstanceId: "{directory.parent.name}", '
            f'volumeInstanceBackupId: "{point.location}") {{ workflowId }} }}'
        )
        token = cloud.credentials[OPERATOR].secret.reveal()
        answer = httpx.post(
            f"{cloud.url}/graphql/v2",
            json={"query": query},
            headers={"Authorization": f"Bearer {token}"},
            trust_env=False,
        )
        assert "errors" not in answer.json()
        while directory.exists():
            bench.clock.sleep(0.01)

    def cut(self, bench: Bench, point: RecoveryPoint) -> None:
        control = self._directory(bench, point) / "pgdata" / "global" / "pg_control"
        control.write_bytes(control.read_bytes()[:100])

    def _directory(self, bench: Bench, point: RecoveryPoint) -> Path:
        (found,) = bench.endpoints["cloud"].path.glob(f".backups/*/{point.location}")
        return found


@pytest.mark.slow
class OnAws(Here, BackupContract):
    """What is alike in copies that AWS takes."""

    protection = "snapshots"

    def cut(self, bench: Bench, point: RecoveryPoint) -> None:
        place = bench.endpoints["cloud"].path / ".copies"
        newest = max(place.iterdir(), key=lambda path: path.stat().st_ctime_ns)
        control = newest / "pgdata" / "global" / "pg_control"
        control.write_bytes(control.read_bytes()[:100])

    def _rds(self, bench: Bench) -> Any:
        endpoint = bench.endpoints["cloud"]
        return open_aws_client("rds", endpoint, endpoint.credentials[OPERATOR])


class TestManualRdsSnapshots(OnAws):
    stack = {
        "services": {"cloud": {"kind": "aws"}, "shop": {**SHOP, "volume": "cloud/shop"}},
        "protections": {"snapshots": {"tool": "rds-snapshots", "of": "shop", "kind": "manual"}},
    }

    def lose(self, bench: Bench, point: RecoveryPoint) -> None:
        self._rds(bench).delete_db_snapshot(DBSnapshotIdentifier=point.location)


class TestAutomatedRdsSnapshots(OnAws):
    stack = {
        "services": {"cloud": {"kind": "aws"}, "shop": {**SHOP, "volume": "cloud/shop"}},
        "protections": {"snapshots": {"tool": "rds-snapshots", "of": "shop"}},
    }

    def lose(self, bench: Bench, point: RecoveryPoint) -> None:
        for days in (0, 7):
            self._rds(bench).modify_db_instance(
                DBInstanceIdentifier="shop", BackupRetentionPeriod=days, ApplyImmediately=True
            )


class TestEbsSnapshots(OnAws):
    stack = {
        "services": {
            "cloud": {"kind": "aws", "volumes": ["shop"]},
            "shop": {**SHOP, "volume": "cloud/shop"},
        },
        "protections": {"snapshots": {"tool": "ebs-snapshots", "of": "shop"}},
    }

    def lose(self, bench: Bench, point: RecoveryPoint) -> None:
        endpoint = bench.endpoints["cloud"]
        client = open_aws_client("ec2", endpoint, endpoint.credentials[OPERATOR])
        client.delete_snapshot(SnapshotId=point.location)

    def test_a_locked_snapshot_stands_all_that_is_tried_against_it(
        self, bench: Bench, tool: BackupTool
    ) -> None:
        point = self.take(bench, tool)
        endpoint = bench.endpoints["cloud"]
        client = open_aws_client("ec2", endpoint, endpoint.credentials[OPERATOR])
        client.lock_snapshot(SnapshotId=point.location, LockMode="compliance", LockDuration=10)
        (locked,) = (each for each in tool.points() if each.id == point.id)
        assert isinstance(tool, Tamperable)
        surface = AwsSurface(OPERATOR, endpoint, bench.clock)
        found = {
            call.what: surface.perform(Action(number=1, surface=call.surface, verb=call.verb), call.arguments)
            for call in tool.tamperings(locked)
        }
        statuses = {what: outcome.status for what, outcome in found.items()}
        assert statuses == dict.fromkeys(("shorten", "bypass", "delete"), "refused"), found
        assert [each for each in tool.points() if each.id == point.id] == [locked]

    def test_retention_takes_no_snapshot_away_while_it_is_locked(self) -> None:
        with self.fresh_bench() as bench:
            bench.provision("shop")
            tool, now = bench.tool(self.protection), bench.clock.stamp().wall
            assert isinstance(tool, Rotating)
            points = [tool.take(due) for due in tool.due(now, LONG)]
            endpoint = bench.endpoints["cloud"]
            client = open_aws_client("ec2", endpoint, endpoint.credentials[OPERATOR])
            client.lock_snapshot(SnapshotId=points[0].location, LockMode="compliance", LockDuration=2)
            for due in tool.coming(now, now, now + timedelta(days=3)):
                tool.take(due)
                tool.expire(due.at, taken=True)
                there = points[0].id in {point.id for point in tool.points()}
                assert there == (due.at <= now + timedelta(days=2)), "it goes when its lock is over"


class TestAwsBackup(OnAws):
    stack = {
        "services": {
            "cloud": {"kind": "aws", "vaults": {"kept": {}}},
            "shop": {**SHOP, "volume": "cloud/shop"},
        },
        "protections": {"snapshots": {"tool": "aws-backup", "of": "shop", "vault": "kept", "keep": 3}},
    }

    def lose(self, bench: Bench, point: RecoveryPoint) -> None:
        endpoint = bench.endpoints["cloud"]
        client = open_aws_client("backup", endpoint, endpoint.credentials[OPERATOR])
        client.delete_recovery_point(BackupVaultName="kept", RecoveryPointArn=point.location)

    def test_a_copy_whose_life_somebody_shortened_is_doomed(self, bench: Bench, tool: BackupTool) -> None:
        point = self.take(bench, tool)
        assert point.doomed_at is None, "what its own schedule retires is not meant"
        endpoint = bench.endpoints["cloud"]
        client = open_aws_client("backup", endpoint, endpoint.credentials[OPERATOR])
        client.update_recovery_point_lifecycle(
            BackupVaultName="kept", RecoveryPointArn=point.location, Lifecycle={"DeleteAfterDays": 2}
        )
        (doomed,) = (each for each in tool.points() if each.id == point.id)
        assert doomed.doomed_at == point.taken + timedelta(days=2)


class TestAwsBackupOfVolumeInAnotherAccount(OnAws):
    stack = {
        "services": {
            "home": {"kind": "aws", "volumes": ["shop"]},
            "cloud": {"kind": "aws", "vaults": {"kept": {}}},
            "shop": {**SHOP, "volume": "home/shop"},
        },
        "protections": {"snapshots": {**TestAwsBackup.stack["protections"]["snapshots"], "to": "cloud"}},
    }

    lose = TestAwsBackup.lose


class TestS3Replication(Here, BackupContract):
    protection = "copies"
    content = ItemThings()
    things = 30
    stack = {
        "services": {
            "uploads": {"kind": "s3", "bucket": "uploads", "collections": ["things"]},
            "vault": {"kind": "s3", "bucket": "kept", "object_lock": False},
        },
        "protections": {"copies": {"tool": "s3-replication", "of": "uploads", "to": "vault"}},
    }

    def take(self, bench: Bench, tool: BackupTool) -> RecoveryPoint:
        """In a later second than everything before it was put: S3 tells no more than the second."""
        written = bench.clock.stamp().wall.replace(microsecond=0)
        while bench.clock.stamp().wall.replace(microsecond=0) == written:
            bench.clock.sleep(0.01)
        return super().take(bench, tool)

    def lose(self, bench: Bench, point: RecoveryPoint) -> None:
        client = self._client(bench)
        for version in self._versions(bench, point):
            client.delete_object(Bucket="kept", Key=version["Key"], VersionId=version["VersionId"])

    def cut(self, bench: Bench, point: RecoveryPoint) -> None:
        client, key = self._client(bench), self._versions(bench, point)[0]["Key"]
        found = client.get_object(Bucket="kept", Key=key)
        half = found["Body"].read()[:3]
        client.put_object(Bucket="kept", Key=key, Body=half, Metadata=found["Metadata"])

    def _versions(self, bench: Bench, point: RecoveryPoint) -> list[Any]:
        return self._client(bench).list_object_versions(Bucket="kept", Prefix=point.location)["Versions"]

    def _client(self, bench: Bench) -> Any:
        endpoint = bench.endpoints["vault"]
        return open_client(endpoint, endpoint.credentials[OPERATOR])
