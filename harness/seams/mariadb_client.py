"""Connections to a replica's MariaDB, and how the hash of a row is computed there.

Surfaces, workload, replicas and backup tools may not import each other, so they meet here.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import pymysql
from pymysql.constants import CLIENT
from pymysql.constants.SERVER_STATUS import SERVER_STATUS_IN_TRANS
from pymysql.cursors import Cursor

from harness.facts import Credential, Endpoint
from harness.sandbox import LOOPBACK

SECONDS = 10.0

Connection = pymysql.connections.Connection
Row = tuple[object, ...]

COLUMNS = """
    SELECT table_name, column_name, data_type FROM information_schema.columns
    WHERE table_schema = %s ORDER BY table_name, ordinal_position
"""


BYTES = ("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob", "bit")
"""Types whose values are bytes of no character set: as text, several would be the same."""


class Column(NamedTuple):
    """A column of a table.

    Attributes:
        name: its name.
        type: as MariaDB writes it, without a size.
    """

    name: str
    type: str


def connect(
    endpoint: Endpoint,
    credential: Credential,
    *,
    database: str | None = None,
    seconds: float = SECONDS,
    statement_seconds: float | None = None,
    cursor: type[Cursor] = Cursor,
) -> Connection[Cursor]:
    """A connection of one principal, outside of any transaction; nothing of the user's environment is read.

    Args:
        endpoint: of a replica of kind ``mariadb``.
        credential: whose.
        database: another one than the endpoint's own; empty for none.
        seconds: for connecting.
        statement_seconds: for one answer; None for as long as it takes.
        cursor: of what class its cursors are.

    Raises:
        pymysql.Error: there is no connecting.
    """
    name = endpoint.name if database is None else database
    return pymysql.connect(
        host=LOOPBACK,
        port=endpoint.port,
        user=credential.name,
        password=credential.secret.reveal(),
        database=name or None,
        charset="utf8mb4",
        autocommit=True,
        connect_timeout=seconds,
        read_timeout=statement_seconds,
        write_timeout=statement_seconds,
        client_flag=CLIENT.MULTI_STATEMENTS,
        init_command="SET time_zone = '+00:00'",
        local_infile=False,
        ssl_disabled=True,
        cursorclass=cursor,
    )


def in_transaction(connection: Connection[Cursor]) -> bool:
    """Whether a transaction was open after the last statement that answered without rows."""
    return bool(connection.server_status & SERVER_STATUS_IN_TRANS)  # type: ignore[attr-defined]


def quoted(name: str) -> str:
    """An identifier as it stands in a statement."""
    return "`" + name.replace("`", "``") + "`"


def columns_of(connection: Connection[Cursor], database: str) -> dict[str, list[Column]]:
    """Every table's columns, in their order."""
    found: dict[str, list[Column]] = {}
    with connection.cursor() as cursor:
        cursor.execute(COLUMNS, (database,))
        for table, column, type in cursor.fetchall():
            found.setdefault(str(table), []).append(Column(str(column), str(type)))
    return found


def column_of(columns: Sequence[Column], name: str) -> Column:
    """The column of that name; where there is none, one that the server will not find either."""
    return next((column for column in columns if column.name.lower() == name.lower()), Column(name, ""))


def key_text(column: Column) -> str:
    """SQL for a key as text, another one for every other key: of bytes their digits in hex."""
    if column.type in BYTES:
        return f"HEX({quoted(column.name)})"
    return f"CAST({_exact(column)} AS CHAR)"


def row_hash(columns: Sequence[Column]) -> str:
    """SQL for the first 16 hex digits of the MD5 of a whole row, NULL told from every value.

    Each value is hashed by itself, since a text that is longer than ``max_allowed_packet`` would be NULL.
    """
    values = ", ',', ".join(
        f"IF({quoted(column.name)} IS NULL, '-', MD5(CONVERT({_exact(column)} USING binary)))"
        for column in columns
    )
    return f"LEFT(MD5(CONCAT({values})), 16)"


def signed(digits: object) -> int:
    """Those digits as a signed 64-bit number.

    Raises:
        pymysql.DataError: there are none.
    """
    if not isinstance(digits, str):
        raise pymysql.DataError("there is no hash of a row: a value in it is too long for the server to read")
    return int.from_bytes(bytes.fromhex(digits), signed=True)


def _exact(column: Column) -> str:
    """SQL for a value of which no digit gets lost on the way to text: FLOAT is written with six of them."""
    return f"CAST({quoted(column.name)} AS DOUBLE)" if column.type == "float" else quoted(column.name)


def instant(value: object) -> datetime | None:
    """A time as the server tells it, which is UTC in these sessions; None when it is no time."""
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else None
