"""What a database holds, and where two databases differ; computed inside the servers.

The hash of a row is ``hashtextextended((t.*)::text, 0)`` of the whole row. Text depends on settings of the
session, so they are pinned. The sum of the hashes modulo 2**64 does not depend on the order of the rows,
which lets several processes of the server share the work.

Writing a row as text takes most of that time. Where two servers are compared with each other, columns of
types in which equal values are written alike are hashed as they lie; the others by way of their text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial
from os import cpu_count
from typing import Any, cast

from psycopg import IsolationLevel, sql

from harness.facts import Endpoint, Fingerprint, TableFingerprint
from harness.journal.witness import Lines, lines_of, table_digest
from harness.replicas.postgres.session import session
from harness.seams.drivers import Row
from harness.seams.postgres_client import HASH_SETTINGS, Connection

SCHEMA = "public"
BUCKETS = 4096
BATCH = 10_000

NO_TIME = sql.SQL("NULL::timestamptz")
ROW_HASH = sql.SQL("hashtextextended((t.*)::text, 0)")

VALUE_HASHES: Mapping[str, str] = {
    "boolean": "hashboolextended",
    "smallint": "hashint2extended",
    "integer": "hashint4extended",
    "bigint": "hashint8extended",
    "oid": "hashoidextended",
    "text": "hashtextextended",
    "character varying": "hashtextextended",
    "character": "hashbpcharextended",
    "bytea": "hashbyteaextended",
    "uuid": "uuid_hash_extended",
    "date": "hashdateextended",
    "time without time zone": "time_hash_extended",
    "timestamp without time zone": "timestamp_hash_extended",
    "timestamp with time zone": "timestamptz_hash_extended",
    "numeric": "hash_numeric_extended",
}
"""PostgreSQL's own hashes for types in which equal values are written alike. They are not in, among others,
float (0 and -0), json, interval, and enumerations, whose hash differs from server to server."""

NEEDS_SIZE = ("numeric", "character")
"""1.0 and 1.00 are equal, and written alike only in a column that says how many digits there are."""

COLUMNS = """
    SELECT a.attname, a.atttypid::regtype::text, a.atttypmod <> -1, coalesce(c.collisdeterministic, true)
    FROM pg_attribute AS a LEFT JOIN pg_collation AS c ON c.oid = a.attcollation
    WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY a.attnum
"""
UNTAMPERED: Mapping[str, str] = {"search_path": "pg_catalog"}
"""An agent that owns the database can put functions of its own before PostgreSQL's."""

WHOLE_TABLE = "SELECT count(*), coalesce(sum({hash}), 0) FROM {table} AS t"
NEWEST = "SELECT max({time}) FROM {table} AS t"
ALL_ROWS = "SELECT {key}::text, {hash}, {time} FROM {table} AS t ORDER BY {key}"
ROWS_AS_LINES = """
    SELECT convert_to(string_agg(line || chr(10), '' ORDER BY place), 'UTF8'), count(*), sum(row_hash)
    FROM (
        SELECT json_build_array({name}::text, row_key, row_hash, row_time)::text AS line, row_hash, place
        FROM (
            SELECT {key}::text AS row_key, {hash} AS row_hash, {time} AS row_time,
                row_number() OVER (ORDER BY {key}) AS place
            FROM {table} AS t
        ) AS read
    ) AS written
    GROUP BY (place - 1) / {batch} ORDER BY (place - 1) / {batch}
"""
OUTSIDE = "SELECT EXISTS (SELECT FROM {table} AS t WHERE {time} < '0001-01-01' OR {time} > '9999-12-31')"
"""Times that Python has no words for, infinite ones among them."""

