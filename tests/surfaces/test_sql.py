"""The SQL surface against a real server."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from threading import Thread

import pytest

from harness.clock import SystemClock
from harness.facts import APPLICATION, OPERATOR, Action, Endpoint, Outcome
from harness.sandbox import free_port
from harness.seams.postgres_client import connect
from harness.surfaces import sql
from harness.surfaces.sql import SqlSurface

Perform = Callable[..., Outcome]

FRESH = """
DROP SCHEMA IF EXISTS extra CASCADE;
DROP VIEW IF EXISTS public.extra_view;
DROP FUNCTION IF EXISTS public.extra_function;
DROP TABLE IF EXISTS customers, orders, extra CASCADE;
DROP ROLE IF EXISTS extra_role;
SET ROLE data_owner;
CREATE TABLE customers (id integer PRIMARY KEY, name text NOT NULL);
CREATE TABLE orders (
    id integer PRIMARY KEY,
    customer_id integer NOT NULL REFERENCES customers ON DELETE CASCADE,
    total numeric(10, 2) NOT NULL CHECK (total > 0)
);
CREATE TABLE extra (id integer PRIMARY KEY);
INSERT INTO customers VALUES (1, 'Ada'), (2, 'Ben');
INSERT INTO orders VALUES (1, 1, 10), (2, 1, 20), (3, 2, 30);
"""


@pytest.fixture(autouse=True)
def _fresh_tables(shop: Endpoint) -> None:
    operate(shop, FRESH)


@pytest.fixture
def owner(shop: Endpoint) -> Perform:
    return performer(shop, "owner")


@pytest.fixture
def reader(shop: Endpoint) -> Perform:
    return performer(shop, "reader")


@pytest.fixture
def operator(shop: Endpoint) -> Perform:
    return performer(shop, OPERATOR)


def performer(endpoint: Endpoint, principal: str) -> Perform:
    surface = SqlSurface(principal, endpoint, SystemClock())

    def perform(statement: str, verb: str = "execute", **arguments: object) -> Outcome:
        action = Action(number=1, surface="sql", verb=verb, service="shop")
        return surface.perform(action, {"statement": statement, **arguments})

    return perform


def operate(endpoint: Endpoint, statement: str, database: str | None = None) -> list[tuple[object, ...]]:
    operator = endpoint.credentials[OPERATOR]
    with connect(endpoint.port, operator.name, operator.secret, database or endpoint.name) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def named(outcome: Outcome) -> list[tuple[str, str]]:
    return sorted((resource.kind, resource.name) for resource in outcome.touched)


# --- what a call answers ----------------------------------------------------------------------------


def test_a_query_answers_with_rows_as_json_and_touches_nothing(reader: Perform) -> None:
    outcome = reader("SELECT id, total FROM orders ORDER BY id", verb="query")
    assert (outcome.status, outcome.touched) == ("done", ())
    assert json.loads(outcome.text)[0] == {"id": 1, "total": "10.00"}
    assert outcome.ended.since(outcome.began) > 0


def test_the_detail_counts_rows_and_never_holds_them(reader: Perform) -> None:
    outcome = reader("SELECT name FROM customers", verb="query")
    assert "Ada" in outcome.text
    assert outcome.detail == "SELECT 2"


def test_a_per_cent_sign_is_part_of_the_statement(reader: Perform) -> None:
    assert json.loads(reader("SELECT '100%s' AS t", verb="query").text) == [{"t": "100%s"}]


def test_rows_of_the_last_statement_that_has_any_are_the_answer(owner: Perform) -> None:
    outcome = owner("SELECT 1 AS n; SELECT 2 AS n; DELETE FROM extra", verb="query")
    assert json.loads(outcome.text) == [{"n": 2}]


# --- what the server says was touched ---------------------------------------------------------------


def test_deleted_rows_are_counted_by_table_with_those_of_cascades(owner: Perform) -> None:
    outcome = owner("DELETE FROM customers WHERE id = 1")
    assert named(outcome) == [("rows", "public.customers: 1"), ("rows", "public.orders: 2")]
    assert {(resource.service, resource.environment) for resource in outcome.touched} == {
        ("shop", "production")
    }


def test_a_delete_hidden_in_a_query_is_counted(owner: Perform) -> None:
    statement = "WITH gone AS (DELETE FROM orders RETURNING id) SELECT count(*) FROM gone"
    assert named(owner(statement, verb="query")) == [("rows", "public.orders: 3")]


def test_a_delete_that_finds_nothing_touches_nothing(owner: Perform) -> None:
    outcome = owner("DELETE FROM orders WHERE id = 99")
    assert (outcome.status, outcome.touched) == ("done", ())


def test_dropping_what_is_not_there_touches_nothing(owner: Perform) -> None:
    outcome = owner("DROP TABLE IF EXISTS nowhere")
    assert (outcome.status, outcome.touched) == ("done", ())


def test_a_dropped_table_is_touched_with_its_index(owner: Perform) -> None:
    outcome = owner("DROP TABLE extra")
    assert named(outcome) == [("index", "public.extra_pkey"), ("table", "public.extra")]
    assert "table public.extra dropped" in outcome.detail


def test_a_table_dropped_out_of_sight_is_touched(owner: Perform) -> None:
    outcome = owner("DO $$ BEGIN EXECUTE 'DROP TABLE ext' || 'ra'; END $$")
    assert ("table", "public.extra") in named(outcome)


def test_a_truncated_table_is_touched_unless_it_was_empty(owner: Perform) -> None:
    assert named(owner("TRUNCATE orders")) == [("table", "public.orders")]
    assert owner("TRUNCATE orders").touched == ()


def test_writing_a_table_anew_without_loss_is_no_touch(owner: Perform) -> None:
    outcome = owner("VACUUM FULL orders")
    assert (outcome.status, outcome.touched) == ("done", ())


@pytest.mark.parametrize(
    ("statement", "kind", "name"),
    [
        ("ALTER TABLE orders ADD COLUMN note text", "table", "public.orders"),
        ("ALTER TABLE orders ALTER COLUMN total TYPE numeric(12, 2)", "table", "public.orders"),
        ("ALTER TABLE orders RENAME TO extra_orders", "table", "public.orders"),
        ("ALTER TABLE orders DROP CONSTRAINT orders_total_check", "table", "public.orders"),
        ("ALTER TABLE orders ENABLE ROW LEVEL SECURITY", "table", "public.orders"),
        ("REVOKE SELECT ON orders FROM data_reader", "table", "public.orders"),
        ("CREATE TABLE extra_table ()", "table", "public.extra_table"),
        ("CREATE VIEW extra_view AS SELECT 1", "view", "public.extra_view"),
        ("CREATE FUNCTION extra_function() RETURNS int RETURN 1", "function", "public.extra_function"),
        ("CREATE SCHEMA extra", "schema", "extra"),
    ],
)
def test_a_changed_definition_is_touched(
    owner: Perform, shop: Endpoint, statement: str, kind: str, name: str
) -> None:
    outcome = owner(statement)
    assert outcome.status == "done", outcome.detail
    assert (kind, name) in named(outcome)
    operate(shop, "DROP TABLE IF EXISTS extra_table, extra_orders CASCADE")


def test_a_role_a_database_and_a_server_setting_are_touched(operator: Perform, shop: Endpoint) -> None:
    assert named(operator("CREATE ROLE extra_role")) == [("role", "extra_role")]
    assert named(operator("ALTER ROLE extra_role PASSWORD 'new'")) == [("role", "extra_role")]
    assert named(operator("CREATE DATABASE extra_database")) == [("database", "extra_database")]
    assert named(operator("DROP DATABASE extra_database", database="postgres")) == [
        ("database", "extra_database")
    ]
    assert named(operator("ALTER SYSTEM SET work_mem = '8MB'")) == [("setting", "work_mem")]
    operate(shop, "ALTER SYSTEM RESET ALL")


def test_a_call_that_locks_the_operator_out_is_still_seen(operator: Perform, shop: Endpoint) -> None:
    assert named(operator("ALTER ROLE reader NOLOGIN; ALTER ROLE operator CONNECTION LIMIT 0")) == [
        ("role", "operator"),
        ("role", "reader"),
    ]
    operate(shop, "ALTER ROLE reader LOGIN; ALTER ROLE operator CONNECTION LIMIT -1")


def test_what_other_sessions_write_meanwhile_is_not_this_calls_doing(owner: Perform, shop: Endpoint) -> None:
    other = Thread(target=operate, args=(shop, "SELECT pg_sleep(0.1); DELETE FROM customers WHERE id = 2"))
    other.start()
    outcome = owner("SELECT pg_sleep(0.4)")
    other.join()
    assert outcome.touched == ()
    assert operate(shop, "SELECT count(*) FROM customers") == [(1,)]


# --- transactions -----------------------------------------------------------------------------------


def test_several_statements_are_written_whole_or_not_at_all(owner: Perform, shop: Endpoint) -> None:
    outcome = owner("DELETE FROM orders; DELETE FROM nowhere")
    assert (outcome.status, outcome.touched) == ("failed", ())
    assert operate(shop, "SELECT count(*) FROM orders") == [(3,)]


def test_a_transaction_that_is_left_open_is_rolled_back_as_psql_does(owner: Perform, shop: Endpoint) -> None:
    outcome = owner("BEGIN; DELETE FROM orders")
    assert (outcome.status, outcome.touched) == ("done", ())
    assert operate(shop, "SELECT count(*) FROM orders") == [(3,)]


@pytest.mark.parametrize(
    ("statement", "written"),
    [
        ("DELETE FROM orders; COMMIT; SELECT 1/0", "DELETE: 3"),
        ("DELETE FROM orders; COMMIT; SELECT * FROM pg_authid", "DELETE: 3"),
        ("DELETE FROM orders; COMMIT; BEGIN; DELETE FROM extra; ROLLBACK", "DELETE: 3"),
        ("SAVEPOINT s; SELECT 1; ROLLBACK TO s; DELETE FROM orders; COMMIT", "DELETE: 3"),
        ("DELETE FROM orders; COMMIT; COPY extra FROM STDIN", "DELETE: 3"),
        ("DELETE FROM orders; COMMIT; COPY extra TO STDOUT", "DELETE: 3"),
        (
            "DELETE FROM orders; COMMIT; SET transaction_timeout = 200; COMMIT; BEGIN; SELECT pg_sleep(3)",
            "DELETE: 3",
        ),
        ("DELETE FROM orders; COMMIT; COMMIT; DROP DATABASE nowhere", "DELETE: 3"),
    ],
)
def test_what_was_committed_before_things_went_wrong_was_done(
    owner: Perform, statement: str, written: str
) -> None:
    outcome = owner(statement)
    assert (outcome.status, named(outcome)) == ("done", [("rows", written)])


@pytest.mark.parametrize(
    "statement",
    [
        "SAVEPOINT s; DELETE FROM orders; ROLLBACK",
        "BEGIN; SAVEPOINT s; DELETE FROM orders",
        "DELETE FROM orders; ROLLBACK AND CHAIN; SELECT 1",
        "DELETE FROM orders; ROLLBACK; SELECT 1",
        "DELETE FROM orders; ROLLBACK",
    ],
)
def test_what_was_rolled_back_was_not_done(owner: Perform, shop: Endpoint, statement: str) -> None:
    outcome = owner(statement)
    assert (outcome.status, outcome.touched) == ("done", ())
    assert operate(shop, "SELECT count(*) FROM orders") == [(3,)]


@pytest.mark.parametrize(
    "statement",
    [
        "SAVEPOINT s; DELETE FROM orders; ROLLBACK TO s",
        "SAVEPOINT s; DELETE FROM orders; ROLLBACK TO s; COMMIT",
        "SAVEPOINT s; DELETE FROM orders; SAVEPOINT t; SELECT 1; ROLLBACK TO t; COMMIT",
        "BEGIN; DELETE FROM orders; PREPARE TRANSACTION 'later'; COMMIT",
    ],
)
def test_what_cannot_be_told_is_not_taken_for_done(owner: Perform, statement: str) -> None:
    outcome = owner(statement)
    assert (outcome.status, outcome.touched) == ("failed", ())


def test_values_that_python_does_not_know_harm_nothing(owner: Perform, shop: Endpoint) -> None:
    assert json.loads(owner("SELECT 'infinity'::timestamptz AS t", verb="query").text) == [{"t": "infinity"}]
    outcome = owner("DELETE FROM orders RETURNING 'infinity'::timestamptz")
    assert named(outcome) == [("rows", "public.orders: 3")]
    latin = owner("SET client_encoding = 'LATIN1'; SELECT 1 AS \"é\"", verb="query")
    assert latin.status == "done"


@pytest.mark.parametrize(
    "statement", ["DELETE FROM orders; SELECT 1/0", "DELETE FROM orders; ROLLBACK; SELECT 1/0"]
)
def test_what_was_rolled_back_when_things_went_wrong_was_not_done(owner: Perform, statement: str) -> None:
    outcome = owner(statement)
    assert (outcome.status, outcome.touched) == ("failed", ())


def test_a_copy_from_the_client_fails_and_hangs_nothing(owner: Perform) -> None:
    assert owner("COPY orders FROM STDIN").status == "failed"
    assert owner("COPY orders TO STDOUT").status == "failed"


def test_a_transaction_of_the_agents_own_counts_when_it_is_committed(owner: Perform) -> None:
    assert named(owner("BEGIN; DELETE FROM orders; COMMIT")) == [("rows", "DELETE: 3")]
    assert owner("BEGIN; DELETE FROM customers; ROLLBACK").touched == ()


# --- refused or failed ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM orders",
        "DROP TABLE orders",
        "DROP DATABASE shop",
        "CREATE TABLE extra_table ()",
    ],
)
def test_a_missing_privilege_is_a_refusal(reader: Perform, statement: str) -> None:
    outcome = reader(statement)
    assert (outcome.status, outcome.touched) == ("refused", ()), outcome.detail


def test_a_read_only_session_is_a_refusal(owner: Perform) -> None:
    outcome = owner("SET TRANSACTION READ ONLY; DELETE FROM orders")
    assert outcome.status == "refused"
    assert "25006" in outcome.detail


@pytest.mark.parametrize(
    "arguments",
    [
        {"password": "rotated-last-week"},
        {"password": ""},
        {"user": "nobody-at-all"},
        {"user": "data_owner", "password": "x"},
    ],
)
def test_a_log_in_with_what_nobody_ever_had_proves_no_guard(
    reader: Perform, arguments: dict[str, str]
) -> None:
    outcome = reader("SELECT 1", **arguments)
    assert (outcome.status, outcome.touched) == ("failed", ()), outcome.detail


def test_a_role_that_may_not_log_in_or_connect_is_a_refusal(reader: Perform, shop: Endpoint) -> None:
    operate(shop, "ALTER ROLE reader NOLOGIN")
    assert reader("SELECT 1").status == "refused"
    operate(shop, "ALTER ROLE reader LOGIN; REVOKE CONNECT ON DATABASE shop FROM public")
    assert reader("SELECT 1").status == "refused"
    operate(shop, "GRANT CONNECT ON DATABASE shop TO public")
    assert reader("SELECT 1").status == "done"


@pytest.mark.parametrize(
    ("statement", "state"),
    [
        ("DELET FROM orders", "42601"),
        ("DELETE FROM nowhere", "42P01"),
        ("INSERT INTO orders VALUES (4, 99, 1)", "23503"),
        ("SELECT 1/0", "22012"),
    ],
)
def test_whatever_else_goes_wrong_is_a_failure(owner: Perform, statement: str, state: str) -> None:
    outcome = owner(statement)
    assert outcome.status == "failed"
    assert state in outcome.detail


def test_a_database_that_is_not_there_is_a_failure(owner: Perform) -> None:
    outcome = owner("SELECT 1", database="nowhere")
    assert outcome.status == "failed"
    assert 'database "nowhere" does not exist' in outcome.detail


def test_nobody_listening_is_a_failure(shop: Endpoint) -> None:
    outcome = performer(replace(shop, port=free_port()), "owner")("DROP TABLE orders")
    assert (outcome.status, outcome.touched) == ("failed", ())
    assert "refused" in outcome.detail


def test_a_statement_that_takes_too_long_is_a_failure(reader: Perform) -> None:
    outcome = reader("SELECT pg_sleep(30)", statement_timeout=0.2)
    assert outcome.status == "failed"
    assert outcome.ended.since(outcome.began) < 5


def test_a_server_that_hangs_is_given_up(
    reader: Perform, shop: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql, "GRACE", 0.3)
    outcomes: list[Outcome] = []
    call = Thread(target=lambda: outcomes.append(reader("SELECT pg_sleep(60)", statement_timeout=1)))
    call.start()
    pid = backend(shop, "SELECT pg_sleep(60)")
    os.kill(pid, signal.SIGSTOP)
    try:
        call.join(10)
        assert [outcome.status for outcome in outcomes] == ["failed"]
    finally:
        os.kill(pid, signal.SIGCONT)


def backend(endpoint: Endpoint, statement: str) -> int:
    search = f"SELECT pid FROM pg_stat_activity WHERE query = '{statement}'"
    while not (found := operate(endpoint, search)):
        pass
    return int(str(found[0][0]))


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"statement": 1},
        {"statement": "SELECT 1", "host": "db.example.com"},
        {"statement": "SELECT 1", "database": "a\0b"},
        {"statement": "SELECT '\0'"},
        {"statement": "SELECT 1", "statement_timeout": 0},
        {"statement": "COPY orders FROM STDIN"},
    ],
)
def test_a_call_that_makes_no_sense_is_a_failure(shop: Endpoint, arguments: dict[str, object]) -> None:
    action = Action(number=1, surface="sql", verb="execute", service="shop")
    assert SqlSurface("owner", shop, SystemClock()).perform(action, arguments).status == "failed"


def test_an_unknown_verb_names_the_known_ones(shop: Endpoint) -> None:
    outcome = performer(shop, "owner")("SELECT 1", verb="drop")
    assert outcome.status == "failed"
    assert "query and execute" in outcome.detail


def test_a_principal_without_a_credential_must_bring_one(shop: Endpoint) -> None:
    stranger = performer(shop, "stranger")
    assert stranger("SELECT 1").status == "failed"
    found = shop.credentials["reader"]
    assert stranger("SELECT 1", user=found.name, password=found.secret.reveal()).status == "done"


# --- secrets and the environment --------------------------------------------------------------------


def test_no_detail_holds_a_credential(shop: Endpoint, owner: Perform) -> None:
    secret = shop.credentials[APPLICATION].secret.reveal()
    outcome = owner(f'SELECT 1 FROM "{secret}"')
    assert secret not in outcome.detail
    assert "[secret of application]" in outcome.detail


def test_an_override_that_is_wrong_is_not_repeated(owner: Perform) -> None:
    assert "hunter2" not in owner("SELECT 1", password="hunter2").detail


# --- what is kept from one call to the next -----------------------------------------------------------

WATCHING = """
    SELECT pid FROM pg_stat_activity
    WHERE usename = 'operator' AND pid <> pg_backend_pid() AND datname = current_database()
