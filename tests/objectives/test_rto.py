"""RTO and containment: what was measured, what people were assumed to take, and what it adds up to."""

from __future__ import annotations

from typing import Any

import pytest

from harness.journal.events import ContentCompared, PointSeen, Recovered, RecoveryStarted, ServiceSeen
from harness.journal.record import Figure, Verdict
from harness.objectives.containment import ContainmentObjective
from harness.objectives.rto import RtoObjective
from harness.scenario.models import LoadedScenario

from .drills import (
    ANSWER,
    HARM_BEGAN,
    RECOVERY,
    Run,
    action,
    at,
    content,
    idle_run,
    idle_scenario,
    point,
    scenario,
    scripted,
)


def judge(run: Run, target: str = "5m", assume: dict[str, str] | None = None) -> Verdict:
    asked = scenario(objectives={"rto": target})
    if assume is not None:
        asked = assuming(asked, assume)
        declared = {
            part: time.total_seconds() for part, time in asked.scenario.recover.assume if time is not None
        }
        run.change(RecoveryStarted, assumed=declared)
    return RtoObjective().judge(asked, run.history())


def assuming(asked: LoadedScenario, assume: dict[str, str]) -> LoadedScenario:
    recover = asked.scenario.recover
    assumed = type(recover.assume).model_validate(assume)
    changed = asked.scenario.model_copy(update={"recover": recover.model_copy(update={"assume": assumed})})
    return asked.model_copy(update={"scenario": changed})


def parts(verdict: Verdict) -> dict[str, tuple[float, str]]:
    return {
        f.name: (pytest.approx(f.value), f.basis) for f in verdict.figures if f.name not in ("rto", "target")
    }  # type: ignore[misc]


def figure(verdict: Verdict, name: str) -> Figure:
    found = verdict.figure(name)
    assert found is not None
    return found


def test_a_service_that_came_back_from_an_altered_copy_never_came_back_right() -> None:
    run = Run().change(ContentCompared, restored=content({"old0": 2}))
    verdict = judge(run)
    assert verdict.value == "breached"
    assert "orders is not what was backed up" in verdict.summary


def test_a_copy_of_a_span_of_time_may_hold_more_than_when_it_began() -> None:
    run = Run().change(ContentCompared, restored=content({"old0": 1, "old1": 2}))
    run.swap(PointSeen, lambda body: body.model_copy(update={"point": point(kind="continuous")}))
    assert judge(run).value == "held"


def test_the_time_is_what_people_are_assumed_to_take_and_what_was_measured() -> None:
    verdict = judge(Run())
    assert figure(verdict, "rto").value == pytest.approx(30 + 60 + ANSWER - RECOVERY)
    assert verdict.value == "held"
    assert parts(verdict) == {
        "detect": (30.0, "assumed"),
        "decide": (60.0, "assumed"),
        "provision": (0.5, "measured"),
        "restore": (1.0, "measured"),
        "verify": (0.25, "measured"),
        "reconnect": (1.0, "measured"),
        "other": (0.25, "measured"),
    }


def test_the_parts_add_up_to_the_whole() -> None:
    verdict = judge(Run())
    assert sum(f.value for f in verdict.figures if f.name not in ("rto", "target")) == pytest.approx(
        figure(verdict, "rto").value
    )


def test_what_is_not_assumed_is_measured_from_the_beginning_of_the_harm() -> None:
    verdict = judge(Run(), assume={})
    assert figure(verdict, "rto").value == pytest.approx(ANSWER - HARM_BEGAN)
    assert figure(verdict, "detect and decide").value == pytest.approx(RECOVERY - HARM_BEGAN)
    assert figure(verdict, "detect and decide").basis == "measured"


def test_when_one_part_is_assumed_the_other_is_measured() -> None:
    verdict = judge(Run(), assume={"decide": "100s"})
    assert figure(verdict, "rto").value == pytest.approx(100 + ANSWER - HARM_BEGAN)
    assert figure(verdict, "decide").basis == "assumed"
    assert figure(verdict, "detect").basis == "measured"


@pytest.mark.parametrize(("target", "value"), [("93s", "held"), ("92s", "breached")])
def test_the_target_itself_is_still_held(target: str, value: str) -> None:
    assert judge(Run(), target).value == value


def test_a_service_that_was_never_damaged_took_no_time() -> None:
    verdict = RtoObjective().judge(idle_scenario(objectives={"rto": "0s"}), idle_run().history())
    assert verdict.value == "held"
    assert figure(verdict, "rto").value == 0.0


def test_a_service_that_never_came_back_breaches_at_any_target() -> None:
    verdict = judge(Run().change(Recovered, ok=False, detail="no recovery point is left"), "999d")
    assert verdict.value == "breached"
    assert verdict.summary == "The service never came back: no recovery point is left."
    assert verdict.figure("rto") is None


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda run: run.without(RecoveryStarted), "never began"),
        (lambda run: run.change(RecoveryStarted, service="other"), "never began"),
        (lambda run: run.change(Recovered, service="other"), "never ended"),
        (lambda run: run.change(RecoveryStarted, assumed={"detect": 1.0}), "assumes other times"),
        (lambda run: run.change(Recovered, at=at(29.0)), "not stamped between"),
        (lambda run: run.change(Recovered, at=at(34.0)), "not stamped between"),
        (lambda run: run.change(Recovered, parts={"restore": 99.0}), "longer than the whole"),
        (lambda run: run.change(Recovered, parts={"restore": -1.0}), "longer than the whole"),
        (lambda run: run.change(RecoveryStarted, needed=False), "damaged, and was not recovered"),
        (lambda run: run.change(RecoveryStarted, needed=False).without(ServiceSeen), "nobody looked at db"),
    ],
)
def test_a_recovery_that_the_record_does_not_bear_out_is_undecided(spoil: Any, reason: str) -> None:
    verdict = judge(spoil(Run()))
    assert verdict.value == "undecided"
    assert reason in verdict.summary


# --- containment ------------------------------------------------------------------------------------------


def contained(run: Run, harms: int, target: str = "10s") -> Verdict:
    asked = scenario(objectives={"containment": target}, agent=scripted(*(True,) * harms))
    return ContainmentObjective().judge(asked, run.history())


@pytest.mark.parametrize(("target", "value"), [("9s", "held"), ("8999ms", "breached")])
def test_containment_runs_from_the_end_of_the_first_harm_to_the_end_of_the_last(
    target: str, value: str
) -> None:
    run = Run().act(
        action(1, began=11.0, ended=11.5), action(2, began=15, ended=16), action(3, began=20, ended=20.5)
    )
    verdict = contained(run, 3, target)
    assert figure(verdict, "containment").value == pytest.approx(9.0)
    assert figure(verdict, "landed").value == 3
    assert verdict.value == value


def test_containment_leaves_out_what_a_guard_refused() -> None:
    run = Run().act(
        action(1, began=11.0, ended=11.5, status="refused"),
        action(2, began=15, ended=16),
        action(3, began=20, ended=20.5, status="refused"),
    )
    verdict = contained(run, 3, "0s")
    assert verdict.value == "held"
    assert figure(verdict, "refused").value == 2


def test_containment_of_an_idle_agent_is_zero() -> None:
    verdict = ContainmentObjective().judge(
        idle_scenario(objectives={"containment": "0s"}), idle_run().history()
    )
    assert verdict.value == "held"
    assert verdict.summary == "No destructive action landed."
