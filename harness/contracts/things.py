"""The one table that contracts about databases use, and how to say it in SQL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

TABLE, KEY, TIME = "things", "id", "written_at"
SCHEMA_FILE = "things.sql"

THINGS: dict[str, Any] = {"schema": SCHEMA_FILE, "tables": {TABLE: {"key": KEY, "time": TIME}}}
"""What a database of a contract's stack says of its content."""


@dataclass(frozen=True)
class Dialect:
    """Statements of one kind of database.

    Attributes:
        schema: makes the table: ``id``, an integer key; ``note``, a text; ``written_at``, a time.
        write: inserts the rows ``:first`` to ``:last``; each has other content.
        write_backwards: inserts the very same rows, the last first.
        change: gives the row ``:id`` the note ``:note``.
        remove: deletes the row ``:id``.
        empty: deletes all rows.
        note: selects the note of the row ``:id``.
    """

    schema: str
    write: str
    write_backwards: str
    change: str
    remove: str
    empty: str
    note: str


_POSTGRES_ROWS = (
    "INSERT INTO things SELECT n, 'thing ' || n, timestamptz '2026-01-01 00:00Z' + n * interval '1 minute' "
    "FROM generate_series((:first)::integer, (:last)::integer) AS n ORDER BY n"
)
POSTGRES = Dialect(
    schema=(
        "CREATE TABLE things (id integer PRIMARY KEY, note text NOT NULL, written_at timestamptz NOT NULL);"
    ),
    write=_POSTGRES_ROWS,
    write_backwards=f"{_POSTGRES_ROWS} DESC",
    change="UPDATE things SET note = :note WHERE id = :id",
    remove="DELETE FROM things WHERE id = :id",
    empty="DELETE FROM things",
    note="SELECT note FROM things WHERE id = :id",
)
