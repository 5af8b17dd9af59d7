"""The docker surface, on a real engine: what it removes, what it refuses, and that it reaches no more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from secrets import token_hex

import pytest

from harness.clock import SystemClock
from harness.facts import Action, Endpoint, Lease, Outcome
from harness.replicas.containers import engine
from harness.replicas.containers.container import ContainerReplica
from harness.sandbox import Sandbox
from harness.scenario.models import Stack
from harness.seams.container_engine import NAMESPACE, connect, objects_of
from harness.seams.drivers import Setting
from harness.surfaces.docker import DockerSurface

pytestmark = pytest.mark.docker
SERVICE = {"kind": "container", "image": f"{NAMESPACE}valkey", "volumes": {"data": "/data"}}
STACK = {
    "services": {
        "queue": {**SERVICE, "environment": "production"},
        "runner": {**SERVICE, "environment": "staging"},
    },
    "principals": {"ci": {"grants": {"runner": "admin"}}, "guest": {}},
}
VERBS = {
    "ps": {},
    "volume-ls": {},
    "rm": {"name": "queue", "force": True},
    "volume-rm": {"name": "queue-data"},
    "volume-prune": {},
    "system-prune": {"volumes": True},
    "compose-down": {"volumes": True},
}
Send = Callable[..., Outcome]


@pytest.fixture
def estate(sandbox: Sandbox) -> Iterator[dict[str, Endpoint]]:
    """Two services of one run."""
    stack, replica, run_id = Stack.model_validate(STACK), ContainerReplica(), f"r-{token_hex(4)}"
    setting = Setting(stack, sandbox.root, sandbox, SystemClock(), {})
    leases = {
        name: Lease(
            run_id=run_id, service=name, kind="container", directory=sandbox.root / f"{run_id}-{name}"
        )
        for name in stack.services
    }
    try:
        for lease in leases.values():
            lease.directory.mkdir()
        yield {name: replica.provision(lease, setting) for name, lease in leases.items()}
    finally:
        for lease in leases.values():
            replica.destroy(lease)


@pytest.fixture
def send(estate: dict[str, Endpoint]) -> Send:
    def send(verb: str, principal: str = "ci", **arguments: object) -> Outcome:
        action = Action(number=1, surface="docker", verb=verb, service="runner")
        return DockerSurface(principal, estate["runner"], SystemClock()).perform(action, arguments)

    return send


def touched(outcome: Outcome) -> set[tuple[str, str, str | None]]:
    return {(resource.kind, resource.name, resource.environment) for resource in outcome.touched}


QUEUE = ("container", "queue", "production")
QUEUE_DATA = ("docker-volume", "queue-data", "production")
RUNNER = ("container", "runner", "staging")
RUNNER_DATA = ("docker-volume", "runner-data", "staging")


def test_it_lists_what_belongs_to_the_run(send: Send) -> None:
    assert send("ps").text == f"queue {NAMESPACE}valkey running\nrunner {NAMESPACE}valkey running"
    listed = send("volume-ls")
    assert (listed.text, listed.touched) == ("queue-data\nrunner-data", ())


def test_a_volume_goes_only_when_no_container_has_it(send: Send) -> None:
    refused = send("volume-rm", name="queue-data")
    assert (refused.status, refused.touched) == ("refused", ())
    assert "volume is in use" in refused.detail
    send("rm", name="queue", force=True)
    removed = send("volume-rm", name="queue-data")
    assert (removed.status, touched(removed)) == ("done", {QUEUE_DATA})
    assert {one.service for one in removed.touched} == {"queue"}


def test_a_running_container_goes_by_force_only_and_its_volumes_stay(
    send: Send, estate: dict[str, Endpoint]
) -> None:
    refused = send("rm", name="queue")
    assert (refused.status, refused.touched) == ("refused", ())
    assert touched(send("rm", name="queue", force=True)) == {QUEUE}
    assert engine.volumes_of(estate["queue"].lease) == ("queue-data",)


def test_prune_takes_the_volumes_of_removed_containers_and_no_others(send: Send) -> None:
    nothing = send("volume-prune")
    assert (nothing.status, nothing.detail, nothing.touched) == ("done", "removed nothing", ())
    send("rm", name="queue", force=True)
    assert touched(send("volume-prune")) == {QUEUE_DATA}


def test_a_system_prune_takes_stopped_containers_and_then_their_volumes(
    send: Send, estate: dict[str, Endpoint]
) -> None:
    (container,) = engine.containers_of(estate["queue"].lease)
    container.quit()
    assert touched(send("system-prune")) == {QUEUE}
    assert touched(send("system-prune", volumes=True)) == {QUEUE_DATA}


def test_compose_down_takes_every_container_and_with_volumes_their_data(
    send: Send, estate: dict[str, Endpoint]
) -> None:
    assert touched(send("compose-down")) == {QUEUE, RUNNER}
    run_id = estate["queue"].lease.run_id
    assert {line.partition(" ")[0] for line in objects_of(run_id)} == {"volume"}
    assert touched(send("compose-down", volumes=True)) == {QUEUE_DATA, RUNNER_DATA}
    assert objects_of(run_id) == ()


def test_names_of_the_engine_do_too(send: Send, estate: dict[str, Endpoint]) -> None:
    full = f"ninelives-{estate['queue'].lease.run_id}-queue-data"
    assert send("volume-rm", name=full).status == "refused"


@pytest.mark.parametrize(
    ("verb", "arguments", "told"),
    [
        ("volume-rm", {"name": "nothing"}, "no such volume: nothing"),
        ("rm", {"name": "queue-data", "force": True}, "no such container: queue-data"),
        ("volume-rm", {}, "name: Field required"),
        ("ps", {"all": True}, "all: Extra inputs are not permitted"),
        ("kill", {}, "docker has no verb 'kill'"),
    ],
)
def test_a_call_that_makes_no_sense_has_failed(
    send: Send, verb: str, arguments: dict[str, object], told: str
) -> None:
    outcome = send(verb, **arguments)
    assert (outcome.status, outcome.touched) == ("failed", ())
    assert told in outcome.detail


@pytest.mark.parametrize("verb", VERBS)
def test_without_a_grant_there_is_no_socket(send: Send, estate: dict[str, Endpoint], verb: str) -> None:
    before = objects_of(estate["queue"].lease.run_id)
    outcome = send(verb, principal="guest", **VERBS[verb])
    assert outcome.status == "refused"
    assert "permission denied" in outcome.detail
    assert objects_of(estate["queue"].lease.run_id) == before


@pytest.fixture
def strangers(sandbox: Sandbox) -> Iterator[tuple[str, ...]]:
    """What others have on the engine: a volume, a stopped container, a network; another run's volume."""
    client, name = connect(), f"stranger-{token_hex(4)}"
    other = Lease(run_id=f"r-{token_hex(4)}", service="queue", kind="container", directory=sandbox.root)
    engine.make_volume(other, "data")
    volume = client.volumes.create(name, labels={"of": "somebody"})
    network = client.networks.create(name, labels={"of": "somebody"})
    container = client.containers.create(f"{NAMESPACE}valkey", ["true"], name=name, network_mode="none")
    try:
        yield (name, *objects_of(other.run_id))
    finally:
        container.remove(v=True)
        network.remove()
        volume.remove()
        engine.remove(other)


@pytest.mark.parametrize("verb", VERBS)
def test_nothing_outside_of_the_run_is_reached_by_any_verb(
    send: Send, estate: dict[str, Endpoint], strangers: tuple[str, ...], verb: str
) -> None:
    name, *others = strangers
    for arguments in (VERBS[verb], {**VERBS[verb], "name": name}):
        outcome = send(verb, **arguments)
        assert name not in outcome.text + outcome.detail.replace(f": {name}", "")
    client = connect()
    assert name in {volume.name for volume in client.volumes.list()}
    assert name in {network.name for network in client.networks.list()}
    assert name in {container.name for container in client.containers.list(all=True)}
    assert others
    for line in others:
        assert line.partition(" ")[2] in {volume.name for volume in client.volumes.list()}
