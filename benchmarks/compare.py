"""Comparing a restored table with its source: inside the servers, and by ``pg_dump | sha256sum``.

Both ways compare the same two tables of a million reservations, in the same run, taking turns; each way
gets its best time of five. The dumps are made both at once and one after the other, and the faster counts.
Five rows are made to differ: the harness names them, a checksum can only say that there are some.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from math import inf
from pathlib import Path
from secrets import token_hex
from tempfile import gettempdir, mkdtemp

from benchmarks.interruption import in_order
from harness.clock import SystemClock
from harness.facts import OPERATOR, Endpoint, Lease
from harness.replicas.postgres import PostgresReplica, differing_rows
from harness.sandbox import Sandbox, unprivileged_account
from harness.scenario.models import Stack
from harness.seams.drivers import Setting
from harness.seams.postgres_tools import binary

ROWS = 1_000_000
ROUNDS = 5
STACK = Stack.model_validate({"services": {"bookings": {"kind": "postgres", "fsync": False}}})
LOAD = """
CREATE TABLE reservations (
    id             uuid PRIMARY KEY,
    vehicle_id     integer,
    customer_name  text,
    customer_email text NOT NULL,
    pickup_on      date NOT NULL,
    return_on      date NOT NULL,
    status         text NOT NULL,
    total          numeric(10, 2) NOT NULL,
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL
);
INSERT INTO reservations
SELECT md5(n::text)::uuid, n % 200, 'Customer ' || n, 'customer' || n || '@example.com',
       date '2026-01-01' + n % 90, date '2026-01-03' + n % 90, 'confirmed', 49 + n % 900,
       timestamptz '2026-01-01' + n * interval '7 seconds',
       timestamptz '2026-01-01' + n * interval '8 seconds'
FROM generate_series(1, :rows) AS n;
ANALYZE reservations;
"""
DAMAGE = """
DELETE FROM reservations WHERE id IN (md5('17')::uuid, md5('500000')::uuid, md5('999999')::uuid);
UPDATE reservations SET total = total + 0.01 WHERE id IN (md5('4711')::uuid, md5('640000')::uuid);
"""
DIFFERING = 5
TRACKED = ("reservations", "id", "updated_at")

REPLICA = PostgresReplica()


@contextmanager
def sandbox() -> Iterator[Sandbox]:
    """A run's place that is gone afterwards, and a cache that stays."""
    place = Path(gettempdir())
    root = Path(mkdtemp(prefix="ninelives-bench-", dir=place))
    root.chmod(0o711)
    cache = place / "ninelives-bench-cache"
    cache.mkdir(exist_ok=True)
    try:
        yield Sandbox(f"bench-{token_hex(4)}", root, cache, unprivileged_account())
    finally:
        shutil.rmtree(root)


@contextmanager
def source_and_restored(sandbox: Sandbox) -> Iterator[tuple[Endpoint, Endpoint]]:
    """A database, and the one that its base backup was restored into, with five rows damaged."""
    setting = Setting(STACK, sandbox.root, sandbox, SystemClock(), {})
    held = [
        Lease(run_id=sandbox.run_id, service=name, kind="postgres", directory=sandbox.root / name)
        for name in ("bookings", "bookings@restored")
    ]
    try:
        source = REPLICA.provision(held[0], setting)
        REPLICA.execute(source, LOAD, {"rows": ROWS})
        vessel = REPLICA.vessel(held[1], source, setting, replace=False)
        _restore(sandbox, source, vessel.directory)
        restored = vessel.start()
        REPLICA.execute(restored, DAMAGE, {})
        yield source, restored
    finally:
        for lease in held:
            REPLICA.destroy(lease)


def _restore(sandbox: Sandbox, source: Endpoint, directory: Path) -> None:
    _tool(sandbox, source, "pg_basebackup", "--pgdata", str(directory), "--checkpoint=fast", "--no-sync")


def dump_and_sum(sandbox: Sandbox, endpoint: Endpoint) -> str:
    """``pg_dump | sha256sum``, with the table's data in plain text."""
    options = (endpoint.name, "--data-only", "--table=reservations")
    command = " | ".join((_shell(endpoint, "pg_dump", *options), "sha256sum"))
    ran = sandbox.call(["sh", "-c", command], environment=_environment(endpoint))
    assert ran.returncode == 0, ran.stderr
    return ran.stdout[:64]


def _tool(sandbox: Sandbox, endpoint: Endpoint, tool: str, *options: str) -> None:
    ran = sandbox.call(["sh", "-c", _shell(endpoint, tool, *options)], environment=_environment(endpoint))
    assert ran.returncode == 0, ran.stderr


def _shell(endpoint: Endpoint, tool: str, *options: str) -> str:
    address = f"--host={endpoint.host} --port={endpoint.port} --username={OPERATOR}"
    return f"{binary(tool)} {address} {' '.join(options)}"


def _environment(endpoint: Endpoint) -> dict[str, str]:
    return {"PGPASSWORD": endpoint.credentials[OPERATOR].secret.reveal()}


def best_of_each(ways: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Seconds of the fastest round of each way; they take turns, so that each meets the same machine."""
    clock = SystemClock()
    seconds: dict[str, float] = {}
    for way, action in list(ways.items()) * ROUNDS:
        began = clock.stamp()
        action()
        seconds[way] = min(clock.stamp().since(began), seconds.get(way, inf))
    return seconds


def main() -> None:
    """Print how long each way takes, and how they compare."""
    with sandbox() as place, source_and_restored(place) as pair:
        assert len(list(differing_rows(*pair, *TRACKED))) == DIFFERING

        def sums_in_turn() -> None:
            assert dump_and_sum(place, pair[0]) != dump_and_sum(place, pair[1])

        def sums_at_once() -> None:
            with ThreadPoolExecutor(2) as pool:
                assert len(set(pool.map(lambda endpoint: dump_and_sum(place, endpoint), pair))) == 2

        seconds = best_of_each(
            {
                "dumps in turn": sums_in_turn,
                "dumps at once": sums_at_once,
                "fingerprints": lambda: [REPLICA.fingerprint(side, ["reservations"]) for side in pair],
                "differing rows": lambda: list(differing_rows(*pair, *TRACKED)),
            }
        )
    dumped = min(seconds.pop("dumps in turn"), seconds.pop("dumps at once"))
    print(f"comparing a restored table of {ROWS:,} rows with its source (best of {ROUNDS})")
    for way, taken in {"pg_dump | sha256sum": dumped, **seconds}.items():
        print(f"  {way:<20}{taken:6.2f} s {ROWS / taken / 1e6:6.2f} M rows/s {dumped / taken:6.1f} x")
    print(
        f"  The differing rows are named, all {DIFFERING} of them; the others only say that there are some."
    )


if __name__ == "__main__":
    sys.exit(in_order(main))
