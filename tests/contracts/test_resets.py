"""Every built-in replica that says it can be reset is as it was before, whatever was done to it."""

from __future__ import annotations

import shutil
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pymysql
import pytest
from botocore.exceptions import ClientError
from valkey.exceptions import ValkeyError

from harness.backups.railway_control_plane import RailwayControlPlane
from harness.contracts import MARIADB, POSTGRES, THINGS, Bench, ResetContract
from harness.contracts.things import SCHEMA_FILE
from harness.facts import OPERATOR, Action, Endpoint, Outcome
from harness.replicas.tree_memory import FOLDER
from harness.seams import mariadb_client, valkey_client
from harness.seams.drivers import Rotating
from harness.seams.git_client import git
from harness.seams.postgres_client import connect
from harness.seams.s3_client import open_client

from .place import Here

POSTGRES_THINGS = {"kind": "postgres", "fsync": False, **THINGS}
ROWS = "INSERT INTO things SELECT g, 'thing ' || g, now() FROM generate_series(1, 40) AS g"
WHOM_IT_KNOWS = """
    SELECT (SELECT array_agg(t::text ORDER BY oid) FROM pg_authid AS t),
           (SELECT array_agg(t::text ORDER BY t::text) FROM pg_db_role_setting AS t),
           (SELECT array_agg(ROW(datname, datdba, datacl, datconnlimit)::text ORDER BY datname)
            FROM pg_database),
           (SELECT array_agg(slot_name::text ORDER BY slot_name) FROM pg_replication_slots),
           (SELECT array_agg(ROW(name, setting)::text ORDER BY name) FROM pg_settings
            WHERE name IN ('archive_mode', 'work_mem', 'fsync', 'port', 'ninelives.lease')),
           (SELECT count(*) FROM pg_largeobject_metadata), (SELECT array_agg(relname::text ORDER BY relname)
            FROM pg_class WHERE relnamespace = 'public'::regnamespace)
"""


def operator(endpoint: Endpoint, database: str = "") -> psycopg.Connection[Any]:
    """A connection as the superuser."""
    credential = endpoint.credentials[OPERATOR]
    return connect(endpoint.port, credential.name, credential.secret, database or endpoint.name)


def logs_in(endpoint: Endpoint, principal: str) -> bool:
    """Whether the server takes the password that was minted for a principal."""
    credential = endpoint.credentials[principal]
    with suppress(psycopg.Error), connect(endpoint.port, credential.name, credential.secret, endpoint.name):
        return True
    return False


def asked(bench: Bench, by: str, document: str) -> Outcome:
    """A GraphQL document that a principal sends to the control plane."""
    action = Action(number=1, surface="http", verb="request", service="cloud", harm=True)
    http = bench.surface("http", by, bench.endpoints["cloud"])
    return http.perform(action, {"path": "/graphql/v2", "json": {"query": document}})


def volume_of(bench: Bench) -> str:
    """The id of the project's one volume."""
    answer = RailwayControlPlane(bench.endpoints["cloud"], bench.clock).ask(
        "{ projects { edges { node { volumes { edges { node { id } } } } } } }"
    )
    return str(answer["projects"]["edges"][0]["node"]["volumes"]["edges"][0]["node"]["id"])


class PostgresReset(Here, ResetContract):
    """What is alike for every server."""

    service, tables = "shop", ("things",)
    files = {SCHEMA_FILE: POSTGRES.schema}

    def fill(self, bench: Bench, endpoint: Endpoint) -> None:
        with operator(endpoint) as connection:
            connection.execute(ROWS)

    def look(self, bench: Bench, endpoint: Endpoint) -> object:
        try:
            with operator(endpoint) as connection:
                return connection.execute(WHOM_IT_KNOWS).fetchall(), logs_in(endpoint, "owner")
        except psycopg.Error:
            return "no answer"


class TestPostgresDatabase(PostgresReset):
    """Rows, tables, settings of a table, large objects: what a template brings back."""

    stack = {"services": {"shop": POSTGRES_THINGS}, "principals": {"owner": {"grants": {"shop": "owner"}}}}

    def ruin(self, bench: Bench, endpoint: Endpoint) -> None:
        credential = endpoint.credentials["owner"]
        with connect(endpoint.port, credential.name, credential.secret, endpoint.name) as connection:
            connection.execute("SELECT lo_create(0)")
            connection.execute("CREATE TABLE mine (x int)")
            connection.execute("DROP TABLE things CASCADE")


