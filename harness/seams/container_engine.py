"""The machine's container engine: the one place that opens a client for it, and what marks an object as ours.

Every container, volume and network of a run carries two labels, the run's id and the service. Whatever the
harness lists, stops or removes is asked for by these labels, so that nothing else on the engine is reached.

Replicas and surfaces may not import each other, so they meet here.
"""

from __future__ import annotations

import platform
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from struct import Struct
from typing import TYPE_CHECKING, Any, NamedTuple

from harness.clock import SystemClock
from harness.errors import MissingToolError, ProvisionError
from harness.facts import Lease

if TYPE_CHECKING:
    from docker import DockerClient

RUN_LABEL = "ninelives.run"
HOME_LABEL = "ninelives.home"
"""The machine and the folder of the run's working directory: whether it lives can only be told there."""

SERVICE_LABEL = "ninelives.service"
ENVIRONMENT_LABEL = "ninelives.environment"
DISK = "docker-volume"
"""The kind of resource that holds what a server in a container keeps."""

NAMESPACE = "ninelives/"
"""Of the images that ``make images`` makes. They are in no registry, so they are never asked for there."""

OUT, ERR = 1, 2
HEAD = Struct(">BxxxL")
"""What stands before each piece of what a program prints: its stream and its size (Docker Engine API, "Attach
to a container")."""

RUN_SECONDS, ENDING_SECONDS, POLL_SECONDS = 3600.0, 30.0, 0.005

SOCKET = "unix://"
"""How the address begins of an engine that can only be this machine's."""

EXTRA = "pip install 'ninelives[docker]'"
ELSE = "or use --provider embedded where the scenario leaves the choice"
FORBIDDEN = f"join the group `docker`, {ELSE}"
START = f"install Docker and start it, and see that `docker ps` works for you; {ELSE}"


def connect() -> DockerClient:
    """A client of this machine's engine, shared by all that ask.

    Raises:
        MissingToolError: the extra is not installed, no engine answers, or it is another machine's.
    """
    try:
        import docker.errors
        from testcontainers.core.docker_client import DockerClient as Client
        from testcontainers.core.docker_client import get_docker_host
    except ImportError as error:
        raise MissingToolError(f"the package {error.name} is not installed", hint=EXTRA) from error
    address = get_docker_host() or SOCKET
    if not address.startswith(SOCKET):
        raise MissingToolError(
            f"the container engine at {address} may be another machine's",
            hint="let DOCKER_HOST or the context of `docker` name a Unix socket",
        )
    try:
        client = _client(Client)
        client.ping()
    except (docker.errors.DockerException, OSError) as error:
        if "PermissionError" in repr(error):
            complaint = f"you may not use the container engine at {address}"
            raise MissingToolError(complaint, hint=FORBIDDEN) from error
        raise MissingToolError(f"no container engine answers: {_first_line(error)}", hint=START) from error
    return client


@lru_cache(maxsize=1)
def _client(kind: type) -> DockerClient:
    return kind().client


class Ran(NamedTuple):
    """A program that was run in a container.

    Attributes:
        code: its exit code; None when the container ended before it.
        printed, complained: what it wrote to standard output and to standard error.
    """

    code: int | None
    printed: bytes
    complained: bytes


def run_inside(
    id: str,
    command: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    user: str = "",
    seconds: float = RUN_SECONDS,
) -> Ran:
    """Run a program in a container to its end.

    Args:
        id: of the container.
        command: with its arguments.
        environment: variables, on top of the container's.
        stdin: all that it can read.
        user: that it runs as; empty for the container's.
        seconds: without a byte from it after which it is given up.

    Raises:
        ProvisionError: it could not be started, or not be listened to until its end.
        MissingToolError: no engine answers.
    """
    api, streams = connect().api, {OUT: bytearray(), ERR: bytearray()}
    with told(f"container {id[:12]}"):
        made = api.exec_create(id, list(command), environment=dict(environment or {}), stdin=True, user=user)
        _listen(api.exec_start(made["Id"], socket=True), stdin, seconds, streams)
        code = _exit_code(api, made["Id"])
    return Ran(code, bytes(streams[OUT]), bytes(streams[ERR]))


