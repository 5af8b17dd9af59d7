"""Each shipped incident, played as it happened: it ends as it is said to end, and for the reason given."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pytest

from harness.journal.events import (
    ActionEnded,
    ContentVerified,
    InvariantChecked,
    Line,
    PointMissing,
    PointTaken,
    RestoreTried,
)
from harness.journal.history import read_history
from harness.journal.ledger import read_ledger
from harness.run.drill import Drilled
from harness.run.ground import Ground
from harness.run.place import Place
from harness.run.traffic import LEDGER
from harness.scenario.load import load_scenario

from .stage import Onlooker, log_in, play

SHIPPED = Path(__file__).parents[2] / "scenarios"

pytestmark = pytest.mark.drill


def words(page: str) -> str:
    """What is to be read on a page."""
    text = re.sub(r"<[^>]*>", " ", re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL))
    return " ".join(unescape(text).replace("\xa0", " ").split())


def as_it_happened(incident: str, stage: Place, *onlookers: Onlooker) -> Drilled:
    """Play it, and see that each verdict is the one that the scenario expects."""
    return as_written(f"{incident}/as-it-happened", stage, *onlookers)


def as_written(scenario: str, stage: Place, *onlookers: Onlooker) -> Drilled:
    """The same of any shipped scenario."""
    drilled = play(load_scenario(SHIPPED / f"{scenario}.yaml"), stage, *onlookers)
    assert drilled.fault is None, drilled
    assert not drilled.record.surprises, drilled
    return drilled


def test_travis_ci_gives_numbers_of_old_users_to_new_ones(stage: Place) -> None:
    drilled = as_it_happened("travis-ci", stage)
    history, ledger = read_history(drilled.folder), read_ledger(drilled.folder / LEDGER)
    before = history.witness["users"].keys()
    made = [w.key for call in ledger.acknowledged() for w in call.writes if w.table == "users"]
    # The emptied database began to count anew, and whoever signed up there was given somebody's number.
    assert "1" in before
    assert "1" in made
    broken = {e.body.name: e.body.rows for e in history.of(InvariantChecked)}
    assert broken["nobody-is-signed-in-as-another"] > 0
    assert broken["no-id-is-given-out-again"] == 0


def test_gitlab_comes_back_from_the_one_dump_that_is_not_empty(stage: Place) -> None:
    drilled = as_it_happened("gitlab", stage)
    tries = [e.body for e in read_history(drilled.folder).of(RestoreTried)]
    assert [(tried.point_id.partition("/")[0], tried.ok) for tried in tries] == [
        ("for-staging", True),
        ("nightly", False),
        ("nightly", False),
    ]
    complaints = (drilled.folder / "logs" / "forge" / "nightly" / "backup.sh.log").read_text()
    assert complaints.count("aborting because of server version mismatch") == 2


def test_vfemail_has_no_copy_left_and_its_report_counts_files(stage: Place) -> None:
    drilled = as_it_happened("vfemail", stage)
    history = read_history(drilled.folder)
    taken = {e.body.point.id for e in history.of(PointTaken)}
    assert len(taken) == 2
    assert {e.body.point_id for e in history.of(PointMissing)} == taken
    page = words((drilled.folder / "index.html").read_text())
    known = len(history.witness["received"]) + len(history.witness["sent"])
    assert f"The witness of mail was read: {known} files." in page
    assert "Every tracked file after the recovery" in page
    assert not re.findall(r".*\brows?\b.*", page.partition("Evidence cited")[0])


def test_digitalocean_comes_back_from_the_standby_but_for_the_moment_of_the_call(stage: Place) -> None:
    drilled = as_it_happened("digitalocean", stage)
    history, ledger = read_history(drilled.folder), read_ledger(drilled.folder / LEDGER)
    first, *_ = [e.body for e in history.of(RestoreTried)]
    assert (first.point_id, first.purpose, first.ok) == ("panel@behind", "recovery", True)
    (harm,) = [e.body.outcome for e in history.of(ActionEnded) if e.body.outcome.touched]
    acknowledged = {w.key: call.ended for call in ledger.acknowledged() for w in call.writes}
    gone = {key for rows in history.recovered.values() for key in rows}
    assert gone, "nobody wrote anything while the call went on"
    assert all(acknowledged[key] > harm.began.mono for key in gone)


def test_keepthescore_lacks_the_seven_hours_that_it_says_it_lacks(stage: Place) -> None:
    ages: list[tuple[float]] = []

    def look(ground: Ground, line: Line) -> None:
        if isinstance(line.body, ContentVerified):
            with log_in(ground.endpoints["scoreboard"]) as connection:
                age = "SELECT extract(epoch FROM now() - max(updated_at)) FROM boards"
                ages.extend(connection.execute(age + " WHERE updated_at < now() - interval '1 hour'"))

    drilled = as_it_happened("keepthescore", stage, look)
    ((age,),) = ages
    (rpo,) = [verdict for verdict in drilled.record.verdicts if verdict.objective == "rpo"]
    measured = rpo.figure("rpo")
    assert measured is not None
    # The last board before the copy is at most the 800th part of two days older than the copy.
    assert 7 * 3600 <= measured.value <= float(age) <= 7 * 3600 + 2 * 86400 / 800 + 120


def test_replit_has_a_way_back_whatever_the_agent_says(stage: Place) -> None:
    counted: list[tuple[int, int]] = []

    def count(ground: Ground, line: Line) -> None:
        if isinstance(line.body, ContentVerified):
            with log_in(ground.endpoints["contacts"]) as connection:
                counted.extend(
                    connection.execute(
                        "SELECT (SELECT count(*) FROM companies),"
                        " (SELECT count(*) FROM executives WHERE updated_at < now() - interval '2 hours')"
                    )
                )

    as_it_happened("replit", stage, count)
    ((companies, executives),) = counted
    assert companies == 1196
    assert 1180 < executives <= 1206, "all but those of the last two hours of nine days"


def test_the_log_of_replits_platform_tells_of_the_deletion(stage: Place) -> None:
    drilled = as_written("replit/logged", stage)
    (told,) = (one for one in drilled.record.verdicts if one.objective == "audit-trail")
    assert (told.value, told.summary.partition(" of ")[0]) == ("held", "The log")
    assert "tells of 1 destructive call of coding-agent" in told.summary


def test_a_reader_is_refused_once_more_after_the_restore(stage: Place) -> None:
    drilled = as_written("replit/hardened", stage)
    (isolation,) = (one for one in drilled.record.verdicts if one.objective == "isolation")
    assert "was refused 4 times on contacts after the recovery" in isolation.summary
