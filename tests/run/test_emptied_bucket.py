"""A bucket is emptied with all its versions, and comes back from a second account."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.facts import OPERATOR
from harness.journal.events import ActionEnded, ContentVerified, Line, PointSeen, RestoreTried
from harness.journal.history import read_history
from harness.journal.ledger import read_ledger
from harness.run.ground import Ground
from harness.run.place import Place
from harness.run.traffic import LEDGER
from harness.scenario.load import load_scenario
from harness.seams.s3_client import open_client

from .stage import play

FOLDER = Path(__file__).parents[2] / "scenarios" / "emptied-bucket"


@pytest.mark.drill
def test_what_lies_in_the_second_account_comes_back_and_what_does_not_is_lost(stage: Place) -> None:
    there: set[str] = set()
    holders: list[set[str]] = []

    def look(ground: Ground, line: Line) -> None:
        if isinstance(line.body, ContentVerified):
            uploads = ground.endpoints["uploads"]
            client = open_client(uploads, uploads.credentials[OPERATOR])
            pages = client.get_paginator("list_objects_v2").paginate(Bucket=uploads.name)
            there.update(item["Key"] for page in pages for item in page.get("Contents", ()))
            holders.append(set(ground.endpoints["kept"].credentials))

    drilled = play(load_scenario(FOLDER / "second-account.yaml"), stage, look)

    assert drilled.fault is None, drilled
    assert not drilled.record.surprises, drilled
    (names,) = holders
    assert "janitor" not in names, "the agent has keys of the second account"
    history = read_history(drilled.folder)
    tries = [(e.body.point_id, e.body.purpose, e.body.ok) for e in history.of(RestoreTried)]
    assert tries[0] == ("replica/replica", "recovery", True), "of the versions some are known to be gone"
    assert [ok for id, _, ok in tries if id == "versions/versions"] == [False]
    (replica,) = [e.body.point for e in history.of(PointSeen) if e.body.point.protection == "replica"]
    first, *_ = [e.body.outcome for e in history.of(ActionEnded) if e.body.outcome.touched]
    ended = min(first.began.wall.replace(microsecond=0), replica.covers_until)
    witnessed = {f"{table}/{key}" for table, rows in history.witness.items() for key in rows}
    acknowledged = {
        f"{write.table}/{write.key}": call.ended_wall
        for call in read_ledger(drilled.folder / LEDGER).acknowledged()
        for write in call.writes
        if write.op == "insert"
    }
    past = {name for name in witnessed if name not in acknowledged}
    assert len(past) == 60
    assert past <= there
    gone = acknowledged.keys() - there
    assert all(acknowledged[name] >= ended.timestamp() for name in gone)