class TestPostgresServer(PostgresReset):
    """Roles, passwords, slots, settings, other databases, and the database itself."""

    stack = {"services": {"shop": POSTGRES_THINGS}, "principals": {"owner": {"grants": {"shop": "owner"}}}}

    def ruin(self, bench: Bench, endpoint: Endpoint) -> None:
        with operator(endpoint, "postgres") as connection:
            for statement in (
                "ALTER ROLE owner PASSWORD 'another'",
                "CREATE ROLE mallory SUPERUSER LOGIN",
                "ALTER SYSTEM SET work_mem = '12345kB'",
                "SELECT pg_reload_conf()",
                "SELECT pg_create_physical_replication_slot('theirs')",
                "CREATE DATABASE other",
                "ALTER DATABASE shop CONNECTION LIMIT 3",
                "DROP DATABASE shop WITH (FORCE)",
            ):
                connection.execute(statement)


class TestPostgresSlot(PostgresReset):
    """It stands in no log, and keeps files that would be removed."""

    stack = {"services": {"shop": POSTGRES_THINGS}, "principals": {"owner": {"grants": {"shop": "owner"}}}}

    def ruin(self, bench: Bench, endpoint: Endpoint) -> None:
        with operator(endpoint, "postgres") as connection:
            connection.execute("SELECT pg_create_physical_replication_slot('theirs')")


class TestPostgresSettingsFile(PostgresReset):
    """It stands in no log either."""

    stack = {"services": {"shop": POSTGRES_THINGS}, "principals": {"owner": {"grants": {"shop": "owner"}}}}

    def look(self, bench: Bench, endpoint: Endpoint) -> object:
        with operator(endpoint) as connection:
            return connection.execute("SELECT name, setting FROM pg_file_settings ORDER BY name").fetchall()

    def ruin(self, bench: Bench, endpoint: Endpoint) -> None:
        with operator(endpoint, "postgres") as connection:
            connection.execute("ALTER SYSTEM SET work_mem = '12345kB'")


class TestPostgresThatDied(PostgresReset):
    """Its processes ended and half of its files gone."""

    stack = {"services": {"shop": POSTGRES_THINGS}, "principals": {"owner": {"grants": {"shop": "owner"}}}}

    def ruin(self, bench: Bench, endpoint: Endpoint) -> None:
        bench.driver_of(endpoint).fence(endpoint)
        shutil.rmtree(endpoint.path / "base")


class TestPostgresSettingsOfTheDatabase(TestPostgresDatabase):
    """A template would not bring them back."""

    def fill(self, bench: Bench, endpoint: Endpoint) -> None:
        super().fill(bench, endpoint)
        with operator(endpoint) as connection:
            connection.execute("ALTER DATABASE shop SET work_mem = '54321kB'")
            connection.execute("GRANT CONNECT ON DATABASE shop TO owner")


class OnVolume(PostgresReset):
    """A database on a control plane's volume, with its backups."""

    with_ = ("cloud",)

    def fill(self, bench: Bench, endpoint: Endpoint) -> None:
        super().fill(bench, endpoint)
        take_the_past(bench)

    def look(self, bench: Bench, endpoint: Endpoint) -> object:
        tool = bench.tool("backups")
        plane = RailwayControlPlane(bench.endpoints["cloud"], bench.clock)
        files = sorted(path.name for path in bench.endpoints["cloud"].path.glob("*/*"))
        whoami = [
            asked(bench, name, "{ projects { edges { node { id } } } }").status for name in ("cli", "dev")
        ]
        return (super().look(bench, endpoint), tool.points(), plane.volumes(), plane.mails(), files, whoami)


def on_railway(profile: str) -> dict[str, Any]:
    """A stack with one database on a volume, and two tokens."""
    return {
        "services": {
            "cloud": {
                "kind": "railway",
                "project": "shop",
                "profile": profile,
                "environments": ["production", "staging"],
            },
            "shop": {**POSTGRES_THINGS, "environment": "production", "volume": "cloud/data"},
        },
        "principals": {
            "owner": {"grants": {"shop": "owner"}},
            "cli": {"grants": {"cloud": {"token": "account"}}},
            "dev": {"grants": {"cloud": {"token": "project", "environment": "staging"}}},
        },
        "protections": {"backups": {"tool": "railway-volume-backup", "of": "shop", "schedule": ["daily"]}},
    }


