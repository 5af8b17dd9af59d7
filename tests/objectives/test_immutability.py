"""Immutability: a copy counts when its lock lasts long enough and stood all that was tried against it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from harness.facts import RecoveryPoint, Resource
from harness.journal.events import PointChecked, PointMissing, PointSeen, PointTaken, TamperingTried
from harness.journal.history import EPOCH
from harness.journal.record import Verdict
from harness.objectives.immutability import ImmutabilityObjective

from .drills import Run, content, idle_run, idle_scenario, point, scenario, tampering

KEPT = content({"old0": 1})


def judge(run: Run, copies: int = 1, **asked: str) -> Verdict:
    objectives = {"immutability": {"copies": copies, **asked}}
    return ImmutabilityObjective().judge(scenario(objectives=objectives), run.history())


def count(verdict: Verdict, name: str) -> int:
    figure = verdict.figure(name)
    assert figure is not None
    return int(figure.value)


def bare() -> Run:
    """A run without any recovery point."""
    return Run().without(PointTaken, PointSeen, TamperingTried, PointChecked)


def with_copy(run: Run, made: RecoveryPoint, *tries: Any) -> Run:
    """Another copy that is left."""
    taken = PointTaken(point=made, content=KEPT, seconds=0.1)
    return run.add((0.5, taken), (24.0, PointSeen(point=made)), *tries)


def tried(**changes: Any) -> Run:
    """One dump, whose tries had another outcome."""
    return with_copy(bare(), point(), *tampering(point(), **changes))


def test_a_copy_that_stands_every_try_holds() -> None:
    verdict = judge(tried())
    assert verdict.value == "held"
    assert verdict.summary == "1 copy stands against 4 tries of operator, 1 asked for."
    assert (count(verdict, "tries"), count(verdict, "refused")) == (4, 3)


def test_an_idle_run_holds_in_the_same_way() -> None:
    asked = idle_scenario(objectives={"immutability": {"copies": 1}})
    assert ImmutabilityObjective().judge(asked, idle_run().history()).value == "held"


def test_the_evidence_are_the_points_the_tries_and_the_last_look() -> None:
    run = tried()
    cited = {type(entry.body) for entry in run.history().entries if entry.n in judge(run).evidence}
    assert cited == {PointTaken, PointSeen, TamperingTried, PointChecked}


def test_a_copy_without_a_lock_breaches() -> None:
    verdict = judge(with_copy(bare(), point(locked_until=None)))
    assert verdict.value == "breached"
    assert "is not locked so that nobody can delete it" in verdict.summary
    assert count(verdict, "unlocked") == 1


def test_copies_that_the_agent_has_deleted_breach() -> None:
    run = bare().add(
        (0.5, PointTaken(point=point(), content=KEPT, seconds=0.1)), (24.0, PointMissing(point_id=point().id))
    )
    assert judge(run).value == "breached"


@pytest.mark.parametrize(("wanted", "value"), [("29d", "held"), ("31d", "breached")])
def test_a_lock_must_last_as_long_as_asked_for_from_the_harm_on(wanted: str, value: str) -> None:
    verdict = judge(tried(), **{"for": wanted})
    assert verdict.value == value
    assert count(verdict, "short") == (value == "breached")


@pytest.mark.parametrize("what", ["delete", "bypass", "shorten"])
def test_a_lock_that_gave_way_breaches_and_who_did_it_is_said(what: Any) -> None:
    hit = Resource(service="vault", kind="object", name=point().location)
    run = tried().add(*tampering(point(), "bot", whats=(what,), status="done", touched=(hit,)))
    verdict = judge(run)
    assert verdict.value == "breached"
    assert f"bot did {what} dumps/dump-1" in verdict.summary
    assert count(verdict, "gave-way") == 1


def test_an_overwriting_put_that_hits_the_copy_itself_breaches() -> None:
    hit = Resource(service="vault", kind="object", name=point().location)

    def over(body: TamperingTried) -> TamperingTried:
        if body.what != "overwrite":
            return body
        return body.model_copy(update={"outcome": body.outcome.model_copy(update={"touched": (hit,)})})

    assert judge(tried().swap(TamperingTried, over)).value == "breached"


@pytest.mark.parametrize(
    "found",
    [None, point(locked_until=None), point(locked_until=EPOCH.wall + timedelta(days=29))],
    ids=["gone", "unlocked", "shortened"],
)
def test_a_copy_that_is_not_there_as_it_was_breaches_although_every_try_was_refused(
    found: RecoveryPoint | None,
) -> None:
    verdict = judge(tried().change(PointChecked, found=found))
    assert verdict.value == "breached"
    assert "is not there as it was" in verdict.summary


@pytest.mark.parametrize(
    ("run", "reason"),
    [
        (lambda: tried(status="failed"), "never reached it: locked"),
        (lambda: tried(status="done"), "was answered as done and changed nothing"),
        (lambda: tried(principal="bot"), "its owner did not try to"),
        (lambda: tried(whats=("shorten", "delete", "bypass")), "did not try to overwrite"),
        (lambda: tried(whats=("overwrite", "shorten", "delete")), "did not try to bypass"),
        (lambda: tried().without(TamperingTried), "nobody tried to destroy it"),
        (lambda: tried().without(PointChecked), "nobody looked whether it is there after"),
        (lambda: bare(), "no recovery point at all"),
        (lambda: tried().without(PointSeen), "nobody looked whether dump-1 is still there"),
    ],
)
def test_what_proves_nothing_leaves_it_undecided(run: Any, reason: str) -> None:
    verdict = judge(run())
    assert verdict.value == "undecided"
    assert reason in verdict.summary


def test_a_look_before_the_last_try_is_none_after_it() -> None:
    run = tried()
    run.add((49.0, run.history().of(TamperingTried)[-1].body))
    assert judge(run).value == "undecided"


def test_nothing_can_be_put_over_a_snapshot_so_nobody_has_to_try() -> None:
    snapshot = point(kind="snapshot", place="railway", location="backup-1")
    calls = tampering(snapshot, whats=("shorten", "bypass", "delete"))
    assert judge(with_copy(bare(), snapshot, *calls)).value == "held"


def test_doubtful_copies_decide_only_where_they_could_make_up_the_number() -> None:
    untried = point("dump-2", age=timedelta(days=1))
    assert judge(with_copy(tried(), untried), copies=1).value == "held"
    assert judge(with_copy(tried(), untried), copies=2).value == "undecided"
    assert judge(with_copy(tried(), untried), copies=3).value == "breached"


def test_a_lock_that_gave_way_is_told_although_enough_others_stood() -> None:
    weak = point("dump-2", age=timedelta(days=1))
    run = with_copy(tried(), weak, *tampering(weak)).swap(
        PointChecked, lambda body: body.model_copy(update={"found": None}) if body.point == weak else body
    )
    verdict = judge(run)
    assert verdict.value == "held"
    assert "is not there as it was" in verdict.summary


def test_a_scenario_may_not_ask_for_less_than_its_stack() -> None:
    from harness.scenario.models import Objectives
    from harness.scenario.tightening import loosened, tightened

    stack = Objectives.model_validate({"immutability": {"copies": 2, "for": "14d"}})
    for less in ({"copies": 1}, {"for": "7d"}, {"for": None}):
        scenario = Objectives.model_validate({"immutability": less})
        (finding,) = loosened(stack, scenario)
        assert finding.path[:2] == ("objectives", "immutability")
    more = Objectives.model_validate({"immutability": {"for": "30d"}})
    assert not list(loosened(stack, more))
    assert (
        tightened(stack, more).immutability
        == Objectives.model_validate({"immutability": {"copies": 2, "for": "30d"}}).immutability
    )
