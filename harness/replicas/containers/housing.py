"""A server in a container, on a volume that is named after its lease: what those of several kinds have alike.

The engine keeps the volume of a service, so that it goes when somebody removes it there. That of a vessel is
a directory of this machine, into which a restore puts files. Either way the server runs as the account that
embedded servers run as.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from harness.errors import ProvisionError
from harness.facts import Endpoint, Lease
from harness.replicas.containers import engine
from harness.replicas.containers.engine import (
    PortTakenError,
    Recipe,
    Started,
    declared_volumes,
    make_volume,
    run_alone,
    start,
    volumes_of,
)
from harness.replicas.containers.postgres.cluster import user_of
from harness.replicas.serving import FilesReplica, FilesVessel
from harness.sandbox import Sandbox
from harness.seams.container_engine import host_name
from harness.seams.drivers import Setting, Vessel

ROLE = "data"
INSIDE = Path("/ninelives/data")
"""Where the volume of a service is mounted: a path that no image has anything at."""

DISK = "/ninelives/disk"
SCRIPT = """\
set -e
exec >>"$LOG" 2>&1
until [ -w "$DATA" ]; do sleep 0.05; done
"""
"""What a container begins with in place of its entry point: its volume is handed over once it runs."""

COPY = f"""\
cd {DISK}
for found in $1; do
    if [ -e "$found" ]; then cp -R -p "$found" "$2"; fi
done
"""


@dataclass(frozen=True)
class StandIn:
    """What the server of a vessel is that one of a service is not.

    Attributes:
        service: whose name it takes over in the run's network; empty for none.
    """

    service: str


@dataclass(frozen=True)
class Housing:
    """A container for one server.

    Attributes:
        lease: whose it is.
        image: with the server.
        environment: of the stack, that it stands in.
        sandbox: of the run.
        data: what the server finds its data in: the same path inside and on this machine, or one inside.
        kept_here: it is a directory of this machine; otherwise the engine keeps it.
        replaces: the service whose name it takes over in the run's network; empty for none.
    """

    lease: Lease
    image: str
    environment: str | None
    sandbox: Sandbox
    data: Path
    kept_here: bool
    replaces: str

    def start(
        self,
        script: str,
        arguments: tuple[str, ...],
        ports: Mapping[int, int],
        log: Path,
        more: Mapping[str, str],
        mounts: Mapping[str, str],
    ) -> Started | None:
        """Start a server; None when somebody else has its port.

        Args:
            script: what runs after ``SCRIPT``, given the arguments.
            arguments: of the server.
            ports: by port inside, the port on loopback.
            log: file in the lease's directory that it writes to.
            more: variables besides ``DATA`` and ``LOG``; whoever may ask the engine can read them.
            mounts: besides the volume and the lease's directory, as in ``Recipe``.

        Raises:
            ProvisionError: it cannot be started.
            MissingToolError: no engine answers, or the image is not to be had.
        """
        log.touch()
        self.sandbox.give(log)
        at = self.data if self.kept_here else None
        volume = make_volume(self.lease, ROLE, at, environment=self.environment)
        home = str(self.lease.directory)
        recipe = Recipe(
            image=self.image,
            entrypoint=("/bin/sh", "-c", SCRIPT + script, "start"),
            command=arguments,
            environment={**more, "DATA": str(self.data), "LOG": str(log)},
            mounts={home: home, volume: str(self.data), **mounts},
            memory_mounts=declared_volumes(self.image),
            ports=ports,
            user=user_of(self.sandbox),
            aliases=(host_name(self.lease), *([self.replaces] if self.replaces else [])),
            environment_of_stack=self.environment,
        )
        try:
            container = start(self.lease, recipe)
        except PortTakenError:
            return None
        if not self.kept_here:
            self._hand_over(container)
        return container

    def _hand_over(self, container: Started) -> None:
        """Make the volume its account's, which is none that the image knows of."""
        code, said = container.run("chown", user_of(self.sandbox), str(self.data), user="0:0")
        if code != 0:
            raise ProvisionError(
                f"the volume of {self.lease.marker} cannot be handed to its server: {said.strip()}",
                hint=f"the image {self.image} needs `sh` and `chown`",
            )


