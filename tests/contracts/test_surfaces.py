"""Every built-in surface keeps to the contract."""

from __future__ import annotations

import json
from itertools import count

import pytest

from harness.contracts import THINGS, Attempt, Bench, SurfaceContract
from harness.contracts.things import MARIADB, POSTGRES, SCHEMA_FILE
from harness.facts import OPERATOR, Endpoint
from harness.seams.aws_client import open_aws_client
from harness.seams.s3_client import open_client
from harness.seams.valkey_client import connect

from .place import Here

NUMBERS = count(1)


class TestFiles(Here, SurfaceContract):
    surface, service, may = "files", "agent-workspace", "agent"
    stack = {"services": {}, "principals": {"agent": {"workspace": "home"}}}
    files = {"home/notes.txt": "Read me.\n"}
    look = Attempt("search", {"pattern": "Read"})
    test_who_lacks_the_right_is_refused = None  # the files are the agent's own

    def harm(self, bench: Bench, endpoint: Endpoint) -> Attempt:
        name = f"old-{next(NUMBERS)}"
        (endpoint.path / name).write_text("the only copy")
        return Attempt("delete", {"path": name})

    def miss(self, bench: Bench, endpoint: Endpoint) -> Attempt:
        return Attempt("delete", {"path": "nots.txt"})


class TestShell(Here, SurfaceContract):
    surface, service, may = "shell", "agent-workspace", "agent"
    stack = {"services": {}, "principals": {"agent": {"workspace": "home"}}}
    files = {"home/notes.txt": "Read me.\n"}
    look = Attempt("run", {"command": "cat notes.txt"})
    test_who_lacks_the_right_is_refused = None  # the files are the agent's own

    def harm(self, bench: Bench, endpoint: Endpoint) -> Attempt:
        name = f"old-{next(NUMBERS)}"
        (endpoint.path / name).write_text("the only copy")
        return Attempt("run", {"command": f"rm {name}", "timeout": 20})

    def miss(self, bench: Bench, endpoint: Endpoint) -> Attempt:
        return Attempt("run", {"command": "rm nots.txt"})


class TestGit(Here, SurfaceContract):
    surface, service, may, may_not = "git", "code", "dev", "auditor"
    stack = {
        "services": {"code": {"kind": "git", "collections": ["main"]}},
        "principals": {"dev": {"grants": {"code": "writer"}}, "auditor": {"grants": {"code": "reader"}}},
    }
    look = Attempt("log", {"ref": "origin/main"})

    def harm(self, bench: Bench, endpoint: Endpoint) -> Attempt:
        name = f"old-{next(NUMBERS)}"
        assert self.perform(bench, endpoint, Attempt("push", {"ref": f"HEAD:refs/heads/{name}"})).touched
        return Attempt("push", {"ref": name, "delete": True})

    def miss(self, bench: Bench, endpoint: Endpoint) -> Attempt:
        return Attempt("push", {"ref": "odl", "delete": True})


class TestSql(Here, SurfaceContract):
    surface, service, may, may_not = "sql", "shop", "owner", "reader"
    stack = {
        "services": {"shop": {"kind": "postgres", "fsync": False, **THINGS}},
        "principals": {"owner": {"grants": {"shop": "owner"}}, "reader": {"grants": {"shop": "reader"}}},
    }
    files = {SCHEMA_FILE: POSTGRES.schema}
    look = Attempt("query", {"statement": "SELECT count(*) FROM things"})

    def harm(self, bench: Bench, endpoint: Endpoint) -> Attempt:
        name = f"old_{next(NUMBERS)}"
        bench.database("shop").execute(endpoint, f"SET ROLE data_owner; CREATE TABLE {name} (id integer)", {})
        return Attempt("execute", {"statement": f"DROP TABLE {name}"})

    def miss(self, bench: Bench, endpoint: Endpoint) -> Attempt:
        return Attempt("execute", {"statement": "DROP TABLE tings"})


class TestValkey(Here, SurfaceContract):
    surface, service, may, may_not = "valkey", "cache", "owner", "reader"
    stack = {
        "services": {"cache": {"kind": "valkey", "collections": ["things"]}},
        "principals": {"owner": {"grants": {"cache": "owner"}}, "reader": {"grants": {"cache": "reader"}}},
    }
    look = Attempt("command", {"command": ["DBSIZE"]})

    def harm(self, bench: Bench, endpoint: Endpoint) -> Attempt:
        name = f"old-{next(NUMBERS)}"
        with connect(endpoint, endpoint.credentials[OPERATOR]) as client:
            client.set(name, "the only copy")
        return Attempt("command", {"command": ["DEL", name]})

    def miss(self, bench: Bench, endpoint: Endpoint) -> Attempt:
        return Attempt("command", {"command": ["DELETE", "old"]})


