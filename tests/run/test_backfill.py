"""What third parties are handed as the past goes by."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from harness.errors import DatabaseError
from harness.facts import Endpoint
from harness.replicas.postgres import PostgresReplica
from harness.run.backfill import lines_of
from harness.sandbox import Sandbox
from tests.replicas.postgres_stack import lease, setting, stack

REPLICA = PostgresReplica()


@pytest.fixture(scope="module")
def bookings(sandbox: Sandbox) -> Iterator[Endpoint]:
    held = lease(sandbox, "bookings")
    yield REPLICA.provision(held, setting(sandbox, stack(fsync=False)))
    REPLICA.destroy(held)


def test_an_export_is_one_json_value_a_line_in_the_order_of_its_query(bookings: Endpoint) -> None:
    query = (
        "-- three;\nSELECT to_json(r) FROM reservations AS r WHERE id <= :n ORDER BY id DESC; -- newest\n\n"
    )
    lines = lines_of(REPLICA, bookings, query, {"n": 3}).splitlines()
    assert [json.loads(line)["id"] for line in lines] == [3, 2, 1]


def test_numbers_are_handed_on_as_the_database_has_them(bookings: Endpoint) -> None:
    query = "SELECT jsonb_build_object('price', price) FROM reservations WHERE id = 2"
    assert lines_of(REPLICA, bookings, query, {}) == '{"price": 3.00}\n'


def test_a_record_with_line_breaks_stays_on_its_line(bookings: Endpoint) -> None:
    query = r"""SELECT json_build_object('note', E'one\ntwo')::text::json"""
    assert lines_of(REPLICA, bookings, query, {}) == '{"note": "one\\ntwo"}\n'
    assert len(lines_of(REPLICA, bookings, "SELECT '{\n\"a\": 1\n}'::json", {}).splitlines()) == 1


def test_no_record_is_no_line(bookings: Endpoint) -> None:
    assert lines_of(REPLICA, bookings, "SELECT to_json(r) FROM reservations AS r WHERE false", {}) == ""


def test_a_mistake_in_the_query_is_told_with_its_own_line(bookings: Endpoint) -> None:
    with pytest.raises(DatabaseError, match=r"line 2: .*nothing_of_that_name"):
        lines_of(REPLICA, bookings, "SELECT to_json(r)\nFROM nothing_of_that_name AS r", {})
