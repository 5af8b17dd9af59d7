"""A drill about a MariaDB: what is counted is what the server itself says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pymysql
import pytest

from harness.errors import ScenarioError
from harness.facts import OPERATOR, Endpoint
from harness.journal.events import ContentVerified, Line, RestoreTried, WitnessTaken
from harness.journal.history import read_history
from harness.journal.ledger import read_ledger
from harness.run.ground import Ground
from harness.run.place import Place
from harness.run.traffic import LEDGER
from harness.scenario.load import load_scenario
from harness.scenario.models import LoadedScenario

from .stage import play

BAZAAR = Path(__file__).parent / "bazaar"


def orders(endpoint: Endpoint) -> dict[str, tuple[Any, ...]]:
    """Every order, read without any of the harness's code."""
    operator = endpoint.credentials[OPERATOR]
    with (
        pymysql.connect(
            host=endpoint.host,
            port=endpoint.port,
            user=operator.name,
            password=operator.secret.reveal(),
            database=endpoint.name,
        ) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT id, item, pieces, note, placed_at FROM orders")
        return {row[0]: row[1:] for row in cursor.fetchall()}


def scenario(tmp_path: Path, **changes: object) -> LoadedScenario:
    folder = tmp_path / "bazaar"
    shutil.copytree(BAZAAR, folder, ignore=shutil.ignore_patterns("__pycache__"))
    file = folder / "other.yaml"
    head = {"id": "bazaar/other", "title": "the same, but for what is said here", "like": "emptied.yaml"}
    file.write_text(json.dumps(head | changes))  # JSON is YAML
    return load_scenario(file)


@pytest.mark.drill
@pytest.mark.mariadb
def test_dump_and_binary_logs_bring_back_all_but_the_last_second(stage: Place, tmp_path: Path) -> None:
    before: dict[str, tuple[Any, ...]] = {}
    after: dict[str, tuple[Any, ...]] = {}

    def look_on(ground: Ground, line: Line) -> None:
        if isinstance(line.body, WitnessTaken):
            before.update(orders(ground.endpoints["shop"]))
        if isinstance(line.body, ContentVerified):
            after.update(orders(ground.endpoints["shop"]))

    drilled = play(scenario(tmp_path), stage, look_on)

    values = {verdict.objective: verdict.value for verdict in drilled.record.verdicts}
    expected = dict.fromkeys(("backup-survival", "rpo", "rto", "invariants"), "held")
    assert values == expected, drilled
    history = read_history(drilled.folder)
    tried = [entry.body for entry in history.of(RestoreTried)]
    assert [each.ok for each in tried] == [True] * 2
    assert "replay" in tried[0].parts
    # The backfill's 2,000 orders are all there, as they were; what is lost is of the last second.
    ledger = read_ledger(drilled.folder / LEDGER)
    touched = {write.key for call in ledger.calls for write in call.writes}
    past = before.keys() - touched
    assert len(past) == 2000
    assert {key: after.get(key) for key in past} == {key: before[key] for key in past}
    assert {write.op for call in ledger.acknowledged() for write in call.writes} == {
        "insert",
        "update",
        "delete",
    }


@pytest.mark.drill
@pytest.mark.mariadb
def test_purged_logs_are_no_way_back_and_the_dump_is_what_is_left(stage: Place, tmp_path: Path) -> None:
    purge = "FLUSH BINARY LOGS; RESET MASTER; TRUNCATE TABLE shop.orders"
    step = {"do": "mariadb.execute", "on": "shop", "with": {"statement": purge}, "harm": True}
    agent = {"kind": "scripted", "as": "boss", "goal": "free some space", "steps": [step]}
    drilled = play(scenario(tmp_path, agent=agent), stage)
    values = {verdict.objective: verdict.value for verdict in drilled.record.verdicts}
    assert values == {"backup-survival": "held", "rpo": "breached", "rto": "held", "invariants": "held"}, (
        drilled
    )
    tried = [entry.body for entry in read_history(drilled.folder).of(RestoreTried)]
    assert [(each.ok, "replay" in each.parts) for each in tried] == [(True, False)] * 2


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"recover": {"service": "shop", "strategy": "runbook", "run": "x.sh"}}, "recover.run"),
        (
            {
                "recover": {
                    "service": "shop",
                    "strategy": "reconstruct",
                    "reconstruct": {"from": "vault", "script": "slice.sql"},
                }
            },
            "recover.reconstruct",
        ),
    ],
)
def test_what_only_postgres_can_do_is_told_where(
    tmp_path: Path, changes: dict[str, object], place: str
) -> None:
    with pytest.raises(ScenarioError) as caught:
        scenario(tmp_path, **changes)
    found = {(problem.key, problem.message) for problem in caught.value.problems}
    assert (place, "'shop' is of kind mariadb; only postgres can do that") in found
