"""What a replica must do that is a database, on top of what every replica must do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import ClassVar

import pytest

from harness.contracts.bench import Bench
from harness.contracts.replica import ReplicaContract
from harness.contracts.things import KEY, POSTGRES, SCHEMA_FILE, TABLE, TIME, Dialect
from harness.errors import HarnessError
from harness.facts import OPERATOR, Endpoint, Fingerprint
from harness.seams.drivers import Database, Row

ROWS = 50
QUOTED = 'it\'s "50%"; DROP TABLE things; -- \\ :id é'


class DatabaseContract(ReplicaContract):
    """A database tells what it holds, can be stopped for good, and has fresh ones stand in for it.

    The service says ``**THINGS``.

    Attributes:
        dialect: how its table is made, filled and changed.
    """

    dialect: ClassVar[Dialect] = POSTGRES
    files = {SCHEMA_FILE: POSTGRES.schema}

    @pytest.fixture
    def database(self, bench: Bench) -> Database:
        """A fresh instance of its driver."""
        return bench.database(self.service)

    @pytest.fixture
    def filled(self, endpoint: Endpoint, database: Database) -> Iterator[Endpoint]:
        """The shared replica with the same rows before every test."""
        database.execute(endpoint, self.dialect.empty, {})
        self._write(database, endpoint, 1, ROWS)
        yield endpoint
        database.execute(endpoint, self.dialect.empty, {})

    def test_its_fingerprint_counts_and_knows_every_row(self, filled: Endpoint, database: Database) -> None:
        dialect, before = self.dialect, fingerprint(database, filled)
        assert (before.rows, [table.table for table in before.tables]) == (ROWS, [TABLE])
        assert fingerprint(database, filled) == before
        database.execute(filled, dialect.change, {"id": 7, "note": "another"})
        assert fingerprint(database, filled) != before
        database.execute(filled, dialect.change, {"id": 7, "note": "thing 7"})
        assert fingerprint(database, filled) == before
        database.execute(filled, dialect.remove, {"id": ROWS})
        assert fingerprint(database, filled).rows == ROWS - 1

    def test_its_fingerprint_tells_swapped_content(self, filled: Endpoint, database: Database) -> None:
        before = fingerprint(database, filled)
        database.execute(filled, self.dialect.change, {"id": 1, "note": "thing 2"})
        database.execute(filled, self.dialect.change, {"id": 2, "note": "thing 1"})
        assert fingerprint(database, filled) != before

    def test_its_fingerprint_does_not_depend_on_order(self, filled: Endpoint, database: Database) -> None:
        before = fingerprint(database, filled)
        database.execute(filled, self.dialect.empty, {})
        assert fingerprint(database, filled).rows == 0
        database.execute(filled, self.dialect.write_backwards, {"first": 1, "last": ROWS})
        assert fingerprint(database, filled) == before

    def test_its_rows_agree_with_its_fingerprint(self, filled: Endpoint, database: Database) -> None:
        before = rows(database, filled)
        assert len(before) == fingerprint(database, filled).rows == ROWS
        assert {row.key for row in before} == {str(number) for number in range(1, ROWS + 1)}
        assert len({row.hash for row in before}) == ROWS
        assert all(-(2**63) <= row.hash < 2**63 for row in before)
        assert all(isinstance(row.time, datetime) and row.time.tzinfo for row in before)
        database.execute(filled, self.dialect.change, {"id": 7, "note": "another"})
        changed = [old.key for old, new in zip(before, rows(database, filled), strict=True) if old != new]
        assert changed == ["7"]

    def test_the_same_rows_are_the_same_on_every_server(self, filled: Endpoint, database: Database) -> None:
        with self.fresh_bench() as beside:
            other = beside.provision(self.service)
            self._write(database, other, 1, ROWS)
            assert fingerprint(database, other) == fingerprint(database, filled)
            assert rows(database, other) == rows(database, filled)

    def test_values_are_values(self, filled: Endpoint, database: Database) -> None:
        database.execute(filled, self.dialect.change, {"id": 1, "note": QUOTED})
        assert list(database.query(filled, self.dialect.note, {"id": 1})) == [(QUOTED,)]
        assert fingerprint(database, filled).rows == ROWS

    def test_what_it_does_not_take_is_an_error_with_a_hint(
        self, filled: Endpoint, database: Database
    ) -> None:
        with pytest.raises(HarnessError) as caught:
            database.execute(filled, "DELETE FROM nothing_of_that_name", {})
        assert caught.value.hint
        with pytest.raises(HarnessError):
            database.query(filled, "SELECT nothing FROM nothing_of_that_name", {})
        with pytest.raises(HarnessError):
            database.fingerprint(filled, ["nothing_of_that_name"])

    def test_a_fenced_one_acknowledges_nothing_and_a_fresh_one_takes_its_place(self) -> None:
        with self.fresh_bench() as bench:
            lost = bench.provision(self.service)
            database = bench.database(self.service)
            self._write(database, lost, 1, ROWS)
            database.probe(lost)
            assert database.alive(lost)
            for _ in range(2):
                database.fence(lost)
            assert not database.alive(lost)
            with pytest.raises(HarnessError):
                database.probe(lost)
            with pytest.raises(HarnessError):
                database.execute(lost, self.dialect.empty, {})
            vessel = bench.vessel(lost, replace=True)
            assert list(vessel.directory.iterdir()) == []
            fresh = vessel.start()
            self._stands_in(database, fresh, lost)
            assert (fresh.host, fresh.port) == (lost.host, lost.port)
            assert fresh.lease == vessel.lease

    def test_a_fresh_one_beside_it_is_empty_and_leaves_it_alone(
        self, bench: Bench, filled: Endpoint, database: Database
    ) -> None:
        before = fingerprint(database, filled)
        vessel = bench.vessel(filled)
        try:
            fresh = vessel.start()
            assert fresh.port != filled.port
            self._stands_in(database, fresh, filled)
            database.execute(fresh, self.dialect.schema, {})
            self._write(database, fresh, 1, 1)
            assert fingerprint(database, filled) == before
        finally:
            vessel.discard()
        vessel.discard()
        assert not vessel.lease.directory.exists()
        assert not database.alive(fresh)
        assert database.alive(filled)

    def test_a_fresh_one_that_never_started_leaves_nothing(self, bench: Bench, filled: Endpoint) -> None:
        vessel = bench.vessel(filled)
        vessel.discard()
        assert not vessel.lease.directory.exists()

    def test_a_wrong_password_opens_nothing(self, filled: Endpoint, database: Database) -> None:
        other = next(value for name, value in filled.credentials.items() if name != OPERATOR)
        forged = replace(filled.credentials[OPERATOR], secret=other.secret)
        stranger = replace(filled, credentials={**filled.credentials, OPERATOR: forged})
        assert not database.alive(stranger)

    def _stands_in(self, database: Database, fresh: Endpoint, lost: Endpoint) -> None:
        assert database.alive(fresh)
        assert database.read_marker(fresh) == fresh.lease.marker
        assert (fresh.kind, fresh.name, fresh.service) == (lost.kind, lost.name, lost.service)
        assert fresh.credentials.keys() == lost.credentials.keys()
        assert [found.name for found in database.inventory(fresh) if found.kind == "table"] == []

    def _write(self, database: Database, endpoint: Endpoint, first: int, last: int) -> None:
        database.execute(endpoint, self.dialect.write, {"first": first, "last": last})


def fingerprint(database: Database, endpoint: Endpoint) -> Fingerprint:
    """What the contract's table holds."""
    return database.fingerprint(endpoint, [TABLE])


def rows(database: Database, endpoint: Endpoint) -> list[Row]:
    """Its rows, in key order."""
    return list(database.rows(endpoint, TABLE, KEY, TIME))
