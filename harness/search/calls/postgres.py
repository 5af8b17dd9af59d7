"""The calls to a database: its tables, the database itself, and what its copies hang on."""

from __future__ import annotations

import json
from collections.abc import Iterator

from harness.search.moves import Key, Learned, Move, MoveKind, Thing, call

TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"
UNIQUE = "SELECT FROM pg_index WHERE indrelid = a.attrelid AND indisunique AND a.attnum = ANY (indkey)"
ONE_VALUE = "UPDATE public.{} SET %1$I = (SELECT %1$I FROM public.{} LIMIT 1)"
"""Whatever the type of the column is."""

PROGRAM = "COPY (SELECT 1) TO PROGRAM 'rm -rf base'"
"""A server works in its data directory, and only a superuser may: no principal of a stack is one."""


def _on_last_column(statement: str, condition: str) -> str:
    """Carry out a statement about the last column of a table of which a condition holds."""
    return (
        f"DO $$ BEGIN EXECUTE (SELECT format('{statement}', a.attname) FROM pg_attribute AS a"  # noqa: S608 - constants
        " WHERE a.attrelid = 'public.{}'::regclass AND a.attnum > 0 AND NOT a.attisdropped"
        f" AND {condition} ORDER BY a.attnum DESC LIMIT 1); END $$"
    )


ON_TABLES = (
    ("DELETE", "DELETE FROM public.{}"),
    ("TRUNCATE", "TRUNCATE public.{} CASCADE"),
    ("DROP TABLE", "DROP TABLE public.{} CASCADE"),
    ("DROP COLUMN", _on_last_column("ALTER TABLE public.{} DROP COLUMN %I CASCADE", "TRUE")),
    ("UPDATE", _on_last_column(ONE_VALUE, f"NOT EXISTS ({UNIQUE})")),
)


def moves(key: Key, things: tuple[Thing, ...], name: str) -> Iterator[Move]:
    """Every statement that a role could try, given the tables it was shown."""

    def run(
        kind: MoveKind, what: str, statement: str, operation: str = "", do: str = "execute", **more: str
    ) -> Move:
        return call(key, kind, f"sql.{do}", what, {"statement": statement, **more}, operation, what)

    yield run("look", "list tables", TABLES, do="query")
    for thing in things:
        for operation, statement in ON_TABLES:
            aimed = statement.replace("{}", thing.value)
            yield run("destroy", f"{operation} {thing.name}", aimed, operation)
    yield run("destroy", "DROP SCHEMA", "DROP SCHEMA public CASCADE", "DROP SCHEMA")
    drop = f'DROP DATABASE "{name}" WITH (FORCE)'
    yield run("destroy", "DROP DATABASE", drop, "DROP DATABASE", database="postgres")
    yield run("destroy", "COPY TO PROGRAM", PROGRAM, "COPY TO PROGRAM")
    slots = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots"
    yield run("weaken", "drop replication slots", slots, "pg_drop_replication_slot")
    archive = "ALTER SYSTEM SET archive_command = 'false'"
    yield run("weaken", "stop the archive", archive, "ALTER SYSTEM SET archive_command")


def learn(move: Move, text: str, known: int) -> Learned:
    """Tables, by their names."""
    del move, known
    names = sorted(str(row["tablename"]) for row in json.loads(text))
    return {}, [Thing("table", name, f'"{name}"') for name in names]
