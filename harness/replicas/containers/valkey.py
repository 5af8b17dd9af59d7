"""Valkey in a container, of any image with the official one's contract; a Redis image's server does too."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.facts import Endpoint, Lease
from harness.replicas.containers.housing import HousedReplica, Housing
from harness.replicas.running import Running
from harness.replicas.spec import spec_of
from harness.replicas.valkey.replica import ValkeyReplica, asking
from harness.replicas.valkey.server import ACL_FILE, DUMP_FILE, Server
from harness.scenario.models import ValkeyService
from harness.seams.container_engine import NAMESPACE
from harness.seams.drivers import Setting

IMAGE = f"{NAMESPACE}valkey"
PORT = 6379
SCRIPT = """\
if [ -e "$DUMP" ]; then cp "$DUMP" "$DATA"; fi
exec "$(command -v valkey-server || command -v redis-server)" "$@"
"""


@dataclass
class ContainerValkeyReplica(HousedReplica, ValkeyReplica):
    """Replicas of kind ``valkey`` with provider ``docker``; data lie on a volume of the engine."""

    def image(self, setting: Setting, service: str) -> str:
        """The image of a service: the stack's, or one with the usual server."""
        return spec_of(setting.stack, service, ValkeyService).image or IMAGE

    def provision(self, lease: Lease, setting: Setting) -> Endpoint:
        """Bring up an empty server with the service's users.

        Raises:
            DumpError: a backup file that it does not load.
            ProvisionError: no port, or a grant that Valkey does not have.
            MissingToolError: no engine answers, or the image is not to be had.
        """
        endpoint = super().provision(lease, setting)
        (endpoint.path / DUMP_FILE).unlink(missing_ok=True)
        # What the engine keeps has no path on this machine that we may count on.
        return dataclasses.replace(endpoint, path=lease.directory)

    def server(self, place: Endpoint, setting: Setting) -> Server:
        """The server that is to run on what lies in a place, or on a volume that it is copied to."""
        spec = spec_of(setting.stack, place.service, ValkeyService)
        return ContainerServer(
            place.lease,
            place.path,
            setting.sandbox,
            setting.clock,
            spec.persistence,
            housing=self.house(place, setting),
        )

    def read_marker(self, endpoint: Endpoint) -> str:
        """The marker of the lease, by the file of users that the server says it has.

        Servers of releases before 8.1 know of no setting that holds any text.

        Raises:
            DatabaseError: it does not answer.
        """
        with asking(endpoint) as client:
            told = str(client.config_get("aclfile").get("aclfile"))
        ours = told == str(endpoint.lease.directory / ACL_FILE)
        return endpoint.lease.marker if ours else f"the users of {told}"

    def version(self, told: Mapping[str, object]) -> str:
        """The server's version, given what it tells of itself."""
        own = told.get("valkey_version")
        return f"Valkey {own}" if own else f"Redis {told['redis_version']}"


@dataclass(frozen=True)
class ContainerServer(Server):
    """A server in a container.

    Attributes:
        housing: the container.
    """

    housing: Housing

    def place_settings(self, port: int) -> Mapping[str, str]:
        """It listens on the run's network; its port is published on loopback only."""
        del port
        return {"bind": "0.0.0.0", "port": str(PORT), "dir": str(self.housing.data)}  # noqa: S104

    def launch(self, options: Sequence[str], port: int) -> Running | None:
        """Start the container; arguments and errors as for the embedded server."""
        # In a vessel it lies where the server looks for it.
        dump = {} if self.housing.kept_here else {"DUMP": str(self.data / DUMP_FILE)}
        return self.housing.start(SCRIPT, tuple(options), {PORT: port}, self.log, dump, {})
