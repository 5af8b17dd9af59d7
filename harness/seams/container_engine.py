"""The machine's container engine: the one place that opens a client for it, and what marks an object as ours.

Every container, volume and network of a run carries two labels, the run's id and the service. Whatever the
harness lists, stops or removes is asked for by these labels, so that nothing else on the engine is reached.

Replicas and surfaces may not import each other, so they meet here.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import MissingToolError
from harness.facts import Lease

if TYPE_CHECKING:
    from docker import DockerClient

RUN_LABEL = "ninelives.run"
HOME_LABEL = "ninelives.home"
"""The machine and the folder of the run's working directory: whether it lives can only be told there."""

SERVICE_LABEL = "ninelives.service"
ENVIRONMENT_LABEL = "ninelives.environment"
NAMESPACE = "ninelives/"
"""Of the images that ``make images`` makes. They are in no registry, so they are never asked for there."""

SOCKET = "unix://"
"""How the address begins of an engine that can only be this machine's."""

EXTRA = "pip install 'ninelives[docker]'"
START = "install Docker and start it, and see that `docker ps` works for you; or use --provider embedded"


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
        raise MissingToolError(f"no container engine answers: {_first_line(error)}", hint=START) from error
    return client


@lru_cache(maxsize=1)
def _client(kind: type) -> DockerClient:
    return kind().client


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
