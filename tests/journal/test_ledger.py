"""The ledger: what was sent and what came of it, and what witness and ledger together call for."""

from __future__ import annotations

import json
import tracemalloc
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from harness.clock import SystemClock
from harness.errors import JournalError
from harness.facts import Fingerprint
from harness.journal.events import WitnessTaken
from harness.journal.ledger import Ledger, LedgerWriter, Second, Write, expected, parse_ledger, read_ledger
from harness.journal.witness import Row, Rows

from .runs import START, TickingClock


def lines(*entries: list[object]) -> list[bytes]:
    return [json.dumps(entry).encode() + b"\n" for entry in entries]


def ledger(*entries: list[object]) -> Ledger:
    return parse_ledger(lines(*entries))


def taken(before: float, after: float) -> WitnessTaken:
    return WitnessTaken(
        service="db",
        file="witness.jsonl",
        sha256="",
        content=Fingerprint(tables=()),
        before=replace(START, mono=before),
        after=replace(START, mono=after),
    )


def witness(**rows: int) -> Rows:
    return {"t": {key: Row(hash_, START.wall) for key, hash_ in rows.items()}}


def test_a_call_is_read_back_with_what_came_of_it_and_when(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    writer = LedgerWriter(path, TickingClock())
    wanted = [Write("orders", "a", "insert"), Write("lines", "b", "delete")]
    first = writer.sent("user-1", wanted)
    second = writer.sent("user-2", [Write("orders", "c", "update")])
    third = writer.sent("user-3", [Write("orders", "d", "update")])
    writer.sent("user-4", [Write("orders", "e", "update")])
    writer.broken(third, "user-3", "server closed the connection")
    writer.acked(
        first, "user-1", [Write("orders", "a", "insert", -(2**63)), Write("lines", "b", "delete", 5)]
    )
    writer.refused(second, "user-2", "duplicate key")
    writer.close()
    found = read_ledger(path)
    assert [(call.seq, call.user, call.state) for call in found.calls] == [
        (1, "user-1", "acked"),
        (2, "user-2", "refused"),
        (3, "user-3", "broken"),
        (4, "user-4", "unanswered"),
    ]
    acked, refused, broken, unanswered = found.calls
    assert acked.writes == (Write("orders", "a", "insert", -(2**63)), Write("lines", "b", "delete", 5))
    assert acked.sent == pytest.approx(START.mono + 0.1)
    assert acked.ended == pytest.approx(START.mono + 0.6)
    assert acked.ended_wall == pytest.approx((START.wall + timedelta(seconds=0.6)).timestamp())
    assert refused.detail == "duplicate key"
    assert broken.writes == (Write("orders", "d", "update"),)
    assert unanswered.ended == float("inf")
    assert tuple(found.indeterminate()) == (broken, unanswered)
    assert len(found) == 7
    assert not found.torn


def test_the_ledger_is_on_file_in_the_form_that_is_documented(tmp_path: Path) -> None:
    writer = LedgerWriter(tmp_path / "ledger.jsonl", TickingClock())
    seq = writer.sent("u", [Write("t", "k", "insert")])
    writer.acked(seq, "u", [Write("t", "k", "insert", 7)])
    sent, acked = (tmp_path / "ledger.jsonl").read_text().splitlines()
    wall = START.wall.timestamp()
    assert json.loads(sent) == [1, "sent", 100.1, wall + 0.1, "u", [["t", "k", "insert"]]]
    assert json.loads(acked) == [1, "acked", 100.2, wall + 0.2, "u", [["t", "k", "insert", 7]]]


def test_a_line_cut_off_by_a_kill_is_told_and_leaves_its_call_indeterminate(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    writer = LedgerWriter(path, SystemClock())
    for _ in range(2):
        writer.acked(writer.sent("u", [Write("t", "k", "insert")]), "u", [Write("t", "k", "insert", 7)])
    data = path.read_bytes()
    path.write_bytes(data[:-10])
    found = read_ledger(path)
    assert found.torn
    assert [call.state for call in found.calls] == ["acked", "unanswered"]


def test_a_ledger_that_is_not_there_yet_is_empty(tmp_path: Path) -> None:
    assert not read_ledger(tmp_path / "ledger.jsonl").calls


@pytest.mark.parametrize(
    "bad",
    [
        [[1, "acked", 1.0, 1.0, "u", []]],
        [[1, "sent", 1.0, 1.0, "u", []], [1, "sent", 1.0, 1.0, "u", []]],
        [[1, "sent", 1.0, 1.0, "u", []], [1, "maybe", 1.0, 1.0, "u", []]],
        [[1, "sent", 1.0, 1.0, "u", []], [1, "acked", 1.0, 1.0, "u", [["t", "k", "insert"]]]],
        [[1, "sent", 1.0, 1.0, "u", [["t", "k", "upsert"]]]],
        [["1", "sent", 1.0, 1.0, "u", []]],
        [{"seq": 1}],
        [[]],
    ],
)
def test_a_line_that_makes_no_sense_is_an_error_that_names_it(
    tmp_path: Path, bad: list[list[object]]
) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(b"\n".join(lines(*bad)) + b"\n")
    with pytest.raises(JournalError, match="makes no sense") as caught:
        read_ledger(path)
    assert "play the drill again" in caught.value.hint


def test_counting_since_an_instant_leaves_out_what_came_before_and_what_never_came() -> None:
    found = ledger(
        [1, "sent", 1.0, 1.0, "u", []],
        [1, "acked", 2.0, 2.0, "u", []],
        [2, "sent", 3.0, 3.0, "u", []],
        [3, "sent", 3.0, 3.0, "v", []],
        [4, "sent", 3.0, 3.0, "w", []],
        [5, "sent", 3.0, 3.0, "x", []],
        [2, "acked", 4.0, 4.0, "u", []],
        [3, "refused", 4.0, 4.0, "v", "no"],
        [4, "broken", 4.5, 4.5, "w", "gone"],
    )
    assert found.count_since(0.0) == (2, 2)
    assert found.count_since(3.0) == (1, 2)
    assert found.first_acknowledged_since(2.0) == 2.0
    assert found.first_acknowledged_since(2.1) == 4.0
    assert found.first_acknowledged_since(4.1) is None


def test_seconds_are_counted_from_the_origin_with_none_left_out() -> None:
    origin = replace(START, mono=10.0)
    found = ledger(
        [1, "sent", 9.0, 0.0, "u", []],
        [2, "sent", 9.0, 0.0, "v", []],
        [3, "sent", 9.0, 0.0, "w", []],
        [4, "sent", 9.0, 0.0, "x", []],
        [1, "acked", 9.9, 0.0, "u", []],
        [2, "broken", 12.0, 0.0, "v", "gone"],
        [3, "refused", 12.999, 0.0, "w", "no"],
    )
    assert found.per_second(origin) == (
        Second(-1, 1, 0, 0),
        Second(0, 0, 0, 0),
        Second(1, 0, 0, 0),
        Second(2, 0, 1, 1),
    )
    assert Ledger().per_second(origin) == ()


def test_what_was_acknowledged_after_the_witness_is_called_for() -> None:
    found = ledger(
        [
            1,
            "sent",
            20.0,
            0.0,
            "u",
            [["t", "new", "insert"], ["t", "old", "update"], ["t", "gone", "delete"]],
        ],
        [
            1,
            "acked",
            20.1,
            0.0,
            "u",
            [["t", "new", "insert", 1], ["t", "old", "update", 2], ["t", "gone", "delete", 3]],
        ],
    )
    called_for = expected(witness(old=9, gone=3, still=4), found, taken(10.0, 11.0))
    states = {key: called_for.state("t", key) for key in called_for.keys("t")}
    assert states == {"new": 1, "old": 2, "gone": None, "still": 4}
    assert all(called_for.accepts("t", key) == {state} for key, state in states.items())
    assert called_for.accepts("t", "unheard-of") == {None}


def test_the_witness_decides_over_what_was_acknowledged_before_it_was_read() -> None:
    found = ledger(
        [1, "sent", 5.0, 0.0, "u", [["t", "k", "update"]]],
        [1, "acked", 5.1, 0.0, "u", [["t", "k", "update", 7]]],
    )
    assert expected(witness(k=8), found, taken(10.0, 11.0)).accepts("t", "k") == {8}
    assert expected({}, found, taken(10.0, 11.0)).accepts("t", "k") == {None}


@pytest.mark.parametrize("seen", [None, 1, 2])
def test_a_write_acknowledged_while_the_witness_was_read_may_or_may_not_be_in_it(seen: int | None) -> None:
    found = ledger(
        [1, "sent", 10.2, 0.0, "u", [["t", "k", "update"]]],
        [1, "acked", 10.4, 0.0, "u", [["t", "k", "update", 2]]],
    )
    rows = witness(k=seen) if seen is not None else {}
    assert expected(rows, found, taken(10.0, 11.0)).accepts("t", "k") == {2}


def test_a_write_sent_before_and_acknowledged_after_the_witness_is_called_for() -> None:
    found = ledger(
        [1, "sent", 9.0, 0.0, "u", [["t", "k", "insert"]]],
        [1, "acked", 12.0, 0.0, "u", [["t", "k", "insert", 2]]],
    )
    assert expected({}, found, taken(10.0, 11.0)).accepts("t", "k") == {2}
    assert expected(witness(k=2), found, taken(10.0, 11.0)).accepts("t", "k") == {2}


def test_of_writes_that_overlapped_either_may_be_the_last() -> None:
    found = ledger(
        [1, "sent", 20.0, 0.0, "u", [["t", "k", "update"]]],
        [2, "sent", 20.1, 0.0, "v", [["t", "k", "update"]]],
        [2, "acked", 20.2, 0.0, "v", [["t", "k", "update", 2]]],
        [1, "acked", 20.3, 0.0, "u", [["t", "k", "update", 1]]],
    )
    called_for = expected(witness(k=0), found, taken(10.0, 11.0))
    assert called_for.accepts("t", "k") == {1, 2}
    assert called_for.state("t", "k") == 1


def test_a_write_sent_after_another_was_acknowledged_replaces_it() -> None:
    found = ledger(
        [1, "sent", 20.0, 0.0, "u", [["t", "k", "update"]]],
        [1, "acked", 20.1, 0.0, "u", [["t", "k", "update", 1]]],
        [2, "sent", 20.1, 0.0, "v", [["t", "k", "update"]]],
        [2, "acked", 20.2, 0.0, "v", [["t", "k", "update", 2]]],
    )
    assert expected(witness(k=0), found, taken(10.0, 11.0)).accepts("t", "k") == {2}


def test_only_the_last_write_of_a_transaction_to_a_row_counts() -> None:
    found = ledger(
        [1, "sent", 20.0, 0.0, "u", [["t", "k", "insert"], ["t", "k", "update"]]],
        [1, "acked", 20.1, 0.0, "u", [["t", "k", "insert", 1], ["t", "k", "update", 2]]],
    )
    called_for = expected({}, found, taken(10.0, 11.0))
    assert called_for.accepts("t", "k") == {2}
    assert [change.state for change in called_for.claims["t"]["k"].acked] == [2]


def test_what_was_refused_is_not_called_for_and_what_broke_is_only_unsure() -> None:
    found = ledger(
        [1, "sent", 20.0, 0.0, "u", [["t", "refused", "insert"]]],
        [1, "refused", 20.1, 0.0, "u", "no"],
        [2, "sent", 20.0, 0.0, "u", [["t", "broken", "insert"], ["t", "old", "delete"]]],
        [2, "broken", 20.1, 0.0, "u", "gone"],
    )
    called_for = expected(witness(old=1), found, taken(10.0, 11.0))
    assert called_for.accepts("t", "refused") == {None}
    assert called_for.accepts("t", "broken") == {None}
    assert called_for.accepts("t", "old") == {1}
    assert called_for.claims["t"]["broken"].unsure == {"insert"}
    assert "refused" not in called_for.claims["t"]


def test_a_long_ledger_takes_little_memory() -> None:
    """As objects a call takes 550 bytes, and 1,370 with what it calls for while that is put together."""
    calls = 20_000
    text = [
        line
        for n in range(calls)
        for line in lines(
            [n, "sent", 1.0 + n, 2.0 + n, "user-1", [["orders", f"key-{n}", "insert"]]],
            [n, "acked", 1.5 + n, 2.5 + n, "user-1", [["orders", f"key-{n}", "insert", n << 32]]],
        )
    ]
    tracemalloc.start()
    try:
        read = parse_ledger(iter(text))
        _, most = tracemalloc.get_traced_memory()
        called_for = expected({}, read)
        _, most_of_both = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(called_for.claims["orders"]) == calls
    assert most < 350 * calls
    assert most_of_both < 800 * calls