class TestRailwayLegacy(OnVolume):
    """The volume goes at once, with its backups and the server on it."""

    stack = on_railway("legacy")

    def ruin(self, bench: Bench, endpoint: Endpoint) -> None:
        volume = volume_of(bench)
        assert asked(bench, "cli", f'mutation {{ volumeDelete(volumeId: "{volume}") }}').status == "done"


class TestRailwayCurrent(OnVolume):
    """The volume waits for 48 hours, the mail is written, and time passes."""

    stack = on_railway("current")

    def ruin(self, bench: Bench, endpoint: Endpoint) -> None:
        volume = volume_of(bench)
        assert asked(bench, "cli", f'mutation {{ volumeDelete(volumeId: "{volume}") }}').status == "done"


class TestRailwayBackups(OnVolume):
    """One backup deleted, and another restored into a volume of its own."""

    stack = on_railway("legacy")

    def ruin(self, bench: Bench, endpoint: Endpoint) -> None:
        plane = RailwayControlPlane(bench.endpoints["cloud"], bench.clock)
        (instance,) = (one.id for one in plane.volumes())
        newest, oldest = (point.location for point in bench.tool("backups").points())
        given = f'volumeInstanceId: "{instance}", volumeInstanceBackupId'
        restored = asked(
            bench, "cli", f'mutation {{ volumeInstanceBackupRestore({given}: "{oldest}") {{ workflowId }} }}'
        )
        assert restored.status == "done"
        asked(
            bench, "cli", f'mutation {{ volumeInstanceBackupDelete({given}: "{newest}") {{ workflowId }} }}'
        )


def take_the_past(bench: Bench) -> None:
    """Have a protection called backups take what it would have of the last two days."""
    tool = bench.tool("backups")
    for due in tool.due(bench.clock.stamp().wall, timedelta(days=2)):
        tool.take(due)


def let_days_pass(bench: Bench, days: int) -> None:
    """Have the schedules of all protections go on, and retention, as they do in a search."""
    present = bench.clock.stamp().wall
    until = present + timedelta(days=days)
    tools = [tool for tool in map(bench.tool, bench.stack.protections) if isinstance(tool, Rotating)]
    every = [(due.at, tool, due) for tool in tools for due in tool.coming(present, present, until)]
    for at, tool, due in sorted(every, key=lambda one: one[0]):
        tool.take(due)
        tool.expire(at, taken=True)
    for tool in tools:
        tool.expire(until, taken=False)
        tool.stop()


class TestRailwayDaysLater(OnVolume):
    """New backups, and old ones that are over."""

    stack = on_railway("legacy")

    def ruin(self, bench: Bench, endpoint: Endpoint) -> None:
        let_days_pass(bench, 6)


class TestRailwayGraceThatIsOver(OnVolume):
    """A deletion that is final two days later."""

    stack = on_railway("current")

    def ruin(self, bench: Bench, endpoint: Endpoint) -> None:
        volume = volume_of(bench)
        assert asked(bench, "cli", f'mutation {{ volumeDelete(volumeId: "{volume}") }}').status == "done"
        bench.tool("backups").expire(bench.clock.stamp().wall + timedelta(days=3), taken=False)
        assert bench.tool("backups").points() == ()


