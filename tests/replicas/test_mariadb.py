"""A MariaDB server: the one that this machine has, on loopback, with an account for every principal."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory

import psutil
import pymysql
import pytest
from pymysql.cursors import Cursor

from harness.clock import SystemClock
from harness.errors import DatabaseError, ProvisionError, ScenarioFileError, StatementError
from harness.facts import Endpoint, Lease
from harness.replicas.mariadb import MariadbReplica
from harness.sandbox import Sandbox
from harness.scenario.models import Stack
from harness.seams.drivers import Database, Setting
from harness.seams.mariadb_client import Connection, connect

pytestmark = pytest.mark.mariadb

SCHEMA = """
CREATE TABLE orders (
    id CHAR(36) PRIMARY KEY, pieces INT, price DECIMAL(10, 2), weight DOUBLE, picture BLOB, note JSON,
    placed_at DATETIME(6), ratio FLOAT, film LONGBLOB, reel LONGBLOB
);
CREATE TABLE plain (id INT PRIMARY KEY, text TEXT);
"""
STACK = {
    "services": {"shop": {"kind": "mariadb", "schema": "schema.sql", "environment": "production"}},
    "principals": {
        "boss": {"grants": {"shop": "admin"}},
        "owner": {"grants": {"shop": "owner"}},
        "writer": {"grants": {"shop": "writer"}},
        "reader": {"grants": {"shop": "reader"}},
    },
}
THEN = datetime(2026, 4, 24, 10, 12, 0, 250, tzinfo=UTC)


def setting_of(sandbox: Sandbox, folder: Path, schema: str = SCHEMA) -> Setting:
    (folder / "schema.sql").write_text(schema)
    return Setting(Stack.model_validate(STACK), folder, sandbox, SystemClock(), {})


def lease_of(sandbox: Sandbox, name: str = "shop") -> Lease:
    directory = sandbox.root / f"{name}-{token_hex(4)}"
    return Lease(run_id=sandbox.run_id, service=name, kind="mariadb", directory=directory)


@pytest.fixture(scope="module")
def replica() -> MariadbReplica:
    return MariadbReplica()


@pytest.fixture(scope="module")
def shared(sandbox: Sandbox, replica: MariadbReplica) -> Iterator[Endpoint]:
    lease = lease_of(sandbox)
    try:
        yield replica.provision(lease, setting_of(sandbox, sandbox.root))
    finally:
        replica.destroy(lease)


@pytest.fixture
def shop(replica: MariadbReplica, shared: Endpoint) -> Endpoint:
    replica.execute(shared, "DELETE FROM orders; DELETE FROM plain", {})
    return shared


def test_it_is_a_database_that_knows_whose_it_is(replica: MariadbReplica, shop: Endpoint) -> None:
    assert isinstance(replica, Database)
    assert replica.read_marker(shop) == shop.lease.marker
    assert replica.alive(shop)
    described = replica.describe(shop)
    assert described["version"].startswith("MariaDB 1")
    assert (described["innodb_flush_log_at_trx_commit"], described["sync_binlog"]) == ("1", "1")
    found = {(resource.kind, resource.name) for resource in replica.inventory(shop)}
    assert found == {("database", "shop"), ("table", "orders"), ("table", "plain")}


def test_it_listens_on_loopback_only_and_knows_nobody_without_a_password(shop: Endpoint) -> None:
    (server,) = (
        process
        for process in psutil.process_iter(["cmdline"])
        if f"--port={shop.port}" in (process.info["cmdline"] or ())
    )
    assert {c.laddr.ip for c in server.net_connections("inet")} == {"127.0.0.1"}
    for user in ("root", "", "mariadb.sys"):
        with pytest.raises(pymysql.OperationalError, match="Access denied"):
            pymysql.connect(host="127.0.0.1", port=shop.port, user=user, password="", read_timeout=5)


def test_no_password_is_in_a_file_or_an_argument(shop: Endpoint) -> None:
    secrets = [credential.secret.reveal().encode() for credential in shop.credentials.values()]
    files = [path for path in shop.lease.directory.rglob("*") if path.is_file()]
    assert len(files) > 10
    for path in files:
        content = path.read_bytes()
        assert not any(secret in content for secret in secrets), path
    commands = [process.info["cmdline"] or () for process in psutil.process_iter(["cmdline"])]
    shown = " ".join(word for command in commands for word in command).encode()
    assert not any(secret in shown for secret in secrets)


@pytest.mark.parametrize(
    ("principal", "reading", "writing", "dropping", "purging"),
    [
        ("boss", True, True, True, True),
        ("owner", True, True, True, False),
        ("writer", True, True, False, False),
        ("reader", True, False, False, False),
    ],
)
def test_a_grant_means_what_it_says(
    replica: MariadbReplica,
    shop: Endpoint,
    principal: str,
    reading: bool,
    writing: bool,
    dropping: bool,
    purging: bool,
) -> None:
    replica.execute(shop, "CREATE TABLE scratch (id INT)", {})

    def may(statement: str) -> bool:
        with connect(shop, shop.credentials[principal]) as connection, connection.cursor() as cursor:
            try:
                cursor.execute(statement)
            except pymysql.OperationalError:
                return False
            return True

    assert may("SELECT * FROM plain") == reading
    assert may("INSERT INTO plain VALUES (1, 'x')") == writing
    assert may("DROP TABLE scratch") == dropping
    assert may("FLUSH BINARY LOGS; PURGE BINARY LOGS BEFORE '2020-01-01'") == purging
    replica.execute(shop, "DROP TABLE IF EXISTS scratch", {})


@pytest.mark.landlock
def test_an_admin_has_the_server_write_nowhere_but_in_its_run(shop: Endpoint) -> None:
    with TemporaryDirectory(dir="/var/tmp") as name:
        Path(name).chmod(0o777)
        mine = shop.lease.directory / "data" / "mine.log"
        with connect(shop, shop.credentials["boss"]) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT @@general_log_file")
            row = cursor.fetchone()
            assert row is not None
            try:
                cursor.execute("SET GLOBAL general_log_file = %s", (str(mine),))
                cursor.execute("SET GLOBAL general_log = ON")
                cursor.execute("SELECT 'logged'")
                for statement in (
                    f"SET GLOBAL general_log_file = '{name}/theirs.log'",
                    f"CREATE TABLE spread (id INT) DATA DIRECTORY = '{name}'",
                ):
                    with pytest.raises(pymysql.Error, match=r"Permission denied|errno: 168"):
                        cursor.execute(statement)
            finally:
                cursor.execute("SET GLOBAL general_log = OFF")
                cursor.execute("SET GLOBAL general_log_file = %s", row)
        assert "logged" in mine.read_text(), "where it may, it does"
        assert list(Path(name).iterdir()) == []


def test_values_are_put_in_as_literals_and_nowhere_else(replica: MariadbReplica, shop: Endpoint) -> None:
    script = """
        -- a comment about :nothing
        INSERT INTO plain VALUES (1, :text); # and :nothing here
        INSERT INTO plain VALUES (2, 'a :name in quotes'), (3, "and :another");
        SET @count := (SELECT count(*) FROM plain);
        INSERT INTO orders (id, placed_at) VALUES ('one', :at);
    """
    replica.execute(shop, script, {"text": "it's \\ 100 %", "at": THEN})
    assert replica.query(shop, "SELECT text FROM plain ORDER BY id", {}) == [
        ("it's \\ 100 %",),
        ("a :name in quotes",),
        ("and :another",),
    ]
    (row,) = replica.rows(shop, "orders", "id", "placed_at")
    assert row.time == THEN
    with pytest.raises(StatementError, match=r"line 2 .* :txt, which has no value") as caught:
        replica.execute(shop, "SELECT 1;\nSELECT :txt", {"text": ""})
    assert "did you mean :text?" in caught.value.hint


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("pieces", ["NULL", "0", "1", "-1"]),
        ("price", ["NULL", "0.00", "1.10", "1.11"]),
        ("weight", ["NULL", "0", "0.5", "1e100"]),
        ("picture", ["NULL", "x''", "x'00'", "x'0000'", "x'2d'"]),
        ("ratio", ["NULL", "1.0000001", "1.0000002", "16777215", "16777216"]),
        ("film", [f"REPEAT('{letter}', 8500000)" for letter in "ab"] + ["NULL", "'a'"]),
        ("film, reel", [f"REPEAT('x', 12000000), REPEAT('{letter}', 12000000)" for letter in "ab"]),
        ("note", ["NULL", "'{}'", "'[]'", "'\"-\"'"]),
        ("placed_at", ["NULL", "'2026-04-24 10:12:00'", "'2026-04-24 10:12:00.000001'"]),
    ],
)
def test_every_change_of_a_value_is_a_change_of_the_hash(
    replica: MariadbReplica, shop: Endpoint, column: str, values: list[str]
) -> None:
    hashes, digests = set(), set()
    for value in values:
        replica.execute(shop, f"REPLACE INTO orders (id, {column}) VALUES ('k', {value})", {})
        (row,) = replica.rows(shop, "orders", "id", None)
        hashes.add(row.hash)
        digests |= {table.digest for table in replica.fingerprint(shop, ["orders"]).tables}
        assert row.time is None
    assert (len(hashes), len(digests)) == (len(values), len(values))


@pytest.mark.parametrize(
    ("type", "first", "second"),
    [
        ("BINARY(4)", "x'ff000001'", "x'fe000001'"),
        ("VARBINARY(4)", "x'ff01'", "x'fe01'"),
        ("BIT(9)", "128", "129"),
        ("FLOAT", "1.0000001", "1.0000002"),
    ],
)
def test_other_keys_are_other_keys_as_text(
    replica: MariadbReplica, shop: Endpoint, type: str, first: str, second: str
) -> None:
    replica.execute(shop, f"CREATE TABLE tokens (id {type} PRIMARY KEY, same_id {type})", {})
    try:
        for key in (first, second):
            replica.execute(shop, f"INSERT INTO tokens VALUES ({key}, {key})", {})
        assert len({row.key for row in replica.rows(shop, "tokens", "id", None)}) == 2
        assert replica.tells_apart(shop, "tokens", "id")
        assert replica.tells_apart(shop, "tokens", "same_id")
        replica.execute(shop, f"UPDATE tokens SET same_id = {first}", {})
        assert not replica.tells_apart(shop, "tokens", "same_id")
    finally:
        replica.execute(shop, "DROP TABLE tokens", {})


def test_a_fingerprint_is_of_one_instant(replica: MariadbReplica, shop: Endpoint) -> None:
    operator = shop.credentials["operator"]
    with ThreadPoolExecutor(1) as reader, connect(shop, operator) as writer, connect(shop, operator) as eyes:
        with writer.cursor() as cursor:
            cursor.execute("LOCK TABLES plain WRITE")
            # Tables are read in the order of their names: `orders` has been read when `plain` is waited for.
            found = reader.submit(replica.fingerprint, shop, ("orders", "plain"))
            while not found.done() and not waits_for_a_table(eyes):
                pass
            cursor.execute("INSERT INTO plain VALUES (1, 'written meanwhile')")
            cursor.execute("UNLOCK TABLES")
        assert found.result().rows == 0
    assert replica.fingerprint(shop, ("orders", "plain")).rows == 1


def waits_for_a_table(eyes: Connection[Cursor]) -> bool:
    with eyes.cursor() as cursor:
        cursor.execute(
            "SELECT COUNT(*) FROM information_schema.processlist WHERE state LIKE '%table metadata lock%'"
        )
        return cursor.fetchone() != (0,)


def test_rows_come_in_the_order_of_the_key_and_add_up_to_the_fingerprint(
    replica: MariadbReplica, shop: Endpoint
) -> None:
    replica.execute(shop, "INSERT INTO plain SELECT seq, md5(seq) FROM seq_1_to_2500", {})
    rows = list(replica.rows(shop, "plain", "id", None))
    assert [row.key for row in rows] == [str(n) for n in range(1, 2501)]
    before = replica.fingerprint(shop, ("plain",))
    assert before.rows == 2500
    replica.execute(shop, "UPDATE plain SET text = 'x' WHERE id = 7", {})
    assert replica.fingerprint(shop, ("plain",)) != before
    with pytest.raises(DatabaseError, match="no table 'plane'"):
        replica.fingerprint(shop, ("plane",))


def test_what_replaces_it_answers_at_the_same_address_with_the_same_accounts(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    replica, lease, setting = MariadbReplica(), lease_of(sandbox), setting_of(sandbox, tmp_path)
    new = lease_of(sandbox, "shop@recovery-1")
    try:
        lost = replica.provision(lease, setting)
        replica.execute(lost, "INSERT INTO plain VALUES (1, 'x')", {})
        replica.fence(lost)
        replica.fence(lost)
        assert not replica.alive(lost)
        with pytest.raises(DatabaseError, match="shop at 127"):
            replica.fingerprint(lost, ("plain",))
        vessel = replica.vessel(new, lost, setting, replace=True)
        restored = vessel.start()
        assert restored == replace(lost, lease=new, path=vessel.directory)
        assert replica.read_marker(restored) == new.marker
        assert {resource.kind for resource in replica.inventory(restored)} == {"database"}
        with connect(restored, restored.credentials["reader"]) as connection:
            assert connection.open
    finally:
        replica.destroy(new)
        replica.destroy(lease)
    assert not new.directory.exists()
    assert not lease.directory.exists()


def test_a_schema_that_is_not_sql_names_its_line(sandbox: Sandbox, tmp_path: Path) -> None:
    replica, lease = MariadbReplica(), lease_of(sandbox)
    try:
        with pytest.raises(
            ScenarioFileError, match=r"schema\.sql:2: the database refuses the schema of shop"
        ):
            replica.provision(
                lease, setting_of(sandbox, tmp_path, "CREATE TABLE a (id INT);\nCREATE TABEL b;")
            )
    finally:
        replica.destroy(lease)


def test_another_kind_of_service_is_an_error(sandbox: Sandbox, tmp_path: Path) -> None:
    with pytest.raises(ProvisionError, match="not a service of kind mariadb"):
        MariadbReplica().provision(lease_of(sandbox, "other"), setting_of(sandbox, tmp_path))
