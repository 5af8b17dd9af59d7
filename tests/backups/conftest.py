"""A small estate on real servers: a database, a vault with Object Lock, and a bucket without any."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from harness.clock import SystemClock
from harness.facts import OPERATOR, Endpoint, Lease
from harness.replicas.postgres import PostgresReplica
from harness.replicas.s3 import S3Replica
from harness.sandbox import Sandbox
from harness.scenario.models import Stack
from harness.seams.drivers import Setting, Vessel
from harness.seams.s3_client import open_client

SCHEMA = """
CREATE TABLE reservations (
    id bigint PRIMARY KEY,
    car text NOT NULL,
    price numeric(10, 2) NOT NULL CHECK (price > 0),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TABLE payments (
    id bigint PRIMARY KEY,
    reservation bigint NOT NULL REFERENCES reservations (id),
    paid_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
"""
STACK = Stack.model_validate(
    {
        "services": {
            "bookings": {"kind": "postgres", "schema": "schema.sql"},
            "vault": {"kind": "s3", "bucket": "bookings-vault"},
            "plain": {"kind": "s3", "bucket": "plain", "versioning": False, "object_lock": False},
        },
        "principals": {"clerk": {"grants": {"bookings": "owner"}}},
    }
)
TABLES = ("payments", "reservations")


@dataclass
class Estate:
    """The servers, and what tests do with them."""

    replica: PostgresReplica
    bookings: Endpoint
    setting: Setting
    parts: list[str] = field(default_factory=list)
    vessels: list[Vessel] = field(default_factory=list)

    def book(self, first: int, count: int) -> None:
        """Insert ``count`` reservations, each with a payment; keys count from ``first``."""
        script = """
            INSERT INTO reservations (id, car, price)
                SELECT n, md5(n::text), 1 + n % 100
                FROM generate_series(:first::bigint, :last::bigint) AS n;
            INSERT INTO payments (id, reservation)
                SELECT n, n FROM generate_series(:first::bigint, :last::bigint) AS n;
        """
        self.replica.execute(self.bookings, script, {"first": first, "last": first + count - 1})

    def count(self, endpoint: Endpoint | None = None) -> int:
        """How many reservations there are."""
        rows = self.replica.query(endpoint or self.bookings, "SELECT count(*) FROM reservations", {})
        return int(str(rows[0][0]))

    def empty(self) -> None:
        """Take every row away."""
        self.replica.execute(self.bookings, "TRUNCATE reservations, payments", {})

    def vessel(self) -> Vessel:
        """A fresh place to restore into."""
        name = f"restore-{len(self.vessels)}"
        directory = self.setting.sandbox.root / name
        lease = Lease(
            run_id=self.setting.sandbox.run_id,
            service=f"bookings@{name}",
            kind="postgres",
            directory=directory,
        )
        self.vessels.append(self.replica.vessel(lease, self.bookings, self.setting, replace=False))
        return self.vessels[-1]

    def mark(self, part: str) -> None:
        """Told by a restore when its next part begins."""
        self.parts.append(part)

    def client(self, service: str) -> Any:
        """The operator's client of one of the buckets."""
        endpoint = self.setting.peers[service]
        return open_client(endpoint, endpoint.credentials[OPERATOR])

    def bucket(self, service: str) -> str:
        """Its name."""
        return self.setting.peers[service].name

    def same_content(self, endpoint: Endpoint) -> bool:
        """Whether a restored server holds exactly what the service holds now."""
        there, here = (self.replica.fingerprint(e, TABLES) for e in (endpoint, self.bookings))
        return there == here


@pytest.fixture(scope="module")
def servers(sandbox: Sandbox) -> Iterator[Estate]:
    folder = sandbox.root / "scenario"
    folder.mkdir()
    (folder / "schema.sql").write_text(SCHEMA)
    replica, store = PostgresReplica(), S3Replica()
    setting = Setting(STACK, folder, sandbox, SystemClock(), {})

    def lease(service: str, kind: str) -> Lease:
        return Lease(run_id=sandbox.run_id, service=service, kind=kind, directory=sandbox.root / service)

    leases = [lease("vault", "s3"), lease("plain", "s3"), lease("bookings", "postgres")]
    try:
        peers = {each.service: store.provision(each, setting) for each in leases[:2]}
        setting = replace(setting, peers=peers)
        bookings = replica.provision(leases[2], setting)
        yield Estate(replica, bookings, replace(setting, peers={**peers, "bookings": bookings}))
    finally:
        for each in leases:
            (replica if each.kind == "postgres" else store).destroy(each)


@pytest.fixture
def estate(servers: Estate) -> Iterator[Estate]:
    """The servers, with empty tables; what a test restores is discarded after it."""
    servers.empty()
    servers.parts.clear()
    yield servers
    while servers.vessels:
        servers.vessels.pop().discard()


@pytest.fixture
def no_leftovers(sandbox: Sandbox) -> Callable[[], set[Path]]:
    """Names what lies in the run's directory, to be compared before and after."""
    return lambda: set(sandbox.root.rglob("*"))