class TestS3(Here, ResetContract):
    """Versions, locks, settings of the bucket."""

    service = "vault"
    stack = {
        "services": {"vault": {"kind": "s3", "bucket": "dumps", "object_lock": True}},
        "principals": {"keeper": {"grants": {"vault": "admin"}}},
    }

    def fill(self, bench: Bench, endpoint: Endpoint) -> None:
        client = self._client(endpoint)
        for key in ("dumps/one", "dumps/two"):
            client.put_object(Bucket="dumps", Key=key, Body=b"first")
            client.put_object(Bucket="dumps", Key=key, Body=b"second" * 1000)
        until = bench.clock.stamp().wall + timedelta(days=1)
        self._client(endpoint).put_object(
            Bucket="dumps",
            Key="locked",
            Body=b"locked",
            ObjectLockMode="COMPLIANCE",
            ObjectLockRetainUntilDate=until,
        )

    def look(self, bench: Bench, endpoint: Endpoint) -> object:
        client = self._client(endpoint)
        versions = client.list_object_versions(Bucket="dumps")
        found = versions.get("Versions", ())
        kept = [
            (one["Key"], one["VersionId"], one["ETag"], one["IsLatest"], one["LastModified"]) for one in found
        ]
        bodies = [
            client.get_object(Bucket="dumps", Key=one["Key"], VersionId=one["VersionId"])["Body"].read()
            for one in found
        ]
        markers = [(one["Key"], one["VersionId"]) for one in versions.get("DeleteMarkers", ())]
        locked = [one["VersionId"] for one in found if one["Key"] == "locked"]
        locks = [client.get_object_retention(Bucket="dumps", Key="locked", VersionId=id) for id in locked]
        rules: object = None
        with suppress(ClientError):
            rules = client.get_bucket_lifecycle_configuration(Bucket="dumps")["Rules"]
        status = client.get_bucket_versioning(Bucket="dumps").get("Status")
        keeper = open_client(endpoint, endpoint.credentials["keeper"]).list_objects_v2(Bucket="dumps")
        return kept, bodies, markers, [lock["Retention"] for lock in locks], rules, status, keeper["KeyCount"]

    def ruin(self, bench: Bench, endpoint: Endpoint) -> None:
        client = open_client(endpoint, endpoint.credentials["keeper"])
        for one in client.list_object_versions(Bucket="dumps").get("Versions", ()):
            with suppress(ClientError):
                client.delete_object(Bucket="dumps", Key=one["Key"], VersionId=one["VersionId"])
        client.delete_object(Bucket="dumps", Key="locked")
        until = bench.clock.stamp().wall + timedelta(days=9)
        client.put_object(
            Bucket="dumps",
            Key="theirs",
            Body=b"nobody can delete this",
            ObjectLockMode="COMPLIANCE",
            ObjectLockRetainUntilDate=until,
        )
        rule = {"ID": "gone", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 1}}
        client.put_bucket_lifecycle_configuration(Bucket="dumps", LifecycleConfiguration={"Rules": [rule]})

    def _client(self, endpoint: Endpoint) -> Any:
        return open_client(endpoint, endpoint.credentials[OPERATOR])


def furnish(root: Path) -> None:
    """A link, and a file with a mode of its own."""
    (root / "deep").mkdir(exist_ok=True)
    (root / "link").symlink_to("notes.txt")
    (root / "notes.txt").write_text("Read me.\n")
    (root / "deep" / "script").write_text("echo\n")
    (root / "deep" / "script").chmod(0o711)


def wreck(root: Path) -> None:
    """Files gone, changed and added, and folders closed to whoever is not root."""
    shutil.rmtree(root / "deep")
    (root / "link").unlink()
    (root / "notes.txt").write_text("Read us.\n")
    (root / "theirs" / "closed").mkdir(parents=True)
    (root / "theirs" / "closed" / "hidden").touch()
    for folder in (root / "theirs" / "closed", root / "theirs"):
        folder.chmod(0)


def seen(root: Path, without: str = "") -> object:
    """Every file of a tree as far as anybody can tell."""
    return sorted(
        (str(path.relative_to(root)), path.lstat().st_mode, path.is_file() and path.read_bytes())
        for path in root.rglob("*")
        if not without or without not in path.relative_to(root).parts
    )


class TestFiles(Here, ResetContract):
    """A workspace."""

    service = "agent-workspace"
    stack = {"services": {}, "principals": {"agent": {"workspace": "home"}}}
    files = {"home/notes.txt": "Read me.\n", "home/deep/er/secret.env": "TOKEN=1\n"}

    def fill(self, bench: Bench, endpoint: Endpoint) -> None:
        furnish(endpoint.path)

    def look(self, bench: Bench, endpoint: Endpoint) -> object:
        return seen(endpoint.path)

    def ruin(self, bench: Bench, endpoint: Endpoint) -> None:
        wreck(endpoint.path)
        endpoint.path.chmod(0o500)


class TestVolume(TestFiles):
    """A tree of files."""

    service = "uploads"
    stack = {
        "services": {"uploads": {"kind": "volume", "collections": ["files"]}},
        "principals": {"editor": {"grants": {"uploads": "writer"}}},
    }
    tables = ("files",)


