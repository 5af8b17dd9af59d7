"""A disposable PostgreSQL server in a container."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.facts import OPERATOR, Endpoint, Lease
from harness.replicas.containers import engine
from harness.replicas.containers.engine import Recipe, declared_volumes
from harness.replicas.containers.postgres.cluster import user_of
from harness.replicas.containers.postgres.server import PORT, ContainerServer
from harness.replicas.postgres.provisioning import DATA, Provisioning, refuse_files
from harness.replicas.postgres.replica import PostgresReplica
from harness.replicas.postgres.roles import grants_on
from harness.replicas.postgres.vessel import PostgresVessel
from harness.replicas.spec import spec_of
from harness.scenario.models import PostgresService
from harness.seams.container_engine import NAMESPACE, host_name
from harness.seams.drivers import Setting, Vessel

IMAGE = f"{NAMESPACE}postgres"
PASSWORDS = "source.pgpass"
USUAL_VOLUME = "/var/lib/postgresql/data"


@dataclass
class ContainerPostgresReplica(PostgresReplica):
    """Replicas of kind ``postgres`` with provider ``docker``.

    Data lies on a named volume. The engine keeps it, unless the service lies on a control plane's volume:
    then it is that one's directory, at the same path inside, so that what is done to it there is done to the
    server.
    """

    def provision(self, lease: Lease, setting: Setting) -> Endpoint:
        """Bring up a server with the service's roles and database, and its schema or its data.

        Raises:
            ProvisionError: no place, no port, a grant that PostgreSQL does not take, an image that is none of
                PostgreSQL.
            ScenarioFileError: a schema that PostgreSQL does not take.
            DumpError: a backup file that brings nothing back.
            MissingToolError: no engine answers, or the image is not to be had.
        """
        spec = spec_of(setting.stack, lease.service, PostgresService)
        serving = ContainerProvisioning(lease, spec, setting, self.choose_port).run()
        self._processes[lease] = serving.process
        # What the engine keeps has no path on this machine that we may count on.
        elsewhere = spec.volume is None
        return replace(serving.endpoint, path=lease.directory) if elsewhere else serving.endpoint

    def destroy(self, lease: Lease) -> None:
        """Leave no container, volume, process or file. Idempotent; works from the lease alone.

        Raises:
            LeftoverError: the engine does not answer, or something cannot be removed.
        """
        engine.remove(lease)
        super().destroy(lease)

    def describe(self, endpoint: Endpoint) -> Mapping[str, str]:
        """As for the embedded server, and the image.

        Raises:
            DatabaseError: it does not answer.
        """
        return {**super().describe(endpoint), "image": engine.images_of(endpoint.lease)}

    def fence(self, endpoint: Endpoint) -> None:
        """Remove what is left of the container, so that it acknowledges nothing more. Idempotent.

        Its volume stays as it is.

        Raises:
            LeftoverError: the engine does not answer, or the container cannot be removed.
        """
        engine.stop(endpoint.lease)
        super().fence(endpoint)

    def vessel(self, lease: Lease, like: Endpoint, setting: Setting, *, replace: bool) -> Vessel:
        """A fresh replica for a restore; arguments as in ``harness.seams.drivers.Store``."""
        spec = spec_of(setting.stack, like.service, PostgresService)
        choose_port = (lambda: like.port) if replace else self.choose_port
        return ContainerVessel(lease, like, setting, spec.fsync, choose_port, spec.image or IMAGE, replace)


@dataclass(frozen=True)
class ContainerProvisioning(Provisioning):
    """The bringing up of one replica in a container."""

    @property
    def image(self) -> str:
        """What it runs."""
        return self.spec.image or IMAGE

    def data_directory(self) -> Path:
        """On the control plane's volume, or on one that the engine keeps: a path inside the container."""
        if self.spec.volume is not None:
            return super().data_directory()
        declared = declared_volumes(self.image)
        return Path(declared[0] if declared else USUAL_VOLUME) / DATA

    def lay_out(self, place: Endpoint) -> None:
        """Have the container do it before its server starts."""
        if self.spec.volume is not None:
            refuse_files(place.path)
        self.server(place).prepare(place, grants_on(self.setting.stack, self.lease.service))

    def server(self, place: Endpoint) -> ContainerServer:
        """The server that is to run on it."""
        return ContainerServer(
            self.lease,
            place.path,
            self.spec.fsync,
            self.setting.sandbox,
            self.setting.clock,
            image=self.image,
            volume=place.path.parent,
            kept_here=self.spec.volume is not None,
            aliases=(host_name(self.lease),),
            environment=self.spec.environment,
        )

    def start_over(self, place: Endpoint) -> None:
        """Have the image make its cluster anew, and forget the copy."""
        self.server(place).cluster.discard()
        engine.remove(self.lease)
        if self.spec.volume is not None:
            shutil.rmtree(place.path, ignore_errors=True)


@dataclass
class ContainerVessel(PostgresVessel):
    """A data directory of this machine, and the container that is started on what a restore puts there.

    Attributes:
        image: of the service it stands in for, and so of the same release.
        replaces: it takes the place of that service, which is gone.
    """

    image: str
    replaces: bool

    def release(self) -> int:
        """The major release of its server."""
        return self.server().cluster.release()

    def call(self, command: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
        """Run one of the image's own programs to its end, where it sees the lease's directory."""
        home, arguments = str(self.lease.directory), tuple(str(part) for part in command)
        recipe = Recipe(
            image=self.image,
            entrypoint=arguments[:1],
            command=arguments[1:],
            mounts={home: home},
            memory_mounts=declared_volumes(self.image),
            user=user_of(self.setting.sandbox),
            isolated=True,
        )
        code, said = engine.run_alone(self.lease, recipe)
        return subprocess.CompletedProcess(arguments, code, said, said)

    def server(self) -> ContainerServer:
        """The server that is to run on what lies there."""
        return ContainerServer(
            self.lease,
            self.directory,
            self.fsync,
            self.setting.sandbox,
            self.setting.clock,
            image=self.image,
            volume=self.directory,
            kept_here=True,
            aliases=(host_name(self.lease), *([self.like.service] if self.replaces else [])),
            environment=self.like.environment,
        )

    def primary(self, source: Endpoint) -> tuple[str, Mapping[str, str]]:
        """As for the embedded server, but through the run's network, and with the password in a file."""
        operator = source.credentials[OPERATOR]
        passwords = self.lease.directory / PASSWORDS
        passwords.touch(mode=0o600)
        passwords.write_text(f"*:*:*:{operator.name}:{operator.secret.reveal()}\n", encoding="utf-8")
        self.setting.sandbox.give(passwords)
        place = f"host={host_name(source.lease)} port={PORT} user={operator.name}"
        return f"{place} passfile={passwords} sslmode=disable gssencmode=disable", {}

    def fill(self) -> None:
        """Have the container lay out an empty cluster before its server starts."""
        self.server().prepare(self.like, grants_on(self.setting.stack, self.like.service))

    def discard(self) -> None:
        """Remove container, volume and files. Idempotent."""
        engine.remove(self.lease)
        super().discard()
