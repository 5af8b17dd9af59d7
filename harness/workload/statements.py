"""The statements of a workload, composed once for each table and set of columns.

Each answers with the key as text and the row's hash, computed by the same expression as the witness's.
"""

from __future__ import annotations

from functools import cache

from psycopg import sql

ANSWER = sql.SQL("RETURNING t.{key}::text, hashtextextended((t.*)::text, 0)")


@cache
def insert(table: str, key: str, columns: tuple[str, ...]) -> bytes:
    """Values: the key, then one for each column."""
    names = (key, *columns)
    return _compose(
        "INSERT INTO {table} AS t ({columns}) VALUES ({values}) {answer}",
        table=sql.Identifier(table),
        columns=sql.SQL(", ").join(map(sql.Identifier, names)),
        values=sql.SQL(", ").join([sql.Placeholder()] * len(names)),
        answer=ANSWER.format(key=sql.Identifier(key)),
    )


@cache
def update(table: str, key: str, columns: tuple[str, ...]) -> bytes:
    """Values: one for each column, then the key."""
    return _compose(
        "UPDATE {table} AS t SET {changes} WHERE t.{key} = {value} {answer}",
        table=sql.Identifier(table),
        changes=sql.SQL(", ").join(
            sql.SQL("{} = {}").format(sql.Identifier(column), sql.Placeholder()) for column in columns
        ),
        key=sql.Identifier(key),
        value=sql.Placeholder(),
        answer=ANSWER.format(key=sql.Identifier(key)),
    )


@cache
def delete(table: str, key: str) -> bytes:
    """Values: the key."""
    return _compose(
        "DELETE FROM {table} AS t WHERE t.{key} = {value} {answer}",
        table=sql.Identifier(table),
        key=sql.Identifier(key),
        value=sql.Placeholder(),
        answer=ANSWER.format(key=sql.Identifier(key)),
    )


def _compose(text: str, **parts: sql.Composable) -> bytes:
    return sql.SQL(text).format(**parts).as_bytes()
