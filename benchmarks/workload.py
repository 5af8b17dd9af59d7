"""How many writes a workload gets acknowledged, with the ledger complete, side by side with none at all.

Three rounds in one run, on one server with durable commits: a plain psycopg client that writes one row a
transaction over as many connections; the workload at a steady rate; the workload as fast as it goes. After
each round of the workload, ledger and database are compared row by row, hashes included.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from tempfile import gettempdir, mkdtemp
from uuid import uuid4

import psutil

from benchmarks.interruption import in_order
from harness.clock import SystemClock
from harness.facts import APPLICATION, Endpoint, Lease
from harness.journal.ledger import read_ledger
from harness.replicas.postgres import PostgresReplica
from harness.sandbox import Sandbox, unprivileged_account
from harness.scenario.models import Stack
from harness.seams.drivers import Setting
from harness.seams.postgres_client import connect
from harness.workload.process import Workload

PACED = 500
USERS = 10
FLAT_OUT = 100_000
SECONDS = 5.0
SCHEMA = """
CREATE TABLE bookings (
    id uuid PRIMARY KEY,
    seats integer NOT NULL CHECK (seats > 0),
    booked_at timestamptz NOT NULL DEFAULT now()
);
"""
LOCUSTFILE = """
from datetime import UTC, datetime
from locust import task
from harness.workload import LedgerUser

class Customer(LedgerUser):
    @task
    def book(self):
        with self.transaction() as tx:
            tx.insert("bookings", self.key(), seats=self.random.randint(1, 5), booked_at=datetime.now(UTC))
"""
STACK = Stack.model_validate(
    {"services": {"bookings": {"kind": "postgres", "schema": "schema.sql", "fsync": True}}}
)
CLOCK = SystemClock()
REPLICA = PostgresReplica()


@dataclass(frozen=True)
class Result:
    """What one round of the workload came to.

    Attributes:
        rate: acknowledged transactions a second.
        latency: median milliseconds from just before the commit to its acknowledgement.
        cpu: share of one processor that the child used.
        missing: rows that ledger and database do not hold alike.
    """

    rate: float
    latency: float
    cpu: float
    missing: int


@contextmanager
def bookings() -> Iterator[tuple[Endpoint, Sandbox]]:
    """A database with durable commits."""
    root = Path(mkdtemp(prefix="ninelives-bench-"))
    root.chmod(0o711)
    cache = Path(gettempdir()) / "ninelives-bench-cache"
    cache.mkdir(exist_ok=True)
    sandbox = Sandbox(f"bench-{token_hex(4)}", root, cache, unprivileged_account())
    (root / "schema.sql").write_text(SCHEMA)
    (root / "users.py").write_text(LOCUSTFILE)
    lease = Lease(run_id=sandbox.run_id, service="bookings", kind="postgres", directory=root / "bookings")
    try:
        yield REPLICA.provision(lease, Setting(STACK, root, sandbox, CLOCK, {})), sandbox
    finally:
        REPLICA.destroy(lease)
        shutil.rmtree(root)


def bare(endpoint: Endpoint) -> float:
    """Acknowledged transactions a second of a client that keeps no ledger."""
    began = CLOCK.stamp()

    def write() -> int:
        application, count = endpoint.credentials[APPLICATION], 0
        with connect(endpoint.port, application.name, application.secret, endpoint.name) as connection:
            while CLOCK.stamp().since(began) < SECONDS:
                connection.execute("INSERT INTO bookings (id, seats) VALUES (%s, 1)", (uuid4(),))
                count += 1
        return count

    with ThreadPoolExecutor(USERS) as pool:
        counts = [pool.submit(write) for _ in range(USERS)]
    return sum(count.result() for count in counts) / SECONDS


def play(endpoint: Endpoint, sandbox: Sandbox, rate: float) -> Result:
    """One round of the workload."""
    REPLICA.execute(endpoint, "TRUNCATE bookings", {})
    ledger = sandbox.root / f"ledger-{rate:g}.jsonl"
    workload = Workload(
        sandbox=sandbox,
        locustfile=sandbox.root / "users.py",
        endpoint=endpoint,
        stores=(),
        keys={"bookings": "id"},
        ledger=ledger,
        users=USERS,
        rate=rate,
        seed=int(rate),
    )
    try:
        workload.start()
        workload.go()
        child = psutil.Process(workload.pid)
        cpu, began = sum(child.cpu_times()[:2]), CLOCK.stamp().mono
        CLOCK.sleep(SECONDS)
        cpu, ended = sum(child.cpu_times()[:2]) - cpu, CLOCK.stamp().mono
    finally:
        exit_code = workload.stop()
    assert exit_code == 0, workload.last_words()
    calls = tuple(read_ledger(ledger).acknowledged())
    waits = sorted(call.ended - call.sent for call in calls)
    noted = {(write.key, write.hash) for call in calls for write in call.writes}
    stored = {(row.key, row.hash) for row in REPLICA.rows(endpoint, "bookings", "id", "booked_at")}
    return Result(
        rate=sum(began <= call.ended < ended for call in calls) / (ended - began),
        latency=waits[len(waits) // 2] * 1000,
        cpu=cpu / (ended - began),
        missing=len(noted ^ stored),
    )


def main() -> None:
    """Print the rates and the rows that are missing."""
    with bookings() as (endpoint, sandbox):
        without = bare(endpoint)
        print(f"no ledger, {USERS} connections:  {without:7.0f} acknowledged writes/s")
        for name, rate in ((f"workload at {PACED}/s", PACED), ("workload flat out", FLAT_OUT)):
            result = play(endpoint, sandbox, rate)
            print(
                f"{name + ':':28}{result.rate:7.0f} acknowledged writes/s, {result.missing} missing,"
                f" commit {result.latency:.1f} ms, {result.cpu:.0%} of a processor,"
                f" {result.rate / without:.2f} x no ledger"
            )


if __name__ == "__main__":
    sys.exit(in_order(main))
