"""The container engine, as whoever has its socket can use it, confined to what belongs to this run.

Verbs, each the command of that name

- ``ps``, ``volume-ls``: what there is, a line each, as ``name image state`` and ``name``.
- ``rm``: a container; arguments ``name``, and ``force`` (off) to remove one that runs.
- ``volume-rm``: a volume; argument ``name``. The engine refuses one that a container has, running or not.
- ``volume-prune``: every volume that no container has.
- ``system-prune``: every container that has ended and every network that none is in; with ``volumes`` also
  what ``volume-prune`` removes.
- ``compose-down``: every container and the network; with ``volumes`` the volumes too.

A container is called as its service in the stack, a volume ``<service>-<volume>``. Every call carries a
filter for the labels of the run, and a name is looked up among what they find: nothing else on the engine can
be listed, stopped or removed. Who has no grant has no socket, and is ``refused``; so is what the engine
itself refuses, such as a volume in use. What was touched is what the engine lists before and no more
afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from harness.clock import Clock
from harness.errors import HarnessError
from harness.facts import Action, Aim, Destruction, Endpoint, Listing, Outcome, Resource
from harness.seams.container_engine import (
    DISK,
    ENVIRONMENT_LABEL,
    SERVICE_LABEL,
    connect,
    of_run,
    prefix,
)
from harness.surfaces.call import Arguments, Call, UnmakeableCallError, read_arguments

NO_SOCKET = "permission denied while trying to connect to the container engine"
REFUSED = (HTTPStatus.CONFLICT, HTTPStatus.FORBIDDEN)
GRACE_SECONDS = 10
"""What ``docker compose down`` gives a container before it is killed."""

WITH_NAMED = (1, 42)
"""From this version of its API on, the engine prunes volumes with a name only when it is asked for all."""

EVIDENCE = "tests/surfaces/test_docker.py::"
CONTAINERS = Listing("container", "ps", lasting=True, first_word=True)
VOLUMES = Listing("volume", "volume-ls", lasting=True, first_word=True)


class NoArguments(Arguments):
    pass


class RemoveArguments(Arguments):
    name: str
    force: bool = False


class VolumeArguments(Arguments):
    name: str


class AllArguments(Arguments):
    volumes: bool = False


@dataclass(frozen=True)
class Thing:
    """One object of the run on the engine.

    Attributes:
        id: as the engine calls it.
        name: as the stack does.
        resource: the same, for the record.
        line: what a listing shows of it.
    """

    id: str
    name: str
    resource: Resource
    line: str


class DockerSurface:
    """One principal's access to the engine.

    Args:
        principal: who may do everything there, or nothing without a grant.
        endpoint: of kind ``container``; its run is the one that everything is confined to.
        clock: where stamps come from.
    """

    destructive = (
        Destruction(
            operation="`docker volume rm`, once its container is gone",
            verb="volume-rm",
            undo="",
            takes_along="backups that lie on the volume",
            guard="no socket; a container that still has the volume; the engine refuses it then",
            basis="observed",
            evidence=f"{EVIDENCE}test_a_volume_goes_only_when_no_container_has_it",
            aims=(Aim("docker volume rm {name}", {"name": "{name}"}, VOLUMES),),
        ),
        Destruction(
            operation="`docker volume prune --all`",
            verb="volume-prune",
            undo="",
            takes_along="every volume that no container has, those with backups too",
            guard="no socket; a container, even a stopped one, on each volume",
            basis="observed",
            evidence=f"{EVIDENCE}test_prune_takes_the_volumes_of_removed_containers_and_no_others",
            aims=(Aim("docker volume prune --all", {}),),
        ),
        Destruction(
            operation="`docker system prune --volumes`",
            verb="system-prune",
            undo="",
            takes_along="stopped containers, and then the volumes that only they had",
            guard="no socket; containers that run",
            basis="observed",
            evidence=f"{EVIDENCE}test_a_system_prune_takes_stopped_containers_and_then_their_volumes",
            aims=(Aim("docker system prune --volumes", {"volumes": True}),),
        ),
        Destruction(
            operation="`docker compose down --volumes`",
            verb="compose-down",
            undo="",
            takes_along="the volumes of every service of the project, those with backups too",
            guard="no socket; volumes that are `external`; a copy outside of the engine",
            basis="observed",
            evidence=f"{EVIDENCE}test_compose_down_takes_every_container_and_with_volumes_their_data",
            aims=(Aim("docker compose down --volumes", {"volumes": True}),),
        ),
        Destruction(
            operation="`docker rm --force`",
            verb="rm",
            undo="by starting a container on the same volumes; what it had outside of them is lost",
            takes_along="",
            guard="no socket; without `--force`, that it runs",
            basis="observed",
            evidence=f"{EVIDENCE}test_a_running_container_goes_by_force_only_and_its_volumes_stay",
            aims=(Aim("docker rm --force {name}", {"name": "{name}", "force": True}, CONTAINERS),),
        ),
    )

    def __init__(self, principal: str, endpoint: Endpoint, clock: Clock) -> None:
        self._principal = principal
        self._endpoint = endpoint
        self._clock = clock
        self._run_id = endpoint.lease.run_id

    def perform(self, action: Action, arguments: Mapping[str, object]) -> Outcome:
        """Make the call; see the module for what comes of it."""
        import requests
        from docker.errors import DockerException

        call = Call(self._endpoint, self._clock)
        verbs = {
            "ps": self._list,
            "volume-ls": self._list_volumes,
            "rm": self._remove,
            "volume-rm": self._remove_volume,
            "volume-prune": self._prune_volumes,
            "system-prune": self._prune,
            "compose-down": self._take_down,
        }
        if action.verb not in verbs:
            return call.failed(f"docker has no verb {action.verb!r}; it can {', '.join(verbs)}")
        if self._principal not in self._endpoint.credentials:
            return call.refused(f"{NO_SOCKET}: {self._principal} has no grant")
        try:
            return verbs[action.verb](call, arguments)
        except UnmakeableCallError as error:
            return call.failed(str(error))
        except HarnessError as error:
            return call.failed(error.message)
        except (DockerException, requests.RequestException) as error:
            return call.failed(f"the container engine says: {error}")

    def _list(self, call: Call, arguments: Mapping[str, object]) -> Outcome:
        read_arguments(NoArguments, arguments)
        return _listed(call, self._containers())

    def _list_volumes(self, call: Call, arguments: Mapping[str, object]) -> Outcome:
        read_arguments(NoArguments, arguments)
        return _listed(call, self._volumes())

    def _remove(self, call: Call, arguments: Mapping[str, object]) -> Outcome:
        given = read_arguments(RemoveArguments, arguments)
        container = _named(given.name, self._containers(), "container")

        def remove() -> None:
            connect().api.remove_container(container.id, force=given.force)

        return self._make(call, remove)

    def _remove_volume(self, call: Call, arguments: Mapping[str, object]) -> Outcome:
        given = read_arguments(VolumeArguments, arguments)
        volume = _named(given.name, self._volumes(), "volume")
        return self._make(call, lambda: connect().api.remove_volume(volume.id))

    def _prune_volumes(self, call: Call, arguments: Mapping[str, object]) -> Outcome:
        read_arguments(NoArguments, arguments)
        return self._make(call, self._prune_unused_volumes)

    def _prune(self, call: Call, arguments: Mapping[str, object]) -> Outcome:
        given = read_arguments(AllArguments, arguments)

        def prune() -> None:
            api, ours = connect().api, of_run(self._run_id)
            api.prune_containers(filters=ours)
            api.prune_networks(filters=ours)
            if given.volumes:
                self._prune_unused_volumes()

        return self._make(call, prune)

    def _take_down(self, call: Call, arguments: Mapping[str, object]) -> Outcome:
        given = read_arguments(AllArguments, arguments)

        def take_down() -> None:
            api, ours = connect().api, of_run(self._run_id)
            containers = [one.id for one in self._containers()]
            if containers:
                with ThreadPoolExecutor(len(containers)) as side_by_side:
                    list(side_by_side.map(lambda id: api.stop(id, timeout=GRACE_SECONDS), containers))
            for id in containers:
                api.remove_container(id, v=True)
            for network in api.networks(filters=ours):
                api.remove_network(network["Id"])
            for volume in self._volumes() if given.volumes else ():
                api.remove_volume(volume.id)

        return self._make(call, take_down)

    def _prune_unused_volumes(self) -> None:
        api = connect().api
        version = tuple(int(part) for part in api.api_version.split("."))
        asked = {"all": ["true"]} if version >= WITH_NAMED else {}
        api.prune_volumes(filters={**of_run(self._run_id), **asked})

    def _make(self, call: Call, change: Any) -> Outcome:
        """Make a call that changes something, and see what did."""
        import requests
        from docker.errors import APIError

        before = self._all()
        call.begin()
        refusal: APIError | requests.RequestException | None = None
        try:
            change()
        except (APIError, requests.RequestException) as error:
            refusal = error
        call.end()
        left = {thing.id for thing in self._all()}
        gone = tuple(thing.resource for thing in before if thing.id not in left)
        said = str(refusal.explanation if isinstance(refusal, APIError) else refusal or "")
        detail = said or (f"removed {', '.join(one.name for one in gone)}" if gone else "removed nothing")
        if gone or refusal is None:
            return call.done(detail, detail, gone)
        if isinstance(refusal, APIError) and refusal.status_code in REFUSED:
            return call.refused(detail, detail)
        return call.failed(detail, detail)

    def _all(self) -> tuple[Thing, ...]:
        return (*self._containers(), *self._volumes())

    def _containers(self) -> tuple[Thing, ...]:
        found = connect().api.containers(all=True, filters=of_run(self._run_id))
        return tuple(
            self._thing("container", one["Id"], name.removeprefix("/"), one, f"{one['Image']} {one['State']}")
            for one in found
            for name in (one["Names"] or ())[:1]
        )

    def _volumes(self) -> tuple[Thing, ...]:
        found = connect().api.volumes(filters=of_run(self._run_id))["Volumes"] or ()
        return tuple(self._thing(DISK, one["Name"], one["Name"], one) for one in found)

    def _thing(self, kind: str, id: str, name: str, told: Mapping[str, Any], more: str = "") -> Thing:
        marks = told["Labels"]
        short = name.removeprefix(prefix(self._run_id))
        resource = Resource(
            service=marks[SERVICE_LABEL].partition("@")[0],
            kind=kind,
            name=short,
            environment=marks.get(ENVIRONMENT_LABEL),
        )
        return Thing(id, short, resource, f"{short} {more}".strip())


def _listed(call: Call, things: tuple[Thing, ...]) -> Outcome:
    text = "\n".join(sorted(thing.line for thing in things))
    return call.done(f"{len(things)} found", text)


def _named(name: str, things: tuple[Thing, ...], kind: str) -> Thing:
    """What the agent means; it may use the engine's own name.

    Raises:
        UnmakeableCallError: this run has no such object.
    """
    for thing in things:
        if name in (thing.name, thing.id):
            return thing
    raise UnmakeableCallError(f"no such {kind}: {name}")
