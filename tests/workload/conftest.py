"""A database to write to, and a workload that is always stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.clock import SystemClock
from harness.facts import Endpoint, Lease
from harness.replicas.postgres import PostgresReplica
from harness.sandbox import Sandbox
from harness.scenario.models import Stack
from harness.seams.drivers import Setting
from harness.workload.process import Workload

SCHEMA = """
CREATE TABLE bookings (
    id uuid PRIMARY KEY,
    seats integer NOT NULL CHECK (seats > 0),
    price numeric(10, 2),
    note text,
    distance double precision,
    extras jsonb,
    stamp bigint,
    booked_at timestamptz NOT NULL DEFAULT now(),
    doubled integer GENERATED ALWAYS AS (seats * 2) STORED,
    tripled integer GENERATED ALWAYS AS (seats * 3) VIRTUAL
);
CREATE TABLE payments (
    id uuid PRIMARY KEY,
    booking_id uuid NOT NULL REFERENCES bookings DEFERRABLE INITIALLY DEFERRED,
    paid_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE counters ("the key" text PRIMARY KEY, n integer NOT NULL, counted_at timestamptz DEFAULT now());

CREATE FUNCTION change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.note := upper(NEW.note);
    RETURN NEW;
END $$;
CREATE TRIGGER change BEFORE INSERT OR UPDATE ON bookings FOR EACH ROW EXECUTE FUNCTION change();

CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_terminate_backend(pg_backend_pid());
    PERFORM pg_sleep(5);
    RETURN NEW;
END $$;
CREATE TABLE dies_at_once (id uuid PRIMARY KEY);
CREATE TRIGGER die BEFORE INSERT ON dies_at_once FOR EACH ROW EXECUTE FUNCTION die();
CREATE TABLE dies_at_commit (id uuid PRIMARY KEY);
CREATE CONSTRAINT TRIGGER die AFTER INSERT ON dies_at_commit
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION die();
"""
ODD_SESSIONS = """
ALTER ROLE application SET TimeZone TO 'Asia/Tokyo';
ALTER ROLE application SET DateStyle TO 'German';
ALTER ROLE application SET extra_float_digits TO 0;
"""
"""Settings under which a row's text, and so its hash, would be another."""

KEYS = {
    "bookings": "id",
    "payments": "id",
    "counters": "the key",
    "dies_at_once": "id",
    "dies_at_commit": "id",
}
TIMES = {"bookings": "booked_at", "payments": "paid_at", "counters": "counted_at"}
POSTGRES = {"kind": "postgres", "schema": "schema.sql", "fsync": True}
STACK = Stack.model_validate({"services": {"bookings": POSTGRES, "own": POSTGRES}})
HEAD = """
from datetime import UTC, datetime
from locust import task
from harness.workload import LedgerUser
"""


@pytest.fixture(scope="module")
def setting(sandbox: Sandbox) -> Setting:
    folder = sandbox.root / "stack"
    folder.mkdir()
    (folder / "schema.sql").write_text(SCHEMA)
    return Setting(STACK, folder, sandbox, SystemClock(), {})


@pytest.fixture(scope="module")
def replica() -> PostgresReplica:
    return PostgresReplica()


@pytest.fixture(scope="module")
def shared(sandbox: Sandbox, setting: Setting, replica: PostgresReplica) -> Iterator[Endpoint]:
    lease = Lease(
        run_id=sandbox.run_id, service="bookings", kind="postgres", directory=sandbox.root / "bookings"
    )
    try:
        endpoint = replica.provision(lease, setting)
        replica.execute(endpoint, ODD_SESSIONS, {})
        yield endpoint
    finally:
        replica.destroy(lease)


@pytest.fixture
def database(shared: Endpoint, replica: PostgresReplica) -> Endpoint:
    """A database whose tables are empty."""
    replica.execute(shared, f"TRUNCATE {', '.join(KEYS)}", {})
    return shared


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "ledger.jsonl"


Make = Callable[..., Workload]


@pytest.fixture
def make(sandbox: Sandbox, tmp_path: Path, ledger: Path) -> Iterator[Make]:
    """Makes a workload of the users in a text; ``HEAD`` comes first."""
    made: list[Workload] = []

    def make(
        endpoint: Endpoint,
        users_as_text: str,
        *,
        users: int = 4,
        rate: float = 100,
        stores: tuple[Endpoint, ...] = (),
        ledger: Path = ledger,
        seed: int = 0,
    ) -> Workload:
        locustfile = tmp_path / "users.py"
        locustfile.write_text(HEAD + users_as_text)
        workload = Workload(
            sandbox=sandbox,
            locustfile=locustfile,
            endpoint=endpoint,
            stores=stores,
            keys=KEYS,
            ledger=ledger,
            users=users,
            rate=rate,
            seed=seed,
        )
        made.append(workload)
        workload.start()
        return workload

    yield make
    for workload in made:
        workload.stop()
