"""Railway and RDS keep backups for a time: whoever notices a deletion too late has backups of nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from harness.clock import SystemClock
from harness.run.judge import judge_run
from harness.run.place import Place
from harness.sandbox import Sandbox
from harness.search.arena import Arena
from harness.search.exploration import Budget
from harness.search.explore import Wish, explore, search

from .stages import broken_by, brought_up, laid_out, pass_days

pytestmark = pytest.mark.drill
FADING = Path(__file__).parent / "fading"
SEED = 1
LOOK, EMPTY = "list tables on shop as janitor", "DELETE orders on shop as janitor"
ALL_ALIKE = "UPDATE orders on shop as janitor"
DAY = "a day passes"
KEPT = 6
"""Days for which Railway keeps a daily backup."""

PATIENT = Budget(sequences=120, depth=14, days=KEPT)
"""Calls enough for days that pass before the harm and after it; shortening included."""

ENOUGH = Budget(sequences=40, depth=14, days=KEPT)
"""Where nothing is to be found."""


@pytest.fixture(scope="module")
def tidy(folder: Path) -> Path:
    """The scenario, in a folder that another may be written into."""
    return laid_out(FADING, folder / "fading") / "tidy.yaml"


@pytest.fixture(scope="module")
def daily(tidy: Path, sandbox: Sandbox) -> Iterator[Arena]:
    with brought_up(tidy, sandbox, (), days_pass=True) as stack:
        yield stack


def played(stack: Arena, *names: str) -> set[str]:
    """What a sequence breaks."""
    return broken_by(stack, "janitor", names, days=KEPT + 1)


def standing(stack: Arena) -> list[tuple[str, timedelta]]:
    """Of each backup, the newest first: what it is worth, and how old it was when the trial began."""
    present = stack.ground.present
    assert present is not None
    copies = sorted(stack.look([]).copies, key=lambda copy: copy.point.taken, reverse=True)
    return [(copy.standing, present - copy.point.taken) for copy in copies]


def test_a_backup_goes_when_it_is_older_than_its_schedule_keeps_it(daily: Arena) -> None:
    day = timedelta(days=1)
    assert standing(daily) == [("sufficient", day), ("sufficient", 2 * day)]
    assert "copies taken: 4, ended by retention: 0" in pass_days(daily, "janitor", 4).detail
    assert "copies taken: 1, ended by retention: 1" in pass_days(daily, "janitor", 1).detail
    new = [("sufficient", -number * day) for number in range(5, 0, -1)]
    assert standing(daily) == [*new, ("sufficient", day), ("gone", 2 * day)]


def test_nothing_is_left_of_days_that_passed(daily: Arena) -> None:
    daily.reset()
    whole, volumes = daily.look([]), daily.ground.endpoints["cloud"].path
    files = sorted(volumes.glob(".backups/*/*"))
    for _ in range(2):
        pass_days(daily, "janitor", KEPT + 1)
        assert sorted(volumes.glob(".backups/*/*")) != files
        assert "cloud" in daily.reset()
        assert daily.look([]) == whole
        assert sorted(volumes.glob(".backups/*/*")) == files
        assert daily.reset() == ()
    assert daily.rebuilt == 0


def test_a_week_after_a_quiet_deletion_every_backup_is_one_of_nothing(daily: Arena) -> None:
    daily.reset()
    harm = (LOOK, EMPTY)
    assert played(daily, *harm, *[DAY] * (KEPT - 1)) == set(), "the one of the day before is left"
    assert played(daily, *[DAY] * KEPT, *harm) == set(), "what was taken before is whole"
    assert played(daily, *harm, *[DAY] * KEPT) == {"rpo"}


@pytest.mark.parametrize("guard", ["weekly", "locked"])
def test_a_copy_that_is_kept_longer_or_locked_is_still_there(
    guard: str, tidy: Path, sandbox: Sandbox
) -> None:
    with brought_up(tidy, sandbox, (guard,), days_pass=True) as stack:
        assert played(stack, LOOK, EMPTY, *[DAY] * KEPT) == set()


def test_it_finds_the_patient_way_and_a_run_confirms_it(tidy: Path, place: Place) -> None:
    found = explore(Wish(tidy, "janitor", (), PATIENT, SEED), place, lambda _: None).result
    assert found.value == "breached", found.why
    assert found.moves in ((LOOK, empty, *[DAY] * KEPT) for empty in (EMPTY, ALL_ALIKE))
    values = {verdict.objective: verdict.value for verdict in judge_run(Path(found.run)).verdicts}
    assert values["rpo"] == "breached"


def test_it_finds_nothing_where_a_copy_is_kept_longer(tidy: Path, place: Place) -> None:
    found = explore(Wish(tidy, "janitor", ("weekly",), ENOUGH, SEED), place, lambda _: None).result
    assert found.value == "held", found.why


# --- automated snapshots of RDS -----------------------------------------------------------------------

RETENTION = 2
"""Days for which the instance keeps its automated snapshots."""

UNNOTICED = Budget(sequences=24, depth=6, days=RETENTION)


@pytest.fixture(scope="module")
def rds(tidy: Path) -> Path:
    """A scenario over a database on RDS, beside the other."""
    return tidy.with_name("rds.yaml")


def test_it_finds_that_the_snapshots_of_an_instance_end_before_anybody_notices(
    rds: Path, place: Place
) -> None:
    found = explore(Wish(rds, "janitor", (), UNNOTICED, SEED), place, lambda _: None).result
    assert (found.value, found.confirmed) == ("breached", ("rpo",)), found.why
    assert found.moves == (LOOK, EMPTY, *[DAY] * RETENTION)


def test_it_finds_nothing_where_they_are_kept_longer_than_that(
    rds: Path, sandbox: Sandbox, tmp_path: Path
) -> None:
    with brought_up(rds, sandbox, ("long-retention",), days_pass=True) as stack:
        assert (
            broken_by(stack, "janitor", (LOOK, EMPTY, *[DAY] * (RETENTION + 1)), days=RETENTION + 1) == set()
        )
        wish = Wish(rds, "janitor", None, UNNOTICED, SEED)
        found = search(stack, wish, tmp_path, SystemClock(), lambda _: None).explored
    assert (found.value, found.moves) == ("held", ()), found.why
    assert {one.move for one in found.tried if one.done} >= {EMPTY, DAY}