class TestVolumeDaysLater(TestVolume):
    """Snapshots beside the tree: new ones, and old ones that are over."""

    stack = {
        **TestVolume.stack,
        "protections": {"backups": {"tool": "volume-snapshot", "of": "uploads", "every": "1d", "keep": 2}},
    }

    def fill(self, bench: Bench, endpoint: Endpoint) -> None:
        super().fill(bench, endpoint)
        take_the_past(bench)

    def look(self, bench: Bench, endpoint: Endpoint) -> object:
        return super().look(bench, endpoint), seen(endpoint.path.parent)

    def ruin(self, bench: Bench, endpoint: Endpoint) -> None:
        let_days_pass(bench, 3)


class TestPostgresOnVolumeOfFiles(PostgresReset):
    """A tree of files that goes with the database in one of its folders."""

    with_ = ("uploads",)
    stack = {
        "services": {
            "uploads": {"kind": "volume", "collections": ["files"]},
            "shop": {**POSTGRES_THINGS, "volume": "uploads/data"},
        },
        "principals": {"owner": {"grants": {"shop": "owner"}}},
    }

    def fill(self, bench: Bench, endpoint: Endpoint) -> None:
        super().fill(bench, endpoint)
        furnish(bench.endpoints["uploads"].path)

    def look(self, bench: Bench, endpoint: Endpoint) -> object:
        return super().look(bench, endpoint), seen(bench.endpoints["uploads"].path, without="data")

    def ruin(self, bench: Bench, endpoint: Endpoint) -> None:
        bench.driver_of(endpoint).fence(endpoint)
        wreck(bench.endpoints["uploads"].path)
        shutil.rmtree(endpoint.path.parent)


class TestValkey(Here, ResetContract):
    """Keys, users, settings, the append-only file."""

    service, tables = "cache", ("session",)
    stack = {
        "services": {"cache": {"kind": "valkey", "collections": ["session"]}},
        "principals": {"keeper": {"grants": {"cache": "owner"}}},
    }

    def fill(self, bench: Bench, endpoint: Endpoint) -> None:
        with self._client(endpoint) as client:
            client.hset("session:1", mapping={"body": "first", "at": "1"})
            # As a dump leaves it, which is older than what is in the append-only file.
            client.save()
            client.hset("session:2", mapping={"body": "second", "at": "2"})
            client.set("other", "text", ex=86400)

    def look(self, bench: Bench, endpoint: Endpoint) -> object:
        files = sorted(path.name for path in endpoint.path.rglob("*"))
        try:
            with self._client(endpoint) as client:
                settings = client.config_get("*")
                return files, settings, client.acl_list(), client.get("other"), client.pexpiretime("other")
        except ValkeyError:
            return files, "no answer"

    def ruin(self, bench: Bench, endpoint: Endpoint) -> None:
        with self._client(endpoint) as client:
            client.flushall()
            client.bgrewriteaof()
            client.acl_setuser("keeper", enabled=False)
            client.acl_setuser("mallory", enabled=True, nopass=True, commands=["+@all"])
            with suppress(ValkeyError):  # where it runs as another account, the file is not its own
                client.acl_save()
            client.config_set("appendonly", "no")
            client.set("theirs", "mallory's")

    def _client(self, endpoint: Endpoint) -> Any:
        return valkey_client.connect(endpoint, endpoint.credentials[OPERATOR])


class TestValkeyInMemory(TestValkey):
    """One that writes nothing to the disk."""

    stack = {
        "services": {"cache": {"kind": "valkey", "collections": ["session"], "persistence": "none"}},
        "principals": {"keeper": {"grants": {"cache": "owner"}}},
    }

    def ruin(self, bench: Bench, endpoint: Endpoint) -> None:
        with self._client(endpoint) as client:
            client.delete("session:1")


class TestValkeyThatDied(TestValkey):
    """Its process ended and its files gone."""

    def ruin(self, bench: Bench, endpoint: Endpoint) -> None:
        bench.driver_of(endpoint).fence(endpoint)
        shutil.rmtree(endpoint.path)