def _listen(channel: Any, stdin: bytes, seconds: float, streams: Mapping[int, bytearray]) -> None:
    with closing(channel):
        connection: socket.socket = channel._sock
        connection.settimeout(seconds)
        # A program need not read what it is given; the engine then ends the line, as it likes.
        with suppress(OSError):
            connection.sendall(stdin)
            connection.shutdown(socket.SHUT_WR)
        # Not the channel: what came together with the answer's head lies in this buffer already.
        buffered = channel._response.raw._fp.fp
        with suppress(ConnectionError):
            while len(head := buffered.read(HEAD.size)) == HEAD.size:
                stream, size = HEAD.unpack(head)
                streams[stream] += buffered.read(size)


def _exit_code(api: Any, id: str) -> int | None:
    """Of a program that has closed its streams; the engine may learn of its end a moment later."""
    clock = SystemClock()
    began = clock.stamp()
    while (state := api.exec_inspect(id))["Running"] and clock.stamp().since(began) < ENDING_SECONDS:
        clock.sleep(POLL_SECONDS)
    return None if state["ExitCode"] is None else int(state["ExitCode"])


@contextmanager
def told(what: str) -> Iterator[None]:
    """What the engine refuses, in our own words.

    Raises:
        ProvisionError: it did refuse something.
    """
    import requests
    from docker.errors import APIError, DockerException

    try:
        yield
    except (DockerException, requests.RequestException, OSError) as error:
        said = error.explanation if isinstance(error, APIError) else error
        raise ProvisionError(
            f"{what}: the container engine says: {said}", hint="see `docker info`, and the engine's own log"
        ) from error


def trouble() -> str:
    """Why no container can be run here; empty when they can."""
    try:
        connect()
    except MissingToolError as error:
        return error.message
    return ""


def labels(lease: Lease, environment: str | None = None) -> dict[str, str]:
    """What marks an object as a lease's, and as standing in an environment of the stack."""
    standing = {} if environment is None else {ENVIRONMENT_LABEL: environment}
    return {RUN_LABEL: lease.run_id, SERVICE_LABEL: lease.service, **standing}


def marks(lease: Lease, environment: str | None = None) -> dict[str, str]:
    """The labels that an object is made with: those of its lease, and where its run is at home."""
    return {**labels(lease, environment), HOME_LABEL: home(lease.directory.parent.parent)}


def marks_of_network(lease: Lease) -> dict[str, str]:
    """The labels of the network of a lease's run, which belongs to all of its leases."""
    made = marks(lease)
    del made[SERVICE_LABEL]
    return made


def home(work: Path) -> str:
    """How runs that work in a folder of this machine are marked."""
    return f"{platform.node()}:{work}"


def runs_of_home(work: Path) -> frozenset[str]:
    """The ids of all runs that have something on the engine and work in a folder of this machine.

    Raises:
        MissingToolError: no engine answers.
    """
    api, wanted = connect().api, {"label": [f"{HOME_LABEL}={home(work)}"]}
    found = (
        *api.containers(all=True, filters=wanted),
        *(api.volumes(filters=wanted)["Volumes"] or ()),
        *api.networks(filters=wanted),
    )
    return frozenset(str(one["Labels"][RUN_LABEL]) for one in found)


def prefix(run_id: str) -> str:
    """What the names of a run's containers and volumes begin with on the engine."""
    return f"ninelives-{run_id}-"


def host_name(lease: Lease) -> str:
    """What a lease's container is called in the run's network, whatever else it is called there."""
    return lease.service.replace("@", ".")


def container_name(lease: Lease) -> str:
    """What the engine calls a lease's container."""
    return f"{prefix(lease.run_id)}{host_name(lease)}"


def of_run(run_id: str) -> Mapping[str, list[str]]:
    """The filter with which the engine lists what belongs to a run, and nothing else."""
    return {"label": [f"{RUN_LABEL}={run_id}"]}


def of_lease(lease: Lease) -> Mapping[str, list[str]]:
    """The filter with which the engine lists what belongs to a lease, and nothing else."""
    return {"label": [f"{key}={value}" for key, value in labels(lease).items()]}


def objects_of(run_id: str) -> tuple[str, ...]:
    """What the engine has of a run: containers, volumes and networks, one line each.

    Raises:
        MissingToolError: no engine answers.
    """
    api, wanted = connect().api, of_run(run_id)
    return (
        *sorted(f"container {one['Names'][0]}" for one in api.containers(all=True, filters=wanted)),
        *sorted(f"volume {one['Name']}" for one in api.volumes(filters=wanted)["Volumes"] or ()),
        *sorted(f"network {one['Name']}" for one in api.networks(filters=wanted)),
    )


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
