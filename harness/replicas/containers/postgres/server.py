"""A PostgreSQL server in a container, on a volume that is named after its lease."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from harness.facts import OPERATOR, Endpoint
from harness.replicas.containers import engine
from harness.replicas.containers.engine import Recipe, Started, declared_volumes, make_volume, start
from harness.replicas.containers.postgres.cluster import ImageCluster, user_of
from harness.replicas.postgres.cluster import SINGLE_USER_OPTIONS
from harness.replicas.postgres.roles import MAINTENANCE_DATABASE, setup_statements
from harness.replicas.postgres.server import PortTakenError, Server
from harness.replicas.running import Running

PORT = 5432
PREPARED = "/ninelives/prepared"
ACCOUNTS_FILE = "accounts"
SETUP_FILE = "setup.sql"
ROLE = "data"
POLL_SECONDS = 0.01

HBA = f"""\
# Passwords only; from this machine, and from the other services of the run.
host all all samenet scram-sha-256
host replication {OPERATOR} samenet scram-sha-256
"""

SCRIPT = f"""\
set -e
exec >>"$LOG" 2>&1
if [ -s "$SETUP" ]; then
    mkdir -p "$PGDATA"
    cp -a {PREPARED}/. "$PGDATA"
    chmod 700 "$PGDATA"
    postgres {shlex.join(SINGLE_USER_OPTIONS)} -D "$PGDATA" {MAINTENANCE_DATABASE} <"$SETUP"
    : >"$SETUP"
fi
exec postgres "$@"
"""
"""What the container runs in place of its entry point, which would wait for a cluster of its own making."""


@dataclass(frozen=True)
class ContainerServer(Server):
    """A server in a container.

    Attributes:
        image: with a server and the contract of the official image.
        volume: the directory that is mounted and in which ``data`` lies: the same path inside and on this
            machine, or one inside alone.
        kept_here: it is a directory of this machine; otherwise the engine keeps it.
        aliases: what it is called in the run's network.
        environment: of the stack, that it stands in.
    """

    image: str
    volume: Path
    kept_here: bool
    aliases: tuple[str, ...]
    environment: str | None

    @property
    def cluster(self) -> ImageCluster:
        """The empty cluster of the image."""
        return ImageCluster(self.image, self.lease, self.sandbox, self.clock)

    @property
    def hba(self) -> str:
        """Whom it admits."""
        return HBA

    def place_settings(self, port: int) -> Mapping[str, str]:
        """It listens on the run's network; its port is published on loopback only."""
        del port
        return {"port": str(PORT), "listen_addresses": "*"}

    def prepare(self, place: Endpoint, grants: Mapping[str, str]) -> None:
        """Have an empty cluster laid out before the server starts, with roles and passwords.

        Args:
            place: has the name of the database, and the credentials.
            grants: the group role of each principal.
        """
        statements = setup_statements(place.name, place.credentials, grants)
        self._setup.touch(mode=0o600)
        self._setup.write_text("".join(f"{statement};\n" for statement in statements), encoding="utf-8")
        self.sandbox.give(self._setup)

    def launch(
        self, arguments: tuple[str, ...], port: int, environment: Mapping[str, str], *, runs_commands: bool
    ) -> Running:
        """Start the container. Whether the port is free shows at once.

        Args:
            arguments, port: as for the embedded server.
            environment: variables that whoever may ask the engine can read.
            runs_commands: of no matter, since it runs none but the image's.

        Raises:
            PortTakenError: somebody else has the port.
            ProvisionError: it cannot be started.
        """
        del runs_commands
        self.log.touch()
        self.sandbox.give(self.log)
        at = self.volume if self.kept_here else None
        kept = make_volume(self.lease, ROLE, at, environment=self.environment)
        home, user = self.lease.directory, user_of(self.sandbox)
        accounts = home / ACCOUNTS_FILE
        accounts.write_text(f"postgres:x:{user}:PostgreSQL:/:/bin/sh\n", encoding="utf-8")
        accounts.chmod(0o644)
        recipe = Recipe(
            image=self.image,
            entrypoint=("/bin/sh", "-c", SCRIPT, "start"),
            command=arguments,
            environment={
                **environment,
                "LOG": str(self.log),
                "SETUP": str(self._setup),
                "PGDATA": str(self.data),
            },
            mounts={
                str(home): str(home),
                kept: str(self.volume),
                # A server that runs alone, to get its roles, wants its account to have a name.
                str(accounts): "/etc/passwd:ro",
            },
            memory_mounts=tuple(
                path for path in declared_volumes(self.image) if not self.volume.is_relative_to(path)
            ),
            ports={PORT: port},
            aliases=self.aliases,
            environment_of_stack=self.environment,
            user=user,
        )
        try:
            with self._laying_out() as mounts:
                recipe = replace(recipe, mounts={**recipe.mounts, **mounts})
                return self._laid_out(start(self.lease, recipe))
        except engine.PortTakenError as error:
            raise PortTakenError(port) from error

    @contextmanager
    def _laying_out(self) -> Iterator[Mapping[str, str]]:
        """What the container needs to lay out a cluster, held still meanwhile; nothing if it has none to."""
        if not self._is_to_lay_out():
            yield {}
            return
        with self.cluster.held() as prepared:
            yield {str(prepared): f"{PREPARED}:ro"}

    def _laid_out(self, container: Started) -> Started:
        while self._is_to_lay_out() and container.poll() is None:
            self.clock.sleep(POLL_SECONDS)
        return container

    def _is_to_lay_out(self) -> bool:
        return self._setup.is_file() and self._setup.stat().st_size > 0

    @property
    def _setup(self) -> Path:
        return self.lease.directory / SETUP_FILE
