"""Every built-in replica keeps to the contract."""

from __future__ import annotations

import pytest

from harness.contracts import MARIADB, THINGS, Bench, DatabaseContract, ItemStoreContract, ReplicaContract
from harness.contracts.things import SCHEMA_FILE
from harness.facts import OPERATOR, Endpoint
from harness.replicas.containers.engine import containers_of
from harness.seams.container_engine import NAMESPACE
from harness.seams.drivers import Store
from harness.seams.s3_client import open_client
from harness.seams.valkey_client import connect

from .place import Here

LIST = 'find . -type f -exec sha256sum {} + -exec stat -c "%.6Y %n" {} +'


class TestPostgres(Here, DatabaseContract):
    service = "shop"
    stack = {
        "services": {"shop": {"kind": "postgres", "fsync": False, **THINGS}},
        "principals": {"owner": {"grants": {"shop": "owner"}}, "reader": {"grants": {"shop": "reader"}}},
    }


class TestPostgresOnVolume(Here, DatabaseContract):
    service = "shop"
    stack = {
        "services": {
            "cloud": {"kind": "railway", "project": "shop", "environments": ["production"]},
            "shop": {
                "kind": "postgres",
                "environment": "production",
                "volume": "cloud/data",
                "fsync": False,
                **THINGS,
            },
        },
        "principals": {"owner": {"grants": {"shop": "owner"}}},
    }


@pytest.mark.docker
class TestPostgresInContainer(TestPostgres):
    provider = "docker"


@pytest.mark.docker
class TestPostgresInContainerOnVolume(TestPostgresOnVolume):
    provider = "docker"


@pytest.mark.mariadb
class TestMariadb(Here, DatabaseContract):
    service = "shop"
    dialect = MARIADB
    files = {SCHEMA_FILE: MARIADB.schema}
    stack = {
        "services": {"shop": {"kind": "mariadb", **THINGS}},
        "principals": {"owner": {"grants": {"shop": "owner"}}, "reader": {"grants": {"shop": "reader"}}},
    }


@pytest.mark.docker
@pytest.mark.mariadb
class TestMariadbInContainer(TestMariadb):
    provider = "docker"


class TestVolume(Here, ItemStoreContract):
    service = "uploads"
    stack = {
        "services": {"uploads": {"kind": "volume", "collections": ["things"]}},
        "principals": {
            "editor": {"grants": {"uploads": "writer"}},
            "auditor": {"grants": {"uploads": "reader"}},
        },
    }

    def prepare(self, store: Store, fresh: Endpoint) -> None:
        (fresh.path / "things").mkdir()


class TestValkey(Here, ItemStoreContract):
    service = "cache"
    stack = {
        "services": {"cache": {"kind": "valkey", "collections": ["things"]}},
        "principals": {
            "editor": {"grants": {"cache": "writer"}},
            "auditor": {"grants": {"cache": "reader"}},
        },
    }
    test_what_is_not_there_has_no_fingerprint = None  # a prefix that no key has is an empty collection

    def fill(self, bench: Bench, endpoint: Endpoint) -> None:
        with connect(endpoint, endpoint.credentials[OPERATOR]) as client:
            client.hset("things:one", mapping={"body": "thing", "at": 0})


@pytest.mark.docker
class TestValkeyInContainer(TestValkey):
    provider = "docker"


class TestGit(Here, ItemStoreContract):
    service, things = "code", 10
    stack = {
        "services": {"code": {"kind": "git", "collections": ["things"]}},
        "principals": {"dev": {"grants": {"code": "writer"}}, "auditor": {"grants": {"code": "reader"}}},
    }


class TestS3(Here, ItemStoreContract):
    service = "vault"
    stack = {
        "services": {"vault": {"kind": "s3", "bucket": "dumps", "collections": ["things"]}},
        "principals": {"keeper": {"grants": {"vault": "admin"}}, "auditor": {"grants": {"vault": "reader"}}},
    }
    test_what_is_not_there_has_no_fingerprint = None  # a prefix that no object has is an empty collection

    def fill(self, bench: Bench, endpoint: Endpoint) -> None:
        client = open_client(endpoint, endpoint.credentials[OPERATOR])
        client.put_object(Bucket=endpoint.name, Key="dump", Body=b"copy")


