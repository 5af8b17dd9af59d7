"""Containers, volumes and the network of a lease: made through testcontainers, found again by their labels.

The reaper of testcontainers is used where its image is there already. Nothing here needs it: a lease that
was written down is enough to remove everything that carries its labels.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from threading import Lock
from typing import Any

from harness.clock import SystemClock
from harness.errors import HarnessError, LeftoverError, MissingToolError, ProvisionError
from harness.facts import Lease
from harness.sandbox import LOOPBACK, MARK
from harness.seams.container_engine import (
    NAMESPACE,
    RUN_LABEL,
    connect,
    container_name,
    marks,
    marks_of_network,
    of_lease,
    of_run,
    prefix,
    run_inside,
    told,
)

TAKEN = ("port is already allocated", "address already in use")
NO_WAY_OUT = {"com.docker.network.bridge.enable_ip_masquerade": "false"}
"""Packets to the world leave with an address that no answer finds back to."""

BEING_REMOVED = "is already in progress"
PATIENCE = 30.0
POLL_SECONDS = 0.02
_making_network = Lock()


class PortTakenError(Exception):
    """Another program, or another container, has the port."""


@dataclass(frozen=True)
class Recipe:
    """What a container is made of.

    Attributes:
        image: its name, or its id.
        command: what runs; empty for the image's own.
        entrypoint: what the command is handed to; None for the image's own.
        environment: variables, all of them visible to whoever may ask the engine: no secrets.
        mounts: by volume name or path on this machine, the path inside, with ``:ro`` for read-only.
        memory_mounts: paths inside at which there is memory in place of a volume of the image's own.
        ports: by port inside, the port on loopback.
        user: ``uid:gid`` that it runs as; None for the image's own.
        aliases: what it is called in the run's network; the engine knows one that has any by a name.
        environment_of_stack: that it stands in.
        isolated: it has no network at all.
        more_labels: besides those of its lease.
    """

    image: str
    command: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    mounts: Mapping[str, str] = field(default_factory=dict)
    memory_mounts: tuple[str, ...] = ()
    ports: Mapping[int, int] = field(default_factory=dict)
    user: str | None = None
    aliases: tuple[str, ...] = ()
    environment_of_stack: str | None = None
    isolated: bool = False
    more_labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Started:
    """A container that was started.

    Attributes:
        id: as the engine calls it.
    """

    id: str

    def poll(self) -> int | None:
        """The exit code of its main process; None while that runs. One that was removed was killed."""
        from docker.errors import NotFound

        with told(f"container {self.id[:12]}"):
            try:
                state = connect().api.inspect_container(self.id)["State"]
            except NotFound:
                return -signal.SIGKILL
        return None if state["Running"] else int(state["ExitCode"])

    def quit(self) -> None:
        """Ask its main process to end, as the image says it wants to be asked, and wait for that."""
        with told(f"container {self.id[:12]}"):
            connect().api.stop(self.id, timeout=int(PATIENCE))

    def run(self, *command: str, user: str = "") -> tuple[int, str]:
        """Run a program in there to its end; its exit code, and what it printed."""
        with told(f"container {self.id[:12]}"):
            ran = run_inside(self.id, command, user=user)
        said = (ran.printed + ran.complained).decode(errors="replace")
        return -signal.SIGKILL if ran.code is None else ran.code, said

    def image(self) -> str:
        """The name of its image, and the beginning of its id."""
        with told(f"container {self.id[:12]}"):
            found = connect().api.inspect_container(self.id)
        return f"{found['Config']['Image']} ({found['Image'].removeprefix('sha256:')[:12]})"

    def labels(self) -> Mapping[str, str]:
        """What it is marked with."""
        with told(f"container {self.id[:12]}"):
            return dict(connect().api.inspect_container(self.id)["Config"]["Labels"])

    def said(self) -> str:
        """What it has printed."""
        with told(f"container {self.id[:12]}"):
            return str(connect().api.logs(self.id).decode(errors="replace"))


def image_id(name: str) -> str:
    """The id of an image, which is fetched if it is in a registry and not here.

    Raises:
        MissingToolError: no engine; or the image is not to be had.
    """
    from docker.errors import APIError, ImageNotFound

    engine = connect()
    try:
        return str(engine.images.get(name).id)
    except ImageNotFound as error:
        if name.startswith(NAMESPACE):
            raise MissingToolError(
                f"there is no image {name}",
                hint="make it with `make images` in a checkout, or name another in the stack: `image: ...`",
            ) from error
    try:
        return str(engine.images.pull(*_name_and_tag(name)).id)
    except APIError as error:
        raise MissingToolError(
            f"the image {name} is not here and cannot be fetched: {error.explanation}",
            hint="see that its name is right and that the registry can be reached, or build it here",
        ) from error


def declared_volumes(image: str) -> tuple[str, ...]:
    """The paths at which an image has volumes of its own."""
    id = image_id(image)
    with told(f"the image {image}"):
        return tuple(sorted(connect().api.inspect_image(id)["Config"].get("Volumes") or ()))


def make_volume(lease: Lease, role: str, at: Path | None = None, *, environment: str | None = None) -> str:
    """Make a named volume, unless the lease has it already; returns its name.

    Args:
        lease: whose it is.
        role: tells the volumes of a lease apart.
        at: directory of this machine that it is; None to have the engine keep it.
        environment: of the stack, that it stands in.
    """
    options = {"type": "none", "o": "bind", "device": str(at)} if at is not None else None
    name = f"{container_name(lease)}-{role}"
    with told(f"the volume {name}"):
        made = marks(lease, environment)
        connect().volumes.create(name, driver="local", driver_opts=options, labels=made)
    return name


def start(lease: Lease, recipe: Recipe) -> Started:
    """Start a container, in the network of the lease's run.

    Raises:
        PortTakenError: somebody else has one of its ports; nothing of it is left.
        ProvisionError: it cannot be made, or not be started.
        MissingToolError: no engine answers, or it has no such image.
    """
    image_id(recipe.image)
    began = SystemClock().stamp()
    while True:
        try:
            with told(f"the container of {lease.marker}"):
                return _start(lease, recipe)
        except _NotYetError as error:
            if SystemClock().stamp().since(began) > PATIENCE:
                raise ProvisionError(
                    f"the container of {lease.marker} cannot be started: {error}",
                    hint="something keeps or removes it; see `docker ps -a` and run the drill again",
                ) from None
            SystemClock().sleep(POLL_SECONDS)


class _NotYetError(Exception):
    """The engine is still busy with what was there before.

    The network was removed with its last lease between its making and the container's start; or the engine
    lists a container of that name no more, and has not given the name back yet.
    """


def _start(lease: Lease, recipe: Recipe) -> Started:
    from docker.errors import APIError
    from testcontainers.core.config import testcontainers_config
    from testcontainers.core.container import DockerContainer

    testcontainers_config.ryuk_disabled = not _is_here(testcontainers_config.ryuk_image)
    container = DockerContainer(recipe.image).with_envs(**recipe.environment)
    container.with_env(MARK, lease.run_id)
    if recipe.command:
        container.with_command(list(recipe.command))
    for source, target in recipe.mounts.items():
        path, _, mode = target.partition(":")
        container.with_volume_mapping(source, path, mode or "rw")
    for path in recipe.memory_mounts:
        container.with_tmpfs_mount(path)
    published: Any = {f"{inside}/tcp": (LOOPBACK, outside) for inside, outside in recipe.ports.items()}
    container.ports = published
    if recipe.aliases:
        container.with_name(container_name(lease))
    made = {**recipe.more_labels, **marks(lease, recipe.environment_of_stack)}
    container.with_kwargs(labels=made, user=recipe.user, **_entry(recipe), **_network(lease, recipe))
    try:
        container.start()
    except APIError as error:
        stop(lease)
        said = str(error.explanation)
        if any(sign in said for sign in TAKEN):
            raise PortTakenError(", ".join(map(str, recipe.ports.values()))) from error
        gone = error.status_code == HTTPStatus.NOT_FOUND and "network" in said
        if gone or (error.status_code == HTTPStatus.CONFLICT and "is already in use" in said):
            raise _NotYetError(said) from error
        raise
    finally:
        container.get_docker_client().client.close()
    return Started(container.get_container_id())


def _entry(recipe: Recipe) -> dict[str, Any]:
    return {} if recipe.entrypoint is None else {"entrypoint": list(recipe.entrypoint)}


def _network(lease: Lease, recipe: Recipe) -> dict[str, Any]:
    """The run's network, in which the service is called as in the stack."""
    from docker import version
    from docker.types import EndpointConfig

    if recipe.isolated:
        return {"network_mode": "none", "network": None}
    name = prefix(lease.run_id).removesuffix("-")
    with _making_network:
        engine = connect()
        if not engine.api.networks(filters=of_run(lease.run_id)):
            made = marks_of_network(lease)
            engine.networks.create(name, driver="bridge", options=NO_WAY_OUT, labels=made)
    called = EndpointConfig(version.__version__, aliases=list(recipe.aliases))
    return {"network": name, "networking_config": {name: called}}


