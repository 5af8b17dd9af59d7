"""What users write is in the ledger: all of it, nothing else, and with the server's own hashes."""

from __future__ import annotations

import re
from pathlib import Path

import psutil
import pytest

from harness.facts import Endpoint, Lease
from harness.journal.ledger import Call, read_ledger
from harness.replicas.postgres import PostgresReplica
from harness.replicas.s3 import S3Replica
from harness.sandbox import Sandbox
from harness.scenario.models import Stack
from harness.seams.drivers import Setting
from harness.seams.s3_client import open_client
from tests.workload.conftest import KEYS, TIMES, Make
from tests.workload.observing import stored, wait_for_acknowledgements, wait_until, written

EVERYTHING = """
class Customer(LedgerUser):
    def on_start(self):
        super().on_start()
        self.booked = []

    @task(4)
    def book(self):
        booking, now = self.key(), datetime.now(UTC)
        with self.transaction("book") as tx:
            tx.insert("bookings", booking, seats=self.random.randint(1, 9), price=19.99, note="window",
                      distance=0.1 + 0.2, extras={"meal": True, "list": [1, None]},
                      stamp=2**40, booked_at=now)
            tx.insert("payments", self.key(), booking_id=booking)
        if tx.acknowledged:
            self.booked.append(booking)

    @task(2)
    def change_twice(self):
        if self.booked:
            booking = self.random.choice(self.booked)
            with self.transaction() as tx:
                assert tx.update("bookings", booking, note="aisle")
                assert tx.update("bookings", booking, note="äöü %s", seats=3)

    @task(2)
    def draft(self):
        draft = self.key()
        with self.transaction() as tx:
            tx.insert("bookings", draft, seats=1)
        with self.transaction() as tx:
            assert tx.delete("bookings", draft)

    @task(1)
    def miss(self):
        with self.transaction() as tx:
            assert not tx.update("bookings", self.key(), seats=1)
            assert not tx.delete("bookings", self.key())

    @task(1)
    def look(self):
        ((bookings,),) = self.read("SELECT count(*) FROM bookings WHERE seats > %s", 0)
        assert self.read("SELECT 5 % 2") == [(1,)]
"""
COUNT = """
class Counter(LedgerUser):
    def on_start(self):
        super().on_start()
        with self.transaction() as tx:
            tx.insert("counters", f"own {self.number}", n=0)
            if not tx.read('SELECT 1 FROM counters WHERE "the key" = %s', "shared"):
                tx.insert("counters", "shared", n=0)

    @task
    def count(self):
        with self.transaction() as tx:
            ((n,),) = tx.read('SELECT n FROM counters WHERE "the key" = %s FOR UPDATE', "shared")
            tx.update("counters", "shared", n=n + 1, counted_at=datetime.now(UTC))
"""
BOOK = """
class Customer(LedgerUser):
    @task
    def book(self):
        with self.transaction() as tx:
            tx.insert("bookings", self.key(), seats=1)
"""


def test_ledger_and_database_agree_row_by_row_and_hash_by_hash(
    database: Endpoint, replica: PostgresReplica, make: Make, ledger: Path
) -> None:
    workload = make(database, EVERYTHING, rate=300)
    workload.go()
    wait_for_acknowledgements(ledger, 500)
    assert workload.stop() == 0, workload.last_words()
    kept = read_ledger(ledger)
    assert not tuple(kept.indeterminate())
    seen = {write.op for call in kept.acknowledged() for write in call.writes}
    assert seen == {"insert", "update", "delete"}
    for table in ("bookings", "payments"):
        in_database = stored(replica, database, table, KEYS[table], TIMES[table])
        assert written(kept, table) == in_database
        assert len(in_database) > 50


