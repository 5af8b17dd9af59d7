"""What contracts write into a store: the same things whatever it speaks, SQL or items.

A thing has a number and a note, which is ``thing <number>`` until it is changed.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import Any, Protocol

from harness.errors import HarnessError
from harness.facts import OPERATOR, Endpoint, Fingerprint
from harness.seams.drivers import Database, Row, Store
from harness.seams.items import ItemClient, ItemRefusedError, ItemUnansweredError
from harness.seams.lookup import lookup

TABLE, KEY, NOTE, TIME = "things", "id", "note", "written_at"
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

_MARIADB_ROWS = (
    "INSERT INTO things SELECT {n}, CONCAT('thing ', {n}), '2026-01-01 00:00' + INTERVAL {n} MINUTE "
    "FROM seq_1_to_10000 WHERE seq BETWEEN :first AND :last ORDER BY seq"
)
"""In descending order MariaDB 10.11 leaves out the last of such a range, so the number itself counts down."""

MARIADB = Dialect(
    schema="CREATE TABLE things (id INT PRIMARY KEY, note TEXT NOT NULL, written_at DATETIME(6) NOT NULL);",
    write=_MARIADB_ROWS.format(n="seq"),
    write_backwards=_MARIADB_ROWS.format(n="(:first + :last - seq)"),
    change="UPDATE things SET note = :note WHERE id = :id",
    remove="DELETE FROM things WHERE id = :id",
    empty="DELETE FROM things",
    note="SELECT note FROM things WHERE id = :id",
)


class Content(Protocol):
    """How things get into a store of one kind, and what it says of them."""

    @property
    def refusals(self) -> tuple[type[Exception], ...]:
        """What is raised by a store that takes nothing more."""
        ...

    def name(self, number: int) -> str:
        """The key of a thing, as ``Store.rows`` has it."""
        ...

    def write(
        self, store: Store, endpoint: Endpoint, first: int, last: int, *, backwards: bool = False
    ) -> None:
        """Write the things ``first`` to ``last``, in that order or the other."""
        ...

    def change(self, store: Store, endpoint: Endpoint, number: int, note: str) -> None:
        """Give a thing another note."""
        ...

    def remove(self, store: Store, endpoint: Endpoint, number: int) -> None:
        """Take one thing away."""
        ...

    def empty(self, store: Store, endpoint: Endpoint) -> None:
        """Take all of them away."""
        ...

    def rows(self, store: Store, endpoint: Endpoint) -> list[Row]:
        """What the store says of each thing, in key order."""
        ...


@dataclass(frozen=True)
class SqlThings:
    """Things as rows of one table.

    Attributes:
        dialect: of the database.
    """

    dialect: Dialect = POSTGRES
    refusals: tuple[type[Exception], ...] = (HarnessError,)

    def name(self, number: int) -> str:
        return str(number)

    def write(
        self, store: Store, endpoint: Endpoint, first: int, last: int, *, backwards: bool = False
    ) -> None:
        statement = self.dialect.write_backwards if backwards else self.dialect.write
        _database(store).execute(endpoint, statement, {"first": first, "last": last})

    def change(self, store: Store, endpoint: Endpoint, number: int, note: str) -> None:
        _database(store).execute(endpoint, self.dialect.change, {"id": number, "note": note})

    def remove(self, store: Store, endpoint: Endpoint, number: int) -> None:
        _database(store).execute(endpoint, self.dialect.remove, {"id": number})

    def empty(self, store: Store, endpoint: Endpoint) -> None:
        _database(store).execute(endpoint, self.dialect.empty, {})

    def rows(self, store: Store, endpoint: Endpoint) -> list[Row]:
        return list(store.rows(endpoint, TABLE, KEY, TIME))


@dataclass(frozen=True)
class ItemThings:
    """Things as items of one collection, written by the client of that kind of service."""

    refusals: tuple[type[Exception], ...] = (ItemRefusedError, ItemUnansweredError)

    def name(self, number: int) -> str:
        return f"thing-{number:04}"

    def write(
        self, store: Store, endpoint: Endpoint, first: int, last: int, *, backwards: bool = False
    ) -> None:
        del store
        numbers = range(first, last + 1)
        with closing(self.client(endpoint)) as client:
            for number in reversed(numbers) if backwards else numbers:
                client.put(TABLE, self.name(number), f"thing {number}".encode())

    def change(self, store: Store, endpoint: Endpoint, number: int, note: str) -> None:
        del store
        with closing(self.client(endpoint)) as client:
            client.put(TABLE, self.name(number), note.encode())

    def remove(self, store: Store, endpoint: Endpoint, number: int) -> None:
        del store
        with closing(self.client(endpoint)) as client:
            client.delete(TABLE, self.name(number))

    def empty(self, store: Store, endpoint: Endpoint) -> None:
        with closing(self.client(endpoint)) as client:
            for row in self.rows(store, endpoint):
                client.delete(TABLE, row.key)

    def rows(self, store: Store, endpoint: Endpoint) -> list[Row]:
        return list(store.rows(endpoint, TABLE, "", ""))

    def client(self, endpoint: Endpoint) -> ItemClient:
        """As the operator."""
        made: ItemClient = lookup("clients", endpoint.kind)(endpoint, endpoint.credentials[OPERATOR])
        return made


def fingerprint(store: Store, endpoint: Endpoint) -> Fingerprint:
    """What it holds of them."""
    return store.fingerprint(endpoint, [TABLE])


def _database(store: Store) -> Database:
    assert isinstance(store, Database), f"{type(store).__name__} does not speak SQL: say `content = ...`"
    return store
