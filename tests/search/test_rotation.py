"""Whoever is patient lets the schedule take the good copies away."""

from __future__ import annotations

import shutil
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
ROTATION = Path(__file__).parent / "rotation"
SEED = 1
LOOK, EMPTY = "list tables on shop as janitor", "DELETE orders on shop as janitor"
ALL_ALIKE = "UPDATE orders on shop as janitor"
DAY = "a day passes"


@pytest.fixture(scope="module")
def tidy(folder: Path) -> Path:
    """The scenario, in a folder that another may be written into."""
    return laid_out(ROTATION, folder / "rotation") / "tidy.yaml"


@pytest.fixture(scope="module")
def open_stack(tidy: Path, sandbox: Sandbox) -> Iterator[Arena]:
    with brought_up(tidy, sandbox, ()) as stack:
        yield stack


@pytest.fixture(scope="module")
def locked(tidy: Path, sandbox: Sandbox) -> Iterator[Arena]:
    with brought_up(tidy, sandbox, ("locked",)) as stack:
        yield stack


def played(stack: Arena, *names: str) -> set[str]:
    """What a sequence breaks."""
    return broken_by(stack, "janitor", names, days=3)


def test_a_day_takes_a_copy_of_what_is_there_and_ends_the_oldest(open_stack: Arena) -> None:
    whole = open_stack.look([])
    assert [copy.standing for copy in whole.copies] == ["sufficient", "sufficient"]
    assert "copies taken: 1, ended by retention: 1" in pass_days(open_stack, "janitor", 1).detail
    after = open_stack.look([])
    assert [copy.standing for copy in after.copies] == ["sufficient", "sufficient", "gone"]
    assert after.copies[0].lacks == 0.0, "it was taken of all that there was"
    taken = [copy.point.taken for copy in after.copies]
    assert taken == [taken[0], taken[0] - timedelta(days=2), taken[0] - timedelta(days=3)]


def test_nothing_is_left_of_days_that_passed(open_stack: Arena) -> None:
    open_stack.reset()
    whole, store = open_stack.look([]), open_stack.ground.store("vault")
    versions = store.everything()
    for _ in range(2):
        pass_days(open_stack, "janitor", 3)
        assert store.everything() != versions
        assert "vault" in open_stack.reset()
        assert open_stack.look([]) == whole
        assert store.everything() == versions
        assert open_stack.ground.passed == timedelta(0)
        assert open_stack.reset() == ()
    assert open_stack.rebuilt == 0


def test_two_days_after_a_quiet_deletion_every_copy_is_one_of_nothing(open_stack: Arena) -> None:
    open_stack.reset()
    assert played(open_stack, LOOK, EMPTY) == set()
    assert played(open_stack, LOOK, EMPTY, DAY) == set(), "one good copy is left, of two days ago"
    assert played(open_stack, DAY, DAY, LOOK, EMPTY) == set(), "what was taken before is whole"
    assert played(open_stack, LOOK, EMPTY, DAY, DAY) == {"rpo"}


def test_retention_takes_nothing_away_that_is_locked(locked: Arena) -> None:
    assert "copies taken: 3, ended by retention: 0" in pass_days(locked, "janitor", 3).detail
    locked.reset()
    assert played(locked, LOOK, EMPTY, DAY, DAY) == set()


@pytest.mark.parametrize("guard", ["log", pytest.param("repository", marks=pytest.mark.restic)])
def test_any_tool_loses_what_is_older_than_it_keeps_and_has_it_again_after_a_reset(
    guard: str, tidy: Path, sandbox: Sandbox
) -> None:
    with brought_up(tidy, sandbox, (guard,)) as stack:
        whole, store = stack.look([]), stack.ground.store("vault")
        versions = store.everything()
        assert played(stack, LOOK, EMPTY, DAY) == set(), "one good copy is left, of a day ago"
        assert played(stack, LOOK, EMPTY, DAY, DAY) == {"rpo"}
        stack.reset()
        assert stack.look([]) == whole
        assert store.everything() == versions
        assert played(stack, LOOK, EMPTY, DAY, DAY) == {"rpo"}, "once more, from the beginning"
        assert stack.rebuilt == 0


@pytest.mark.restic
def test_what_is_written_over_a_part_of_a_copy_loses_it_where_the_newest_version_is_read(
    tidy: Path, tmp_path: Path, sandbox: Sandbox
) -> None:
    """All that it consisted of is still there, and only a restore can tell whether that is enough."""
    folder = Path(shutil.copytree(tidy.parent, tmp_path / "open"))
    stack = folder / "stack.yaml"
    stack.write_text(stack.read_text().replace("{shop: writer}", "{shop: writer, vault: writer}"))
    versions = "list versions on vault as janitor"
    with brought_up(folder / tidy.name, sandbox, ("repository",)) as up:
        for part, broken in (("keys", {"rpo"}), ("locks", set())):
            over = f"overwrite the last object of repository/{part}/ on vault as janitor"
            assert broken_by(up, "janitor", (LOOK, EMPTY, versions, over), days=0) == broken, part


def test_what_broke_something_is_tried_first_the_next_time(open_stack: Arena, tmp_path: Path) -> None:
    """With another seed, which by itself takes more than the one sequence that is allowed."""

    def searched(sequences: int, seed: int, database: Path) -> tuple[str, ...]:
        wish = Wish(open_stack.loaded.file, "janitor", None, Budget(sequences=sequences, days=3), seed)
        return search(open_stack, wish, database, SystemClock(), lambda _: None).explored.moves

    assert searched(1, SEED + 1, tmp_path / "empty") == ()
    assert searched(60, SEED, tmp_path / "kept")[-2:] == (DAY, DAY)
    # As it was found: what makes it shorter is played again, which one sequence leaves no room for.
    assert searched(1, SEED + 1, tmp_path / "kept").count(DAY) >= 2


def test_it_finds_the_patient_way_and_a_run_confirms_it(tidy: Path, place: Place) -> None:
    wish = Wish(tidy, "janitor", (), Budget(sequences=60, days=3), SEED)
    found = explore(wish, place, lambda _: None).result
    assert found.value == "breached", found.why
    assert found.moves in ((LOOK, empty, DAY, DAY) for empty in (EMPTY, ALL_ALIKE))
    values = {verdict.objective: verdict.value for verdict in judge_run(Path(found.run)).verdicts}
    assert values["rpo"] == "breached"
    assert Path(found.file).read_text().count("do: time.pass") == 2