def test_rows_that_many_users_fight_over_are_told_in_the_order_of_their_commits(
    database: Endpoint, replica: PostgresReplica, make: Make, ledger: Path
) -> None:
    workload = make(database, COUNT, users=8, rate=300)
    workload.go()
    wait_for_acknowledgements(ledger, 300)
    workload.stop()
    kept = read_ledger(ledger)
    assert written(kept, "counters") == stored(replica, database, "counters", "the key", "counted_at")
    ((counted,),) = replica.query(database, "SELECT n FROM counters WHERE \"the key\" = 'shared'", {})
    updates = sum(write.op == "update" for call in kept.acknowledged() for write in call.writes)
    assert counted == updates > 100


def test_the_wanted_rate_is_kept_and_reads_cost_none_of_it(
    database: Endpoint, make: Make, ledger: Path
) -> None:
    reader = BOOK + "    @task\n    def look(self):\n        self.read('SELECT 1')\n"
    workload = make(database, reader, users=10, rate=40)  # which a busy machine can keep, too
    workload.go()
    wait_for_acknowledgements(ledger, 160)
    workload.stop()
    calls = tuple(read_ledger(ledger).acknowledged())
    # The users all begin at once, each with one transaction that is early.
    rate = (len(calls) - 10) / (calls[-1].ended - calls[0].ended)
    assert rate == pytest.approx(40, rel=0.1)


def test_the_same_seed_makes_the_same_keys(
    database: Endpoint, replica: PostgresReplica, make: Make, tmp_path: Path
) -> None:
    keys: list[dict[str, list[str]]] = []
    for run in ("first", "second"):
        replica.execute(database, "TRUNCATE bookings, payments", {})
        ledger = tmp_path / f"{run}.jsonl"
        workload = make(database, BOOK, ledger=ledger, seed=7)
        workload.go()
        wait_for_acknowledgements(ledger, 40)
        workload.stop()
        of_user: dict[str, list[str]] = {}
        for call in read_ledger(ledger).calls:
            of_user.setdefault(call.user, []).extend(write.key for write in call.writes)
        keys.append({user: made[:5] for user, made in of_user.items()})
    assert keys[0] == keys[1]
    assert set(keys[0]) == {"0", "1", "2", "3"}


# --- what the server refuses, and what nobody can know ------------------------------------------------


REFUSED = """
class Customer(LedgerUser):
    @task
    def break_a_check(self):
        with self.transaction() as tx:
            tx.insert("bookings", self.key(), seats=0)
        assert not tx.acknowledged

    @task
    def name_no_column(self):
        with self.transaction() as tx:
            tx.insert("bookings", self.key(), seats=1, nowhere=1)
        assert not tx.acknowledged

    @task
    def give_no_value(self):
        with self.transaction() as tx:
            tx.insert("bookings", self.key(), seats=object())
        assert not tx.acknowledged

    @task
    def break_a_deferred_constraint(self):
        with self.transaction() as tx:
            tx.insert("payments", self.key(), booking_id=self.key())
        assert not tx.acknowledged

    @task
    def go_on_regardless(self):
        with self.transaction() as tx:
            tx.insert("bookings", self.key(), seats=1)
            try:
                tx.insert("bookings", self.key(), seats=0)
            except Exception:
                pass
        assert not tx.acknowledged

    @task
    def lose_the_line_before_the_commit(self):
        with self.transaction() as tx:
            tx.insert("dies_at_once", self.key())
        assert not tx.acknowledged

    @task
    def lose_the_line_in_the_commit(self):
        with self.transaction() as tx:
            tx.insert("dies_at_commit", self.key())
        assert not tx.acknowledged
"""
MISTAKES = """
class Customer(LedgerUser):
    @task
    def forget(self):
        with self.transaction() as tx:
            tx.insert("bookings", self.key(), seats=1)
            {}["missing"]

    @task
    def misspell(self):
        with self.transaction() as tx:
            tx.insert("booking", self.key(), seats=1)
"""