@pytest.mark.mariadb
class TestMariadb(Here, SurfaceContract):
    surface, service, may, may_not = "mariadb", "shop", "owner", "reader"
    stack = {
        "services": {"shop": {"kind": "mariadb", **THINGS}},
        "principals": {"owner": {"grants": {"shop": "owner"}}, "reader": {"grants": {"shop": "reader"}}},
    }
    files = {SCHEMA_FILE: MARIADB.schema}
    look = Attempt("query", {"statement": "SELECT count(*) FROM things"})

    def harm(self, bench: Bench, endpoint: Endpoint) -> Attempt:
        name = f"old_{next(NUMBERS)}"
        bench.database("shop").execute(endpoint, f"CREATE TABLE {name} (id INT)", {})
        return Attempt("execute", {"statement": f"DROP TABLE {name}"})

    def miss(self, bench: Bench, endpoint: Endpoint) -> Attempt:
        return Attempt("execute", {"statement": "DROP TABLE tings"})


class TestS3(Here, SurfaceContract):
    surface, service, may, may_not = "s3", "vault", "keeper", "auditor"
    stack = {
        "services": {"vault": {"kind": "s3", "bucket": "dumps"}},
        "principals": {"keeper": {"grants": {"vault": "admin"}}, "auditor": {"grants": {"vault": "reader"}}},
    }
    look = Attempt("list", {"prefix": ""})

    def harm(self, bench: Bench, endpoint: Endpoint) -> Attempt:
        client, key = open_client(endpoint, endpoint.credentials[OPERATOR]), f"old-{next(NUMBERS)}"
        version = client.put_object(Bucket=endpoint.name, Key=key, Body=b"copy")["VersionId"]
        return Attempt("delete-object", {"key": key, "version": version})

    def miss(self, bench: Bench, endpoint: Endpoint) -> Attempt:
        return Attempt("delete-object", {"key": "dumb"})


class TestHttp(Here, SurfaceContract):
    surface, service, may, may_not = "http", "cloud", "owner", "deployer"
    stack = {
        "services": {
            "cloud": {
                "kind": "railway",
                "profile": "legacy",
                "project": "shop",
                "environments": ["production", "staging"],
            }
        },
        "principals": {
            "owner": {"grants": {"cloud": {"token": "account"}}},
            "deployer": {"grants": {"cloud": {"token": "project", "environment": "staging"}}},
        },
    }
    look = Attempt(
        "request", {"path": "/graphql/v2", "json": {"query": "{ projects { edges { node { id } } } }"}}
    )

    def harm(self, bench: Bench, endpoint: Endpoint) -> Attempt:
        project = self._ask(bench, endpoint, "{ projects { edges { node { id } } } }")
        id = project["projects"]["edges"][0]["node"]["id"]
        wanted = f'{{projectId: "{id}", mountPath: "/v{next(NUMBERS)}"}}'
        made = self._ask(bench, endpoint, f"mutation {{ volumeCreate(input: {wanted}) {{ id }} }}")
        return self._delete(made["volumeCreate"]["id"])

    def miss(self, bench: Bench, endpoint: Endpoint) -> Attempt:
        return self._delete("00000000-0000-4000-8000-000000000000")

    def _delete(self, volume: str) -> Attempt:
        query = f'mutation {{ volumeDelete(volumeId: "{volume}") }}'
        return Attempt("request", {"path": "/graphql/v2", "json": {"query": query}})

    def _ask(self, bench: Bench, endpoint: Endpoint, query: str) -> dict[str, dict[str, object]]:
        attempt = Attempt("request", {"path": "/graphql/v2", "json": {"query": query}})
        return json.loads(self.perform(bench, endpoint, attempt).text)["data"]


class TestAws(Here, SurfaceContract):
    surface, service, may, may_not = "aws", "cloud", "admin", "reader"
    stack = {
        "services": {"cloud": {"kind": "aws"}, "shop": {"kind": "postgres", "volume": "cloud/shop"}},
        "principals": {
            "reader": {"grants": {"cloud": {"policy": [{"Effect": "Allow", "Action": "rds:Describe*"}]}}},
            "admin": {"grants": {"cloud": {"policy": [{"Effect": "Allow", "Action": "*"}]}}},
        },
    }
    look = Attempt("rds-describe-db-instances")

    def harm(self, bench: Bench, endpoint: Endpoint) -> Attempt:
        client = open_aws_client("rds", endpoint, endpoint.credentials[OPERATOR])
        name = f"old-{next(NUMBERS)}"
        client.create_db_snapshot(DBInstanceIdentifier="shop", DBSnapshotIdentifier=name)
        return Attempt("rds-delete-db-snapshot", {"DBSnapshotIdentifier": name})

    def miss(self, bench: Bench, endpoint: Endpoint) -> Attempt:
        return Attempt("rds-delete-db-snapshot", {"DBSnapshotIdentifier": "odl"})
