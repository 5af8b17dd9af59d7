"""Any image as a service: ready when the stack says so, asked as the stack says, and gone afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from secrets import token_hex
from typing import Any

import pytest

from harness.clock import SystemClock
from harness.errors import DatabaseError, NotOursError, ProvisionError
from harness.facts import Endpoint, Lease
from harness.replicas.containers import engine
from harness.replicas.containers.container import ContainerReplica
from harness.sandbox import LOOPBACK, Sandbox
from harness.scenario.models import Stack
from harness.seams.container_engine import NAMESPACE, objects_of
from harness.seams.drivers import Setting
from harness.seams.lookup import lookup

pytestmark = pytest.mark.docker
CLI = ("valkey-cli", "--no-auth-warning")
QUEUE = {
    "kind": "container",
    "environment": "production",
    "image": f"{NAMESPACE}valkey",
    "command": ["valkey-server", "--save", "", "--appendonly", "yes"],
    "variables": {"COLOUR": "green"},
    "ports": [6379],
    "volumes": {"data": "/data"},
    "wait": {"command": [*CLI, "ping"]},
    "seed": [*CLI, "mset", "a", "1", "b", "2"],
    "probe": [*CLI, "set", "probed", "yes"],
    "content": [
        "sh",
        "-c",
        "valkey-cli keys '[ab]' | sort | while read k; do echo $k $(valkey-cli get $k); done",
    ],
}
BringUp = Callable[..., Endpoint]


@pytest.fixture
def replica() -> ContainerReplica:
    return ContainerReplica()


@pytest.fixture
def bring_up(sandbox: Sandbox, replica: ContainerReplica) -> Iterator[BringUp]:
    leases: list[Lease] = []

    def provision(**changes: Any) -> Endpoint:
        service = {name: value for name, value in {**QUEUE, **changes}.items() if value is not None}
        stack = Stack.model_validate({"services": {"queue": service}})
        directory = sandbox.root / token_hex(4)
        directory.mkdir()
        lease = Lease(run_id=f"r-{token_hex(4)}", service="queue", kind="container", directory=directory)
        leases.append(lease)
        return replica.provision(lease, Setting(stack, sandbox.root, sandbox, SystemClock(), {}))

    yield provision
    for lease in leases:
        replica.destroy(lease)
        assert objects_of(lease.run_id) == ()
        assert not lease.directory.exists()


def inside(endpoint: Endpoint, *command: str) -> str:
    (container,) = engine.containers_of(endpoint.lease)
    code, said = container.run(*command)
    assert code == 0, said
    return said.strip()


def test_it_is_found_by_its_kind() -> None:
    assert lookup("replicas", "container") is ContainerReplica


def test_it_runs_as_the_stack_says(bring_up: BringUp, replica: ContainerReplica) -> None:
    endpoint = bring_up()
    assert (endpoint.host, endpoint.kind) == (LOOPBACK, "container")
    assert replica.read_marker(endpoint) == endpoint.lease.marker
    assert inside(endpoint, *CLI, "get", "a") == "1"
    assert inside(endpoint, "printenv", "COLOUR") == "green"
    found = [(one.kind, one.name, one.environment) for one in replica.inventory(endpoint)]
    assert found == [("container", "queue", "production"), ("docker-volume", "queue-data", "production")]
    assert replica.describe(endpoint)["image"].startswith(f"{NAMESPACE}valkey")


def test_its_content_is_told_by_its_own_program(bring_up: BringUp, replica: ContainerReplica) -> None:
    endpoint = bring_up()
    before = replica.fingerprint(endpoint)
    assert before.rows == 2
    inside(endpoint, *CLI, "set", "c", "3")
    assert replica.fingerprint(endpoint) == before, "`content` does not look at it"
    inside(endpoint, *CLI, "set", "b", "3")
    assert replica.fingerprint(endpoint) != before


def test_its_own_probe_says_whether_it_serves(bring_up: BringUp, replica: ContainerReplica) -> None:
    endpoint = bring_up()
    assert replica.alive(endpoint)
    assert inside(endpoint, *CLI, "get", "probed") == "yes"
    bad = bring_up(probe=["false"])
    with pytest.raises(DatabaseError, match="the probe ended with exit code 1"):
        replica.probe(bad)
    engine.stop(endpoint.lease)
    assert not replica.alive(endpoint)
    assert [one.kind for one in replica.inventory(endpoint)] == ["docker-volume"]
    with pytest.raises(NotOursError):
        replica.read_marker(endpoint)


HTTP = {
    "image": f"{NAMESPACE}s3",
    "command": ["master", "-mdir=/data", "-ip=127.0.0.1", "-ip.bind=0.0.0.0", "-port=9333"],
    "ports": [9333],
    "seed": None,
    "probe": None,
    "content": None,
}


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"wait": {"log": "Ready to accept connections"}}, id="log"),
        pytest.param({"wait": {"listens": 6379}}, id="port"),
        pytest.param({"wait": None}, id="its first port"),
        pytest.param({**HTTP, "wait": {"http": "/cluster/healthz"}}, id="http"),
    ],
)
def test_it_is_waited_for(bring_up: BringUp, replica: ContainerReplica, changes: dict[str, Any]) -> None:
    """The seed needs the server, so that one that is not waited for fails it."""
    assert replica.alive(bring_up(**changes))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"command": ["sh", "-c", "echo no luck; exit 3"]}, "ended with exit code 3: no luck"),
        ({"wait": {"log": "never said", "timeout": "1s"}}, "is not ready in time"),
        ({"wait": {"listens": 6379, "timeout": "1s"}, "command": ["sleep", "60"]}, "is not ready in time"),
        (
            {"seed": ["sh", "-c", "echo no grain; exit 4"]},
            "the seed of queue ended with exit code 4: no grain",
        ),
    ],
)
def test_what_does_not_come_up_is_told_with_what_it_said(
    bring_up: BringUp, changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(ProvisionError, match=told):
        bring_up(**changes)


def test_volumes_of_the_image_itself_are_the_leases_too(bring_up: BringUp) -> None:
    endpoint = bring_up(volumes=None)
    assert engine.volumes_of(endpoint.lease) == ("queue-image-1",)
