"""The shipped incidents on AWS: what goes along with a deletion, and what a second account keeps."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.journal.events import (
    ActionEnded,
    PointChecked,
    PointMissing,
    PointTaken,
    RestoreTried,
    TamperingTried,
)
from harness.journal.history import History, read_history
from harness.run.place import Place
from harness.scenario.load import load_scenario

from .stage import play

SHIPPED = Path(__file__).parents[2] / "scenarios"

pytestmark = pytest.mark.drill


def played(scenario: str, stage: Place) -> History:
    """Play it, and see that each verdict is the one that the scenario expects."""
    drilled = play(load_scenario(SHIPPED / f"{scenario}.yaml"), stage)
    assert drilled.fault is None, drilled
    assert not drilled.record.surprises, drilled
    return read_history(drilled.folder)


def test_datatalks_loses_its_snapshots_with_the_instance_in_one_call(stage: Place) -> None:
    history = played("datatalks/as-it-happened", stage)
    taken = {e.body.point.location for e in history.of(PointTaken)}
    assert len(taken) == 7
    assert {e.body.point_id.partition("/")[2] for e in history.of(PointMissing)} == taken
    touched = [{one.name for one in e.body.outcome.touched} for e in history.of(ActionEnded)]
    (deletion,) = [names for names in touched if "courses" in names and len(names) > 1]
    assert deletion == {"courses", *(f"courses/{snapshot}" for snapshot in taken)}


def test_code_spaces_comes_back_from_the_account_that_its_panel_did_not_reach(stage: Place) -> None:
    history = played("code-spaces/hardened", stage)
    missing = {e.body.point_id.partition("/")[0] for e in history.of(PointMissing)}
    assert missing == {"snapshots", "dumps"}
    first = next(e.body for e in history.of(RestoreTried))
    assert (first.point_id.partition("/")[0], first.purpose, first.ok) == ("vaulted", "recovery", True)
    tries = [entry.body for entry in history.of(TamperingTried)]
    assert {tried.what for tried in tries} == {"shorten", "bypass", "delete"}
    assert {(tried.principal, tried.outcome.status) for tried in tries} == {("operator", "refused")}
    assert all(entry.body.found == entry.body.point for entry in history.of(PointChecked))