def run_alone(lease: Lease, recipe: Recipe) -> tuple[int, str]:
    """Run a container of the lease to its end, and remove it; its exit code, and what it printed."""
    container = start(lease, recipe)
    with told(f"container {container.id[:12]}"):
        try:
            code = int(connect().api.wait(container.id)["StatusCode"])
            return code, container.said()
        finally:
            _remove_container(container.id)


def containers_of(lease: Lease) -> tuple[Started, ...]:
    """The containers of a lease, stopped ones too."""
    with told(lease.marker):
        found = connect().api.containers(all=True, filters=of_lease(lease))
    return tuple(Started(str(one["Id"])) for one in found)


def images_of(lease: Lease) -> str:
    """The names of the images of a lease's containers, each with the beginning of its id."""
    return ", ".join(container.image() for container in containers_of(lease))


def volumes_of(lease: Lease) -> tuple[str, ...]:
    """The volumes of a lease, as the stack calls them: ``<service>-<volume>``."""
    with told(lease.marker):
        found = connect().api.volumes(filters=of_lease(lease))["Volumes"] or ()
    return tuple(sorted(str(one["Name"]).removeprefix(prefix(lease.run_id)) for one in found))


def stop(lease: Lease) -> None:
    """Remove every container of a lease, at once and without asking what runs in it. Its volumes stay.

    Raises:
        LeftoverError: one cannot be removed.
    """
    with _leftover(lease):
        for container in containers_of(lease):
            _remove_container(container.id)


