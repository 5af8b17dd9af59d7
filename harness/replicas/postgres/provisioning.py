"""Brings up the replica of a service: its data directory, its server, its schema."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.errors import DatabaseError, ProvisionError, ScenarioFileError, StatementError
from harness.facts import Endpoint, Lease
from harness.replicas.leases import note_place
from harness.replicas.placement import spread_out
from harness.replicas.postgres.cluster import ClusterRefusedError, clone_cluster, discard_cluster, set_up
from harness.replicas.postgres.hydration import hydrate
from harness.replicas.postgres.roles import OWNER, database_name, grants_on, mint_credentials
from harness.replicas.postgres.server import PORT_TRIES, PortTakenError, Server, ServerExitedError, Serving
from harness.replicas.postgres.session import session
from harness.replicas.postgres.statement_log import PREFIX
from harness.sandbox import LOOPBACK
from harness.scenario.models import PgBackRest, PostgresService
from harness.seams.drivers import Setting

DATA = "pgdata"
START_SECONDS = 60.0
WITHOUT_ENVIRONMENTS = ("aws", "volume")
"""Kinds of service whose volumes stand there once."""


@dataclass(frozen=True)
class Provisioning:
    """Brings up one replica: a server with the service's roles and database, and its schema or its data.

    Attributes:
        lease: of the replica.
        spec: the service as the stack has it.
        setting: what it is provisioned into.
        choose_port: gives a port for each try.
    """

    lease: Lease
    spec: PostgresService
    setting: Setting
    choose_port: Callable[[], int]

    def run(self) -> Serving:
        """Do it.

        Raises:
            ProvisionError: no place, no port, a grant that PostgreSQL does not take.
            ScenarioFileError: a schema that PostgreSQL does not take.
            DumpError: a backup file that brings nothing back.
            MissingToolError: what the server is started from is not installed.
        """
        lease, spec = self.lease, self.spec
        lease.directory.mkdir(parents=True, exist_ok=True)
        lease.directory.chmod(0o711)
        place = Endpoint(
            lease=lease,
            kind=spec.kind,
            host=LOOPBACK,
            port=0,
            name=database_name(lease.service),
            environment=spec.environment,
            path=self.data_directory(),
            credentials=mint_credentials(grants_on(self.setting.stack, lease.service)),
        )
        serving = self._bring_up(place)
        if spec.schema_ is not None:
            create_schema(serving.endpoint, self.setting.folder / spec.schema_)
        if spec.data is not None:
            dump = (self.setting.folder / spec.data.dump).absolute()
            hydrate(serving.endpoint, dump, self.setting.sandbox, self.setting.clock)
        return serving

    def data_directory(self) -> Path:
        """Where the data goes; the directory around it is there then."""
        if self.spec.volume is None:
            data = self.lease.directory / DATA
        else:
            data = self._volume(self.spec.volume) / DATA
            note_place(self.lease, data)
            if not data.parent.exists():
                # A folder of a tree of files: the server's own, so that it can make its data directory.
                data.parent.mkdir(parents=True)
                self.setting.sandbox.give(data.parent)
        spread_out(data.parent)
        return data

    def lay_out(self, place: Endpoint) -> None:
        """Have an empty cluster in the data directory, with the service's database, roles and passwords."""
        refuse_files(place.path)
        clone_cluster(self.setting.sandbox, place.path)
        set_up(self.setting.sandbox, place.path, place.name, place.credentials, self._grants)

    def server(self, place: Endpoint) -> Server:
        """The server that is to run on it."""
        return Server(place.lease, place.path, self.spec.fsync, self.setting.sandbox, self.setting.clock)

    def start_over(self, place: Endpoint) -> None:
        """No server starts from the copy: little can be wrong with it but what it was copied from."""
        discard_cluster(self.setting.sandbox)
        shutil.rmtree(place.path)

    @property
    def _settings(self) -> Mapping[str, str]:
        """A server can only be told before it starts that it will archive; how, is up to the tool.

        Statements are logged as the stack says, and not by what stands in for the server after a recovery.
        """
        archives = any(
            isinstance(protection, PgBackRest) and protection.of == self.lease.service
            for protection in self.setting.stack.protections.values()
        )
        logs = self.spec.log_statement != "none"
        return {
            **({"archive_mode": "on"} if archives else {}),
            **({"log_statement": self.spec.log_statement, "log_line_prefix": PREFIX} if logs else {}),
        }

    @property
    def _grants(self) -> Mapping[str, str]:
        return grants_on(self.setting.stack, self.lease.service)

    def _volume(self, name: str) -> Path:
        """In the replica of the service that has it.

        A volume of a Railway is ``<volumes>/<environment>/<volume>``, an RDS instance
        ``<instances>/<identifier>``, and in a tree of files it is one of its folders.
        """
        plane, _, volume = name.partition("/")
        peer = self.setting.peers.get(plane)
        if peer is not None and peer.kind in WITHOUT_ENVIRONMENTS:
            return peer.path / volume
        if peer is None or not volume or self.spec.environment is None:
            raise ProvisionError(
                f"{self.lease.service} cannot lie on the volume {name!r} in the environment"
                f" {self.spec.environment}",
                hint="`volume` is <railway service>/<volume>, and the service needs an `environment`",
            )
        return peer.path / self.spec.environment / volume

    def _bring_up(self, place: Endpoint) -> Serving:
        try:
            return self._serve(place)
        except ClusterRefusedError:
            self.start_over(place)
        return self._serve(place)

    def _serve(self, place: Endpoint) -> Serving:
        self.lay_out(place)
        try:
            return self.server(place).serve(place, self.choose_port, self._settings, timeout=START_SECONDS)
        except PortTakenError as error:
            raise ProvisionError(
                f"{PORT_TRIES} ports in a row, {error.port} the last, "
                f"were taken before {place.service} had them",
                hint="something takes every free port on this machine; end it and run the drill again",
            ) from error
        except ServerExitedError as error:
            raise ClusterRefusedError(
                f"the server of {place.service} does not start: {error}",
                hint="see what its log says; `ninelives doctor` checks the machine",
            ) from error
        except DatabaseError as error:
            raise ProvisionError(error.message, hint=error.hint) from error


def refuse_files(data: Path) -> None:
    """Raises ProvisionError when something lies in a data directory already."""
    if data.exists() and any(data.iterdir()):
        raise ProvisionError(
            f"there are files in {data} already", hint="end the run they belong to: `ninelives sweep`"
        )


def create_schema(endpoint: Endpoint, file: Path) -> None:
    """Run the schema file as the group that owns the data, so that its members can drop what it makes.

    Raises:
        ProvisionError: the file cannot be read, or the server does not answer.
        ScenarioFileError: PostgreSQL does not take it.
    """
    try:
        script = file.read_text(encoding="utf-8")
        with session(endpoint) as connection:
            connection.execute(f"SET ROLE {OWNER}")
            connection.execute(script)
    except StatementError as error:
        line = f":{error.line}" if error.line else ""
        raise ScenarioFileError(
            f"{file}{line}: the database refuses the schema of {endpoint.service}: {error.reason}",
            hint="it must be plain SQL that the owner of a database may run; no psql commands",
        ) from error
    except (OSError, UnicodeDecodeError, DatabaseError) as error:
        message = error.message if isinstance(error, DatabaseError) else error
        raise ProvisionError(
            f"the schema {file} of {endpoint.service} cannot be created: {message}",
            hint="it must be plain SQL that the owner of a database may run; no psql commands",
        ) from error