def test_what_is_not_acknowledged_is_refused_when_that_is_certain_and_else_broken(
    database: Endpoint, replica: PostgresReplica, make: Make, ledger: Path
) -> None:
    expected = {
        ("refused", "23514", ()),
        ("refused", "42703", ()),
        ("refused", "cannot adapt type 'object'", ()),
        ("refused", "23503", ("payments",)),
        ("refused", "a statement had failed", ("bookings",)),
        ("refused", "57P01", ()),
        ("broken", "57P01", ("dies_at_commit",)),
    }
    workload = make(database, REFUSED)
    workload.go()

    def seen() -> set[tuple[str, str, tuple[str, ...]]]:
        words = [words for _, words, _ in expected]
        return {
            (call.state, next((w for w in words if w in call.detail), call.detail), tables(call))
            for call in read_ledger(ledger).calls
            if call.state != "unanswered"
        }

    wait_until(lambda: seen() >= expected, "one call of each kind")
    assert seen() == expected
    assert workload.stop() == 0, workload.last_words()
    assert "not acknowledged: " in workload.last_words()
    for table in ("bookings", "payments", "dies_at_once", "dies_at_commit"):
        assert replica.query(database, f"SELECT count(*) FROM {table}", {}) == [(0,)]


def tables(call: Call) -> tuple[str, ...]:
    return tuple(write.table for write in call.writes)


def test_mistakes_in_the_locustfile_are_rolled_back_and_end_the_workload(
    database: Endpoint, replica: PostgresReplica, make: Make, ledger: Path
) -> None:
    workload = make(database, MISTAKES, rate=1000)
    workload.go()
    wait_until(lambda: not workload.alive(), "the child gives up")
    assert workload.stop() == 1
    assert re.fullmatch(
        r"/.*/users\.py:\d+: (KeyError: 'missing'|WorkloadError: .*'booking', which is not a .* table\b.*)",
        str(workload.mistake()),
    )
    details = {call.detail for call in read_ledger(ledger).calls}
    assert details == {"the locustfile raised KeyError", "the locustfile raised WorkloadError"}
    log = workload.log.read_text()
    assert "KeyError: 'missing'" in log
    assert "'booking', which is not a tracked table" in log
    assert {call.state for call in read_ledger(ledger).calls} == {"refused"}
    assert replica.query(database, "SELECT count(*) FROM bookings", {}) == [(0,)]


# --- the server dies ----------------------------------------------------------------------------------


@pytest.fixture
def own(sandbox: Sandbox, setting: Setting, replica: PostgresReplica) -> Endpoint:
    """A database that may be killed."""
    lease = Lease(run_id=sandbox.run_id, service="own", kind="postgres", directory=sandbox.root / "own")
    replica.destroy(lease)
    return replica.provision(lease, setting)


def postmaster(endpoint: Endpoint) -> psutil.Process:
    return psutil.Process(int((endpoint.path / "postmaster.pid").read_text().splitlines()[0]))


def test_no_acknowledged_row_is_lost_when_the_server_is_killed_and_the_workload_comes_back(
    own: Endpoint, replica: PostgresReplica, make: Make, ledger: Path, setting: Setting, sandbox: Sandbox
) -> None:
    workload = make(own, EVERYTHING, users=8, rate=400)
    workload.go()
    wait_for_acknowledgements(ledger, 200)
    server = postmaster(own)
    for process in (server, *server.children()):
        process.kill()
    wait_until(
        lambda: any("refused" in call.detail for call in read_ledger(ledger).calls), "a failed connection"
    )
    workload.pause()
    at_pause = len(read_ledger(ledger))
    replica.fence(own)
    lease = Lease(run_id=sandbox.run_id, service="own@1", kind="postgres", directory=sandbox.root / "new")
    vessel = replica.vessel(lease, own, setting, replace=True)
    for file in own.path.iterdir():
        file.rename(vessel.directory / file.name)
    restarted = vessel.start()
    assert len(read_ledger(ledger)) - at_pause <= 8, "users that are held send nothing"

    kept = read_ledger(ledger)
    assert any(call.state == "refused" for call in kept.calls)
    assert len(tuple(kept.indeterminate())) <= 8
    unsure = {write.key for call in kept.indeterminate() for write in call.writes}
    for table in ("bookings", "payments"):
        called_for = written(kept, table)
        there = stored(replica, restarted, table, KEYS[table], TIMES[table])
        assert {key: called_for.get(key) for key in called_for.keys() - unsure} == {
            key: there.get(key) for key in there.keys() - unsure
        }

    before = len(read_ledger(ledger).calls)
    workload.go()
    wait_for_acknowledgements(ledger, 100)
    assert workload.stop() == 0, workload.last_words()
    assert {call.state for call in read_ledger(ledger).calls[before:]} == {"acked"}, "no old line is used"
    vessel.discard()


