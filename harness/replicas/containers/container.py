"""Anything in a container: a service that the harness knows nothing of, and is told how to ask."""

from __future__ import annotations

import http.client
import re
import socket
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from hashlib import sha256

from harness.clock import Clock
from harness.errors import DatabaseError, NotOursError, ProvisionError
from harness.facts import (
    OPERATOR,
    Credential,
    Endpoint,
    Fingerprint,
    Lease,
    Resource,
    Secret,
    TableFingerprint,
)
from harness.replicas.containers import engine
from harness.replicas.containers.engine import PortTakenError, Recipe, Started, containers_of, host_name
from harness.replicas.leases import reap
from harness.replicas.spec import spec_of
from harness.sandbox import LOOPBACK, free_port
from harness.scenario.models import ContainerService, Stack, WaitFor
from harness.seams.container_engine import RUN_LABEL, SERVICE_LABEL
from harness.seams.drivers import Setting

ADMIN = "admin"
LOG_FILE = "container.log"
CONTENT = "content"
PORT_TRIES = 5
POLL_SECONDS = 0.05
QUIET_SECONDS = 0.2
"""How long a connection stays open that a server accepted. One that only the engine did is closed at once."""

HTTP_SECONDS = 5.0
LAST_LINES = 8


@dataclass
class ContainerReplica:
    """Replicas of kind ``container``, whatever the provider."""

    _specs: dict[str, ContainerService] = field(default_factory=dict, init=False)

    def requires(self, stack: Stack, service: str) -> tuple[str, ...]:
        """Nothing else must be there first."""
        del stack, service
        return ()

    def provision(self, lease: Lease, setting: Setting) -> Endpoint:
        """Start it on its volumes, wait until it is ready, and give it its first content.

        Raises:
            ProvisionError: it does not start, is not ready in time, or its seed fails; with what it said.
            MissingToolError: no engine answers, or the image is not to be had.
        """
        spec = spec_of(setting.stack, lease.service, ContainerService)
        self._specs[lease.service] = spec
        volumes = {
            engine.make_volume(lease, name, environment=spec.environment): path
            for name, path in _volumes(spec).items()
        }
        ports, container = _start(lease, spec, volumes)
        endpoint = Endpoint(
            lease=lease,
            kind=spec.kind,
            host=LOOPBACK if ports else "",
            port=ports[spec.ports[0]] if ports else 0,
            name=host_name(lease),
            environment=spec.environment,
            path=lease.directory,
            credentials=_mint(setting.stack, lease.service),
        )
        try:
            _await_ready(container, spec, ports, setting.clock)
            _seed(container, spec, endpoint)
        except ProvisionError:
            (lease.directory / LOG_FILE).write_text(container.said(), encoding="utf-8")
            raise
        return endpoint

    def destroy(self, lease: Lease) -> None:
        """Leave no container, no volume and no file. Idempotent; works from the lease alone.

        Raises:
            LeftoverError: the engine does not answer, or something cannot be removed.
        """
        engine.remove(lease)
        reap(lease)

    def read_marker(self, endpoint: Endpoint) -> str:
        """The marker of the lease, from the labels of the container.

        Raises:
            NotOursError: there is none.
        """
        for container in containers_of(endpoint.lease):
            marks = container.labels()
            return f"{marks.get(RUN_LABEL)}/{marks.get(SERVICE_LABEL)}"
        raise NotOursError(
            f"there is no container of {endpoint.lease.marker}",
            hint="it was removed; nothing was sent to it",
        )

    def inventory(self, endpoint: Endpoint) -> tuple[Resource, ...]:
        """Its container, while it runs, and its volumes."""
        running = [one for one in containers_of(endpoint.lease) if one.poll() is None]
        found = [("container", endpoint.name)] * bool(running)
        found += [("docker-volume", name) for name in engine.volumes_of(endpoint.lease)]
        return tuple(
            Resource(service=endpoint.service, kind=kind, name=name, environment=endpoint.environment)
            for kind, name in found
        )

    def describe(self, endpoint: Endpoint) -> Mapping[str, str]:
        """Its image."""
        return {"image": ", ".join(container.image() for container in containers_of(endpoint.lease))}

    def probe(self, endpoint: Endpoint) -> None:
        """Have its own probe say that it serves; without one, see that it runs.

        Raises:
            DatabaseError: it does not.
        """
        container = self._running(endpoint)
        probe = self._spec_of(endpoint).probe
        if probe is not None:
            self._ran(container, endpoint, probe, "the probe")

    def alive(self, endpoint: Endpoint) -> bool:
        """Whether ``probe`` is content."""
        try:
            self.probe(endpoint)
        except DatabaseError:
            return False
        return True

    def fingerprint(self, endpoint: Endpoint) -> Fingerprint:
        """What it holds, as its own ``content`` prints it: how many lines, and their digest.

        Raises:
            DatabaseError: it does not run, ``content`` fails, or the stack has none.
        """
        content = self._spec_of(endpoint).content
        if content is None:
            raise DatabaseError(
                f"{endpoint.service} does not tell what it holds",
                hint="give the service `content` in the stack",
            )
        said = self._ran(self._running(endpoint), endpoint, content, "content")
        digest = sha256(said.encode()).hexdigest()
        return Fingerprint(
            tables=(TableFingerprint(table=CONTENT, rows=len(said.splitlines()), digest=digest),)
        )

    def _spec_of(self, endpoint: Endpoint) -> ContainerService:
        spec = self._specs.get(endpoint.service)
        if spec is None:
            raise DatabaseError(
                f"{endpoint.service} was brought up by another process, which knows how to ask it",
                hint="ask where it was provisioned",
            )
        return spec

    def _running(self, endpoint: Endpoint) -> Started:
        for container in containers_of(endpoint.lease):
            if container.poll() is None:
                return container
        raise DatabaseError(
            f"{endpoint.service}: its container does not run", hint="it ended, or was removed"
        )

    def _ran(self, container: Started, endpoint: Endpoint, command: tuple[str, ...], what: str) -> str:
        try:
            code, said = container.run(*command)
        except ProvisionError as error:  # it was stopped meanwhile
            raise DatabaseError(f"{endpoint.service}: {error.message}", hint=error.hint) from error
        if code != 0:
            raise DatabaseError(
                f"{endpoint.service}: {what} ended with exit code {code}: {_last(said)}",
                hint="see what it says",
            )
        return said


