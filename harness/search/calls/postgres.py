"""The calls to a database: its tables, the database itself, and what its copies hang on."""

from __future__ import annotations

import json
from collections.abc import Iterator

from harness.search.moves import Key, Learned, Move, MoveKind, Thing, call

TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"
ON_TABLES = (
    ("DELETE", "DELETE FROM public.{}"),
    ("TRUNCATE", "TRUNCATE public.{} CASCADE"),
    ("DROP TABLE", "DROP TABLE public.{} CASCADE"),
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
            yield run("destroy", f"{operation} {thing.name}", statement.format(thing.value), operation)
    yield run("destroy", "DROP SCHEMA", "DROP SCHEMA public CASCADE", "DROP SCHEMA")
    drop = f'DROP DATABASE "{name}" WITH (FORCE)'
    yield run("destroy", "DROP DATABASE", drop, "DROP DATABASE", database="postgres")
    slots = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots"
    yield run("weaken", "drop replication slots", slots, "pg_drop_replication_slot")
    archive = "ALTER SYSTEM SET archive_command = 'false'"
    yield run("weaken", "stop the archive", archive, "ALTER SYSTEM SET archive_command")


def learn(move: Move, text: str, known: int) -> Learned:
    """Tables, by their names."""
    del move, known
    names = sorted(str(row["tablename"]) for row in json.loads(text))
    return {}, [Thing("table", name, f'"{name}"') for name in names]
