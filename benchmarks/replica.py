"""A PostgreSQL replica from the prepared cluster, and one from ``initdb``.

Both end where the operator gets an answer with a password minted for it. The replica has every role of its
stack besides, and its files lie on the same disk in the same way.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from statistics import median
from tempfile import gettempdir, mkdtemp

import psycopg

from benchmarks.interruption import in_order
from harness.clock import SystemClock
from harness.facts import OPERATOR, Lease, Secret
from harness.replicas.leases import reap, stop
from harness.replicas.placement import spread_out
from harness.replicas.postgres import PostgresReplica
from harness.replicas.postgres.programs import server_programs
from harness.sandbox import LOOPBACK, Sandbox, free_port, unprivileged_account
from harness.scenario.models import Stack
from harness.seams.drivers import Setting
from harness.seams.postgres_client import connect

ROUNDS = 7
TARGET = 0.3
STACK = Stack.model_validate({"services": {"bookings": {"kind": "postgres"}}})


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


def from_the_cluster(lease: Lease, sandbox: Sandbox) -> None:
    """As a drill does it."""
    PostgresReplica().provision(lease, Setting(STACK, sandbox.root, sandbox, SystemClock(), {}))


def from_initdb(lease: Lease, sandbox: Sandbox) -> None:
    """As one does it by hand: a password file, ``initdb``, a server on loopback, and an answer."""
    data, port, password = lease.directory / "pgdata", free_port(), Secret.mint()
    lease.directory.mkdir()
    spread_out(lease.directory)
    data.mkdir(mode=0o700)
    word = lease.directory / "password"
    word.write_text(password.reveal())
    sandbox.give(lease.directory)
    with server_programs(sandbox) as programs:
        made = sandbox.call(
            [
                programs / "initdb",
                *("--pgdata", data, "--username", OPERATOR, "--pwfile", word),
                *("--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync"),
            ],
            drop=True,
        )
        assert made.returncode == 0, made.stderr
        settings = {"listen_addresses": LOOPBACK, "port": str(port), "unix_socket_directories": ""}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        sandbox.start(
            [programs / "postgres", "-D", data, *options],
            log=lease.directory / "postgres.log",
            directory=lease.directory,
            drop=True,
        )
    while not _answers(port, password):
        SystemClock().sleep(0.01)


def _answers(port: int, password: Secret) -> bool:
    try:
        connect(port, OPERATOR, password, "postgres").close()
    except psycopg.OperationalError:
        return False
    return True


def main() -> None:
    """Print how long each way takes, and how they compare."""
    with sandbox() as place:
        leases: list[Lease] = []

        def timed(way: Callable[[Lease, Sandbox], None]) -> float:
            name = f"bookings{len(leases)}"
            leases.append(
                Lease(run_id=place.run_id, service="bookings", kind="postgres", directory=place.root / name)
            )
            clock = SystemClock()
            began = clock.stamp()
            way(leases[-1], place)
            taken = clock.stamp().since(began)
            stop(leases[-1])
            return taken

        try:
            first = timed(from_the_cluster)
            pairs = [(timed(from_the_cluster), timed(from_initdb)) for _ in range(ROUNDS)]
        finally:
            for lease in leases:
                reap(lease)
    ours, theirs = ([pair[side] for pair in pairs] for side in (0, 1))
    print(f"a PostgreSQL replica that answers ({ROUNDS} of each way, taking turns)")
    for what, seconds in (("prepared cluster", ours), ("initdb and start", theirs)):
        print(f"  {what:<20}{min(seconds):6.3f} s best {median(seconds):6.3f} s median")
    print(f"  {min(theirs) / min(ours):.1f} times faster; at most {TARGET} s asked for")
    print(f"  the first one, which finds or makes the cluster: {first:.3f} s")


if __name__ == "__main__":
    sys.exit(in_order(main))
