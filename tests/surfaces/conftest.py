"""A PostgreSQL replica that the tests of one module share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness.clock import SystemClock
from harness.facts import Endpoint, Lease
from harness.replicas.postgres import PostgresReplica
from harness.sandbox import Sandbox
from harness.scenario.models import Stack
from harness.seams.drivers import Setting

STACK = {
    "services": {"shop": {"kind": "postgres", "environment": "production", "fsync": False}},
    "principals": {
        "owner": {"grants": {"shop": "owner"}},
        "clerk": {"grants": {"shop": "writer"}},
        "reader": {"grants": {"shop": "reader"}},
        "stranger": {},
    },
}


@pytest.fixture(scope="module")
def shop(sandbox: Sandbox) -> Iterator[Endpoint]:
    """A database ``shop`` in the environment ``production``, with an owner and a reader."""
    setting = Setting(Stack.model_validate(STACK), sandbox.root, sandbox, SystemClock(), {})
    lease = Lease(run_id=sandbox.run_id, service="shop", kind="postgres", directory=sandbox.root / "shop")
    replica = PostgresReplica()
    try:
        yield replica.provision(lease, setting)
    finally:
        replica.destroy(lease)
