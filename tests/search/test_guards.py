"""``guards`` plays the sets that tell what each guard is worth, and stops when it is asked to."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from signal import SIGINT

import pytest
from junitparser import JUnitXml

from harness.errors import RequestError, ScenarioError
from harness.journal.matrix import FILE, GuardMatrix, Trial
from harness.journal.record import Verdict
from harness.render.html import FILE as PAGE_FILE
from harness.render.junit import FILE as JUNIT_FILE
from harness.search.guards import Player, first_round, try_guards
from harness.search.side_by_side import Order, Outcome
from tests.conftest import CACHE
from tests.drills.command import SHOP, Installation, fresh_installation

LOCK = """
  {name}:
    why: The snapshots are {name}.
    patch: {{protections: {{snapshots: {{schedule: [daily, weekly]}}}}}}
"""


@pytest.fixture
def four(tmp_path: Path) -> Path:
    """A scenario over a stack of four guards."""
    copy = tmp_path / "shop"
    shutil.copytree(SHOP, copy, ignore=shutil.ignore_patterns("__pycache__"))
    stack = copy / "stack.yaml"
    more = "".join(LOCK.format(name=name) for name in ("second", "third", "fourth"))
    stack.write_text(stack.read_text().replace("\nobjectives:", f"{more}\nobjectives:"))
    return copy / "guarded.yaml"


def playing(
    held: Callable[[set[str]], bool], played: list[tuple[str, ...]], ends_after: int = 1000
) -> Player:
    """A player of known answers: what is tested is which sets are played, and what is made of them."""

    def play(orders: Iterable[Order]) -> Generator[Outcome]:
        for order in orders:
            if len(played) == ends_after:
                raise KeyboardInterrupt
            played.append(order.guards)
            value = "held" if held(set(order.guards)) else "breached"
            yield Outcome(order, f"run-{len(played)}", (Verdict(objective="rpo", value=value, summary=""),))

    return play


def test_the_first_round_has_each_set_once() -> None:
    assert first_round(("a",)) == ((), ("a",))
    assert first_round(("a", "b")) == ((), ("a",), ("b",), ("a", "b"))
    assert len(first_round(tuple("abcd"))) == len(set(first_round(tuple("abcd")))) == 10


def test_a_pair_in_between_is_found(four: Path) -> None:
    played: list[tuple[str, ...]] = []
    told: list[Trial] = []
    matrix = try_guards(four, playing(lambda on: {"second", "fourth"} <= on, played), 40, told.append)
    assert matrix.smallest == (("second", "fourth"),)
    assert matrix.names == ("least-privilege", "second", "third", "fourth")
    assert len(played) == len(set(played)) == len(told) == 16
    assert matrix.left_out == 0


def test_what_has_a_holding_part_is_not_played(four: Path) -> None:
    played: list[tuple[str, ...]] = []
    matrix = try_guards(four, playing(lambda on: "third" in on, played), 40)
    assert matrix.smallest == (("third",),)
    assert len(played) == 10 + 3
    assert not [guards for guards in played[10:] if "third" in guards]


def test_sets_that_there_was_no_room_for_are_counted(four: Path) -> None:
    played: list[tuple[str, ...]] = []
    matrix = try_guards(four, playing(lambda _: False, played), 12)
    assert len(played) == 12
    assert matrix.left_out == 4
    assert matrix.smallest == ()


def test_what_was_found_before_the_end_was_asked_for_is_kept(four: Path) -> None:
    played: list[tuple[str, ...]] = []
    matrix = try_guards(four, playing(lambda _: True, played, ends_after=3), 40)
    assert matrix.interrupted
    assert len(matrix.trials) == 3
    assert matrix.value == "undecided"


def test_guards_that_do_not_go_together_are_told_and_not_played(four: Path) -> None:
    stack = four.with_name("stack.yaml")
    text = stack.read_text()
    # Alone each is sound; together the second removes what the others then change.
    old = LOCK.format(name="second")
    text = text.replace(old, old.partition("{snapshots:")[0] + "{snapshots: null}}\n")
    stack.write_text(text)
    played: list[tuple[str, ...]] = []
    matrix = try_guards(four, playing(lambda _: True, played), 40)
    refused = {trial.guards: trial for trial in matrix.trials if trial.problem}
    assert ("least-privilege", "second", "third") in refused
    assert all("second" in guards and {"third", "fourth"} & set(guards) for guards in refused)
    assert all("tool" in trial.problem and trial.value == "undecided" for trial in refused.values())
    assert not set(played) & set(refused)
    assert set(first_round(matrix.names)) == set(played) | set(refused)


def test_a_stack_without_guards_has_no_answer(four: Path) -> None:
    stack = four.with_name("stack.yaml")
    text = stack.read_text()
    begin, end = text.index("guards:"), text.index("objectives:")
    stack.write_text(text[:begin] + text[end:])
    four.write_text(four.read_text().replace("guards: [least-privilege]\n", ""))
    with pytest.raises(RequestError, match="has no guards"):
        try_guards(four, playing(lambda _: True, []), 40)


def test_a_bad_file_is_told_as_ever(four: Path) -> None:
    four.write_text(four.read_text().replace("title:", "tilte:"))
    with pytest.raises(ScenarioError, match="tilte"):
        try_guards(four, playing(lambda _: True, []), 40)


# --- the verb itself ----------------------------------------------------------------------------------


@pytest.fixture
def installation() -> Iterator[Installation]:
    fresh = fresh_installation(CACHE)
    yield fresh
    fresh.remove()


@pytest.mark.drill
def test_the_verb_plays_real_runs_and_writes_what_it_found(installation: Installation) -> None:
    done = installation.call("guards", SHOP / "guarded.yaml")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Everything holds with least-privilege.\n")
    (folder,) = installation.reports.glob("*-guards-*")
    matrix = GuardMatrix.model_validate_json((folder / FILE).read_bytes())
    assert [trial.guards for trial in matrix.trials] == [(), ("least-privilege",)]
    assert [trial.value for trial in matrix.trials] == ["breached", "held"]
    assert "rpo" in matrix.saved_by("least-privilege") or "isolation" in matrix.saved_by("least-privilege")
    for trial in matrix.trials:
        judged = json.loads((installation.reports / trial.run_id / "verdicts.json").read_text())
        assert judged["guards"] == list(trial.guards)
        assert {v["objective"]: v["value"] for v in judged["verdicts"]} == {
            name: trial.value_of(name) for name in matrix.objectives
        }
        assert f"../{trial.run_id}/index.html" in (folder / PAGE_FILE).read_text()
    (suite,) = JUnitXml.fromfile(str(folder / JUNIT_FILE))
    assert (suite.failures, suite.errors) == (0, 0)
    assert {case.name for case in suite} == {*matrix.objectives, "guard least-privilege"}
    assert json.loads((folder / "verdicts.json").read_text())["value"] == "held"
    assert (installation.reports / "latest").resolve() == folder.resolve()
    # What it says is judged again from its runs, and cannot be without them.
    again = installation.call("judge", "latest")
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout.partition("\nreport: ")[0] == done.stdout.partition("\nreport: ")[0]
    bare = matrix.under()
    assert bare is not None
    shutil.rmtree(installation.reports / bare.run_id)
    lost = installation.call("judge", folder)
    assert lost.returncode == 3
    assert f"rests on the run {bare.run_id}, which is not beside it" in lost.stderr
    assert installation.call("report", folder).returncode == 0
    assert installation.at_work() == ()


@pytest.mark.drill
def test_ctrl_c_tears_down_every_run_and_tells_what_was_found(installation: Installation) -> None:
    asked = installation.start("guards", SHOP / "guarded.yaml", "--jobs", "2")
    asked.wait_for("provision")
    asked.send_group(SIGINT)
    code, said, _ = asked.end()
    assert code == 130
    assert said.startswith("Interrupted before any set was found")
    assert installation.at_work() == ()
    (folder,) = installation.reports.glob("*-guards-*")
    assert GuardMatrix.model_validate_json((folder / FILE).read_bytes()).interrupted
