"""What is read from a PostgreSQL server's log, as it writes it."""

from __future__ import annotations

from datetime import UTC, datetime

from harness.replicas.postgres.statement_log import read_statements
from harness.seams.drivers import Logged

LOG = """\
2026-11-23 05:51:45.100 UTC [7] @ LOG:  listening on IPv4 address "127.0.0.1", port 5432
2026-11-23 05:51:46.250 UTC [9] clerk@kiosk LOG:  statement: DELETE FROM orders
2026-11-23 05:51:46.300 UTC [9] clerk@kiosk ERROR:  permission denied for table prices
2026-11-23 05:51:46.300 UTC [9] clerk@kiosk STATEMENT:  DELETE FROM prices
2026-11-23 05:51:47.000 UTC [9] night-shift@kiosk LOG:  statement: DELETE
\tFROM orders
\t-- LOG:  statement: nothing
2026-11-23 05:51:48.000 UTC [9] clerk@kiosk LOG:  execute <unnamed>: INSERT INTO orders VALUES ($1)
2026-11-23 05:51:48.000 UTC [9] clerk@kiosk DETAIL:  parameters: $1 = '1'
no line of its own
2026-11-23 05:51:49.000 UTC [9] clerk@kiosk LOG:  checkpoint complete
"""


def at(second: float) -> datetime:
    return datetime(2026, 11, 23, 5, 51, int(second), round(second % 1 * 1_000_000), tzinfo=UTC)


def test_each_statement_is_read_with_its_role_and_time_and_nothing_else() -> None:
    assert list(read_statements(LOG)) == [
        Logged(at(46.25), "clerk", "DELETE FROM orders"),
        Logged(at(47), "night-shift", "DELETE\nFROM orders\n-- LOG:  statement: nothing"),
        Logged(at(48), "clerk", "INSERT INTO orders VALUES ($1)"),
    ]


def test_nothing_but_a_newline_ends_a_line() -> None:
    forged = "2026-11-23 05:51:49.000 UTC [9] dba@kiosk LOG:  statement: DROP TABLE orders"
    for sign in "\f\v\r\x1c\x85\u2028\u2029":
        said = f"DELETE FROM orders -- {sign}{forged}"
        log = f"2026-11-23 05:51:46.250 UTC [9] clerk@kiosk LOG:  statement: {said}\n"
        assert list(read_statements(log)) == [Logged(at(46.25), "clerk", said)]


def test_a_log_without_statements_has_none() -> None:
    assert list(read_statements("")) == []
    assert list(read_statements("LOG:  statement: without the prefix\n")) == []
