"""A real S3 server in a container: the same servers with the same settings as the embedded one."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from harness.errors import ProvisionError
from harness.facts import Endpoint, Lease
from harness.replicas.containers import engine
from harness.replicas.containers.engine import Recipe, make_volume, start
from harness.replicas.containers.postgres.cluster import user_of
from harness.replicas.s3 import seaweedfs
from harness.replicas.s3.replica import S3Replica, needs_tls
from harness.sandbox import free_port
from harness.scenario.models import S3Service
from harness.seams.container_engine import NAMESPACE, host_name
from harness.seams.drivers import Setting

IMAGE = f"{NAMESPACE}s3"
DATA = "/data"
ROLE = "data"
LOG_FILE = "weed.log"
INSIDE = seaweedfs.Ports(9333, 19333, 8080, 18080, 8888, 18888, 8333, 18333)
"""Ports are the container's own, so that none can be taken."""

EVERYWHERE = "0.0.0.0"  # noqa: S104 - of the container's network; published on loopback only
FIRST = "master"


class ContainerS3Replica(S3Replica):
    """Replicas of kind ``s3`` with provider ``docker``; their data lies on a volume that the engine keeps.

    Raises:
        MissingToolError: no engine answers, or the image has not been made.
        ProvisionError: the server does not come up, or the stack asks for what S3 does not have.
        NotOursError: what answers at an endpoint is not this replica.
        LeftoverError: something of it cannot be removed.
    """

    def launch(self, lease: Lease, setting: Setting, port: int | None = None) -> int:
        """Start the container; returns the port of its gateway on this machine.

        Args:
            lease: what it holds lies on its volume, which is made unless it is there.
            setting: what it is provisioned into.
            port: on this machine, if that is to be a certain one.

        Raises:
            PortTakenError: somebody took the port meanwhile.
            ProvisionError: it does not start, or is to speak TLS.
        """
        if needs_tls(setting.stack, lease):
            raise ProvisionError(
                f"{lease.service} holds a pgBackRest repository, and in a container it speaks no TLS",
                hint="pgBackRest works with provider embedded: leave `--provider docker` out",
            )
        home, name = lease.directory, lease.service.partition("@")[0]
        # Whoever takes over an address takes over the name in the run's network too.
        names = (host_name(lease),) if port is None else (host_name(lease), name)
        port = port or free_port()
        service = setting.stack.services[name]
        environment = service.environment if isinstance(service, S3Service) else None
        for name, text in seaweedfs.SETTINGS.items():
            (home / name).write_text(text, encoding="utf-8")
        (home / LOG_FILE).touch()
        home.chmod(0o711)
        for name in (*seaweedfs.SETTINGS, seaweedfs.IDENTITIES, LOG_FILE):
            setting.sandbox.give(home / name)
        recipe = Recipe(
            image=IMAGE,
            entrypoint=("/bin/bash", "-c", _script()),
            environment={"HOME_OF_LEASE": str(home), "LOG": str(home / LOG_FILE)},
            mounts={str(home): str(home), make_volume(lease, ROLE, environment=environment): DATA},
            ports={INSIDE.s3: port},
            user=user_of(setting.sandbox),
            aliases=names,
            environment_of_stack=environment,
        )
        try:
            start(lease, recipe)
        except engine.PortTakenError as error:
            raise seaweedfs.PortTakenError(str(error)) from error
        return port

    def destroy(self, lease: Lease) -> None:
        """Remove its container, volume and directory."""
        engine.remove(lease)
        super().destroy(lease)

    def fence(self, endpoint: Endpoint) -> None:
        """Remove what is left of the container, so that it acknowledges nothing more; its volume stays."""
        engine.stop(endpoint.lease)
        super().fence(endpoint)

    def describe(self, endpoint: Endpoint) -> Mapping[str, str]:
        """As for the embedded server, and the image."""
        return {**super().describe(endpoint), "image": engine.images_of(endpoint.lease)}


def _script() -> str:
    """Starts one server after the other; ends with the first of them that ends, or when it is asked to."""
    files = " ".join(f'"$HOME_OF_LEASE/{name}"' for name in (*seaweedfs.SETTINGS, seaweedfs.IDENTITIES))
    lines = [
        "trap 'exit 0' TERM",
        'set -e; exec >>"$LOG" 2>&1; cd /data',
        f"cp {files} .",
        "mkdir -p master volume filer",
        "until_open() { until (: </dev/tcp/127.0.0.1/$1) 2>/dev/null; do sleep 0.01; done; }",
    ]
    for name, flags in seaweedfs.commands(INSIDE, EVERYWHERE).items():
        if name == "s3":
            lines.append(f"until_open {INSIDE.filer_grpc}; until_open {INSIDE.volume}")
        lines.append(f"weed -logtostderr=true {name} {shlex.join(flags)} &")
        if name == FIRST:
            lines.append(f"until_open {INSIDE.master_grpc}")
    return "\n".join([*lines, "wait -n"])
