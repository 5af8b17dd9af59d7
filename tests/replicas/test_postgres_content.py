"""What a database holds is told the same way everywhere, and two databases' differences are named."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from harness.errors import DatabaseError
from harness.facts import Endpoint
from harness.journal.witness import Row, read_witness, write_lines, write_rows
from harness.replicas.postgres import Difference, PostgresReplica, content, differing_rows
from harness.sandbox import Sandbox
from tests.replicas.postgres_stack import lease, login, setting, stack

REPLICA = PostgresReplica()
TRACKED = ("reservations", "id", "booked_at")
REFILL = """
TRUNCATE reservations;
INSERT INTO reservations
SELECT n, 'customer ' || n, n * 1.5, timestamptz '2026-01-01 00:00Z' + n * interval '1 minute'
FROM generate_series(1, 1000) AS n ORDER BY n * :direction
"""


@pytest.fixture(scope="module")
def servers(sandbox: Sandbox) -> Iterator[tuple[Endpoint, Endpoint]]:
    leases = [lease(sandbox, name) for name in ("left", "right")]
    yield tuple(
        REPLICA.provision(held, setting(sandbox, stack(held.service, fsync=False))) for held in leases
    )
    for held in leases:
        REPLICA.destroy(held)


@pytest.fixture
def pair(servers: tuple[Endpoint, Endpoint]) -> tuple[Endpoint, Endpoint]:
    """Two servers with the same rows, stored in opposite order."""
    for endpoint, direction in zip(servers, (1, -1), strict=True):
        REPLICA.execute(endpoint, REFILL, {"direction": direction})
    return servers


def digest(endpoint: Endpoint) -> str:
    (table,) = REPLICA.fingerprint(endpoint, ["reservations"]).tables
    return table.digest


class TestFingerprint:
    def test_the_order_of_rows_does_not_matter(self, pair):
        left, right = pair
        assert REPLICA.fingerprint(left, ["reservations"]) == REPLICA.fingerprint(right, ["reservations"])

    @pytest.mark.parametrize(
        "change",
        [
            "UPDATE reservations SET price = price + 0.01 WHERE id = 500",
            "UPDATE reservations SET customer = NULL WHERE false; DELETE FROM reservations WHERE id = 1",
            "UPDATE reservations SET booked_at = booked_at + interval '1 microsecond' WHERE id = 1",
            "UPDATE reservations SET booked_at = NULL WHERE id = 1",
            "INSERT INTO reservations VALUES (0, '', NULL, NULL)",
            "UPDATE reservations SET id = -id WHERE id = 7",
        ],
    )
    def test_any_change_of_content_matters(self, pair, change):
        left, right = pair
        REPLICA.execute(right, change, {})
        assert digest(left) != digest(right)

    def test_it_is_the_number_of_rows_and_the_sum_of_their_hashes(self, pair):
        hashes = [row.hash for row in REPLICA.rows(pair[0], *TRACKED)]
        assert digest(pair[0]) == f"{len(hashes):x}-{sum(hashes) % 2**64:016x}"

    def test_an_empty_table_has_one_too(self, pair):
        REPLICA.execute(pair[0], "TRUNCATE reservations", {})
        assert digest(pair[0]) == f"0-{0:016x}"

    def test_settings_of_the_database_and_of_the_role_do_not_matter(self, pair):
        left, right = pair
        settings = {
            "TimeZone": "Asia/Tokyo",
            "DateStyle": "German",
            "extra_float_digits": "-3",
            "IntervalStyle": "iso_8601",
            "bytea_output": "escape",
        }
        for name, value in settings.items():
            REPLICA.execute(right, f'ALTER DATABASE "right" SET {name} = :value', {"value": value})
            REPLICA.execute(right, f"ALTER ROLE operator SET {name} = :value", {"value": value})
        assert REPLICA.query(right, "SHOW TimeZone", {}) == [("Asia/Tokyo",)]
        assert digest(left) == digest(right)
        assert list(REPLICA.rows(left, *TRACKED)) == list(REPLICA.rows(right, *TRACKED))

    def test_an_agent_that_owns_the_database_cannot_forge_it(self, pair):
        left, right = pair
        expected = digest(right)
        with login(right, "staging-agent") as connection:
            connection.execute(
                """
                CREATE OR REPLACE FUNCTION public.hashtextextended(text, bigint) RETURNS bigint
                LANGUAGE sql IMMUTABLE AS 'SELECT 0::bigint';
                ALTER DATABASE "right" SET search_path = public, pg_catalog;
                """
            )
        assert digest(right) == expected == digest(left)
        REPLICA.execute(right, 'ALTER DATABASE "right" RESET search_path', {})

    def test_all_tables_are_of_one_instant(self, pair):
        """The first table is locked, and the second one changed while the fingerprint waits for the first."""
        endpoint, _ = pair
        REPLICA.execute(endpoint, "CREATE TABLE IF NOT EXISTS archive (id bigint PRIMARY KEY)", {})
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'archive'::regclass"
        with ThreadPoolExecutor(1) as pool, login(endpoint, "operator") as other:
            other.execute("BEGIN; LOCK TABLE archive IN ACCESS EXCLUSIVE MODE")
            taken = pool.submit(REPLICA.fingerprint, endpoint, ["archive", "reservations"])
            while REPLICA.query(endpoint, waiting, {}) == [(0,)]:
                assert not taken.done()
            REPLICA.execute(endpoint, "DELETE FROM reservations", {})
            other.execute("COMMIT")
            assert taken.result().rows == 1000

    def test_tables_are_sorted_by_name(self, pair):
        REPLICA.execute(pair[0], "CREATE TABLE IF NOT EXISTS archive (id bigint PRIMARY KEY)", {})
        fingerprint = REPLICA.fingerprint(pair[0], ["reservations", "archive"])
        assert [(table.table, table.rows) for table in fingerprint.tables] == [
            ("archive", 0),
            ("reservations", 1000),
        ]
        assert fingerprint.rows == 1000

    def test_a_missing_table_is_an_error_and_not_an_empty_one(self, pair):
        with pytest.raises(DatabaseError, match=r'relation "public\.nothing" does not exist'):
            REPLICA.fingerprint(pair[0], ["nothing"])

    def test_a_name_that_needs_quotes_is_quoted(self, pair):
        REPLICA.execute(pair[0], 'CREATE TABLE IF NOT EXISTS "order" ("user" text, "time" timestamptz)', {})
        assert REPLICA.fingerprint(pair[0], ["order"]).rows == 0
        assert list(REPLICA.rows(pair[0], "order", "user", "time")) == []


class TestLines:
    """What the server writes down itself is read as what its rows are."""

    @staticmethod
    def read(endpoint: Endpoint, path: Path, table: str, key: str, time: str | None) -> Mapping[str, Row]:
        written = write_lines(path, [(table, REPLICA.lines(endpoint, table, key, time))])
        assert written.content == REPLICA.fingerprint(endpoint, [table])
        assert written.rows == path.read_bytes().count(b"\n")
        return read_witness(path)[table]

    @staticmethod
    def told(endpoint: Endpoint, path: Path, table: str, key: str, time: str | None) -> Mapping[str, Row]:
        write_rows(path, [(table, REPLICA.rows(endpoint, table, key, time))])
        return read_witness(path)[table]

    def test_they_say_what_the_rows_say_in_their_order(self, pair, tmp_path, monkeypatch):
        monkeypatch.setattr(content, "BATCH", 300)
        read = self.read(pair[1], tmp_path / "lines", *TRACKED)
        assert read == self.told(pair[1], tmp_path / "rows", *TRACKED)
        assert list(read) == [str(n) for n in range(1, 1001)]

    @pytest.mark.parametrize("type", ["timestamptz", "timestamp", "date"])
    def test_every_sort_of_time_and_any_key_come_through(self, pair, tmp_path, type):
        table = f"odd_{type}"
        odd = f"""
            CREATE TABLE {table} (k text PRIMARY KEY, at {type});
            INSERT INTO {table} VALUES
                ('quote " and \\ and é', '2026-04-24 12:00:00.5'), (E'two\\nlines', NULL)
        """
        REPLICA.execute(pair[0], odd, {})
        read = self.read(pair[0], tmp_path / "lines", table, "k", "at")
        assert read == self.told(pair[0], tmp_path / "rows", table, "k", "at")
        assert set(read) == {'quote " and \\ and é', "two\nlines"}
        without = self.read(pair[0], tmp_path / "lines", table, "k", None)
        assert {row.time for row in without.values()} == {None}

    @pytest.mark.parametrize(("table", "time"), [("never", "infinity"), ("ides", "0044-03-15 12:00 BC")])
    def test_a_time_that_python_has_no_words_for_is_an_error_of_both(self, pair, table, time):
        REPLICA.execute(pair[0], f"CREATE TABLE {table} (k text PRIMARY KEY, at timestamptz)", {})
        REPLICA.execute(pair[0], f"INSERT INTO {table} VALUES ('a', :time)", {"time": time})
        for ask in (REPLICA.rows, REPLICA.lines):
            with pytest.raises(DatabaseError):
                list(ask(pair[0], table, "k", "at"))

    def test_an_empty_table_has_none_and_a_missing_one_is_an_error(self, pair):
        REPLICA.execute(pair[0], "TRUNCATE reservations", {})
        assert list(REPLICA.lines(pair[0], *TRACKED)) == []
        with pytest.raises(DatabaseError, match=r'relation "public\.nothing" does not exist'):
            list(REPLICA.lines(pair[0], "nothing", "id", None))

    def test_an_agent_that_owns_the_database_cannot_forge_them(self, pair, tmp_path):
        before = self.read(pair[1], tmp_path / "lines", *TRACKED)
        with login(pair[1], "staging-agent") as connection:
            connection.execute(
                """
                CREATE OR REPLACE FUNCTION public.chr(integer) RETURNS text LANGUAGE sql AS $$SELECT ''$$;
                ALTER DATABASE "right" SET search_path = public, pg_catalog;
                """
            )
        assert self.read(pair[1], tmp_path / "lines", *TRACKED) == before
        REPLICA.execute(pair[1], 'ALTER DATABASE "right" RESET search_path', {})


class TestRows:
    def test_they_come_in_the_order_of_their_keys_with_their_times(self, pair):
        rows = list(REPLICA.rows(pair[1], *TRACKED))
        assert [row.key for row in rows] == [str(n) for n in range(1, 1001)]
        assert rows[0].time == datetime(2026, 1, 1, 0, 1, tzinfo=UTC)

    def test_a_null_time_is_none(self, pair):
        REPLICA.execute(pair[0], "UPDATE reservations SET booked_at = NULL WHERE id = 3", {})
        times = {row.key: row.time for row in REPLICA.rows(pair[0], *TRACKED)}
        assert [key for key, time in times.items() if time is None] == ["3"]

    def test_a_hash_is_what_returning_gives_a_client_with_the_same_settings(self, pair):
        with login(pair[0], "application") as connection:
            connection.execute("SET TimeZone = 'UTC'; SET bytea_output = 'hex'")
            returned = connection.execute(
                "UPDATE reservations AS t SET price = 1 WHERE id = 9 RETURNING hashtextextended(t::text, 0)"
            ).fetchone()
        hashes = {row.key: row.hash for row in REPLICA.rows(pair[0], *TRACKED)}
        assert returned == (hashes["9"],)

    def test_a_column_of_any_name_does_not_stand_for_the_row(self, pair):
        REPLICA.execute(pair[0], "CREATE TABLE readings (id int PRIMARY KEY, t int, note text)", {})
        try:
            REPLICA.execute(pair[0], "INSERT INTO readings VALUES (1, NULL, 'a')", {})
            ((before,), whole) = self._readings(pair[0])
            REPLICA.execute(pair[0], "UPDATE readings SET note = 'b'", {})
            ((after,), other) = self._readings(pair[0])
        finally:
            REPLICA.execute(pair[0], "DROP TABLE readings", {})
        assert before.hash is not None
        assert before.hash != after.hash
        assert whole != other

    def _readings(self, endpoint):
        return list(REPLICA.rows(endpoint, "readings", "id", None)), REPLICA.fingerprint(
            endpoint, ["readings"]
        )

    def test_writes_made_while_they_are_read_are_not_seen(self, pair):
        rows = REPLICA.rows(pair[0], *TRACKED)
        next(rows)
        REPLICA.execute(pair[0], "DELETE FROM reservations", {})
        assert len(list(rows)) == 999


class TestDifferences:
    def test_databases_that_hold_the_same_have_none(self, pair):
        assert list(differing_rows(*pair, *TRACKED)) == []

    def test_each_row_that_is_missing_changed_or_extra_is_named(self, pair):
        left, right = pair
        REPLICA.execute(right, "DELETE FROM reservations WHERE id = 1", {})
        REPLICA.execute(right, "UPDATE reservations SET price = 0 WHERE id = 2", {})
        REPLICA.execute(right, "INSERT INTO reservations VALUES (5000, 'new', 1, NULL)", {})
        found = {difference.key: difference for difference in differing_rows(left, right, *TRACKED)}
        assert found.keys() == {"1", "2", "5000"}
        assert found["1"].right is None
        assert found["5000"].left is None
        assert found["2"].left.hash != found["2"].right.hash
        assert found["2"].left.time == datetime(2026, 1, 1, 0, 2, tzinfo=UTC)

    @pytest.mark.parametrize("seed", range(5))
    def test_any_set_of_changes_is_found_exactly(self, pair, seed):
        choose = random.Random(seed)
        keys = choose.sample(range(1, 1001), choose.choice([1, 30, 999]))
        deleted, changed = keys[::2], keys[1::2]
        left, right = choose.sample(pair, 2)
        REPLICA.execute(left, "DELETE FROM reservations WHERE id = ANY(:keys)", {"keys": deleted})
        REPLICA.execute(
            right, "UPDATE reservations SET customer = 'x' WHERE id = ANY(:keys::bigint[])", {"keys": changed}
        )
        found = list(differing_rows(left, right, *TRACKED))
        assert sorted(int(difference.key) for difference in found) == sorted(keys)
        assert {int(d.key) for d in found if d.left is None} == set(deleted)

    def test_a_row_that_moved_to_another_key_is_two_differences(self, pair):
        left, right = pair
        REPLICA.execute(right, "UPDATE reservations SET id = 2000 WHERE id = 20", {})
        differences = differing_rows(left, right, *TRACKED)
        found = sorted((d.key, d.left is None, d.right is None) for d in differences)
        assert found == [("20", False, True), ("2000", True, False)]

    def test_two_changes_that_cancel_in_the_sum_over_the_table_are_found(self, pair):
        """Swapping two rows' contents leaves count and keys as they were."""
        left, right = pair
        swap = "UPDATE reservations SET customer = 'customer ' || (3 - id) WHERE id IN (1, 2)"
        REPLICA.execute(right, swap, {})
        assert sorted(d.key for d in differing_rows(left, right, *TRACKED)) == ["1", "2"]

    def test_a_difference_is_a_value(self):
        assert Difference("1", None, None) == Difference("1", None, None)