def test_a_server_that_hangs_is_given_up_and_nobody_knows_what_it_did(
    own: Endpoint, replica: PostgresReplica, make: Make, ledger: Path
) -> None:
    impatient = "from harness.workload import connections\nconnections.PATIENCE = 0.3\n"
    workload = make(own, impatient + BOOK, users=8, rate=400)
    workload.go()
    wait_for_acknowledgements(ledger, 50)
    server = postmaster(own)
    everybody = [server, *server.children()]
    for process in everybody:
        process.suspend()
    try:
        wait_until(lambda: count(ledger, "no answer within 0.3 s") > 4, "calls that are given up")
    finally:
        for process in everybody:
            process.resume()
    wait_for_acknowledgements(ledger, 50)
    assert workload.stop() == 0, workload.last_words()
    kept = read_ledger(ledger)
    unsure = {write.key for call in kept.indeterminate() for write in call.writes}
    there = stored(replica, own, "bookings", "id", "booked_at")
    assert {k: h for k, h in written(kept, "bookings").items() if k not in unsure} == {
        k: h for k, h in there.items() if k not in unsure
    }
    replica.destroy(own.lease)


def count(ledger: Path, words: str) -> int:
    return sum(words in call.detail for call in read_ledger(ledger).calls)


# --- third parties ------------------------------------------------------------------------------------


def test_a_store_keeps_what_is_put_and_its_end_does_not_stop_the_workload(
    database: Endpoint, sandbox: Sandbox, setting: Setting, make: Make, ledger: Path
) -> None:
    stack = Stack.model_validate({"services": {"events": {"kind": "s3", "bucket": "payment-events"}}})
    lease = Lease(run_id=sandbox.run_id, service="events", kind="s3", directory=sandbox.root / "events")
    s3 = S3Replica()
    events = s3.provision(lease, Setting(stack, setting.folder, sandbox, setting.clock, {}))
    text = """
class Customer(LedgerUser):
    @task
    def pay(self):
        key = self.key()
        with self.transaction() as tx:
            tx.insert("bookings", key, seats=1)
        if tx.acknowledged:
            self.store("events").put(f"events/{key}", b'{"paid": true}')
"""
    try:
        workload = make(database, text, rate=40, stores=(events,))
        workload.go()
        wait_for_acknowledgements(ledger, 20)
        workload.pause()
        client = open_client(events, events.credentials["operator"])

        def booked() -> set[str]:
            # Each time anew: a call that was under way at the pause is answered after it.
            kept = read_ledger(ledger).acknowledged()
            return {f"events/{write.key}" for call in kept for write in call.writes}

        wait_until(
            lambda: (
                {o["Key"] for o in client.list_objects_v2(Bucket=events.name).get("Contents", [])} == booked()
            ),
            "an object for each acknowledged booking",
        )
        body = client.get_object(Bucket=events.name, Key=min(booked()))["Body"].read()
        assert body == b'{"paid": true}'
    finally:
        s3.destroy(lease)
    workload.go()
    wait_for_acknowledgements(ledger, 10)
    assert workload.stop() == 0
    assert "was not put into payment-events" in workload.last_words()
