"""A small stack with one PostgreSQL service, and ways to speak to its replica as any principal."""

from __future__ import annotations

from collections.abc import Mapping

from harness.clock import SystemClock
from harness.facts import Endpoint, Lease
from harness.sandbox import Sandbox
from harness.scenario.models import Stack
from harness.seams.drivers import Setting
from harness.seams.postgres_client import Connection, connect

SCHEMA = """
CREATE TABLE reservations (
    id bigint PRIMARY KEY,
    customer text NOT NULL,
    price numeric(10, 2),
    booked_at timestamptz
);
INSERT INTO reservations
SELECT n, 'customer ' || n, n * 1.5, timestamptz '2026-01-01' + n * interval '1 minute'
FROM generate_series(1, 1000) AS n;
"""

GRANTS: Mapping[str, str | None] = {
    "staging-agent": "owner",
    "importer": "writer",
    "analyst": "reader",
    "stranger": None,
}


def stack(name: str = "bookings", **fields: object) -> Stack:
    """A stack with one service, which has these fields on top of the usual ones, and four principals."""
    service = {"kind": "postgres", "schema": "schema.sql", "environment": "production", **fields}
    principals = {
        principal: {"grants": {name: grant} if grant else {}} for principal, grant in GRANTS.items()
    }
    return Stack.model_validate({"services": {name: service}, "principals": principals})


def setting(
    sandbox: Sandbox, stack: Stack, *, schema: str = SCHEMA, peers: Mapping[str, Endpoint] | None = None
) -> Setting:
    """A setting in the sandbox, with the schema file that the stack names."""
    (sandbox.root / "schema.sql").write_text(schema)
    return Setting(stack, sandbox.root, sandbox, SystemClock(), peers or {})


def lease(sandbox: Sandbox, service: str, *, purpose: str = "") -> Lease:
    """A lease with a directory that exists, as a run makes it."""
    name = f"{service}@{purpose}" if purpose else service
    directory = sandbox.root / name
    directory.mkdir(mode=0o711)
    return Lease(run_id=sandbox.run_id, service=name, kind="postgres", directory=directory)


def login(endpoint: Endpoint, principal: str, *, database: str = "") -> Connection:
    """A connection with a principal's own credential."""
    credential = endpoint.credentials[principal]
    return connect(endpoint.port, credential.name, credential.secret, database or endpoint.name)
