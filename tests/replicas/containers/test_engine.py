"""Containers of a lease: labelled, on loopback only, and gone without a trace when the lease is destroyed."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from secrets import token_hex
from typing import Any

import pytest

from harness.errors import LeftoverError, MissingToolError, ProvisionError
from harness.facts import Lease
from harness.replicas.containers import engine
from harness.replicas.containers.engine import PortTakenError, Recipe, Started
from harness.sandbox import LOOPBACK, Sandbox, free_port
from harness.seams.container_engine import (
    HOME_LABEL,
    NAMESPACE,
    RUN_LABEL,
    SERVICE_LABEL,
    connect,
    home,
    objects_of,
)

pytestmark = pytest.mark.docker
VALKEY = f"{NAMESPACE}valkey"
PORT = 6379


@pytest.fixture
def lease(sandbox: Sandbox) -> Iterator[Lease]:
    held = make_lease(sandbox, "cache")
    yield held
    engine.remove(held)


def make_lease(sandbox: Sandbox, service: str) -> Lease:
    return Lease(run_id=sandbox.run_id, service=service, kind="container", directory=sandbox.root / service)


def inspect(started: Started) -> Any:
    return connect().api.inspect_container(started.id)


def test_every_object_carries_its_lease(lease: Lease) -> None:
    volume = engine.make_volume(lease, "data")
    started = engine.start(lease, Recipe(VALKEY, mounts={volume: "/data"}, ports={PORT: free_port()}))
    at_home = home(lease.directory.parent.parent)
    wanted = {RUN_LABEL: lease.run_id, SERVICE_LABEL: "cache", HOME_LABEL: at_home}
    assert wanted.items() <= inspect(started)["Config"]["Labels"].items()
    assert connect().api.inspect_volume(volume)["Labels"] == wanted
    (network,) = connect().api.networks(filters={"label": f"{RUN_LABEL}={lease.run_id}"})
    assert list(inspect(started)["NetworkSettings"]["Networks"]) == [network["Name"]]
    assert network["Labels"] == {RUN_LABEL: lease.run_id, HOME_LABEL: at_home}


def test_a_port_is_published_on_loopback_and_nowhere_else(lease: Lease) -> None:
    port = free_port()
    started = engine.start(lease, Recipe(VALKEY, ports={PORT: port}))
    published = inspect(started)["NetworkSettings"]["Ports"][f"{PORT}/tcp"]
    assert published == [{"HostIp": LOOPBACK, "HostPort": str(port)}]


def test_a_port_that_somebody_has_is_told_and_nothing_stays(lease: Lease) -> None:
    with socket.create_server((LOOPBACK, 0)) as somebody, pytest.raises(PortTakenError):
        engine.start(lease, Recipe(VALKEY, ports={PORT: somebody.getsockname()[1]}))
    assert engine.containers_of(lease) == ()


def test_services_of_a_run_meet_in_its_network_which_goes_with_the_last(
    lease: Lease, sandbox: Sandbox
) -> None:
    other = make_lease(sandbox, "other")
    engine.start(lease, Recipe(VALKEY, aliases=("cache",)))
    asking = engine.start(other, Recipe(VALKEY, command=("sleep", "60")))
    until_up = "until valkey-cli -h cache ping; do sleep 0.1; done"
    assert asking.run("timeout", "20", "sh", "-c", until_up) == (0, "PONG\n")
    engine.remove(lease)
    assert [line.partition(" ")[0] for line in objects_of(lease.run_id)] == ["container", "network"]
    engine.remove(other)
    assert objects_of(lease.run_id) == ()


def test_another_process_removes_all_of_it_from_the_lease_alone(lease: Lease) -> None:
    volume = engine.make_volume(lease, "data")
    engine.start(lease, Recipe(VALKEY, mounts={volume: "/data"}))
    code = "from harness.facts import Lease; from harness.replicas.containers.engine import remove\n"
    code += f"for _ in range(2): remove(Lease.model_validate_json({lease.model_dump_json()!r}))"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert objects_of(lease.run_id) == ()


def test_what_belongs_to_nobody_or_to_another_run_stays(lease: Lease, sandbox: Sandbox) -> None:
    stranger = Lease(run_id=f"other-{token_hex(4)}", service="cache", kind="x", directory=sandbox.root)
    theirs = engine.make_volume(stranger, "data")
    nobodys = connect().volumes.create(f"nobodys-{token_hex(4)}")
    try:
        engine.make_volume(lease, "data")
        engine.remove(lease)
        left = {volume.name for volume in connect().volumes.list()}
        assert {theirs, nobodys.name} <= left
    finally:
        engine.remove(stranger)
        nobodys.remove()


def test_a_volume_that_a_stranger_uses_is_a_leftover_with_its_name(lease: Lease) -> None:
    volume = engine.make_volume(lease, "data")
    stranger = connect().containers.run(
        VALKEY, ["sleep", "60"], detach=True, volumes={volume: {"bind": "/data"}}
    )
    try:
        with pytest.raises(LeftoverError, match=volume) as caught:
            engine.remove(lease)
        assert f"label={RUN_LABEL}={lease.run_id}" in caught.value.hint
    finally:
        stranger.remove(force=True)


def test_a_volume_can_be_one_of_our_directories(lease: Lease, sandbox: Sandbox) -> None:
    place = sandbox.root / "place"
    place.mkdir()
    volume = engine.make_volume(lease, "data", place)
    write = Recipe(VALKEY, command=("sh", "-c", "echo here > /data/told"), mounts={volume: "/data"})
    assert engine.run_alone(lease, write) == (0, "")
    assert (place / "told").read_text() == "here\n"
    engine.remove(lease)
    assert (place / "told").exists(), "it is the directory's owner who removes it"


def test_an_image_of_ours_that_is_not_there_is_asked_for_nowhere(lease: Lease) -> None:
    with pytest.raises(MissingToolError, match="there is no image ninelives/nothing") as caught:
        engine.start(lease, Recipe(f"{NAMESPACE}nothing"))
    assert "make images" in caught.value.hint


def test_what_the_engine_refuses_is_told_in_its_words(lease: Lease) -> None:
    with pytest.raises(ProvisionError, match="no-such-program"):
        engine.start(lease, Recipe(VALKEY, entrypoint=("no-such-program",)))
    assert [line for line in objects_of(lease.run_id) if line.startswith("container")] == []


def test_a_container_that_was_removed_has_ended(lease: Lease) -> None:
    started = engine.start(lease, Recipe(VALKEY))
    assert started.poll() is None
    engine.stop(lease)
    assert started.poll() is not None