TIMES = ("timestamp with time zone", "timestamp without time zone", "date")
LINES_AT_ONCE = 4
BUCKET_SUMS = "SELECT {bucket}, count(*), sum({hash}) FROM {table} AS t GROUP BY 1"
ROWS_IN_BUCKETS = "SELECT {key}::text, {hash}, {time} FROM {table} AS t WHERE ({bucket}) = ANY (%s)"


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: its name.
        type: as PostgreSQL writes it, without a size.
        sized: the type was given a size or a number of digits.
        deterministic: values that are equal in its collation are the same bytes.
    """

    name: str
    type: str = ""
    sized: bool = False
    deterministic: bool = False

    def hash(self, seed: int) -> sql.Composed:
        """SQL for the hash of its value; different values have different hashes."""
        value: sql.Composable = sql.Identifier("t", self.name)
        function = VALUE_HASHES.get(self.type)
        if function is None or not self.deterministic or (self.type in NEEDS_SIZE and not self.sized):
            # A cast of the value itself would lose the blanks that a bpchar ends in.
            function, value = "hashtextextended", sql.SQL("ROW({})::text").format(value)
        return sql.SQL("coalesce({}({}, {seed}), {seed})").format(
            sql.Identifier(function), value, seed=sql.Literal(seed)
        )


@dataclass(frozen=True)
class Difference:
    """A row that two databases do not hold alike.

    Attributes:
        key: of the row, as text.
        left, right: the row as each holds it; None where it is missing.
    """

    key: str
    left: Row | None
    right: Row | None


def fingerprint(endpoint: Endpoint, tables: Sequence[str]) -> Fingerprint:
    """The content of some tables, all of the same instant.

    Args:
        endpoint: of the database.
        tables: names in the schema ``public``.

    Raises:
        DatabaseError: it does not answer, or a table is missing.
    """
    with _reading(endpoint, _sharing(cpu_count() or 1)) as connection:
        return Fingerprint(tables=tuple(_fingerprint_table(connection, table) for table in sorted(tables)))


def read_rows(endpoint: Endpoint, table: str, key: str, time: str | None) -> Iterator[Row]:
    """Every row of a table in key order, all of the same instant.

    Args:
        endpoint: of the database.
        table: its name in the schema ``public``.
        key: the column of its primary key.
        time: the column with the time of a row's last write; None when the table has none.

    Raises:
        DatabaseError: it does not answer, or table or column are missing.
    """
    with _reading(endpoint) as connection:
        yield from _stream(connection, _compose(ALL_ROWS, table, key, time), ())


def read_lines(endpoint: Endpoint, table: str, key: str, time: str | None) -> Iterator[Lines]:
    """The same as lines of a witness, which the server puts together; arguments and errors as above."""
    with _reading(endpoint) as connection:
        if not _writes_times(connection, table, time):
            yield from lines_of(table, _stream(connection, _compose(ALL_ROWS, table, key, time), ()))
            return
        statement = _compose(ROWS_AS_LINES, table, key, time)
        with connection.cursor(name="ninelives_lines") as cursor:
            cursor.execute(statement, binary=True)
            while parts := cursor.fetchmany(LINES_AT_ONCE):
                for text, rows, total in cast("list[tuple[bytes, int, Decimal]]", parts):
                    yield Lines(text, rows, int(total))


def _writes_times(connection: Connection, table: str, time: str | None) -> bool:
    """Whether the server writes every time of a column so that it is read as what it is."""
    if time is None:
        return True
    types = {column.name: column.type for column in _columns(connection, table)}
    if types.get(time) not in TIMES:
        return False
    ((outside,),) = connection.execute(_compose(OUTSIDE, table, time=time))
    return not outside


def newest(endpoint: Endpoint, table: str, time: str) -> datetime | None:
    """The newest time in a column of a table; None when there is none, or when it holds no times.

    Args:
        endpoint: of the database.
        table: its name in the schema ``public``.
        time: the column with the time of a row's last write.

    Raises:
        DatabaseError: it does not answer, or table or column are missing.
    """
    with _reading(endpoint) as connection:
        ((found,),) = connection.execute(_compose(NEWEST, table, time=time))
    return found if isinstance(found, datetime) else None


def differing_rows(
    left: Endpoint, right: Endpoint, table: str, key: str, time: str | None
) -> Iterator[Difference]:
    """The rows that two databases do not hold alike, in no particular order.

    Both servers sum their row hashes in buckets by the hash of the key, at the same time; only the rows of
    buckets that differ are read.

    Args:
        left, right: the databases; both must be at rest for the result to mean something.
        table, key, time: as for ``read_rows``.

    Raises:
        DatabaseError: one does not answer, or table or column are missing in it.
    """
    settings = _sharing((cpu_count() or 1) // 2)
    with _reading(left, settings) as ours, _reading(right, settings) as theirs, ThreadPoolExecutor(2) as pool:
        both = (ours, theirs)
        columns = _columns(ours, table)
        if columns != _columns(theirs, table):
            columns = ()
        bucket = _bucket(columns, key)
        sums = _compose(BUCKET_SUMS, table, row_hash=_quick_hash(columns), bucket=bucket)
        buckets = _differing(*pool.map(partial(_bucket_sums, statement=sums), both))
        if buckets:
            rows = _compose(ROWS_IN_BUCKETS, table, key, time, bucket=bucket)
            yield from _differences(*pool.map(partial(_rows_in, statement=rows, buckets=buckets), both))


def _columns(connection: Connection, table: str) -> tuple[Column, ...]:
    name = sql.Identifier(SCHEMA, table).as_string(connection)
    rows = cast("list[tuple[str, str, bool, bool]]", connection.execute(COLUMNS, (name,)).fetchall())
    return tuple(Column(*row) for row in rows)


def _bucket(columns: Sequence[Column], key: str) -> sql.Composed:
    column = next((column for column in columns if column.name == key), Column(key))
    return sql.SQL("{} & {}").format(column.hash(0), BUCKETS - 1)


def _quick_hash(columns: Sequence[Column]) -> sql.Composable:
    """One hash of all columns, each with a seed of its own.

    Without the outer hash, two rows that swap a value would change the sum of both with a probability that
    depends on half of the bits only.
    """
    if not columns:
        return ROW_HASH
    hashes = sql.SQL(" # ").join(column.hash(seed) for seed, column in enumerate(columns, start=1))
    return sql.SQL("hashint8extended({}, 0)").format(hashes)


def _sharing(processes: int) -> Mapping[str, str]:
    """Settings under which so many of the server's processes share the work of one statement."""
    return {
        "max_parallel_workers_per_gather": str(max(processes - 1, 0)),
        "parallel_setup_cost": "0",
        "parallel_tuple_cost": "0",
        "min_parallel_table_scan_size": "0",
        "jit": "off",
        # The planner takes each key for a group of its own, and would sort all rows.
        "enable_sort": "off",
    }


