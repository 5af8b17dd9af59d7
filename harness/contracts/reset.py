"""What a replica must do that can be brought back to what it was."""

from __future__ import annotations

from typing import ClassVar

import pytest

from harness.contracts.bench import Bench
from harness.contracts.contract import Contract
from harness.errors import HarnessError
from harness.facts import Endpoint
from harness.seams.drivers import Memory, Resettable, Store
from harness.seams.drivers import Replica as Driver


class ResetContract(Contract):
    """A reset leaves nothing of what was done, however bad it was, and what did nothing needs none.

    Attributes:
        service: of the stack, whose driver is tried.
        with_: services that are brought up with it and reset before it, in that order.
        tables: of the service, if its content can be compared.
    """

    service: ClassVar[str]
    with_: ClassVar[tuple[str, ...]] = ()
    tables: ClassVar[tuple[str, ...]] = ()

    def fill(self, bench: Bench, endpoint: Endpoint) -> None:
        """Put in what can be lost, locked, and set."""
        raise NotImplementedError

    def look(self, bench: Bench, endpoint: Endpoint) -> object:
        """What ``ruin`` changes and neither inventory nor content shows: settings, locks, whom it lets in."""
        raise NotImplementedError

    def ruin(self, bench: Bench, endpoint: Endpoint) -> None:
        """Destroy and change whatever can be, each time differently from before if that is possible."""
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def remembered(cls, bench: Bench) -> tuple[Memory, ...]:
        """What is remembered of the services, each of which is filled."""
        for service in (*cls.with_, cls.service):
            bench.provision(service)
        cls().fill(bench, bench.endpoints[cls.service])
        return tuple(_remember(bench, service) for service in (*cls.with_, cls.service))

    def test_a_reset_without_need_changes_nothing(self, bench: Bench, remembered: tuple[Memory, ...]) -> None:
        endpoint = bench.endpoints[self.service]
        before = self._state(bench, endpoint)
        for memory in remembered:
            memory.reset()
        assert not remembered[-1].changed()
        assert self._state(bench, endpoint) == before

    def test_a_reset_leaves_nothing_of_what_was_done(
        self, bench: Bench, remembered: tuple[Memory, ...]
    ) -> None:
        endpoint = bench.endpoints[self.service]
        before = self._state(bench, endpoint)
        for _ in range(2):
            self.ruin(bench, endpoint)
            assert any(memory.changed() for memory in remembered), "nobody noticed"
            assert self._state(bench, endpoint) != before, "nothing was ruined, so this would prove nothing"
            for memory in remembered:
                memory.reset()
            assert not remembered[-1].changed(), "it has just been reset"
            assert self._state(bench, endpoint) == before

    def _state(self, bench: Bench, endpoint: Endpoint) -> object:
        driver = bench.replica_at(endpoint)
        return (
            {s: bench.replica_at(bench.endpoints[s]).inventory(bench.endpoints[s]) for s in self._services},
            _content(driver, endpoint, self.tables),
            driver.read_marker(endpoint) if driver.inventory(endpoint) else "",
            self.look(bench, endpoint),
        )

    @property
    def _services(self) -> tuple[str, ...]:
        return (*self.with_, self.service)


def _remember(bench: Bench, service: str) -> Memory:
    endpoint = bench.endpoints[service]
    driver = bench.replica_at(endpoint)
    assert isinstance(driver, Resettable), f"{type(driver).__name__} has not all of Resettable"
    return driver.remember(endpoint, bench.setting())


def _content(driver: Driver, endpoint: Endpoint, tables: tuple[str, ...]) -> object:
    if not tables:
        return None
    assert isinstance(driver, Store), f"{type(driver).__name__} has not all of Store"
    try:
        return driver.fingerprint(endpoint, tables)
    except HarnessError as error:
        return type(error).__name__