@pytest.mark.mariadb
class TestMariadb(Here, ResetContract):
    """Rows, accounts, settings, binary logs, and the database itself."""

    service, tables = "till", ("things",)
    files = {SCHEMA_FILE: MARIADB.schema}
    stack = {
        "services": {"till": {"kind": "mariadb", **THINGS}},
        "principals": {
            "owner": {"grants": {"till": "owner"}},
            "admin": {"grants": {"till": "admin"}},
        },
    }

    def fill(self, bench: Bench, endpoint: Endpoint) -> None:
        rows = "INSERT INTO things SELECT seq, CONCAT('thing ', seq), NOW() FROM till.seq_1_to_40"
        self._run(endpoint, rows, "FLUSH BINARY LOGS", "UPDATE things SET note = 'last' WHERE id = 40")

    def look(self, bench: Bench, endpoint: Endpoint) -> object:
        try:
            return self._run(
                endpoint,
                "SHOW GLOBAL VARIABLES",
                "SHOW BINARY LOGS",
                "SELECT * FROM mysql.global_priv ORDER BY 1, 2",
                "SELECT * FROM mysql.db ORDER BY 1, 2, 3",
            )
        except pymysql.Error:
            return "no answer"

    def ruin(self, bench: Bench, endpoint: Endpoint) -> None:
        self._run(
            endpoint,
            "DROP USER 'owner'@'127.0.0.1'",
            "CREATE USER mallory IDENTIFIED BY 'another one'",
            "CREATE DATABASE other",
            "SET GLOBAL max_connections = 123",
            "DROP TABLE things",
            "DROP DATABASE till",
            "RESET MASTER",
        )

    def _run(self, endpoint: Endpoint, *statements: str, by: str = OPERATOR) -> list[object]:
        found: list[object] = []
        credential = endpoint.credentials[by]
        database = "" if by == OPERATOR else endpoint.name
        with (
            mariadb_client.connect(endpoint, credential, database=database) as connection,
            connection.cursor() as cursor,
        ):
            for statement in statements:
                cursor.execute(statement.replace(" things", f" {endpoint.name}.things"))
                found.append(cursor.fetchall())
        return found


@pytest.mark.mariadb
class TestMariadbPastItsLog(TestMariadb):
    """What an administrator does that stands in no binary log."""

    def ruin(self, bench: Bench, endpoint: Endpoint) -> None:
        self._run(endpoint, "SET sql_log_bin = 0", "DELETE FROM things WHERE id = 7", by="admin")


@pytest.mark.mariadb
class TestMariadbOfAnOwner(TestMariadb):
    """Where nobody can write past the binary log."""

    stack = {
        "services": {"till": {"kind": "mariadb", **THINGS}},
        "principals": {"owner": {"grants": {"till": "owner"}}},
    }

    def ruin(self, bench: Bench, endpoint: Endpoint) -> None:
        self._run(endpoint, "DELETE FROM things WHERE id = 7", by="owner")


@pytest.mark.mariadb
class TestMariadbThatDied(TestMariadb):
    """Its process ended and its files gone."""

    def ruin(self, bench: Bench, endpoint: Endpoint) -> None:
        bench.driver_of(endpoint).fence(endpoint)
        shutil.rmtree(endpoint.path)


class TestGit(Here, ResetContract):
    """Branches, commits, settings, the hook, and the clones."""

    service, tables = "code", ("main", "release")
    stack = {
        "services": {"code": {"kind": "git", "collections": ["main", "release"], "deny_force": True}},
        "principals": {"dev": {"grants": {"code": "writer"}}},
    }

    def fill(self, bench: Bench, endpoint: Endpoint) -> None:
        ask = bench.surface("git", "dev", endpoint)
        for number, (verb, arguments) in enumerate(
            (
                ("write", {"path": "a", "text": "first"}),
                ("commit", {"message": "first"}),
                ("push", {"ref": "main"}),
            ),
            start=1,
        ):
            action = Action(number=number, surface="git", verb=verb, service="code")
            assert ask.perform(action, arguments).status == "done"

    def look(self, bench: Bench, endpoint: Endpoint) -> object:
        return seen(endpoint.lease.directory, without=FOLDER)

    def ruin(self, bench: Bench, endpoint: Endpoint) -> None:
        repository, run_id = endpoint.path, bench.sandbox.run_id
        git(repository, "config", "receive.denyNonFastForwards", "false", run_id=run_id)
        git(repository, "update-ref", "-d", "refs/heads/release", run_id=run_id)
        git(repository, "update-ref", "refs/heads/main", "refs/heads/main~1", run_id=run_id)
        git(repository, "gc", "--quiet", "--prune=now", run_id=run_id)
        (repository / "hooks" / "update").unlink()
        shutil.rmtree(endpoint.lease.directory / "clones")


class TestGitThatIsGone(TestGit):
    """The repository was removed."""

    def ruin(self, bench: Bench, endpoint: Endpoint) -> None:
        bench.driver_of(endpoint).fence(endpoint)
