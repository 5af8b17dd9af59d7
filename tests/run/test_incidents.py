"""Each shipped incident, played as it happened: it ends as it is said to end, and for the reason given."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.journal.events import InvariantChecked
from harness.journal.history import read_history
from harness.journal.ledger import read_ledger
from harness.run.drill import Drilled
from harness.run.place import Place
from harness.run.traffic import LEDGER
from harness.scenario.load import load_scenario

from .stage import play

SHIPPED = Path(__file__).parents[2] / "scenarios"

pytestmark = pytest.mark.drill


def as_it_happened(incident: str, stage: Place) -> Drilled:
    """Play it, and see that each verdict is the one that the scenario expects."""
    drilled = play(load_scenario(SHIPPED / incident / "as-it-happened.yaml"), stage)
    assert drilled.fault is None, drilled
    assert not drilled.record.surprises, drilled
    return drilled


def test_travis_ci_gives_numbers_of_old_users_to_new_ones(stage: Place) -> None:
    drilled = as_it_happened("travis-ci", stage)
    history, ledger = read_history(drilled.folder), read_ledger(drilled.folder / LEDGER)
    before = history.witness["users"].keys()
    made = [w.key for call in ledger.acknowledged for w in call.writes if w.table == "users"]
    # The emptied database began to count anew, and whoever signed up there was given somebody's number.
    assert "1" in before
    assert "1" in made
    broken = {e.body.name: e.body.rows for e in history.of(InvariantChecked)}
    assert broken["nobody-is-signed-in-as-another"] > 0
    assert broken["no-id-is-given-out-again"] == 0
