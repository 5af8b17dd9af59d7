"""A fresh replica that a backup is restored into."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.errors import DatabaseError, ProvisionError, RestoreError
from harness.facts import OPERATOR, Endpoint, Lease
from harness.replicas.leases import reap
from harness.replicas.placement import spread_out
from harness.replicas.postgres.cluster import clone_cluster, set_up
from harness.replicas.postgres.provisioning import DATA
from harness.replicas.postgres.roles import grants_on
from harness.replicas.postgres.server import PortTakenError, Server, ServerExitedError
from harness.replicas.running import Running
from harness.seams.drivers import Setting
from harness.seams.postgres_tools import connection_environment

STANDBY = "standby.signal"
SET_ASIDE = "postgresql.auto.conf.restored"


@dataclass
class PostgresVessel:
    """A data directory, and the server that is started on what a restore puts there.

    Attributes:
        lease: of the new replica.
        like: the endpoint whose database, roles and passwords it takes on.
        setting: what it is provisioned into.
        fsync: as in the service it stands in for.
        choose_port: gives a port for each try; ``like``'s own when it takes its place.
    """

    lease: Lease
    like: Endpoint
    setting: Setting
    fsync: bool
    choose_port: Callable[[], int]
    _process: Running | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.lease.directory.mkdir(parents=True, exist_ok=True)
        self.lease.directory.chmod(0o711)
        spread_out(self.lease.directory)
        self.directory.mkdir(mode=0o700, exist_ok=True)
        self.setting.sandbox.give(self.directory)

    @property
    def directory(self) -> Path:
        """Where a physical restore puts its data."""
        return self.lease.directory / DATA

    def start(self, settings: Mapping[str, str] | None = None, *, timeout: float = 600.0) -> Endpoint:
        """Start a server on what lies in ``directory``; on a prepared, empty cluster if nothing does.

        Settings that the restored files bring along do not count: the server gets the same settings as
        every replica, and ``settings`` on top.

        Args:
            settings: server settings on top of the usual ones.
            timeout: seconds until it must answer queries, replay included.

        Raises:
            RestoreError: the server does not start from what lies there.
            ProvisionError: the disk is full, or the port is taken: no fault of what lies there.
        """
        return self._serve(settings or {}, timeout, {}, following=False)

    def follow(self, source: Endpoint, settings: Mapping[str, str], *, timeout: float = 600.0) -> Endpoint:
        """Start a standby on what lies in ``directory``, which is a base backup of ``source``.

        Args:
            source: the server that it receives its log from, as its operator.
            settings: server settings on top of the usual ones.
            timeout: seconds until it must answer queries.

        Raises:
            RestoreError, ProvisionError: as for ``start``.
        """
        (self.directory / STANDBY).touch()
        address, environment = self.primary(source)
        from_there = {"primary_conninfo": address, "hot_standby": "on"}
        return self._serve({**from_there, **settings}, timeout, environment, following=True)

    def primary(self, source: Endpoint) -> tuple[str, Mapping[str, str]]:
        """How a standby reaches its source, and the variables that its process needs for that.

        The password lies in one of them, which only its own account may read.
        """
        operator = source.credentials[OPERATOR].name
        return f"host={source.host} port={source.port} user={operator}", connection_environment(source)

    def _serve(
        self, settings: Mapping[str, str], timeout: float, environment: Mapping[str, str], *, following: bool
    ) -> Endpoint:
        self._lay_out()
        server = self.server()
        place = replace(self.like, lease=self.lease, path=self.directory)
        try:
            serving = server.serve(
                place,
                self.choose_port,
                settings,
                timeout=timeout,
                environment=environment,
                following=following,
            )
        except PortTakenError as error:
            raise ProvisionError(
                f"port {error.port} for {self.lease.service} is taken by another program",
                hint="run the drill again",
            ) from error
        except (ServerExitedError, DatabaseError) as error:
            raise RestoreError(
                f"no server starts for {self.lease.service} from what was restored: {error}",
                hint="the copy is incomplete, damaged, or not of this service; an older one may do",
            ) from error
        self._process = serving.process
        return serving.endpoint

    def server(self) -> Server:
        """The server that is to run on what lies there."""
        sandbox, clock = self.setting.sandbox, self.setting.clock
        return Server(self.lease, self.directory, self.fsync, sandbox, clock)

    def fill(self) -> None:
        """Have an empty cluster there, with the database, roles and passwords of ``like``."""
        sandbox = self.setting.sandbox
        clone_cluster(sandbox, self.directory)
        grants = grants_on(self.setting.stack, self.like.service)
        set_up(sandbox, self.directory, self.like.name, self.like.credentials, grants)

    def discard(self) -> None:
        """Stop it and remove everything. Idempotent."""
        reap(self.lease)
        if self._process is not None:
            self._process.poll()

    def _lay_out(self) -> None:
        sandbox = self.setting.sandbox
        if any(self.directory.iterdir()):
            self._clear_of_its_past()
            sandbox.give(self.directory)
            self.directory.chmod(0o700)
            return
        self.fill()

    def _clear_of_its_past(self) -> None:
        """Take away what tied the copy to the server that it was taken from.

        A lock file names a process that is not its own; settings made by ALTER SYSTEM can name commands,
        places and servers of the original; replication slots would keep WAL for readers that never come
        (PostgreSQL 18, section 25.3.5).
        """
        (self.directory / "postmaster.pid").unlink(missing_ok=True)
        with suppress(FileNotFoundError):
            os.replace(self.directory / "postgresql.auto.conf", self.directory / SET_ASIDE)  # noqa: PTH105
        slots = self.directory / "pg_replslot"
        for slot in slots.iterdir() if slots.is_dir() else ():
            shutil.rmtree(slot)
