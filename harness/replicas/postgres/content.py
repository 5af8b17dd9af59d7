"""What a database holds, and where two databases differ; computed inside the servers.

The hash of a row is ``hashtextextended(t::text, 0)`` of the whole row. Text depends on settings of the
session, so they are pinned. The sum of the hashes modulo 2**64 does not depend on the order of the rows,
which lets several processes of the server share the work.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, cast

from psycopg import IsolationLevel, sql

from harness.facts import Endpoint, Fingerprint, TableFingerprint
from harness.replicas.postgres.session import session
from harness.seams.drivers import Row
from harness.seams.postgres_client import HASH_SETTINGS, Connection

SCHEMA = "public"
BUCKETS = 4096
BATCH = 10_000
WRAP = 2**64

IN_PARALLEL: Mapping[str, str] = {
    "max_parallel_workers_per_gather": "2",
    "parallel_setup_cost": "0",
    "parallel_tuple_cost": "0",
    "min_parallel_table_scan_size": "0",
    "jit": "off",
}


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
    with _reading(endpoint) as connection:
        return Fingerprint(tables=tuple(_fingerprint_table(connection, table) for table in sorted(tables)))


def read_rows(endpoint: Endpoint, table: str, key: str, time: str) -> Iterator[Row]:
    """Every row of a table in key order, all of the same instant.

    Args:
        endpoint: of the database.
        table: its name in the schema ``public``.
        key: the column of its primary key.
        time: the column with the time of a row's last write.

    Raises:
        DatabaseError: it does not answer, or table or column are missing.
    """
    statement = _compose(
        "SELECT {key}::text, {hash}, t.{time} FROM {table} AS t ORDER BY {key}", table, key, time
    )
    with _reading(endpoint) as connection:
        yield from _stream(connection, statement, ())


def differing_rows(left: Endpoint, right: Endpoint, table: str, key: str, time: str) -> Iterator[Difference]:
    """The rows that two databases do not hold alike, in no particular order.

    Both servers sum their row hashes in buckets by the hash of the key, at the same time; only the rows of
    buckets that differ are read.

    Args:
        left, right: the databases; both must be at rest for the result to mean something.
        table, key, time: as for ``read_rows``.

    Raises:
        DatabaseError: one does not answer, or table or column are missing in it.
    """
    with (
        _reading(left) as left_connection,
        _reading(right) as right_connection,
        ThreadPoolExecutor(2) as pool,
    ):
        connections = (left_connection, right_connection)
        sums = list(pool.map(lambda connection: _bucket_sums(connection, table, key), connections))
        buckets = sorted(
            bucket for bucket in sums[0].keys() | sums[1].keys() if sums[0].get(bucket) != sums[1].get(bucket)
        )
        if not buckets:
            return
        rows = pool.map(lambda connection: _rows_in(connection, buckets, table, key, time), connections)
        yield from _differences(*rows)


@contextmanager
def _reading(endpoint: Endpoint) -> Iterator[Connection]:
    """A connection that sees one instant and writes every value the same way as any other."""
    with session(endpoint, settings={**HASH_SETTINGS, **IN_PARALLEL}) as connection:
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        yield connection


def _compose(statement: str, table: str, key: str = "", time: str = "") -> sql.Composed:
    return sql.SQL(statement).format(
        table=sql.Identifier(SCHEMA, table),
        key=sql.SQL("t.{}").format(sql.Identifier(key)),
        time=sql.Identifier(time),
        hash=sql.SQL("hashtextextended(t::text, 0)"),
        bucket=sql.SQL("hashtextextended(t.{}::text, 0) & {}").format(sql.Identifier(key), BUCKETS - 1),
    )


def _fingerprint_table(connection: Connection, table: str) -> TableFingerprint:
    statement = _compose("SELECT count(*), coalesce(sum({hash}), 0) FROM {table} AS t", table)
    ((rows, total),) = _counts(connection, statement)
    return TableFingerprint(table=table, rows=rows, digest=f"{rows:x}-{total % WRAP:016x}")


def _bucket_sums(connection: Connection, table: str, key: str) -> dict[int, tuple[int, int]]:
    statement = _compose("SELECT {bucket}, count(*), sum({hash}) FROM {table} AS t GROUP BY 1", table, key)
    return {bucket: (rows, total) for bucket, rows, total in _counts(connection, statement)}


def _counts(connection: Connection, statement: sql.Composed) -> list[tuple[int, ...]]:
    """Rows of whole numbers; ``sum`` gives a numeric, which holds more than 64 bits."""
    return [tuple(map(int, cast("tuple[Decimal, ...]", row))) for row in connection.execute(statement)]


def _rows_in(connection: Connection, buckets: list[int], table: str, key: str, time: str) -> dict[str, Row]:
    statement = _compose(
        "SELECT {key}::text, {hash}, t.{time} FROM {table} AS t WHERE ({bucket}) = ANY(%s)", table, key, time
    )
    return {row.key: row for row in _stream(connection, statement, (buckets,))}


def _stream(connection: Connection, statement: sql.Composed, values: tuple[Any, ...]) -> Iterator[Row]:
    with connection.cursor(name="ninelives_rows") as cursor:
        cursor.itersize = BATCH
        cursor.execute(statement, values, binary=True)
        for record in cursor:
            yield Row(*cast("tuple[str, int, datetime | None]", record))


def _differences(left: dict[str, Row], right: dict[str, Row]) -> Iterator[Difference]:
    for key in left.keys() | right.keys():
        ours, theirs = left.get(key), right.get(key)
        if (ours and ours.hash) != (theirs and theirs.hash):
            yield Difference(key, ours, theirs)
