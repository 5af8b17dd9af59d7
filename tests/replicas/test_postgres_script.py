"""Values are put where psql would put them, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.errors import StatementError
from harness.facts import Endpoint
from harness.replicas.postgres import PostgresReplica
from harness.replicas.postgres.script import render
from harness.sandbox import Sandbox
from harness.seams.postgres_client import Connection
from tests.replicas.postgres_stack import lease, login, setting, stack

REPLICA = PostgresReplica()
TRICKY = ("'", "''", '"', "$$", "$a$", "--", "/*", "*/", "\n", "\\", "E'", ":v", "::", "[", "]")
VALUES = {"v": 7, "name": "x"}


@pytest.fixture(scope="module")
def endpoint(sandbox: Sandbox) -> Iterator[Endpoint]:
    held = lease(sandbox, "bookings")
    yield REPLICA.provision(held, setting(sandbox, stack(fsync=False)))
    REPLICA.destroy(held)


@pytest.fixture(scope="module")
def connection(endpoint: Endpoint) -> Iterator[Connection]:
    with login(endpoint, "operator") as connection:
        yield connection


@pytest.mark.parametrize(
    ("script", "rendered"),
    [
        ("SELECT :v", "SELECT 7"),
        ("SELECT (:v+:v)", "SELECT (7+7)"),
        ("SELECT :v::text", "SELECT 7::text"),
        ("SELECT a::v", "SELECT a::v"),
        ("SELECT ':v'", "SELECT ':v'"),
        ("SELECT 'it''s :v'", "SELECT 'it''s :v'"),
        (r"SELECT 'back\', :v", r"SELECT 'back\', 7"),
        (r"SELECT E'back\' :v', :v", r"SELECT E'back\' :v', 7"),
        (r"SELECT e'\\', :v", r"SELECT e'\\', 7"),
        ('SELECT ":v"', 'SELECT ":v"'),
        ('SELECT "a"":v"', 'SELECT "a"":v"'),
        ("SELECT $$:v$$, :v", "SELECT $$:v$$, 7"),
        ("SELECT $a$:v $$ :v$a$, :v", "SELECT $a$:v $$ :v$a$, 7"),
        ("SELECT $1, :v", "SELECT $1, 7"),
        ("SELECT a$b$c, :v, d$b$", "SELECT a$b$c, 7, d$b$"),
        ("SELECT 1 -- :v it's\n, :v", "SELECT 1 -- :v it's\n, 7"),
        ("SELECT /* :v */ :v", "SELECT /* :v */ 7"),
        ("SELECT /* /* :v */ :v ' */ :v", "SELECT /* /* :v */ :v ' */ 7"),
        ("SELECT f(a := :v, b => :v)", "SELECT f(a := 7, b => 7)"),
        ("SELECT a[1:2], a[:v:n], a[n:m]", "SELECT a[1:2], a[7:n], a[n:m]"),
        ("SELECT time '12:30', :v", "SELECT time '12:30', 7"),
        ('SELECT \'{"a":"b"}\'::jsonb, :v', 'SELECT \'{"a":"b"}\'::jsonb, 7'),
        ("SELECT :name", "SELECT 'x'"),
        ("SELECT '%s', 5 % 2, :v", "SELECT '%s', 5 % 2, 7"),
        ("", ""),
    ],
)
def test_only_a_name_outside_of_quotes_and_comments_is_replaced(connection, script, rendered):
    assert render(script, VALUES, connection) == rendered


def test_a_name_without_a_value_is_an_error_with_its_line_and_the_nearest_name(connection):
    with pytest.raises(StatementError, match=r"line 3 .* :frm") as caught:
        render("SELECT 1;\n\nSELECT :frm", {"from": 1, "to": 2}, connection)
    assert caught.value.hint == "did you mean :from?"


def test_a_name_where_there_are_no_values_at_all_is_an_error(connection):
    with pytest.raises(StatementError) as caught:
        render("SELECT :x", {}, connection)
    assert caught.value.hint == "there are: no values at all"


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_any_text_arrives_as_it_is(connection, text):
    script = render("SELECT :v -- :v\n, ':v', :v", {"v": text}, connection)
    assert connection.execute(script).fetchone() == (text, ":v", text)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.sampled_from(
            ["'", "''", '"', "$$", "$a$", "--", "/*", "*/", "\n", "\\", "E'", ":v", "::", "[", "]"]
        )
    )
)
def test_no_text_in_quotes_is_touched_however_odd(connection, pieces):
    """What the server takes for one string is one string to us."""
    inside = "".join(pieces).replace("'", "''")
    script = f"SELECT '{inside}', :v"
    assert render(script, VALUES, connection) == f"SELECT '{inside}', 7"


@pytest.mark.parametrize(
    "value",
    [1, -1, 1.5, True, None, "it's", datetime(2026, 4, 24, 12, 0, tzinfo=UTC), [1, 2]],
)
def test_a_value_of_any_kind_arrives_as_it_is(endpoint, value):
    ((found,),) = REPLICA.query(endpoint, "SELECT :value", {"value": value})
    assert found == value
