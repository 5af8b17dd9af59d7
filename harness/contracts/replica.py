"""What a replica must do."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import psutil
import pytest

from harness.clock import SystemClock
from harness.contracts.bench import FOLDER, Bench
from harness.contracts.contract import Contract
from harness.facts import OPERATOR, Endpoint
from harness.sandbox import LOOPBACK
from harness.seams.drivers import Replica

PATIENCE = 10.0
T = TypeVar("T")
LOCAL = ("127.0.0.1", "::1")


class ReplicaContract(Contract):
    """A replica is real, is ours, stays on this machine, and leaves nothing.

    Attributes:
        service: of the stack, whose driver is tried.
    """

    service: ClassVar[str]

    def fill(self, bench: Bench, endpoint: Endpoint) -> None:
        """Put something in that can be deleted. A replica that comes with content needs nothing."""

    @pytest.fixture
    def endpoint(self, bench: Bench) -> Endpoint:
        """The replica that the tests of the class share."""
        return bench.provision(self.service)

    @pytest.fixture
    def driver(self, bench: Bench) -> Replica:
        """A fresh instance of its driver, as another process would have."""
        return bench.driver(self.service)

    def test_it_answers_on_loopback_only(self, bench: Bench, endpoint: Endpoint) -> None:
        assert endpoint.kind
        assert endpoint.host in ("", LOOPBACK)
        assert bool(endpoint.host) == bool(endpoint.port)
        if endpoint.port:
            socket.create_connection((endpoint.host, endpoint.port), timeout=5).close()
        listening = [
            connection.laddr.ip
            for connections in _of_each(bench, _connections)
            for connection in connections
            if connection.status == psutil.CONN_LISTEN
        ]
        assert set(listening) <= {*LOCAL}

    def test_its_marker_is_the_leases(self, endpoint: Endpoint, driver: Replica) -> None:
        assert endpoint.lease.service == self.service
        assert driver.read_marker(endpoint) == endpoint.lease.marker

    def test_it_says_what_can_be_deleted(self, bench: Bench, endpoint: Endpoint, driver: Replica) -> None:
        self.fill(bench, endpoint)
        found = driver.inventory(endpoint)
        assert found, "nothing can be deleted in it, so no drill could show a loss"
        assert {resource.service for resource in found} == {self.service}
        assert len(set(found)) == len(found), "a resource is listed twice"

    def test_it_describes_itself(self, endpoint: Endpoint, driver: Replica) -> None:
        described = driver.describe(endpoint)
        assert described, "a measured time means nothing without the version that it was measured on"
        assert all(name and value for name, value in described.items())
        secrets = [credential.secret.reveal() for credential in endpoint.credentials.values()]
        assert not [secret for secret in secrets if secret and secret in str(described)]

    def test_whoever_has_a_grant_has_a_secret_of_their_own(self, bench: Bench, endpoint: Endpoint) -> None:
        granted = [
            name for name, principal in bench.stack.principals.items() if self.service in principal.grants
        ]
        wanted = {*granted, OPERATOR} if endpoint.kind != "files" else set()
        assert wanted <= endpoint.credentials.keys()
        secrets = [credential.secret.reveal() for credential in endpoint.credentials.values()]
        assert len(set(secrets)) == len(secrets)
        assert all(len(secret) >= 16 for secret in secrets), "a secret that can be guessed guards nothing"
        assert not [secret for secret in secrets if secret in repr(endpoint)]

    def test_no_secret_is_an_argument_of_a_process(self, bench: Bench, endpoint: Endpoint) -> None:
        lines = list(_of_each(bench, lambda process: " ".join(process.cmdline())))
        secrets = [credential.secret.reveal() for credential in endpoint.credentials.values()]
        assert not [secret for secret in secrets for line in lines if secret in line]

    def test_what_it_writes_lies_in_the_directories_of_leases(self, bench: Bench, endpoint: Endpoint) -> None:
        leased = {lease.directory for lease in bench.leases}
        assert endpoint.path.is_relative_to(bench.sandbox.root)
        others = {path for path in bench.sandbox.root.iterdir() if path.name != FOLDER} - leased
        assert not others

    def test_two_do_not_meet(self, endpoint: Endpoint, driver: Replica) -> None:
        before = driver.inventory(endpoint)
        with self.fresh_bench() as beside:
            other = beside.provision(self.service)
            self.fill(beside, other)
            assert driver.read_marker(other) == other.lease.marker != endpoint.lease.marker
            assert not endpoint.port or other.port != endpoint.port
            assert not _secrets(endpoint) & _secrets(other)
            beside.destroy()
            assert beside.remains() == []
        assert driver.read_marker(endpoint) == endpoint.lease.marker
        assert driver.inventory(endpoint) == before

    def test_it_is_destroyed_from_the_lease_alone_and_again(self) -> None:
        with self.fresh_bench() as bench:
            endpoint = bench.provision(self.service)
            bench.destroy()
            assert bench.remains() == []
            assert _is_silent(endpoint)
            bench.destroy()

    def test_what_was_never_there_is_destroyed(self) -> None:
        with self.fresh_bench() as bench:
            bench.driver(self.service).destroy(bench.lease(self.service))
            assert bench.remains() == []

    def test_it_is_destroyed_after_its_processes_were_killed(self) -> None:
        with self.fresh_bench() as bench:
            endpoint = bench.provision(self.service)
            bench.kill()
            if endpoint.port:
                assert _is_silent(endpoint)
                assert bench.driver(self.service).inventory(endpoint) == (), (
                    "what does not answer has nothing"
                )
            bench.destroy()
            assert bench.remains() == []


def _of_each(bench: Bench, question: Callable[[psutil.Process], T]) -> Iterator[T]:
    """The answer of every process of a bench; one that ends meanwhile has none."""
    for pid in bench.processes():
        with suppress(psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
            yield question(psutil.Process(pid))


def _connections(process: psutil.Process) -> list[Any]:
    """Of this machine's network: what listens in a container's is reached only where it is published."""
    ours, its = (Path(f"/proc/{pid}/ns/net") for pid in ("self", process.pid))
    if ours.exists() and ours.readlink() != its.readlink():
        return []
    return list(process.net_connections("inet"))


def _secrets(endpoint: Endpoint) -> set[str]:
    return {credential.secret.reveal() for credential in endpoint.credentials.values()}


def _is_silent(endpoint: Endpoint) -> bool:
    """Whether nobody listens there any more, and no file of it is left where nobody has to listen.

    An engine notices a moment later that its container has ended; a connection that was not yet taken
    when the listener went is reset rather than refused, and says nothing of the next one.
    """
    if not endpoint.port:
        return not Path(endpoint.path).exists()
    clock = SystemClock()
    began = clock.stamp()
    while clock.stamp().since(began) < PATIENCE:
        try:
            socket.create_connection((endpoint.host, endpoint.port), timeout=5).close()
        except ConnectionRefusedError:
            return True
        except ConnectionResetError:
            pass
        clock.sleep(0.02)
    return False