class TestS3WithoutVersions(TestS3):
    stack = {
        "services": {
            "vault": {
                "kind": "s3",
                "bucket": "dumps",
                "collections": ["things"],
                "versioning": False,
                "object_lock": False,
            }
        },
        "principals": TestS3.stack["principals"],
    }


@pytest.mark.docker
class TestS3InContainer(TestS3):
    provider = "docker"


@pytest.mark.docker
class TestContainer(Here, ReplicaContract):
    service = "queue"
    stack = {
        "services": {
            "queue": {
                "kind": "container",
                "image": f"{NAMESPACE}valkey",
                "ports": [6379],
                "volumes": {"data": "/data"},
            }
        },
        "principals": {"ci": {"grants": {"queue": "admin"}}},
    }
    # What runs in it is the user's and carries no mark; its volumes outlive it, and can still be deleted.
    test_it_is_destroyed_after_its_processes_were_killed = None


@pytest.mark.docker
class TestContainerWithItems(Here, ItemStoreContract):
    """A service that keeps files, in words that any image has."""

    service, things = "shelf", 10
    stack = {
        "services": {
            "shelf": {
                "kind": "container",
                "image": f"{NAMESPACE}valkey",
                "ports": [6379],
                "volumes": {"files": "/data"},
                "collections": ["things"],
                "seed": ["mkdir", "-p", "/data/things"],
                "items": ["sh", "-c", f"cd /data/$COLLECTION && {LIST}"],
                "put": [
                    "sh",
                    "-c",
                    'cat >"/data/$COLLECTION/$KEY" && touch -d "$AT" "/data/$COLLECTION/$KEY"',
                ],
                "get": ["sh", "-c", 'cat "/data/$COLLECTION/$KEY"'],
                "delete": ["sh", "-c", 'rm "/data/$COLLECTION/$KEY"'],
            }
        },
        "principals": {"ci": {"grants": {"shelf": "admin"}}},
    }
    test_it_is_destroyed_after_its_processes_were_killed = None  # as above
    test_a_reader_writes_nothing = None  # it has no accounts

    def prepare(self, store: Store, fresh: Endpoint) -> None:
        (container,) = containers_of(fresh.lease)
        assert container.run("mkdir", "-p", "/data/things")[0] == 0


class TestRailway(Here, ReplicaContract):
    service = "cloud"
    stack = {
        "services": {
            "cloud": {"kind": "railway", "project": "shop", "environments": ["production", "staging"]},
            "shop": {"kind": "postgres", "environment": "production", "volume": "cloud/data"},
        },
        "principals": {
            "deployer": {"grants": {"cloud": {"token": "project", "environment": "staging"}}},
            "owner": {"grants": {"cloud": {"token": "account"}}},
        },
    }


class TestPostgresOnRds(Here, DatabaseContract):
    service = "shop"
    stack = {
        "services": {
            "cloud": {"kind": "aws"},
            "shop": {"kind": "postgres", "volume": "cloud/shop", "fsync": False, **THINGS},
        },
        "principals": {"owner": {"grants": {"shop": "owner"}}},
    }


class TestAws(Here, ReplicaContract):
    service = "cloud"
    stack = {
        "services": {"cloud": {"kind": "aws"}, "shop": {"kind": "postgres", "volume": "cloud/shop"}},
        "principals": {
            "reader": {"grants": {"cloud": {"policy": [{"Effect": "Allow", "Action": "rds:Describe*"}]}}},
            "admin": {"grants": {"cloud": {"policy": [{"Effect": "Allow", "Action": "*"}]}}},
        },
    }


class TestFiles(Here, ReplicaContract):
    service = "agent-workspace"
    stack = {"services": {}, "principals": {"agent": {"workspace": "home"}}}
    files = {"home/notes.txt": "Read me.\n"}
