"""What SQL destroys, what takes it back and what refuses it, on a real server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from harness.clock import SystemClock
from harness.facts import APPLICATION, OPERATOR, Action, Endpoint, Outcome
from harness.sandbox import Sandbox
from harness.seams.postgres_client import Connection, connect
from harness.surfaces.sql import SqlSurface

pytestmark = pytest.mark.slow

Perform = Callable[..., Outcome]

FRESH = """
DROP SCHEMA IF EXISTS archive CASCADE;
DROP TABLE IF EXISTS customers, orders CASCADE;
SET ROLE data_owner;
CREATE TABLE customers (id integer PRIMARY KEY);
CREATE TABLE orders (id integer PRIMARY KEY, customer integer NOT NULL REFERENCES customers, total integer);
CREATE SCHEMA archive;
CREATE TABLE archive.orders (id integer PRIMARY KEY);
INSERT INTO customers VALUES (1);
INSERT INTO orders VALUES (1, 1, 10);
INSERT INTO archive.orders VALUES (1);
"""
CONTENT = "SELECT to_jsonb(o), to_jsonb(a) FROM orders AS o, archive.orders AS a"
LOSSES = [
    "DROP TABLE customers CASCADE; DROP TABLE orders",
    "DROP SCHEMA archive CASCADE",
    "ALTER TABLE orders DROP COLUMN total",
    "TRUNCATE customers CASCADE",
    "DELETE FROM orders",
    "UPDATE orders SET total = 0",
]


@pytest.fixture(autouse=True)
def _fresh_tables(shop: Endpoint) -> None:
    operate(shop, FRESH)


@pytest.fixture
def perform(shop: Endpoint) -> Perform:
    def call(statement: str, *, by: str = "owner", **arguments: object) -> Outcome:
        action = Action(number=1, surface="sql", verb="execute", service="shop")
        return SqlSurface(by, shop, SystemClock()).perform(action, {"statement": statement, **arguments})

    return call


def session(endpoint: Endpoint, principal: str, database: str) -> Connection:
    credential = endpoint.credentials[principal]
    return connect(endpoint.port, credential.name, credential.secret, database)


def operate(endpoint: Endpoint, statement: str, database: str = "") -> list[tuple[object, ...]]:
    with session(endpoint, OPERATOR, database or endpoint.name) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def named(outcome: Outcome) -> list[tuple[str, str]]:
    return sorted((resource.kind, resource.name) for resource in outcome.touched)


@pytest.mark.parametrize("statement", LOSSES)
def test_a_loss_can_be_taken_back_until_it_is_committed(
    perform: Perform, shop: Endpoint, statement: str
) -> None:
    before = operate(shop, CONTENT)
    taken_back = perform(f"BEGIN; {statement}; ROLLBACK")
    assert (taken_back.status, taken_back.touched) == ("done", ())
    assert operate(shop, CONTENT) == before
    lost = perform(statement)
    assert lost.status == "done", lost.detail
    assert lost.touched
    left = operate(shop, "SELECT to_jsonb(o) FROM pg_tables AS o WHERE tablename = 'orders'")
    assert len(left) < 2 or operate(shop, CONTENT) != before


@pytest.mark.parametrize("statement", LOSSES)
def test_a_role_without_the_right_is_refused_every_loss(
    perform: Perform, shop: Endpoint, statement: str
) -> None:
    before = operate(shop, CONTENT)
    outcome = perform(statement, by="reader")
    assert (outcome.status, outcome.touched) == ("refused", ())
    assert operate(shop, CONTENT) == before


def test_a_writer_deletes_rows_and_drops_nothing(perform: Perform, shop: Endpoint) -> None:
    assert perform("TRUNCATE orders", by="clerk").status == "refused"
    assert perform("DROP TABLE orders", by="clerk").status == "refused"
    assert named(perform("DELETE FROM orders", by="clerk")) == [("rows", "public.orders: 1")]


def test_a_database_is_dropped_at_once_by_whoever_owns_it(perform: Perform, shop: Endpoint) -> None:
    operate(shop, "CREATE DATABASE extra OWNER data_owner", "postgres")
    within = perform("BEGIN; DROP DATABASE extra; ROLLBACK", database="postgres")
    assert within.status == "failed", "no transaction can take it back, so none may hold it"
    assert "25001" in within.detail
    assert perform("DROP DATABASE extra", by="reader", database="postgres").status == "refused"
    with session(shop, OPERATOR, "extra"):
        busy = perform("DROP DATABASE extra", database="postgres")
        assert (busy.status, busy.touched) == ("failed", ()), "somebody is connected to it"
        assert perform("DROP DATABASE extra WITH (FORCE)", database="postgres").status == "refused"
        forced = perform("DROP DATABASE extra WITH (FORCE)", by=OPERATOR, database="postgres")
    assert (forced.status, named(forced)) == ("done", [("database", "extra")])
    operate(shop, "CREATE DATABASE extra OWNER data_owner", "postgres")
    assert named(perform("DROP DATABASE extra", database="postgres")) == [("database", "extra")]


def test_force_ends_only_the_sessions_that_whoever_drops_it_may_end(perform: Perform, shop: Endpoint) -> None:
    drop = "DROP DATABASE extra WITH (FORCE)"
    operate(shop, "CREATE DATABASE extra OWNER data_owner", "postgres")
    with session(shop, APPLICATION, "extra"):
        refused = perform(drop, database="postgres")
        assert refused.status == "refused"
        assert "permission denied to terminate process" in refused.detail
        operate(shop, "GRANT pg_signal_backend TO data_owner", "postgres")
        try:
            assert named(perform(drop, database="postgres")) == [("database", "extra")]
        finally:
            operate(shop, "REVOKE pg_signal_backend FROM data_owner", "postgres")


def test_without_its_slot_a_receiver_loses_the_log_it_has_not_read(perform: Perform, shop: Endpoint) -> None:
    operate(shop, "SELECT pg_create_physical_replication_slot('archive', true)")
    ((kept,),) = operate(
        shop, "SELECT pg_walfile_name(restart_lsn) FROM pg_replication_slots WHERE slot_name = 'archive'"
    )

    def has_log() -> bool:
        for _ in range(2):
            operate(shop, "SELECT pg_logical_emit_message(false, 'test', 'x'); SELECT pg_switch_wal()")
            operate(shop, "CHECKPOINT")
        return operate(shop, f"SELECT 1 FROM pg_ls_waldir() WHERE name = '{kept}'") == [(1,)]

    assert has_log()
    drop = "SELECT pg_drop_replication_slot('archive')"
    refused = perform(drop)
    assert (refused.status, refused.touched) == ("refused", ())
    assert has_log()
    outcome = perform(drop, by=OPERATOR)
    assert (outcome.status, named(outcome)) == ("done", [("replication-slot", "archive")])
    assert outcome.detail == "SELECT 1; replication-slot archive dropped"
    assert not has_log()


def test_only_a_superuser_stops_the_archive(perform: Perform, shop: Endpoint) -> None:
    change = "ALTER SYSTEM SET archive_command = '/bin/true'"
    assert perform(change).status == "refused"
    outcome = perform(change, by=OPERATOR)
    operate(shop, "ALTER SYSTEM RESET ALL")
    assert (outcome.status, named(outcome)) == ("done", [("setting", "archive_command")])


@pytest.fixture
def file(sandbox: Sandbox) -> Iterator[Path]:
    """A file of the account that the server runs as."""
    path = sandbox.root / "dump"
    path.write_text("the only copy")
    sandbox.give(path)
    sandbox.root.chmod(0o777)
    yield path
    sandbox.root.chmod(0o711)


def test_only_a_superuser_reaches_the_servers_files(perform: Perform, file: Path) -> None:
    overwrite = f"COPY (SELECT 1) TO '{file}'"
    for principal in ("owner", "clerk", "reader", APPLICATION):
        for statement in (overwrite, f"COPY (SELECT 1) TO PROGRAM 'rm -f {file}'"):
            assert perform(statement, by=principal).status == "refused"
            assert perform(f"SET ROLE {OPERATOR}; {statement}", by=principal).status == "refused"
        for right in ("pg_execute_server_program", "pg_write_server_files", "pg_read_server_files"):
            assert perform(f"SET ROLE {right}", by=principal).status == "refused"
            assert perform(f"GRANT {right} TO {principal}", by=principal).status == "refused"
    assert file.read_text() == "the only copy"
    outcome = perform(overwrite, by=OPERATOR)
    assert file.read_text() == "1\n"
    assert (outcome.status, outcome.touched) == ("done", ()), "the server's catalog tells nothing of files"


@pytest.mark.landlock
def test_a_superuser_reaches_nothing_of_this_machine(perform: Perform, shop: Endpoint) -> None:
    """And what keeps it is no guard that a user would have."""
    with TemporaryDirectory(dir="/var/tmp") as name:
        outside = Path(name)
        outside.chmod(0o777)
        (outside / "theirs").write_text("a letter")
        (outside / "theirs").chmod(0o666)
        for statement in (
            f"COPY (SELECT 1) TO '{outside}/theirs'",
            f"COPY (SELECT 1) TO '{outside}/new'",
            f"COPY (SELECT 1) TO PROGRAM 'touch {outside}/new'",
            f"SELECT pg_read_file('{outside}/theirs')",
            f"SELECT lo_from_bytea(4711, 'x'); SELECT lo_export(4711, '{outside}/new')",
            f"CREATE TEMPORARY TABLE t (l text); COPY t FROM PROGRAM 'cat {outside}/theirs'",
        ):
            outcome = perform(statement, by=OPERATOR)
            assert outcome.status == "failed", statement
            assert outcome.detail.startswith("could not ")
        assert [path.read_text() for path in outside.iterdir()] == ["a letter"]
