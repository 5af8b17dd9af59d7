"""MariaDB in a container, of any image that has the programs of the official one.

The image's ``mariadb-install-db`` makes one empty data directory, once for a machine and image. A container
copies it and gives it accounts before its server begins to listen.
"""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from harness.errors import ProvisionError
from harness.facts import Endpoint, Lease
from harness.replicas.cache import prepared
from harness.replicas.containers.engine import Recipe, declared_volumes, image_id, run_alone
from harness.replicas.containers.housing import HousedReplica, Housing
from harness.replicas.containers.postgres.cluster import user_of
from harness.replicas.mariadb.replica import MariadbReplica
from harness.replicas.mariadb.server import FORGET, SMALL, Server
from harness.replicas.running import Running
from harness.replicas.spec import spec_of
from harness.scenario.models import MariadbService
from harness.seams.container_engine import NAMESPACE
from harness.seams.drivers import Setting

IMAGE = f"{NAMESPACE}mariadb"
PORT = 3306
PREPARED = "/ninelives/prepared"
SETUP_FILE = "setup.sql"
POLL_SECONDS = 0.01
LAST_LINES = 8
BOOTSTRAP = f"mariadbd --no-defaults --bootstrap --skip-networking {shlex.join(SMALL)}"

INSTALL = f"""\
set -e
mariadb-install-db --no-defaults --datadir="$1" --auth-root-authentication-method=normal --skip-test-db \
    --skip-name-resolve {shlex.join(SMALL)}
printf '%s;\\n' {shlex.join(FORGET)} | {BOOTSTRAP} --datadir="$1"
"""

SCRIPT = f"""\
if [ -s "$SETUP" ]; then
    cp -a {PREPARED}/. "$DATA"
    {BOOTSTRAP} --datadir="$DATA" <"$SETUP"
    : >"$SETUP"
fi
exec mariadbd "$@"
"""


@dataclass
class ContainerMariadbReplica(HousedReplica, MariadbReplica):
    """Replicas of kind ``mariadb`` with provider ``docker``; data lie on a volume of the engine."""

    def image(self, setting: Setting, service: str) -> str:
        """The image of a service: the stack's, or one with the usual server."""
        return spec_of(setting.stack, service, MariadbService).image or IMAGE

    def provision(self, lease: Lease, setting: Setting) -> Endpoint:
        """Bring up a server with the service's accounts, database and schema.

        Raises:
            ProvisionError: no port, a grant that MariaDB does not have, or an image that is none of MariaDB.
            ScenarioFileError: a schema that MariaDB does not take.
            DumpError: a backup file that it does not take.
            MissingToolError: no engine answers, the image is not to be had, or this machine has no client
                that could load a backup file.
        """
        # What the engine keeps has no path on this machine that we may count on.
        return dataclasses.replace(super().provision(lease, setting), path=lease.directory)

    def server(self, place: Endpoint, setting: Setting) -> Server:
        """The server that is to run on what lies in a place, or on a volume of its own."""
        housing = self.house(place, setting)
        return ContainerServer(place.lease, housing.data, setting.sandbox, setting.clock, housing=housing)


@dataclass(frozen=True)
class ContainerServer(Server):
    """A server in a container.

    Attributes:
        housing: the container.
    """

    housing: Housing

    clients = "%"

    def lay_out(self, statements: Iterable[str]) -> None:
        """Have the container do it before its server starts."""
        self._setup.touch(mode=0o600)
        self._setup.write_text("".join(f"{statement};\n" for statement in statements), encoding="utf-8")
        self.sandbox.give(self._setup)

    def place_options(self, port: int) -> tuple[str, ...]:
        """It listens on the run's network; its port is published on loopback only."""
        del port
        return "--bind-address=0.0.0.0", f"--port={PORT}"

    def launch(self, options: Sequence[str], port: int) -> Running | None:
        """Start the container; arguments and errors as for the embedded server."""
        with self._laying_out() as mounts:
            container = self.housing.start(
                SCRIPT, tuple(options), {PORT: port}, self.log, {"SETUP": str(self._setup)}, mounts
            )
            while container is not None and self._is_to_lay_out() and container.poll() is None:
                self.clock.sleep(POLL_SECONDS)
        return container

    @contextmanager
    def _laying_out(self) -> Iterator[Mapping[str, str]]:
        """What the container needs to lay out a data directory, held still; nothing if it has one."""
        if not self._is_to_lay_out():
            yield {}
            return
        image, sandbox = self.housing.image, self.sandbox
        recipe = sha256(f"{INSTALL} {user_of(sandbox)}".encode()).hexdigest()[:12]
        place = f"mariadb-image-{image_id(image).removeprefix('sha256:')[:12]}-{recipe}"
        with prepared(sandbox.cache / place, self._install) as content:
            yield {str(content): f"{PREPARED}:ro"}

    def _install(self, content: Path) -> None:
        """Nobody can reach what runs meanwhile: its container has no network."""
        self.sandbox.give(content)
        image = self.housing.image
        recipe = Recipe(
            image=image,
            entrypoint=("/bin/sh", "-c", INSTALL, "install"),
            command=(str(content),),
            mounts={str(content): str(content)},
            memory_mounts=declared_volumes(image),
            user=user_of(self.sandbox),
            isolated=True,
        )
        code, said = run_alone(self.lease, recipe)
        if code != 0:
            last = " ".join(said.strip().splitlines()[-LAST_LINES:])
            raise ProvisionError(
                f"the image {image} makes no data directory: {last}",
                hint="it must have `mariadb-install-db` and `mariadbd`, as the official image has",
            )

    def _is_to_lay_out(self) -> bool:
        return self._setup.is_file() and self._setup.stat().st_size > 0

    @property
    def _setup(self) -> Path:
        return self.lease.directory / SETUP_FILE
