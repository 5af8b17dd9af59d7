"""Restoring a gigabyte with each backup tool: by the harness, and by hand with the same programs.

By hand is what somebody types who has the keys: the store is read to a file or through a pipe, PostgreSQL's
own programs do the rest, and it is over when the server takes queries. Both ways end at a server of the same
settings, and logical ones begin at an empty server that is not counted. The ways take turns.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from harness.backups.delayed_replica import DelayedReplicaTool
from harness.backups.restic import ResticTool
from harness.clock import SystemClock
from harness.contracts.bench import Bench, temporary_sandbox
from harness.facts import OPERATOR, Endpoint, RecoveryPoint
from harness.replicas.postgres.programs import server_programs
from harness.sandbox import LOOPBACK, free_port
from harness.scenario.models import Stack
from harness.seams.drivers import BackupTool, Vessel
from harness.seams.postgres_client import connect
from harness.seams.postgres_tools import binary, connection_environment, connection_options
from harness.seams.s3_client import open_client

ROUNDS = 3
ALLOWED = 1.10
ROWS = 3_400_000
"""Of 300 bytes each: a gigabyte."""

LATER = 100_000
"""Rows that come after the base backups, to be replayed."""

LONG = timedelta(days=3650)
READ_BYTES = 1 << 20
SCHEMA = "CREATE TABLE things (id bigint PRIMARY KEY, note text NOT NULL, written_at timestamptz NOT NULL);\n"
FILL = """
    INSERT INTO things
    SELECT n, md5(n::text) || md5((n + 1)::text) || md5((n + 2)::text) || md5((n + 3)::text)
           || md5((n + 4)::text) || md5((n + 5)::text) || md5((n + 6)::text) || md5((n + 7)::text), now()
    FROM generate_series((:first)::bigint, (:last)::bigint) AS n