class TestValuesThatAreEqualButNotAlike:
    """Comparing values by their own hash is quick, but must not take 1.0 for 1.00."""

    @pytest.mark.parametrize(
        ("column", "left", "right"),
        [
            ("numeric", "1.0", "1.00"),
            ("double precision", "'0'", "'-0'"),
            ("jsonb", """'{"a": 1.0}'""", """'{"a": 1.00}'"""),
            ("json", """'{"a": 1}'""", """'{"a":1}'"""),
            ("interval", "'1 day'", "'24 hours'"),
            ("numeric[]", "'{1.0}'", "'{1.00}'"),
            ("citext", "'A'", "'a'"),
            ("bpchar", "'a'::bpchar", "'a '::bpchar"),
            ("char(3)", "'a'", "'b'"),
            ("numeric(10, 2)", "1.00", "1.01"),
            ("mood", "'good'", "'bad'"),
            ("text", "NULL", "''"),
            ("bytea", "'a'", "'b'"),
            ("boolean", "true", "false"),
            ("smallint", "1", "2"),
            ("oid", "1", "2"),
            ("date", "'2026-01-01'", "'infinity'"),
            ("time", "'12:00'", "'12:01'"),
            ("timestamp", "'2026-01-01'", "'2026-01-02'"),
        ],
    )
    def test_they_differ(self, pair, column, left, right):
        for endpoint, value in zip(pair, (left, right), strict=True):
            script = f"""
                DROP TABLE IF EXISTS odd;
                CREATE EXTENSION IF NOT EXISTS citext;
                DROP TYPE IF EXISTS mood;
                CREATE TYPE mood AS ENUM ('good', 'bad');
                CREATE TABLE odd (id int PRIMARY KEY, at timestamptz, value {column});
                INSERT INTO odd SELECT n, NULL, {value} FROM generate_series(1, 10) AS n;
                """
            REPLICA.execute(endpoint, script, {})
        assert len(list(differing_rows(*pair, "odd", "id", "at"))) == 10

    def test_a_table_with_another_column_differs_in_every_row(self, pair):
        left, right = pair
        for endpoint in pair:
            script = """
                DROP TABLE IF EXISTS odd;
                CREATE TABLE odd AS
                SELECT n AS id, timestamptz '2026-01-01 00:00Z' AS at FROM generate_series(1, 10) AS n;
            """
            REPLICA.execute(endpoint, script, {})
        REPLICA.execute(right, "ALTER TABLE odd ADD COLUMN more int", {})
        assert len(list(differing_rows(left, right, "odd", "id", "at"))) == 10

    def test_enumerations_made_in_another_order_hold_the_same(self, pair):
        """Their values are numbered as they are made, and the numbers differ from server to server."""
        for endpoint, order in zip(pair, ("'low', 'high'", "'high', 'low'"), strict=True):
            script = f"""
                DROP TABLE IF EXISTS odd;
                DROP TYPE IF EXISTS level;
                CREATE TYPE level AS ENUM ({order});
                CREATE TABLE odd AS
                SELECT n AS id, timestamptz '2026-01-01 00:00Z' AS at, level 'low' AS value
                FROM generate_series(1, 10) AS n;
                """
            REPLICA.execute(endpoint, script, {})
        assert list(differing_rows(*pair, "odd", "id", "at")) == []

    def test_a_missing_column_or_table_is_an_error(self, pair):
        with pytest.raises(DatabaseError, match=r"column t\.nothing does not exist"):
            list(differing_rows(*pair, "reservations", "nothing", "booked_at"))
        with pytest.raises(DatabaseError, match=r'relation "public\.nothing" does not exist'):
            list(differing_rows(*pair, "nothing", "id", "booked_at"))

    def test_two_rows_of_one_bucket_that_swap_a_value_differ(self, pair):
        left, right = pair
        same_bucket = """
            SELECT min(id), max(id) FROM reservations
            GROUP BY hashint8extended(id, 0) & 4095 HAVING count(*) = 2 LIMIT 1
        """
        ((one, two),) = REPLICA.query(left, same_bucket, {})
        swap = """
            UPDATE reservations AS a SET customer = b.customer FROM reservations AS b
            WHERE (a.id, b.id) IN ((:one, :two), (:two, :one))
        """
        REPLICA.execute(right, swap, {"one": one, "two": two})
        assert {d.key for d in differing_rows(left, right, *TRACKED)} == {str(one), str(two)}