def remove(lease: Lease) -> None:
    """Leave nothing of a lease on the engine; the run's network goes with its last user. Idempotent.

    Raises:
        LeftoverError: the engine does not answer, or something cannot be removed.
    """
    stop(lease)
    with _leftover(lease):
        for volume in connect().api.volumes(filters=of_lease(lease))["Volumes"] or ():
            with _gone_already():
                connect().api.remove_volume(volume["Name"], force=True)
        with _making_network:
            for network in connect().api.networks(filters=of_run(lease.run_id)):
                _remove_network(network["Id"])


def remove_run(run_id: str, root: Path) -> None:
    """Leave nothing on the engine of a whole run, whatever lease it belonged to. Idempotent.

    Raises:
        LeftoverError: as for ``remove``.
    """
    lease = Lease(run_id=run_id, service="run", kind="run", directory=root)
    with _leftover(lease):
        api, wanted = connect().api, of_run(run_id)
        for container in api.containers(all=True, filters=wanted):
            _remove_container(container["Id"])
        for volume in api.volumes(filters=wanted)["Volumes"] or ():
            with _gone_already():
                api.remove_volume(volume["Name"], force=True)
    remove(lease)


def _remove_container(id: str) -> None:
    with _gone_already():
        connect().api.remove_container(id, force=True, v=True)
    _wait_until(lambda: not _exists(id), f"the container {id[:12]} does not go away")


def _exists(id: str) -> bool:
    return bool(connect().api.containers(all=True, filters={"id": id}))


def _remove_network(id: str) -> None:
    """Unless somebody is still in it."""
    from docker.errors import APIError

    if connect().api.inspect_network(id)["Containers"]:
        return
    try:
        connect().api.remove_network(id)
    except APIError as error:
        if error.status_code not in (HTTPStatus.NOT_FOUND, HTTPStatus.FORBIDDEN, HTTPStatus.CONFLICT):
            raise


@contextmanager
def _gone_already() -> Iterator[None]:
    """That something is gone, or about to go, is no error."""
    from docker.errors import APIError, NotFound

    with suppress(NotFound):
        try:
            yield
        except APIError as error:
            if BEING_REMOVED not in str(error.explanation):
                raise


def _is_here(image: str) -> bool:
    from docker.errors import ImageNotFound

    try:
        connect().api.inspect_image(image)
    except ImageNotFound:
        return False
    return True


def _wait_until(done: Callable[[], bool], complaint: str) -> None:
    clock = SystemClock()
    began = clock.stamp()
    while not done():
        if clock.stamp().since(began) > PATIENCE:
            raise LeftoverError(complaint, hint="see what the engine says of it: `docker ps --all`")
        clock.sleep(POLL_SECONDS)


@contextmanager
def _leftover(lease: Lease) -> Iterator[None]:
    try:
        with told(lease.marker):
            yield
    except LeftoverError:
        raise
    except HarnessError as error:
        raise LeftoverError(
            f"{lease.marker} may have left containers: {error.message}",
            hint=f"see `docker ps --all --filter label={RUN_LABEL}={lease.run_id}`, then `ninelives sweep`",
        ) from error


def _name_and_tag(name: str) -> tuple[str, str | None]:
    """A digest or a tag, if there is one; ``latest`` otherwise, and never all of them."""
    if "@" in name or ":" in name.rpartition("/")[2]:
        return name, None
    return name, "latest"
