"""PostgreSQL's copies by hand: its own programs do the work, and it is over when the server takes queries."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from harness.facts import OPERATOR, Endpoint
from harness.replicas.postgres.programs import server_programs
from harness.sandbox import LOOPBACK, free_port
from harness.seams.drivers import Vessel
from harness.seams.postgres_client import connect
from harness.seams.postgres_tools import binary, connection_environment, connection_options
from harness.seams.scripts import script_environment

from .case import COPIES, VAULT, Case

ROWS_A_MEGABYTE = 2_800
"""With their index; a row has 300 bytes."""

LATER_SHARE = 34
"""One row in so many comes after a base backup, to be replayed."""

SCHEMA = "CREATE TABLE things (id bigint PRIMARY KEY, note text NOT NULL, written_at timestamptz NOT NULL);\n"
FILL = """
    INSERT INTO things
    SELECT n, md5(n::text) || md5((n + 1)::text) || md5((n + 2)::text) || md5((n + 3)::text)
           || md5((n + 4)::text) || md5((n + 5)::text) || md5((n + 6)::text) || md5((n + 7)::text), now()
    FROM generate_series((:first)::bigint, (:last)::bigint) AS n
"""
SHOP = {"kind": "postgres", "schema": "schema.sql", "tables": {"things": {"key": "id", "time": "written_at"}}}
HBA = f"host all all {LOOPBACK}/32 scram-sha-256\n"
DATA = "pgdata"
"""The folder of a disk that a server keeps its files in."""

DAILY = {"every": "1d", "keep": 1}


class PostgresCase(Case):
    """What is alike in copies of PostgreSQL."""

    services = {"shop": SHOP, "vault": VAULT}
    files = {"schema.sql": SCHEMA}

    @property
    def rows(self) -> int:
        return self.megabytes * ROWS_A_MEGABYTE

    def fill(self) -> None:
        self.bench.database("shop").execute(self.source, FILL, {"first": 1, "last": self.rows})

    def count(self, endpoint: Endpoint) -> int:
        ((found,),) = self.bench.database("shop").query(endpoint, "SELECT count(*) FROM things", {})
        return int(str(found))

    def loader(self, endpoint: Endpoint) -> list[str]:
        """``pg_restore``, as one transaction."""
        options = ["--exit-on-error", "--single-transaction", f"--dbname={endpoint.name}"]
        return [str(binary("pg_restore")), *map(str, connection_options(endpoint)), *options]


class PhysicalCase(PostgresCase):
    """What is alike in copies of its files, which a log follows."""

    empty = False

    def fill_after(self) -> None:
        last = self.rows + self.rows // LATER_SHARE
        self.bench.database("shop").execute(self.source, FILL, {"first": self.rows + 1, "last": last})

    def serve(self, vessel: Vessel, settings: Mapping[str, str]) -> Endpoint:
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
            command = [programs / "postgres", "-D", vessel.directory]
            told = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
            log = place / "by-hand.log"
            process = self.bench.sandbox.start([*command, *told], log=log, directory=place, drop=True)
        endpoint = replace(self.source, lease=vessel.lease, port=port, path=vessel.directory)
        while not _is_open(endpoint):
            assert process.poll() is None, log.read_text()
            self.pause()
        return endpoint


class PgDump(PostgresCase):
    """A dump is downloaded and loaded."""

    protection = {"tool": "pg_dump", "to": "vault", **DAILY}

    def load(self, endpoint: Endpoint) -> None:
        dump = endpoint.lease.directory / "by-hand.dump"
        self.download(self.point.location.partition("@")[0], dump)
        self.run([*self.loader(endpoint), dump], connection_environment(endpoint))


class Restic(PostgresCase):
    """``restic dump`` is piped into ``pg_restore``; it keeps its cache, as it does for whoever types that."""

    protection = {"tool": "restic", "to": "vault", **DAILY}

    def load(self, endpoint: Endpoint) -> None:
        line = f"restic dump {self.point.location} /shop.dump | {' '.join(self.loader(endpoint))}"
        environment = {**connection_environment(endpoint), **self.tool._environment()}
        self.run(["sh", "-c", line], environment)


class Command(PostgresCase):
    """The same script as the harness runs."""

    services = {"shop": SHOP, "vault": VAULT}
    protection = {
        **{"tool": "command", "to": "vault", **DAILY},
        **{"backup": "backup.sh", "list": "list.sh", "restore": "restore.sh"},
    }
    files = {
        "schema.sql": SCHEMA,
        "backup.sh": '#!/bin/sh -e\npg_dump --format=custom --file="$(dirname "$0")/only.dump" '
        '"$PGDATABASE"\n'
        'echo "$NINELIVES_AT" > "$(dirname "$0")/taken"\n',
        "list.sh": '#!/bin/sh -e\n[ -f "$(dirname "$0")/taken" ] || exit 0\n'
        'printf \'{"id": "only", "taken": "%s"}\\n\' "$(cat "$(dirname "$0")/taken")"\n',
        "restore.sh": '#!/bin/sh -e\npg_restore --exit-on-error --single-transaction --dbname="$PGDATABASE" '
        '"$(dirname "$0")/$NINELIVES_ID.dump"\n',
    }

    def load(self, endpoint: Endpoint) -> None:
        programs = f"{binary('pg_restore').parent}{os.pathsep}{os.environ['PATH']}"
        told = script_environment(endpoint, self.bench.endpoints)
        environment = {**told, "PATH": programs, "NINELIVES_ID": "only"}
        self.run([self.bench.folder / "restore.sh"], environment)


class PostgresPitr(PhysicalCase):
    """``tar`` unpacks the base backup, and the log is laid beside it."""

    protection = {"tool": "postgres-pitr", "to": "vault"}

    def lay_out(self, vessel: Vessel) -> Endpoint:
        prefix = self.point.location
        for name, into in (("base.tar.gz", vessel.directory), ("pg_wal.tar.gz", vessel.directory / "pg_wal")):
            archive = vessel.lease.directory / name
            self.download(f"{prefix}{name}", archive)
            self.run(["tar", "--extract", "--gzip", f"--file={archive}", f"--directory={into}"])
            archive.unlink()
        log = vessel.lease.directory / "by-hand-wal"
        log.mkdir()
        for key in self.keys(f"{COPIES}/wal/"):
            segment, _, span = key.removeprefix(f"{COPIES}/wal/").partition("/")
            content = self.client().get_object(Bucket="vault", Key=key)["Body"].read()
            path = log / segment
            with path.open("r+b" if path.exists() else "xb") as file:
                file.truncate(1 << 20)
                file.seek(int(span.partition("-")[0], 16))
                file.write(content)
        (vessel.directory / "recovery.signal").touch()
        return self.serve(vessel, {"restore_command": f"cp {log}/%f %p"})


class PgBackRest(PhysicalCase):
    """``pgbackrest restore``, and a server that fetches the log with it."""

    protection = {"tool": "pgbackrest", "to": "vault"}

    def lay_out(self, vessel: Vessel) -> Endpoint:
        with self.tool._configured(vessel.lease.directory) as configuration:
            program = [*self.tool._program.command(configuration), f"--pg1-path={vessel.directory}"]
            self.run([*program, f"--set={self.point.location}", "restore"])
            return self.serve(vessel, {"restore_command": f'{" ".join(program)} archive-get %f "%p"'})


class DelayedReplica(PhysicalCase):
    """The files of the standby are copied and opened."""

    services = {"shop": SHOP}
    protection = {"tool": "delayed-replica", "delay": "1d"}

    def lay_out(self, vessel: Vessel) -> Endpoint:
        data = self.bench.sandbox.root / self.point.location / "pgdata"
        self.run(["cp", "-a", f"{data}/.", vessel.directory])
        (vessel.directory / "standby.signal").unlink()
        (vessel.directory / "recovery.signal").touch()
        return self.serve(vessel, {"restore_command": "false"})


class DiskCase(PhysicalCase):
    """What is alike in copies of the disk that a server lies on: a person copies one to a new disk.

    Attributes:
        shelf: where the provider has its copies, below its own directory; ``*`` for any name.
    """

    shelf: ClassVar[str]

    def fill_after(self) -> None:
        """No log follows such a copy."""

    def lay_out(self, vessel: Vessel) -> Endpoint:
        (copy,) = self.bench.endpoints["cloud"].path.glob(self.shelf)
        self.run(["cp", "-a", "--reflink=auto", f"{copy}/{DATA}/.", vessel.directory])
        return self.serve(vessel, {})


class RailwayVolumeBackup(DiskCase):
    """A backup of the volume is copied."""

    services = {
        "shop": {**SHOP, "environment": "production", "volume": "cloud/data"},
        "cloud": {"kind": "railway", "project": "shop", "environments": ["production"]},
    }
    protection = {"tool": "railway-volume-backup", "schedule": ["daily"]}
    shelf = ".backups/*/*"


class RdsSnapshots(DiskCase):
    """A snapshot of the instance is copied."""

    services = {"shop": {**SHOP, "volume": "cloud/shop"}, "cloud": {"kind": "aws"}}
    protection: ClassVar[Mapping[str, Any]] = {"tool": "rds-snapshots", "kind": "manual"}
    shelf = ".copies/*"


class EbsSnapshots(DiskCase):
    """A snapshot of the volume is copied."""

    services = {
        "shop": {**SHOP, "volume": "cloud/shop"},
        "cloud": {"kind": "aws", "volumes": ["shop"]},
    }
    protection = {"tool": "ebs-snapshots"}
    shelf = ".copies/*"


class AwsBackup(DiskCase):
    """A recovery point is copied."""

    services = {
        "shop": {**SHOP, "volume": "cloud/shop"},
        "cloud": {"kind": "aws", "vaults": {"kept": {}}},
    }
    protection = {"tool": "aws-backup", "vault": "kept"}
    shelf = ".copies/*"


def _is_open(endpoint: Endpoint) -> bool:
    operator = endpoint.credentials[OPERATOR]
    try:
        with connect(endpoint.port, operator.name, operator.secret, endpoint.name) as connection:
            return connection.execute("SELECT pg_is_in_recovery()").fetchone() == (False,)
    except Exception:  # noqa: BLE001 - whatever it says until then, it is asked again
        return False