def _start(
    lease: Lease, spec: ContainerService, volumes: Mapping[str, str]
) -> tuple[Mapping[int, int], Started]:
    for _ in range(PORT_TRIES):
        ports = {port: free_port() for port in spec.ports}
        recipe = Recipe(
            image=spec.image,
            command=spec.command,
            environment=spec.variables,
            mounts=volumes,
            ports=ports,
            aliases=(host_name(lease),),
            environment_of_stack=spec.environment,
        )
        try:
            return ports, engine.start(lease, recipe)
        except PortTakenError:
            continue
    raise ProvisionError(
        f"{PORT_TRIES} times a port was taken before {lease.service} had it",
        hint="something takes every free port on this machine; end it and run the drill again",
    )


def _volumes(spec: ContainerService) -> dict[str, str]:
    """Its volumes by name, and one with a name for each that the image would have without."""
    declared = [path for path in engine.declared_volumes(spec.image) if path not in spec.volumes.values()]
    return {**spec.volumes, **{f"image-{number}": path for number, path in enumerate(declared, 1)}}


def _await_ready(container: Started, spec: ContainerService, ports: Mapping[int, int], clock: Clock) -> None:
    wait = spec.wait or WaitFor(listens=spec.ports[0] if spec.ports else None)
    began = clock.stamp()
    while not _is_ready(container, wait, spec, ports):
        code = container.poll()
        late = clock.stamp().since(began) > wait.timeout.total_seconds()
        if code is not None or late:
            why = "is not ready in time" if code is None else f"ended with exit code {code}"
            raise ProvisionError(
                f"the container of {spec.image} {why}: {_last(container.said())}",
                hint="see what it says, and what `wait` of the service waits for",
            )
        clock.sleep(POLL_SECONDS)


def _is_ready(container: Started, wait: WaitFor, spec: ContainerService, ports: Mapping[int, int]) -> bool:
    if wait.log is not None:
        return re.search(wait.log, container.said(), re.MULTILINE) is not None
    if wait.command is not None:
        with suppress(ProvisionError):  # it has ended meanwhile
            return container.run(*wait.command)[0] == 0
        return False
    if wait.http is not None:
        return _answers(ports[spec.ports[0]], wait.http)
    if wait.listens is not None:
        return _accepts(ports[wait.listens])
    return container.poll() is None


def _accepts(port: int) -> bool:
    """Whether a server accepts connections, and not only the engine, which hands them on to nobody."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1.0) as connection:
            connection.settimeout(QUIET_SECONDS)
            return connection.recv(1) != b""
    except TimeoutError:
        return True
    except OSError:
        return False


def _answers(port: int, path: str) -> bool:
    with closing(http.client.HTTPConnection(LOOPBACK, port, timeout=HTTP_SECONDS)) as connection:
        try:
            connection.request("GET", path)
            return 200 <= connection.getresponse().status < 400
        except (OSError, http.client.HTTPException):
            return False


def _seed(container: Started, spec: ContainerService, endpoint: Endpoint) -> None:
    if spec.seed is None:
        return
    code, said = container.run(*spec.seed)
    if code != 0:
        raise ProvisionError(
            f"the seed of {endpoint.service} ended with exit code {code}: {_last(said)}",
            hint="see what it says; it runs inside the container, once that is ready",
        )


def _mint(stack: Stack, service: str) -> dict[str, Credential]:
    """Who may speak to the engine; nobody has to show anything, as with its socket."""
    admins = [name for name, model in stack.principals.items() if model.grants.get(service) == ADMIN]
    return {name: Credential(name, "socket", name, Secret.mint()) for name in (OPERATOR, *admins)}


def _last(said: str) -> str:
    return " ".join(said.strip().splitlines()[-LAST_LINES:]) or "it said nothing"
