"""What a replica must do whose content is compared, on top of what every replica must do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import pytest

from harness.contracts.bench import Bench
from harness.contracts.replica import ReplicaContract
from harness.contracts.things import (
    KEY,
    NOTE,
    POSTGRES,
    SCHEMA_FILE,
    TABLE,
    TIME,
    Content,
    Dialect,
    ItemThings,
    SqlThings,
    fingerprint,
)
from harness.errors import HarnessError
from harness.facts import OPERATOR, Endpoint
from harness.seams.drivers import Database, ItemStore, Store
from harness.seams.items import Item, ItemRefusedError, content_hash

QUOTED = 'it\'s "50%"; DROP TABLE things; -- \\ :id é'


class StoreContract(ReplicaContract):
    """A store tells what it holds, can be stopped for good, and has fresh ones stand in for it.

    Use ``DatabaseContract`` or ``ItemStoreContract``.

    Attributes:
        content: how things get into it.
        things: how many are written before a test, at least 10; fewer where each takes long.
    """

    content: ClassVar[Content]
    things: ClassVar[int] = 50

    def prepare(self, store: Store, fresh: Endpoint) -> None:
        """Make room for things in a fresh one that nothing was restored into."""

    @pytest.fixture
    def store(self, bench: Bench) -> Store:
        """A fresh instance of its driver."""
        return bench.store(self.service)

    @pytest.fixture
    def filled(self, endpoint: Endpoint, store: Store) -> Iterator[Endpoint]:
        """The shared replica with the same things before every test."""
        self.content.empty(store, endpoint)
        self.content.write(store, endpoint, 1, self.things)
        yield endpoint
        self.content.empty(store, endpoint)

    def test_its_fingerprint_counts_and_knows_every_thing(self, filled: Endpoint, store: Store) -> None:
        before = fingerprint(store, filled)
        assert (before.rows, [table.table for table in before.tables]) == (self.things, [TABLE])
        assert fingerprint(store, filled) == before
        self.content.change(store, filled, 7, "another")
        assert fingerprint(store, filled) != before
        self.content.change(store, filled, 7, "thing 7")
        assert fingerprint(store, filled) == before
        self.content.remove(store, filled, self.things)
        assert fingerprint(store, filled).rows == self.things - 1

    def test_its_fingerprint_tells_swapped_content(self, filled: Endpoint, store: Store) -> None:
        before = fingerprint(store, filled)
        self.content.change(store, filled, 1, "thing 2")
        self.content.change(store, filled, 2, "thing 1")
        assert fingerprint(store, filled) != before

    def test_its_fingerprint_does_not_depend_on_order(self, filled: Endpoint, store: Store) -> None:
        before = fingerprint(store, filled)
        self.content.empty(store, filled)
        assert fingerprint(store, filled).rows == 0
        self.content.write(store, filled, 1, self.things, backwards=True)
        assert fingerprint(store, filled) == before

    def test_its_rows_agree_with_its_fingerprint(self, filled: Endpoint, store: Store) -> None:
        before = self.content.rows(store, filled)
        assert len(before) == fingerprint(store, filled).rows == self.things
        assert {row.key for row in before} == {self.content.name(n) for n in range(1, self.things + 1)}
        assert len({row.hash for row in before}) == self.things
        assert all(-(2**63) <= row.hash < 2**63 for row in before)
        assert all(row.time is None or row.time.tzinfo for row in before)
        self.content.change(store, filled, 7, "another")
        after = self.content.rows(store, filled)
        changed = [old.key for old, new in zip(before, after, strict=True) if old.hash != new.hash]
        assert changed == [self.content.name(7)]

    def test_the_same_things_are_the_same_on_every_server(self, filled: Endpoint, store: Store) -> None:
        with self.fresh_bench() as beside:
            other = beside.provision(self.service)
            self.content.write(store, other, 1, self.things)
            assert fingerprint(store, other) == fingerprint(store, filled)
            here, there = self.content.rows(store, filled), self.content.rows(store, other)
            assert [row[:2] for row in here] == [row[:2] for row in there]

    def test_what_is_not_there_has_no_fingerprint(self, filled: Endpoint, store: Store) -> None:
        with pytest.raises(HarnessError) as caught:
            store.fingerprint(filled, ["nothing_of_that_name"])
        assert caught.value.hint

    def test_a_fenced_one_acknowledges_nothing_and_a_fresh_one_takes_its_place(self) -> None:
        with self.fresh_bench() as bench:
            lost, store = bench.provision(self.service), bench.store(self.service)
            self.content.write(store, lost, 1, self.things)
            bench.driver_of(lost).probe(lost)
            assert bench.driver_of(lost).alive(lost)
            for _ in range(2):
                store.fence(lost)
            assert not bench.driver_of(lost).alive(lost)
            with pytest.raises(HarnessError):
                bench.driver_of(lost).probe(lost)
            with pytest.raises(self.content.refusals):
                self.content.write(store, lost, self.things + 1, self.things + 1)
            vessel = bench.vessel(lost, replace=True)
            assert list(vessel.directory.iterdir()) == []
            fresh = vessel.start()
            self._stands_in(store, fresh, lost)
            assert (fresh.host, fresh.port) == (lost.host, lost.port)
            assert fresh.lease == vessel.lease

    def test_a_fresh_one_beside_it_is_empty_and_leaves_it_alone(
        self, bench: Bench, filled: Endpoint, store: Store
    ) -> None:
        before = fingerprint(store, filled)
        vessel = bench.vessel(filled)
        try:
            fresh = vessel.start()
            assert (fresh.port, fresh.path) != (filled.port, filled.path)
            self._stands_in(store, fresh, filled)
            self.prepare(store, fresh)
            self.content.write(store, fresh, 1, 1)
            assert fingerprint(store, fresh).rows == 1
            assert fingerprint(store, filled) == before
        finally:
            vessel.discard()
        vessel.discard()
        assert not vessel.lease.directory.exists()
        assert not store.alive(fresh)
        assert store.alive(filled)

    def test_a_fresh_one_that_never_started_leaves_nothing(self, bench: Bench, filled: Endpoint) -> None:
        vessel = bench.vessel(filled)
        vessel.discard()
        assert not vessel.lease.directory.exists()

    def _stands_in(self, store: Store, fresh: Endpoint, lost: Endpoint) -> None:
        assert store.read_marker(fresh) == fresh.lease.marker
        assert (fresh.kind, fresh.name, fresh.service) == (lost.kind, lost.name, lost.service)
        assert fresh.credentials == lost.credentials
        try:
            left = fingerprint(store, fresh).rows
        except HarnessError:
            left = 0  # not even what things lie in is there
        assert left == 0


class DatabaseContract(StoreContract):
    """A store that speaks SQL. The service says ``**THINGS``.

    Attributes:
        dialect: how its table is made, filled and changed.
    """

    dialect: ClassVar[Dialect] = POSTGRES
    files = {SCHEMA_FILE: POSTGRES.schema}

    def __init_subclass__(cls) -> None:
        cls.content = SqlThings(cls.dialect)

    def prepare(self, store: Store, fresh: Endpoint) -> None:
        """Make the table."""
        assert isinstance(store, Database)
        store.execute(fresh, self.dialect.schema, {})

    @pytest.fixture
    def database(self, bench: Bench) -> Database:
        """A fresh instance of its driver."""
        return bench.database(self.service)

    def test_its_rows_have_times(self, filled: Endpoint, store: Store) -> None:
        times = [row.time for row in self.content.rows(store, filled)]
        assert all(isinstance(time, datetime) for time in times)
        assert len(set(times)) == self.things

    def test_it_tells_the_columns_of_its_tables(self, filled: Endpoint, database: Database) -> None:
        assert {table: [*columns] for table, columns in database.columns(filled).items()} == {
            TABLE: [KEY, NOTE, TIME]
        }

    def test_it_tells_which_columns_are_keys(self, filled: Endpoint, database: Database) -> None:
        assert database.tells_apart(filled, TABLE, KEY)
        assert database.tells_apart(filled, TABLE, NOTE)
        self.content.change(database, filled, 1, "thing 2")
        assert not database.tells_apart(filled, TABLE, NOTE)
        assert database.tells_apart(filled, TABLE, KEY)

    def test_it_tells_the_newest_write(self, filled: Endpoint, database: Database) -> None:
        times = [row.time for row in self.content.rows(database, filled)]
        newest = database.newest(filled, TABLE, TIME)
        assert newest is not None
        assert newest == times[-1] == max(time for time in times if time is not None)
        self.content.empty(database, filled)
        assert database.newest(filled, TABLE, TIME) is None

    def test_values_are_values(self, filled: Endpoint, database: Database) -> None:
        self.content.change(database, filled, 1, QUOTED)
        assert [*database.query(filled, self.dialect.note, {"id": 1})] == [(QUOTED,)]
        assert fingerprint(database, filled).rows == self.things

    def test_what_it_does_not_take_is_an_error_with_a_hint(
        self, filled: Endpoint, database: Database
    ) -> None:
        with pytest.raises(HarnessError) as caught:
            database.execute(filled, "DELETE FROM nothing_of_that_name", {})
        assert caught.value.hint
        with pytest.raises(HarnessError):
            database.query(filled, "SELECT nothing FROM nothing_of_that_name", {})

    def test_a_wrong_password_opens_nothing(self, filled: Endpoint, database: Database) -> None:
        other = next(value for name, value in filled.credentials.items() if name != OPERATOR)
        forged = replace(filled.credentials[OPERATOR], secret=other.secret)
        stranger = replace(filled, credentials={**filled.credentials, OPERATOR: forged})
        assert not database.alive(stranger)


class ItemStoreContract(StoreContract):
    """A store of items. The service says ``collections: [things]``, and there is a client of its kind."""

    content = ItemThings()

    def test_its_client_and_its_rows_say_the_same(self, filled: Endpoint, store: Store) -> None:
        with closing(ItemThings().client(filled)) as client:
            hashes = {row.key: row.hash for row in self.content.rows(store, filled)}
            assert client.get(TABLE, self.content.name(1)) == b"thing 1"
            assert hashes[self.content.name(1)] == content_hash(b"thing 1")
            key = self.content.name(self.things + 1)
            assert client.get(TABLE, key) is None
            assert client.delete(TABLE, key) is None
            put = client.put(TABLE, key, b"\0 any bytes \xff")
            assert dict(row[:2] for row in self.content.rows(store, filled))[key] == put
            assert client.get(TABLE, key) == b"\0 any bytes \xff"
            assert client.delete(TABLE, key) == put
            assert client.get(TABLE, key) is None
            client.close()

    def test_its_fingerprint_tells_another_name(self, filled: Endpoint, store: Store) -> None:
        before = fingerprint(store, filled)
        with closing(ItemThings().client(filled)) as client:
            client.put(TABLE, "another-name", b"thing 1")
            client.delete(TABLE, self.content.name(1))
        after = fingerprint(store, filled)
        assert (after.rows, after == before) == (self.things, False)

    def test_a_fenced_one_refuses_its_client(self) -> None:
        with self.fresh_bench() as bench:
            lost, store = bench.provision(self.service), bench.store(self.service)
            store.fence(lost)
            with closing(ItemThings().client(lost)) as client, pytest.raises(self.content.refusals):
                client.get(TABLE, "thing")

    def test_what_the_past_fills_in_is_dated_as_it_says(self, filled: Endpoint, store: Store) -> None:
        assert isinstance(store, ItemStore)
        self.content.empty(store, filled)
        then = datetime.now(UTC).replace(microsecond=0) - timedelta(days=30)
        past = [Item(TABLE, self.content.name(n), b"old %d" % n, then + timedelta(days=n)) for n in (1, 2)]
        store.fill(filled, past)
        rows = self.content.rows(store, filled)
        assert [(row.key, row.hash) for row in rows] == [(i.key, content_hash(i.body)) for i in past]
        assert [row.time for row in rows] in ([item.time for item in past], [None, None])

    def test_a_reader_writes_nothing(self, filled: Endpoint, store: Store, bench: Bench) -> None:
        readers = [
            name
            for name, principal in bench.stack.principals.items()
            if principal.grants.get(self.service) == "reader"
        ]
        before = fingerprint(store, filled)
        for reader in readers:
            as_reader = replace(filled, credentials={OPERATOR: filled.credentials[reader]})
            with pytest.raises(ItemRefusedError):
                self.content.write(store, as_reader, self.things + 1, self.things + 1)
        assert readers, "the stack has nobody with the grant `reader`"
        assert fingerprint(store, filled) == before