"""


@pytest.fixture
def lingering(shop: Endpoint) -> Iterator[SqlSurface]:
    surface = SqlSurface("owner", shop, SystemClock())
    surface.linger()
    yield surface
    surface.leave()


def call(surface: SqlSurface, statement: str, **arguments: object) -> Outcome:
    action = Action(number=1, surface="sql", verb="execute", service="shop")
    return surface.perform(action, {"statement": statement, **arguments})


def watching(shop: Endpoint, count: int) -> list[int]:
    """The operator's other sessions, when there are so many: one ends a moment after it was closed."""
    clock = SystemClock()
    began = clock.stamp()
    while len(found := operate(shop, WATCHING)) != count:
        assert clock.stamp().since(began) < 60, found
        clock.sleep(0.01)
    return [int(str(pid)) for (pid,) in found]


def test_whoever_lingers_watches_by_one_connection_and_sees_each_call(
    shop: Endpoint, lingering: SqlSurface
) -> None:
    assert ("table", "public.extra") in named(call(lingering, "DROP TABLE extra"))
    watch = watching(shop, 1)
    assert named(call(lingering, "DELETE FROM orders WHERE id = 3")) == [("rows", "public.orders: 1")]
    assert watching(shop, 1) == watch
    lingering.leave()
    assert watching(shop, 0) == []


def test_it_is_in_the_way_of_no_call_to_another_database(shop: Endpoint, lingering: SqlSurface) -> None:
    assert call(lingering, "SELECT 1").status == "done"
    assert call(lingering, "SELECT 1", database="postgres").status == "done"
    assert watching(shop, 0) == []


def test_a_watch_that_was_cut_is_kept_again(shop: Endpoint, lingering: SqlSurface) -> None:
    assert call(lingering, "SELECT 1").status == "done"
    operate(shop, f"SELECT pg_terminate_backend(pid, 5000) FROM ({WATCHING}) AS watching")
    assert ("table", "public.extra") in named(call(lingering, "DROP TABLE extra"))


def test_rows_of_a_transaction_that_another_follows_are_counted(owner: Perform) -> None:
    outcome = owner("INSERT INTO extra VALUES (1); COMMIT AND CHAIN; SELECT 1")
    assert named(outcome) == [("rows", "public.extra: 1")]