@dataclass
class HousedReplica(FilesReplica):
    """Replicas with provider ``docker``; a class names it before the embedded driver of its kind.

    Attributes:
        stand_in: it serves a vessel, whose data lie in a directory of this machine.
    """

    stand_in: StandIn | None = None

    def image(self, setting: Setting, service: str) -> str:
        """The image of a service: the stack's, or the usual one of its kind."""
        raise NotImplementedError

    def house(self, place: Endpoint, setting: Setting) -> Housing:
        """The container for a server.

        Args:
            place: where it is to answer; a vessel's path is its data.
            setting: what it is provisioned into.
        """
        return Housing(
            lease=place.lease,
            image=self.image(setting, place.service),
            environment=place.environment,
            sandbox=setting.sandbox,
            data=place.path if self.stand_in else INSIDE,
            kept_here=self.stand_in is not None,
            replaces=self.stand_in.service if self.stand_in else "",
        )

    def describe(self, endpoint: Endpoint) -> Mapping[str, str]:
        """As for the embedded server, and the image.

        Raises:
            DatabaseError: it does not answer.
        """
        return {**super().describe(endpoint), "image": engine.images_of(endpoint.lease)}

    def destroy(self, lease: Lease) -> None:
        """Leave no container, volume or file. Idempotent; works from the lease alone.

        Raises:
            LeftoverError: the engine does not answer, or something cannot be removed.
        """
        engine.remove(lease)
        super().destroy(lease)

    def fence(self, endpoint: Endpoint) -> None:
        """Remove what is left of the container; its volume stays as it is. Idempotent.

        Raises:
            LeftoverError: the engine does not answer, or the container cannot be removed.
        """
        engine.stop(endpoint.lease)
        super().fence(endpoint)

    def vessel(self, lease: Lease, like: Endpoint, setting: Setting, *, replace: bool) -> Vessel:
        """A fresh replica for a restore; arguments as in ``harness.seams.drivers.Store``."""
        made = super().vessel(lease, like, setting, replace=replace)
        assert isinstance(made, FilesVessel)
        replica = dataclasses.replace(self, stand_in=StandIn(like.service if replace else ""))
        return dataclasses.replace(made, replica=replica)

    def read_disk(self, endpoint: Endpoint, pattern: str, into: Path, setting: Setting) -> None:
        """Copy files of a server; see ``harness.seams.drivers.DiskReader``."""
        read_volume(endpoint.lease, self.image(setting, endpoint.service), setting.sandbox, pattern, into)


def read_volume(lease: Lease, image: str, sandbox: Sandbox, pattern: str, into: Path) -> None:
    """Copy files out of the volume of a lease, whether its server runs or not; nothing if it is gone.

    Args:
        lease: whose volume it is.
        image: any that has ``cp``.
        sandbox: of the run.
        pattern: of names in the volume, as a shell reads it.
        into: directory inside the run's own.

    Raises:
        ProvisionError: the engine refuses, or not all of it can be copied.
    """
    if f"{host_name(lease)}-{ROLE}" not in volumes_of(lease):
        return
    sandbox.give(into)
    # Under a lease of its own: were it refused, the engine's refusal would cost the server too.
    reader = lease.model_copy(update={"service": f"{lease.service}@reader-{token_hex(3)}"})
    recipe = Recipe(
        image=image,
        entrypoint=("/bin/sh", "-c", COPY, "copy"),
        command=(pattern, str(into)),
        mounts={make_volume(lease, ROLE): f"{DISK}:ro", str(into): str(into)},
        memory_mounts=declared_volumes(image),
        user=user_of(sandbox),
        isolated=True,
    )
    code, said = run_alone(reader, recipe)
    if code != 0:
        raise ProvisionError(
            f"the volume of {lease.marker} cannot be read: {said.strip()}", hint="is there room on the disk?"
        )
