"""The workload of a service that holds items: what its ledger says is what the service says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from secrets import token_hex

import pytest

from harness.clock import SystemClock
from harness.facts import Endpoint, Lease
from harness.journal.ledger import Ledger, read_ledger
from harness.replicas.s3 import S3Replica
from harness.replicas.valkey import ValkeyReplica
from harness.replicas.volume import VolumeReplica
from harness.sandbox import Sandbox
from harness.scenario.models import Stack
from harness.seams.drivers import ItemStore, Setting
from harness.workload.process import Workload
from tests.workload.conftest import HEAD
from tests.workload.observing import wait_for_acknowledgements, wait_until

pytestmark = pytest.mark.slow

USERS = """
class Visitor(LedgerUser):
    def on_start(self):
        self.known = []

    @task(3)
    def add(self):
        key = self.key()
        if self.put("first", key, self.random.randbytes(50)):
            self.known.append(key)

    @task(2)
    def change(self):
        if self.known:
            key = self.random.choice(self.known)
            assert self.get("first", key) is not None
            self.replace("first", key, self.random.randbytes(60))

    @task(1)
    def drop(self):
        if self.known:
            self.remove("first", self.known.pop())
"""
STRAY = """
class Visitor(LedgerUser):
    @task
    def add(self):
        self.put("third", self.key(), b"")
"""
KINDS = {"volume": (VolumeReplica, {}), "valkey": (ValkeyReplica, {}), "s3": (S3Replica, {"bucket": "items"})}
Start = Callable[..., Workload]


@pytest.fixture(params=sorted(KINDS))
def service(request: pytest.FixtureRequest, sandbox: Sandbox) -> Iterator[tuple[ItemStore, Endpoint]]:
    kind = request.param
    driver, settings = KINDS[kind]
    stack = Stack.model_validate(
        {"services": {"items": {"kind": kind, "collections": ["first", "second"], **settings}}}
    )
    directory = sandbox.root / f"items-{token_hex(4)}"
    lease = Lease(run_id=sandbox.run_id, service="items", kind=kind, directory=directory)
    replica = driver()
    try:
        yield replica, replica.provision(lease, Setting(stack, sandbox.root, sandbox, SystemClock(), {}))
    finally:
        replica.destroy(lease)


@pytest.fixture
def start(sandbox: Sandbox, tmp_path: Path) -> Iterator[Start]:
    started: list[Workload] = []

    def start(endpoint: Endpoint, users: str) -> Workload:
        (tmp_path / "users.py").write_text(HEAD + users)
        workload = Workload(
            sandbox=sandbox,
            locustfile=tmp_path / "users.py",
            endpoint=endpoint,
            stores=(),
            keys={"first": "", "second": ""},
            ledger=tmp_path / "ledger.jsonl",
            users=8,
            rate=200,
        )
        started.append(workload)
        workload.start()
        workload.go()
        return workload

    yield start
    for workload in started:
        workload.stop()


def called_for(ledger: Ledger) -> dict[str, int]:
    """The items that should be there, and the hash that each was acknowledged with."""
    there: dict[str, int] = {}
    for call in ledger.acknowledged():
        for write in call.writes:
            assert write.hash is not None
            if write.op == "delete":
                assert there.pop(write.key) == write.hash
            else:
                there[write.key] = write.hash
    return there


def test_the_ledger_and_the_service_say_the_same_and_stopping_cuts_nothing_off(
    service: tuple[ItemStore, Endpoint], start: Start, tmp_path: Path
) -> None:
    replica, endpoint = service
    workload = start(endpoint, USERS)
    wait_for_acknowledgements(tmp_path / "ledger.jsonl", 150)
    assert workload.stop() == 0
    ledger = read_ledger(tmp_path / "ledger.jsonl")
    assert not tuple(ledger.indeterminate())
    assert {write.op for call in ledger.acknowledged() for write in call.writes} == {
        "insert",
        "update",
        "delete",
    }
    assert called_for(ledger) == {row.key: row.hash for row in replica.rows(endpoint, "first", "", "")}


def test_a_service_that_goes_away_acknowledges_nothing_more_and_the_users_go_on(
    service: tuple[ItemStore, Endpoint], start: Start, tmp_path: Path
) -> None:
    replica, endpoint = service
    workload = start(endpoint, USERS)
    wait_for_acknowledgements(tmp_path / "ledger.jsonl", 50)
    workload.pause()

    def settled() -> bool:
        return all(call.state != "unanswered" for call in read_ledger(tmp_path / "ledger.jsonl").calls)

    wait_until(settled, "what was under way has been answered")
    before = len(tuple(read_ledger(tmp_path / "ledger.jsonl").acknowledged()))
    replica.fence(endpoint)
    workload.go()

    def unanswered() -> bool:
        calls = read_ledger(tmp_path / "ledger.jsonl").calls
        return sum(call.state in ("refused", "broken") for call in calls) > 20

    wait_until(unanswered, "writes fail")
    assert workload.alive()
    assert len(tuple(read_ledger(tmp_path / "ledger.jsonl").acknowledged())) == before
    assert workload.mistake() is None


def test_a_collection_that_nobody_would_look_into_is_a_mistake_of_the_locustfile(
    service: tuple[ItemStore, Endpoint], start: Start, tmp_path: Path
) -> None:
    workload = start(service[1], STRAY)
    wait_until(lambda: workload.mistake() is not None, "the locustfile raises")
    told = workload.mistake()
    assert told is not None
    assert "'third', which is not a tracked table" in told.what
    assert not tuple(read_ledger(tmp_path / "ledger.jsonl").acknowledged())
