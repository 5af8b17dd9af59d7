"""Accounts for tests, with real databases on their RDS instances, and ways to call them as a user would."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import boto3
import httpx
import psycopg
import pytest
from botocore.config import Config

from harness.clock import SystemClock
from harness.facts import BACK_DOOR, BACK_DOOR_HEADER, OPERATOR, Endpoint, Lease
from harness.replicas.aws import AwsReplica
from harness.replicas.postgres import PostgresReplica
from harness.sandbox import Sandbox
from harness.scenario.models import Stack
from harness.seams.drivers import Setting

CLOCK = SystemClock()
NUMBERS = count()
AWS = Path(sys.executable).with_name("aws")
EVERYTHING = [{"Effect": "Allow", "Action": "*"}]


@dataclass
class Account:
    """A running control plane.

    Attributes:
        endpoint: where it answers.
        setting: with it among its peers.
    """

    endpoint: Endpoint
    setting: Setting

    def client(self, service: str, principal: str = OPERATOR, **more: Any) -> Any:
        """The real SDK; nothing is told to it but the address and the keys."""
        credential = self.endpoint.credentials[principal]
        given = {
            "aws_access_key_id": credential.name,
            "aws_secret_access_key": credential.secret.reveal(),
            "endpoint_url": self.endpoint.url,
            "region_name": self.endpoint.name,
            "config": Config(retries={"total_max_attempts": 1}),
        }
        return boto3.session.Session().client(service, **(given | more))

    def command(self, *words: str, principal: str = OPERATOR) -> subprocess.CompletedProcess[str]:
        """The real ``aws`` command."""
        credential = self.endpoint.credentials[principal]
        return subprocess.run(
            [sys.executable, AWS, *words],
            env={
                "AWS_ACCESS_KEY_ID": credential.name,
                "AWS_SECRET_ACCESS_KEY": credential.secret.reveal(),
                "AWS_ENDPOINT_URL": self.endpoint.url,
                "AWS_DEFAULT_REGION": self.endpoint.name,
                "AWS_CONFIG_FILE": "/dev/null",
                "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
                "AWS_EC2_METADATA_DISABLED": "true",
                "AWS_PAGER": "",
                "HOME": str(self.setting.sandbox.root),
            },
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def look(self, what: str) -> Any:
        """What the back door tells."""
        secret = self.endpoint.credentials[BACK_DOOR].secret.reveal()
        answer = httpx.get(
            f"{self.endpoint.url}/_replica/{what}",
            headers={BACK_DOOR_HEADER: secret},
            trust_env=False,
            timeout=30,
        )
        answer.raise_for_status()
        return answer.json()

    def tell(self, what: str, body: dict[str, Any]) -> Any:
        """Have the back door do something."""
        secret = self.endpoint.credentials[BACK_DOOR].secret.reveal()
        answer = httpx.post(
            f"{self.endpoint.url}/_replica/{what}",
            headers={BACK_DOOR_HEADER: secret},
            content=json.dumps(body),
            trust_env=False,
            timeout=30,
        )
        answer.raise_for_status()
        return answer.json()

    def names(self, kind: str) -> list[str]:
        """What of one kind the inventory has."""
        return [one["name"] for one in self.look("inventory") if one["kind"] == kind]

    def last_entry(self) -> Any:
        """The newest of the audit log."""
        return self.look("audit")[-1]


@contextmanager
def account(sandbox: Sandbox, policies: dict[str, Any] | None = None, **service: Any) -> Iterator[Account]:
    """A control plane for as long as the block runs, with an RDS instance ``courses``."""
    stack = Stack.model_validate(
        {
            "services": {
                "aws": {"kind": "aws", "region": "eu-west-1", **service},
                "database": {
                    "kind": "postgres",
                    "environment": "production",
                    "volume": "aws/courses",
                    "fsync": False,
                },
            },
            "principals": {
                name: {"grants": {"aws": {"policy": policy}}} for name, policy in (policies or {}).items()
            },
        }
    )
    setting = Setting(stack, sandbox.root, sandbox, CLOCK, {})
    lease = Lease(
        run_id=sandbox.run_id, service="aws", kind="aws", directory=sandbox.root / f"aws-{next(NUMBERS)}"
    )
    replica = AwsReplica()
    try:
        endpoint = replica.provision(lease, setting)
        yield Account(endpoint, replace(setting, peers={"aws": endpoint}))
    finally:
        replica.destroy(lease)
    assert not lease.directory.exists()


@contextmanager
def database(made: Account) -> Iterator[tuple[PostgresReplica, Endpoint]]:
    """The server on the RDS instance, with a row in it."""
    replica = PostgresReplica()
    lease = Lease(
        run_id=made.endpoint.lease.run_id,
        service="database",
        kind="postgres",
        directory=made.setting.sandbox.root / f"database-{next(NUMBERS)}",
    )
    try:
        endpoint = replica.provision(lease, made.setting)
        with connect(endpoint) as connection:
            connection.execute("CREATE TABLE answers (n bigserial PRIMARY KEY, body text NOT NULL)")
            connection.execute(
                "INSERT INTO answers (body) SELECT repeat('x', 500) FROM generate_series(1, 100)"
            )
        yield replica, endpoint
    finally:
        replica.destroy(lease)


def connect(endpoint: Endpoint) -> psycopg.Connection:
    credential = endpoint.credentials[OPERATOR]
    return psycopg.connect(
        host=endpoint.host,
        port=endpoint.port,
        dbname=endpoint.name,
        user=credential.name,
        password=credential.secret.reveal(),
        autocommit=True,
        connect_timeout=5,
    )


def start_from(made: Account, replica: PostgresReplica, like: Endpoint, data: Path) -> Endpoint:
    """Start a server on that data directory, moved."""
    lease = Lease(
        run_id=like.lease.run_id,
        service=f"database@{next(NUMBERS)}",
        kind="postgres",
        directory=made.setting.sandbox.root / f"restored-{next(NUMBERS)}",
    )
    vessel = replica.vessel(lease, like, made.setting, replace=False)
    vessel.directory.rmdir()
    data.rename(vessel.directory)
    return vessel.start(timeout=60)


@pytest.fixture
def fresh(sandbox: Sandbox) -> Iterator[Account]:
    """An account for one test, since each of them deletes its only database."""
    with account(sandbox) as made:
        yield made