"""
STACK = Stack.model_validate(
    {
        "services": {
            "shop": {
                "kind": "postgres",
                "schema": "schema.sql",
                "tables": {"things": {"key": "id", "time": "written_at"}},
            },
            "vault": {"kind": "s3", "bucket": "vault", "versioning": False, "object_lock": False},
        },
        "protections": {
            "dump": {"tool": "pg_dump", "of": "shop", "to": "vault", "every": "1d", "keep": 1},
            "restic": {"tool": "restic", "of": "shop", "to": "vault", "every": "1d", "keep": 1},
            "postgres-pitr": {"tool": "postgres-pitr", "of": "shop", "to": "vault"},
            "delayed-replica": {"tool": "delayed-replica", "of": "shop", "delay": "1d"},
        },
    }
)
HBA = f"host all all {LOOPBACK}/32 scram-sha-256\n"


@dataclass
class Watch:
    """Seconds of each part of a restore, as the tool tells them.

    Attributes:
        now: the time.
        parts: by name.
    """

    now: Callable[[], float]
    parts: dict[str, float] = field(default_factory=dict)
    _part: str = ""
    _since: float = 0.0

    def __call__(self, part: str) -> None:
        now = self.now()
        if self._part:
            self.parts[self._part] = self.parts.get(self._part, 0.0) + now - self._since
        self._part, self._since = part, now


class Workshop:
    """A gigabyte in a server, and every way to bring it back.

    Args:
        bench: with the stack.
    """

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.source = bench.provision("shop")
        self.database = bench.database("shop")
        self._clock = bench.clock
        self.database.execute(self.source, FILL, {"first": 1, "last": ROWS})
        self.tools: dict[str, BackupTool] = {}
        self.points: dict[str, RecoveryPoint] = {}
        for name in STACK.protections:
            tool = bench.tool(name)
            self.points[name] = tool.take(tool.due(self._clock.stamp().wall, LONG)[-1])
            self.tools[name] = tool
        self.database.execute(self.source, FILL, {"first": ROWS + 1, "last": ROWS + LATER})
        for name, tool in self.tools.items():
            tool.start()
            tool.stop()
            self.points[name] = tool.points()[0]

    def now(self) -> float:
        """Seconds of the monotonic clock."""
        return self._clock.stamp().mono

    def by_harness(self, name: str) -> dict[str, float]:
        """Parts of a restore by the tool; bringing up an empty server is none of the tool's."""
        watch = Watch(self.now)
        with self._place() as vessel:
            endpoint = self.tools[name].restore(self.points[name], vessel, watch)
            watch("")
            self._check(endpoint, name)
        watch.parts.pop("provision", None)
        return watch.parts

    def by_hand(self, name: str) -> dict[str, float]:
        """The same with nothing but the programs."""
        ways = {
            "dump": self._load_dump,
            "restic": self._load_snapshot,
            "postgres-pitr": self._replay_archive,
            "delayed-replica": self._open_standby,
        }
        with self._place() as vessel:
            return {"restore": ways[name](vessel)}

    def _load_dump(self, vessel: Vessel) -> float:
        endpoint = vessel.start()
        began = self.now()
        dump = vessel.lease.directory / "by-hand.dump"
        self._download(self.points["dump"].location.partition("@")[0], dump)
        command = [binary("pg_restore"), *connection_options(endpoint), "--exit-on-error"]
        self._run([*command, "--single-transaction", f"--dbname={endpoint.name}", dump], endpoint)
        taken = self.now() - began
        self._check(endpoint, "dump")
        return taken

    def _load_snapshot(self, vessel: Vessel) -> float:
        endpoint, tool = vessel.start(), self.tools["restic"]
        assert isinstance(tool, ResticTool)
        began = self.now()
        dump = f"restic dump {self.points['restic'].location} /shop.dump"
        load = " ".join(map(str, [binary("pg_restore"), *connection_options(endpoint)]))
        line = f"{dump} | {load} --exit-on-error --single-transaction --dbname={endpoint.name}"
        self._run(["sh", "-c", line], endpoint, tool._environment())
        taken = self.now() - began
        self._check(endpoint, "restic")
        return taken

    def _replay_archive(self, vessel: Vessel) -> float:
        began = self.now()
        prefix = self.points["postgres-pitr"].location
        for name, into in (("base.tar.gz", vessel.directory), ("pg_wal.tar.gz", vessel.directory / "pg_wal")):
            archive = vessel.lease.directory / name
            self._download(f"{prefix}{name}", archive)
            self._run(["tar", "--extract", "--gzip", f"--file={archive}", f"--directory={into}"])
            archive.unlink()
        log = vessel.lease.directory / "by-hand-wal"
        log.mkdir()
        for key in self._keys("postgres-pitr/wal/"):
            segment, _, span = key.removeprefix("postgres-pitr/wal/").partition("/")
            content = self._client().get_object(Bucket="vault", Key=key)["Body"].read()
            path = log / segment
            with path.open("r+b" if path.exists() else "xb") as file:
                file.truncate(1 << 20)
                file.seek(int(span.partition("-")[0], 16))
                file.write(content)
        (vessel.directory / "recovery.signal").touch()
        endpoint = self._serve(vessel, {"restore_command": f"cp {log}/%f %p"})
        taken = self.now() - began
        self._check(endpoint, "postgres-pitr")
        return taken

    def _open_standby(self, vessel: Vessel) -> float:
        tool = self.tools["delayed-replica"]
        assert isinstance(tool, DelayedReplicaTool)
        data = self.bench.sandbox.root / self.points["delayed-replica"].location / "pgdata"
        began = self.now()
        self._run(["cp", "-a", f"{data}/.", vessel.directory])
        (vessel.directory / "standby.signal").unlink()
        (vessel.directory / "recovery.signal").touch()
        endpoint = self._serve(vessel, {"restore_command": "false"})
        taken = self.now() - began
        self._check(endpoint, "delayed-replica")
        return taken

    def _serve(self, vessel: Vessel, settings: dict[str, str]) -> Endpoint:
        """Start a server on what lies there, and wait until it has replayed all of it."""
        place, port = vessel.lease.directory, free_port()
        self.bench.sandbox.give(place)
        vessel.directory.chmod(0o700)
        (vessel.directory / "postmaster.pid").unlink(missing_ok=True)
        (place / "hba").write_text(HBA)
        (place / "hba").chmod(0o644)
        options = {
            **{"port": str(port), "listen_addresses": LOOPBACK, "unix_socket_directories": ""},
            **{"hba_file": f"{place}/hba", "config_file": os.devnull, "max_connections": "300"},
            **{"max_wal_size": "256MB", "recovery_target_action": "promote", **settings},
        }
        with server_programs(self.bench.sandbox) as programs:
            command: list[str | Path] = [programs / "postgres", "-D", vessel.directory]
            for name, value in options.items():
                command += ["-c", f"{name}={value}"]
            log = place / "by-hand.log"
            process = self.bench.sandbox.start(command, log=log, directory=place, drop=True)
        endpoint = replace(self.source, lease=vessel.lease, port=port, path=vessel.directory)
        while not self._is_open(endpoint):
            assert process.poll() is None, log.read_text()
            self._clock.sleep(0.01)
        return endpoint

    def _is_open(self, endpoint: Endpoint) -> bool:
        operator = endpoint.credentials[OPERATOR]
        try:
            with connect(endpoint.port, operator.name, operator.secret, endpoint.name) as connection:
                return connection.execute("SELECT pg_is_in_recovery()").fetchone() == (False,)
        except Exception:  # noqa: BLE001 - whatever it says until then, it is asked again
            return False

    def _check(self, endpoint: Endpoint, name: str) -> None:
        ((rows,),) = self.database.query(endpoint, "SELECT count(*) FROM things", {})
        logical = name in ("dump", "restic")
        assert rows == (ROWS if logical else ROWS + LATER), (name, rows)

    @contextmanager
    def _place(self) -> Iterator[Vessel]:
        vessel = self.bench.vessel(self.source)
        try:
            yield vessel
        finally:
            vessel.discard()
            shutil.rmtree(vessel.lease.directory, ignore_errors=True)

    def _client(self) -> Any:
        vault = self.bench.endpoints["vault"]
        return open_client(vault, vault.credentials[OPERATOR])

    def _keys(self, prefix: str) -> list[str]:
        pages = self._client().get_paginator("list_objects_v2").paginate(Bucket="vault", Prefix=prefix)
        return [item["Key"] for page in pages for item in page.get("Contents", ())]

    def _download(self, key: str, path: Path) -> None:
        body = self._client().get_object(Bucket="vault", Key=key)["Body"]
        with path.open("xb") as file:
            while chunk := body.read(READ_BYTES):
                file.write(chunk)

    def _run(
        self, command: list[str | Path], server: Endpoint | None = None, more: dict[str, str] | None = None
    ) -> None:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.bench.sandbox.root),
            **(connection_environment(server) if server else {}),
            **(more or {}),
        }
        subprocess.run([str(part) for part in command], env=environment, check=True, capture_output=True)


