"""Anything in a container: a service that the harness knows nothing of, and is told how to ask."""

from __future__ import annotations

import http.client
import re
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from harness.clock import Clock
from harness.errors import DatabaseError, HarnessError, NotOursError, ProvisionError, RestoreError
from harness.facts import (
    APPLICATION,
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
from harness.replicas.containers.engine import PortTakenError, Recipe, Started, containers_of
from harness.replicas.leases import reap
from harness.replicas.spec import spec_of
from harness.sandbox import LOOPBACK, free_port
from harness.scenario.models import ContainerService, Stack, WaitFor
from harness.seams.container_client import HOOKS_LABEL, ContainerClient, Hooks, Inside, inside, read_items
from harness.seams.container_engine import DISK, RUN_LABEL, SERVICE_LABEL, host_name, run_inside
from harness.seams.drivers import Row, Setting, Vessel
from harness.seams.items import Item, ItemRefusedError, ItemUnansweredError, fingerprint_of

ADMIN = "admin"
LOG_FILE = "container.log"
CONTENT = "content"
FILES = "files"
PORT_TRIES = 5
POLL_SECONDS = 0.05
QUIET_SECONDS = 0.2
"""How long a connection stays open that a server accepted. One that only the engine did is closed at once."""

PORT_PAUSE = 0.2
"""The engine gives a port back a moment after the container that had it is gone."""

HTTP_SECONDS = 5.0
PROBE_SECONDS = 5.0
"""That a probe may be silent: its start takes the engine a while, and more on a busy machine."""

LISTING_SECONDS = 600.0
LAST_LINES = 8


@dataclass
class ContainerReplica:
    """Replicas of kind ``container``, whatever the provider.

    What is asked of one is asked with the programs that its container says it has, so that any instance can.

    Attributes:
        choose_port: gives a port on loopback to try.
    """

    choose_port: Callable[[], int] = free_port

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
        place = Endpoint(
            lease=lease,
            kind=spec.kind,
            host=LOOPBACK if spec.ports else "",
            port=0,
            name=host_name(lease),
            environment=spec.environment,
            path=lease.directory,
            credentials=_mint(setting.stack, lease.service),
        )
        endpoint, container = self.bring_up(place, spec, setting, self.choose_port, "")
        try:
            _seed(container, spec, endpoint)
        except ProvisionError:
            _keep_log(container, lease)
            raise
        return endpoint

    def bring_up(
        self,
        place: Endpoint,
        spec: ContainerService,
        setting: Setting,
        choose_port: Callable[[], int],
        replaces: str,
    ) -> tuple[Endpoint, Started]:
        """Start it on empty volumes and wait until it is ready.

        Args:
            place: where it is to answer, but for the port.
            spec: of the service.
            setting: what it is provisioned into.
            choose_port: gives its first port.
            replaces: the service whose name it takes over in the run's network; empty for none.

        Raises:
            ProvisionError: it does not start, or is not ready in time; with what it said.
            MissingToolError: no engine answers, or the image is not to be had.
        """
        lease = place.lease
        volumes = {
            engine.make_volume(lease, name, environment=spec.environment): path
            for name, path in _volumes(spec).items()
        }
        ports, container = _start(lease, spec, volumes, setting.clock, choose_port, replaces)
        try:
            _await_ready(container, spec, ports, setting.clock)
        except ProvisionError:
            _keep_log(container, lease)
            raise
        return replace(place, port=ports[spec.ports[0]] if ports else 0), container

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
        found += [(DISK, name) for name in engine.volumes_of(endpoint.lease)]
        return tuple(
            Resource(service=endpoint.service, kind=kind, name=name, environment=endpoint.environment)
            for kind, name in found
        )

    def describe(self, endpoint: Endpoint) -> Mapping[str, str]:
        """Its image."""
        return {"image": engine.images_of(endpoint.lease)}

    def probe(self, endpoint: Endpoint) -> None:
        """Have its own probe say that it serves; without one, see that it runs.

        Raises:
            DatabaseError: it does not.
        """
        found = _found(endpoint)
        if found.hooks.probe is not None:
            _ran(found, endpoint, found.hooks.probe, "the probe", seconds=PROBE_SECONDS)

    def alive(self, endpoint: Endpoint) -> bool:
        """Whether ``probe`` is content."""
        try:
            self.probe(endpoint)
        except DatabaseError:
            return False
        return True

    def fingerprint(self, endpoint: Endpoint, tables: Sequence[str] = ()) -> Fingerprint:
        """The content of some collections; without any, how many lines ``content`` prints, and their digest.

        Raises:
            DatabaseError: it does not run, a program of it fails, or the stack names none.
        """
        if tables:
            return fingerprint_of((table, self._items(endpoint, table)) for table in tables)
        found = _found(endpoint)
        said = _ran(found, endpoint, _named(found.hooks.content, "content", endpoint), "`content`")
        digest = sha256(said.encode()).hexdigest()
        return Fingerprint(
            tables=(TableFingerprint(table=CONTENT, rows=len(said.splitlines()), digest=digest),)
        )

    def rows(self, endpoint: Endpoint, table: str, key: str, time: str | None) -> Iterator[Row]:
        """Every item of a collection: its key, the hash of its content, and its time if ``items`` tells it.

        Raises:
            DatabaseError: it does not run, ``items`` fails, or prints what tells of no item.
        """
        del key, time
        for found in self._items(endpoint, table):
            yield Row(*found)

    def fill(self, endpoint: Endpoint, items: Iterable[Item]) -> None:
        """Write items with the dates of the past, one call of ``put`` each.

        Raises:
            DatabaseError: it does not answer, or refused one.
        """
        client = ContainerClient(endpoint, endpoint.credentials[OPERATOR])
        for item in items:
            try:
                client.put(item.collection, item.key, item.body, item.time)
            except (ItemRefusedError, ItemUnansweredError) as error:
                raise DatabaseError(
                    f"{endpoint.service} takes no item of the past: {error}",
                    hint="`put` of the service finds the content at its input, and $COLLECTION, $KEY, $AT",
                ) from error

    def fence(self, endpoint: Endpoint) -> None:
        """Remove what is left of the container; its volumes stay as they are. Idempotent.

        Raises:
            LeftoverError: the engine does not answer, or the container cannot be removed.
        """
        engine.stop(endpoint.lease)

    def vessel(self, lease: Lease, like: Endpoint, setting: Setting, *, replace: bool) -> Vessel:
        """A fresh container with empty volumes; arguments as in ``harness.seams.drivers.Store``."""
        directory = lease.directory / FILES
        directory.mkdir()
        return ContainerVessel(self, lease, directory, like, setting, replace)

    def _items(self, endpoint: Endpoint, collection: str) -> Iterator[tuple[str, int, datetime | None]]:
        found = _found(endpoint)
        command, told = _named(found.hooks.items, "items", endpoint), {"COLLECTION": collection}
        return read_items(endpoint.service, _ran(found, endpoint, command, "`items`", told))


@dataclass(frozen=True)
class ContainerVessel:
    """A container that stands in for one that is gone, or beside one, and holds nothing yet.

    Attributes:
        replica: starts it.
        lease: of the new replica.
        directory: of this machine; no container sees it.
        like: the endpoint that it stands in for.
        setting: what it is provisioned into.
        replaces: it answers at that one's own address.
    """

    replica: ContainerReplica
    lease: Lease
    directory: Path
    like: Endpoint
    setting: Setting
    replaces: bool

    def start(self, settings: Mapping[str, str] | None = None, *, timeout: float = 600.0) -> Endpoint:
        """Start it on empty volumes, without the seed; how long it may take is said in the stack.

        Raises:
            RestoreError: it does not start, or is not ready in time.
        """
        del settings, timeout
        spec = spec_of(self.setting.stack, self.like.service, ContainerService)
        place = replace(self.like, lease=self.lease, path=self.lease.directory)
        choose_port = (lambda: self.like.port) if self.replaces else self.replica.choose_port
        replaces = self.like.service if self.replaces else ""
        try:
            return self.replica.bring_up(place, spec, self.setting, choose_port, replaces)[0]
        except ProvisionError as error:
            raise RestoreError(error.message, hint=error.hint) from error

    def discard(self) -> None:
        """Stop it and remove everything. Idempotent."""
        self.replica.destroy(self.lease)


def _found(endpoint: Endpoint) -> Inside:
    try:
        found = inside(endpoint)
    except HarnessError as error:
        raise DatabaseError(f"{endpoint.service}: {error.message}", hint=error.hint) from error
    if found is None:
        raise DatabaseError(
            f"{endpoint.service}: its container does not run", hint="it ended, or was removed"
        )
    return found


def _named(command: tuple[str, ...] | None, name: str, endpoint: Endpoint) -> tuple[str, ...]:
    if command is None:
        raise DatabaseError(
            f"{endpoint.service} does not tell what it holds", hint=f"give the service `{name}` in the stack"
        )
    return command


def _ran(
    found: Inside,
    endpoint: Endpoint,
    command: tuple[str, ...],
    what: str,
    told: Mapping[str, str] | None = None,
    seconds: float = LISTING_SECONDS,
) -> str:
    """What a program printed.

    Raises:
        DatabaseError: it did not end well.
    """
    try:
        ran = run_inside(found.id, command, environment=told, seconds=seconds)
    except HarnessError as error:  # it was stopped meanwhile, or hangs
        raise DatabaseError(
            f"{endpoint.service}: {what} was not done: {error.message}", hint=error.hint
        ) from error
    if ran.code != 0:
        said = _last((ran.printed + ran.complained).decode(errors="replace"))
        code = "no exit code" if ran.code is None else f"exit code {ran.code}"
        raise DatabaseError(f"{endpoint.service}: {what} ended with {code}: {said}", hint="see what it says")
    return ran.printed.decode("utf-8", "backslashreplace")


def _start(
    lease: Lease,
    spec: ContainerService,
    volumes: Mapping[str, str],
    clock: Clock,
    choose_port: Callable[[], int],
    replaces: str,
) -> tuple[Mapping[int, int], Started]:
    hooks = Hooks.model_validate(spec.model_dump(include=set(Hooks.model_fields)))
    for _ in range(PORT_TRIES):
        ports = {port: free_port() if number else choose_port() for number, port in enumerate(spec.ports)}
        recipe = Recipe(
            image=spec.image,
            command=spec.command,
            environment=spec.variables,
            mounts=volumes,
            ports=ports,
            aliases=(host_name(lease), *([replaces] if replaces else [])),
            environment_of_stack=spec.environment,
            more_labels={HOOKS_LABEL: hooks.model_dump_json(exclude_none=True)},
        )
        try:
            return ports, engine.start(lease, recipe)
        except PortTakenError:
            clock.sleep(PORT_PAUSE)
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


def _keep_log(container: Started, lease: Lease) -> None:
    (lease.directory / LOG_FILE).write_text(container.said(), encoding="utf-8")


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
    names = (OPERATOR, APPLICATION, *admins)
    return {name: Credential(name, "socket", name, Secret.mint()) for name in names}


def _last(said: str) -> str:
    return " ".join(said.strip().splitlines()[-LAST_LINES:]) or "it said nothing"