@contextmanager
def _reading(endpoint: Endpoint, settings: Mapping[str, str] | None = None) -> Iterator[Connection]:
    """A connection that sees one instant and writes every value the same way as any other."""
    with session(endpoint, settings={**HASH_SETTINGS, **UNTAMPERED, **(settings or {})}) as connection:
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        yield connection


def _compose(
    statement: str,
    table: str,
    key: str = "",
    time: str | None = None,
    *,
    row_hash: sql.Composable = ROW_HASH,
    bucket: sql.Composable | None = None,
) -> sql.Composed:
    return sql.SQL(statement).format(
        name=sql.Literal(table),
        table=sql.Identifier(SCHEMA, table),
        key=sql.Identifier("t", key),
        time=sql.Identifier("t", time) if time is not None else NO_TIME,
        hash=row_hash,
        bucket=bucket,
        batch=sql.Literal(BATCH),
    )


def _fingerprint_table(connection: Connection, table: str) -> TableFingerprint:
    ((rows, total),) = _counts(connection, _compose(WHOLE_TABLE, table))
    return TableFingerprint(table=table, rows=rows, digest=table_digest(rows, total))


def _bucket_sums(connection: Connection, statement: sql.Composed) -> dict[int, tuple[int, int]]:
    return {bucket: (rows, total) for bucket, rows, total in _counts(connection, statement)}


def _counts(connection: Connection, statement: sql.Composed) -> list[tuple[int, ...]]:
    """Rows of whole numbers; ``sum`` gives a numeric, which holds more than 64 bits."""
    return [tuple(map(int, cast("tuple[Decimal, ...]", row))) for row in connection.execute(statement)]


def _differing(left: dict[int, tuple[int, int]], right: dict[int, tuple[int, int]]) -> list[int]:
    return sorted(bucket for bucket in left.keys() | right.keys() if left.get(bucket) != right.get(bucket))


def _rows_in(connection: Connection, statement: sql.Composed, buckets: list[int]) -> dict[str, Row]:
    return {row.key: row for row in _stream(connection, statement, (buckets,))}


def _stream(connection: Connection, statement: sql.Composed, values: tuple[Any, ...]) -> Iterator[Row]:
    with connection.cursor(name="ninelives_rows") as cursor:
        cursor.execute(statement, values, binary=True)
        while batch := cursor.fetchmany(BATCH):
            yield from map(Row._make, batch)


def _differences(left: dict[str, Row], right: dict[str, Row]) -> Iterator[Difference]:
    for key in left.keys() | right.keys():
        ours, theirs = left.get(key), right.get(key)
        if (ours and ours.hash) != (theirs and theirs.hash):
            yield Difference(key, ours, theirs)