def main() -> None:
    """Print what each way takes, and what the harness adds."""
    with temporary_sandbox() as sandbox:
        bench = Bench(STACK, sandbox, {"schema.sql": SCHEMA})
        try:
            workshop = Workshop(bench)
            ((size,),) = workshop.database.query(
                workshop.source, "SELECT pg_database_size(current_database())", {}
            )
            print(
                f"restoring {int(str(size)) / 1e6:,.0f} MB ({ROUNDS} of each way, taking turns; best of each)"
            )
            for name in STACK.protections:
                _compare(workshop, name)
        finally:
            bench.close()


def _compare(workshop: Workshop, name: str) -> None:
    clock = SystemClock()
    hand, ours, own = [], [], []
    for number in range(ROUNDS * 2):
        # Each way is first in every other round: what comes second meets what the first leaves to be written.
        if number % 4 in (0, 3):
            hand.append(sum(workshop.by_hand(name).values()))
        else:
            cpu = clock.cpu()
            ours.append(workshop.by_harness(name))
            own.append(clock.cpu() - cpu)
    best = min(ours, key=lambda parts: sum(parts.values()))
    share = sum(best.values()) / min(hand)
    parts = ", ".join(f"{part} {seconds:.1f}" for part, seconds in best.items())
    print(
        f"  {name:<16}{min(hand):6.1f} s by hand {sum(best.values()):6.1f} s by the harness ({parts}),"
        f" its own processor time {min(own):.1f} s: {share - 1:+.1%},"
        f" {'within' if share <= ALLOWED else 'more than'} the {ALLOWED - 1:.0%} allowed",
        flush=True,
    )
