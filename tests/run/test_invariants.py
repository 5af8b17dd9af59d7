"""An invariant is one query, and nothing else counts as one."""

from __future__ import annotations

import pytest

from harness.run.verify import as_one_query


@pytest.mark.parametrize(
    "statement", ["SELECT 1 WHERE false", "SELECT 1;", "SELECT 1 -- and a comment", "VALUES (1)\n;\n"]
)
def test_a_query_stays_a_query(statement: str) -> None:
    inner = as_one_query(statement).removeprefix("SELECT * FROM (\n").removesuffix("\n) AS invariant")
    assert inner == statement.strip().removesuffix(";")
