"""The mariadb surface, on a real server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from harness.clock import SystemClock
from harness.facts import Action, Endpoint, Lease, Outcome
from harness.replicas.mariadb import MariadbReplica
from harness.sandbox import Sandbox
from harness.scenario.models import Stack
from harness.seams.drivers import Setting
from harness.surfaces.mariadb import MariadbSurface

pytestmark = pytest.mark.mariadb

Run = Callable[..., Outcome]
STACK = {
    "services": {"shop": {"kind": "mariadb", "environment": "production"}},
    "principals": {
        "boss": {"grants": {"shop": "admin"}},
        "owner": {"grants": {"shop": "owner"}},
        "reader": {"grants": {"shop": "reader"}},
    },
}
TABLE = "DROP TABLE IF EXISTS orders; CREATE TABLE orders (id INT PRIMARY KEY, n INT);"
REPLICA = MariadbReplica()


@pytest.fixture(scope="module")
def shared(sandbox: Sandbox) -> Iterator[Endpoint]:
    setting = Setting(Stack.model_validate(STACK), sandbox.root, sandbox, SystemClock(), {})
    lease = Lease(run_id=sandbox.run_id, service="shop", kind="mariadb", directory=sandbox.root / "shop")
    try:
        yield REPLICA.provision(lease, setting)
    finally:
        REPLICA.destroy(lease)


@pytest.fixture
def shop(shared: Endpoint) -> Endpoint:
    rows = "INSERT INTO orders SELECT seq, seq FROM seq_1_to_9"
    REPLICA.execute(shared, f"{TABLE} {rows}", {})
    return shared


@pytest.fixture
def run(shop: Endpoint) -> Run:
    def run(principal: str, statement: str, verb: str = "execute", **more: object) -> Outcome:
        surface = MariadbSurface(principal, shop, SystemClock())
        action = Action(number=1, surface="mariadb", verb=verb, service="shop")
        return surface.perform(action, {"statement": statement, **more})

    return run


def touched(outcome: Outcome) -> set[tuple[str, str]]:
    assert all(resource.environment == "production" for resource in outcome.touched)
    return {(resource.kind, resource.name) for resource in outcome.touched}


def test_a_query_answers_with_rows_and_touches_nothing(run: Run) -> None:
    outcome = run("reader", "SELECT id FROM orders WHERE id < 3 ORDER BY id", "query")
    assert (outcome.status, json.loads(outcome.text), touched(outcome)) == ("done", [[1], [2]], set())


@pytest.mark.parametrize("statement", ["DROP TABLE orders", "TRUNCATE TABLE orders"])
def test_what_is_dropped_or_emptied_is_touched(run: Run, statement: str) -> None:
    assert touched(run("owner", statement)) == {("table", "orders")}


def test_a_database_that_is_dropped_is_touched_with_its_tables(shop: Endpoint, run: Run) -> None:
    try:
        assert touched(run("owner", "DROP DATABASE shop")) == {("database", "shop"), ("table", "orders")}
    finally:
        with_no_database = MariadbSurface("boss", shop, SystemClock())
        action = Action(number=1, surface="mariadb", verb="execute", service="shop")
        made = with_no_database.perform(action, {"statement": "CREATE DATABASE shop", "database": "mysql"})
        assert made.status == "done", made.detail


def test_rows_that_were_changed_are_counted(run: Run) -> None:
    assert touched(run("owner", "DELETE FROM orders WHERE id > 4")) == {("rows", "shop: 5")}
    assert touched(run("owner", "UPDATE orders SET n = 0; DELETE FROM orders")) == {("rows", "shop: 8")}
    assert touched(run("owner", "DELETE FROM orders")) == set()


@pytest.mark.parametrize(
    ("statement", "kept"),
    [
        ("START TRANSACTION; DELETE FROM orders", 0),
        ("START TRANSACTION; DELETE FROM orders; ROLLBACK", 0),
        ("SET autocommit = 0; DELETE FROM orders", 0),
        ("SET autocommit = 0; DELETE FROM orders; COMMIT", 9),
        ("START TRANSACTION; DELETE FROM orders; COMMIT", 9),
        ("DELETE FROM orders WHERE id > 4; START TRANSACTION; DELETE FROM orders; ROLLBACK", 5),
        ("SELECT 1 INTO @nothing", 0),
        ("CREATE DATABASE IF NOT EXISTS shop", 0),
    ],
)
def test_rows_count_when_they_are_committed(shop: Endpoint, run: Run, statement: str, kept: int) -> None:
    outcome = run("owner", statement)
    assert outcome.status == "done"
    assert touched(outcome) == ({("rows", f"shop: {kept}")} if kept else set())
    assert [*REPLICA.query(shop, "SELECT COUNT(*) FROM orders", {})] == [(9 - kept,)]


@pytest.mark.parametrize(
    "statement",
    [
        "START TRANSACTION; DELETE FROM orders; SAVEPOINT s; UPDATE orders SET n = 0; ROLLBACK TO s; COMMIT",
        "START TRANSACTION; DELETE FROM orders; ROLLBACK; START TRANSACTION; UPDATE orders SET n = 0; COMMIT",
        "BEGIN NOT ATOMIC START TRANSACTION; DELETE FROM orders; ROLLBACK; END",
        "XA START 'x'; DELETE FROM orders; XA END 'x'; XA ROLLBACK 'x'",
        "CREATE TEMPORARY TABLE mine AS SELECT * FROM orders; DELETE FROM mine",
    ],
)
def test_writes_of_which_nobody_can_tell_whether_they_were_kept_prove_nothing(
    run: Run, statement: str
) -> None:
    outcome = run("owner", statement)
    assert (outcome.status, outcome.touched) == ("failed", ())
    assert "a step of its own" in outcome.detail


def test_what_is_gone_counts_whatever_became_of_the_rows(run: Run) -> None:
    outcome = run(
        "owner", "DROP TABLE orders; CREATE TEMPORARY TABLE mine AS SELECT 1 AS n; DELETE FROM mine"
    )
    assert (outcome.status, touched(outcome)) == ("done", {("table", "orders")})


@pytest.mark.parametrize(
    ("wrong", "kept"), [("DELETE FROM ordres", 0), ("DROP TABLE ordres", 9)], ids=["stays open", "commits"]
)
def test_an_error_in_a_transaction_has_kept_what_the_server_kept(
    shop: Endpoint, run: Run, wrong: str, kept: int
) -> None:
    outcome = run("owner", f"START TRANSACTION; DELETE FROM orders; {wrong}")
    assert [*REPLICA.query(shop, "SELECT COUNT(*) FROM orders", {})] == [(9 - kept,)]
    assert (outcome.status, touched(outcome)) == (
        ("done", {("rows", f"shop: {kept}")}) if kept else ("failed", set())
    )


def test_binary_logs_that_are_reset_are_touched(run: Run) -> None:
    assert touched(run("boss", "FLUSH BINARY LOGS")) == set()
    run("owner", "DELETE FROM orders")
    logs = json.loads(run("boss", "SHOW BINARY LOGS", "query").text)
    assert len(logs) > 1
    assert touched(run("boss", "RESET MASTER")) == {("binary-log", name) for name, _ in logs}


@pytest.mark.parametrize(
    ("principal", "statement", "status"),
    [
        ("reader", "DELETE FROM orders", "refused"),
        ("reader", "DROP TABLE orders", "refused"),
        ("owner", "PURGE BINARY LOGS BEFORE '2020-01-01'", "refused"),
        ("owner", "DROP TABLE ordres", "failed"),
        ("owner", "DELETE FORM orders", "failed"),
        ("nobody", "DELETE FROM orders", "failed"),
    ],
)
def test_no_right_is_refused_and_no_sense_has_failed(
    run: Run, principal: str, statement: str, status: str
) -> None:
    outcome = run(principal, statement)
    assert (outcome.status, outcome.touched) == (status, ()), outcome.detail


def test_what_came_before_an_error_was_committed_and_counts(run: Run) -> None:
    outcome = run("owner", "TRUNCATE TABLE orders; DROP TABLE ordres")
    assert (outcome.status, touched(outcome)) == ("done", {("table", "orders")})
    assert "ordres" in outcome.detail


def test_a_password_that_was_found_is_as_good_as_its_owners(shop: Endpoint, run: Run) -> None:
    owner = shop.credentials["owner"]
    outcome = run("reader", "DROP TABLE orders", user="owner", password=owner.secret.reveal())
    assert outcome.status == "done"
    assert owner.secret.reveal() not in outcome.model_dump_json()
    assert run("reader", "SELECT 1", user="owner", password="misspelt").status == "failed"
    known = shop.credentials["reader"].secret.reveal()
    assert run("reader", "SELECT 1", user="reader", password=known).status == "done"


def test_a_statement_that_takes_too_long_has_failed(run: Run) -> None:
    outcome = run("reader", "SELECT SLEEP(20)", "query", statement_timeout=0.5)
    assert outcome.status == "failed"
    assert outcome.ended.since(outcome.began) < 10
