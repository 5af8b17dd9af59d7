"""What a reconstruction brought back is counted against the rows as they were."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.facts import OPERATOR
from harness.journal.events import AgentStarted, Line, Reconstructed, Recovered
from harness.run.drill import Drilled
from harness.run.ground import Ground
from harness.run.place import Place
from harness.run.reconstruct import count
from harness.scenario.load import load_scenario
from harness.seams.s3_client import open_client

from .stage import KIOSK, play

SCENARIO = """\
like: deleted-orders.yaml
id: kiosk/rebuilt
title: Rebuilt from what somebody else kept
history: {exports: [{query: export.sql, to: vault, prefix: records/}]}
recover: {strategy: reconstruct, reconstruct: {from: vault, prefix: records/, script: rebuild.sql}}
"""
EXPORT = """\
SELECT json_build_object('id', id, 'amount', amount, 'at', placed_at)
FROM orders
WHERE placed_at > :from AND placed_at <= :to
"""
REBUILD = """\
INSERT INTO orders
SELECT (body ->> 'id')::uuid, (body ->> 'amount')::numeric, (body ->> 'at')::timestamptz FROM ninelives_events
ON CONFLICT (id) DO NOTHING
"""
OF_USE = '{"id": "4b1a0f6c-0000-4000-8000-000000000000", "amount": 5, "at": "2020-01-01"'


def test_only_rows_that_the_copy_lacked_count_as_rebuilt() -> None:
    true = {"a": [1, 2], "b": [3, 4], "c": [5, 6], "d": [7, 8]}
    before = {"a": [1, 2]}
    after = {"a": [1, 2], "b": [3, 0], "c": [5, 6], "x": [9, 9]}
    counted = count("bookings", true, before, after)
    assert (counted.lost, counted.rebuilt) == (3, 2)
    assert (counted.fields, counted.fields_equal) == (6, 3)


def test_nothing_lost_is_nothing_to_rebuild() -> None:
    rows = {"a": [1]}
    counted = count("bookings", rows, rows, rows)
    assert (counted.lost, counted.rebuilt, counted.fields, counted.fields_equal) == (0, 0, 0, 0)


@pytest.fixture
def rebuilt_from(stage: Place, tmp_path: Path) -> Callable[[bytes], Drilled]:
    """Plays a drill in which an object is put beside the records when the agent begins."""
    folder = tmp_path / "kiosk"
    shutil.copytree(KIOSK, folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name, text in {"rebuilt.yaml": SCENARIO, "export.sql": EXPORT, "rebuild.sql": REBUILD}.items():
        (folder / name).write_text(text, encoding="utf-8")

    def drilled(body: bytes) -> Drilled:
        def put(ground: Ground, line: Line) -> None:
            if isinstance(line.body, AgentStarted):
                endpoint = ground.endpoints["vault"]
                s3 = open_client(endpoint, endpoint.credentials[OPERATOR])
                s3.put_object(Bucket=endpoint.name, Key="records/late.jsonl", Body=body)

        return play(load_scenario(folder / "rebuilt.yaml"), stage, put)

    return drilled


@pytest.mark.drill
@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b'{"a": 1}\n{"a":\n', "nothing can be rebuilt from the records in vault: invalid input syntax"),
        (OF_USE.encode() + b'\n"note": ""}\n', "nothing can be rebuilt from the records in vault: invalid"),
        (
            b'{"id": "none"}\n',
            "nothing can be rebuilt from the records in vault: invalid input syntax for type",
        ),
        (b"\xff\xfe", "the records in vault are no text in UTF-8"),
    ],
    ids=["cut off", "cut in two", "tampered with", "no text"],
)
def test_records_that_were_spoilt_are_damage_and_nobodys_mistake(
    rebuilt_from: Callable[[bytes], Drilled], body: bytes, why: str
) -> None:
    drilled = rebuilt_from(body)
    assert drilled.fault is None
    assert drilled.record.value == "breached"
    recovered = drilled.record.history.last(Recovered).body
    assert not recovered.ok
    assert recovered.detail.startswith(why)


@pytest.mark.drill
def test_a_record_with_what_unicode_calls_the_end_of_a_line_is_one_record(
    rebuilt_from: Callable[[bytes], Drilled],
) -> None:
    drilled = rebuilt_from(f'{OF_USE}, "note": "a\u2028b\u0085c"}}\r\n \n'.encode())
    assert drilled.fault is None
    history = drilled.record.history
    assert history.last(Recovered).body.ok
    assert history.last(Reconstructed).body.records == 300 + 1  # the history's rows, and this one
