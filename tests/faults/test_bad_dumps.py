"""Dumps that are emptied, cut or gone: the next copy is taken, or the breach is said. None of them counts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.journal.events import PointTaken, Recovered, RestoreTried
from harness.journal.history import History, read_history
from tests.drills.command import SHOP, Installation


@pytest.mark.drill
@pytest.mark.parametrize(
    ("scenario", "complaint"),
    [("emptied-dump", "is empty"), ("missing-dump", "")],
)
def test_the_recovery_falls_back_to_the_next_copy(
    installation: Installation, scenario: str, complaint: str
) -> None:
    history, verdicts = play(installation, SHOP / f"{scenario}.yaml")
    older, newer = (entry.body.point.id for entry in history.of(PointTaken))
    tried = [entry.body for entry in history.of(RestoreTried) if entry.body.purpose == "recovery"]
    assert [(body.point_id, body.ok) for body in tried if not body.ok] == ([(newer, False)] * bool(complaint))
    assert all(complaint in body.detail for body in tried if not body.ok)
    recovered = history.last(Recovered)
    assert recovered is not None
    assert (recovered.body.ok, recovered.body.point_id) == (True, older)
    assert verdicts == {"backup-survival": "held", "rpo": "breached", "rto": "held"}
    (survival,) = (v for v in read_verdicts(history) if v["objective"] == "backup-survival")
    assert survival["summary"].startswith("1 sufficient copy left of 2")


@pytest.mark.drill
def test_without_a_copy_that_restores_nothing_is_recovered(installation: Installation) -> None:
    history, verdicts = play(installation, SHOP / "ruined-dumps.yaml")
    tried = [entry.body for entry in history.of(RestoreTried) if entry.body.purpose == "recovery"]
    assert [body.ok for body in tried] == [False, False]
    assert "is empty" in tried[0].detail
    assert "pg_restore failed" in tried[1].detail
    recovered = history.last(Recovered)
    assert recovered is not None
    assert not recovered.body.ok
    assert verdicts == {"backup-survival": "breached", "rpo": "breached", "rto": "breached"}


def play(installation: Installation, scenario: Path) -> tuple[History, dict[str, str]]:
    """Play a drill whose verdicts are as expected; its history, and verdict by objective."""
    done = installation.call("run", scenario, "--quiet")
    assert (done.returncode, done.stderr) == (0, "")
    (folder,) = installation.folders()
    history = read_history(folder)
    return history, {verdict["objective"]: verdict["value"] for verdict in read_verdicts(history)}


def read_verdicts(history: History) -> list[dict[str, str]]:
    assert history.folder is not None
    found: list[dict[str, str]] = json.loads((history.folder / "verdicts.json").read_text())["verdicts"]
    return found
