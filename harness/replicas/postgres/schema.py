"""What tables a database has, and whether a column tells their rows apart."""

from __future__ import annotations

from psycopg import sql

from harness.facts import Endpoint
from harness.replicas.postgres.content import SCHEMA
from harness.replicas.postgres.session import session

COLUMNS = """
    SELECT c.relname, a.attname
    FROM pg_class AS c
    LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.relnamespace = %s::regnamespace AND c.relkind IN ('r', 'p')
    ORDER BY c.relname, a.attnum
"""
IS_KEY = """
    SELECT EXISTS (
        SELECT FROM pg_index AS i
        JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
        WHERE i.indrelid = format('%%I.%%I', %s::text, %s::text)::regclass AND a.attname = %s AND a.attnotnull
        AND i.indisunique AND i.indisvalid AND i.indnkeyatts = 1 AND i.indpred IS NULL
    )
"""
REPEATS = "SELECT EXISTS (SELECT FROM {table} GROUP BY {key} HAVING count(*) > 1 OR {key} IS NULL)"


def columns(endpoint: Endpoint) -> dict[str, list[str]]:
    """The columns of every table in the schema ``public``, in their order.

    Raises:
        DatabaseError: it does not answer.
    """
    found: dict[str, list[str]] = {}
    with session(endpoint) as connection:
        for table, column in connection.execute(COLUMNS, (SCHEMA,)):
            found.setdefault(str(table), []).extend([str(column)] if column is not None else [])
    return found


def tells_apart(endpoint: Endpoint, table: str, column: str) -> bool:
    """Whether a column is a key of a table; rows are looked at only where the schema does not say so.

    Raises:
        DatabaseError: it does not answer, or table or column are missing.
    """
    repeats = sql.SQL(REPEATS).format(table=sql.Identifier(SCHEMA, table), key=sql.Identifier(column))
    with session(endpoint) as connection:
        ((is_key,),) = connection.execute(IS_KEY, (SCHEMA, table, column))
        if is_key:
            return True
        ((repeated,),) = connection.execute(repeats)
    return not repeated
