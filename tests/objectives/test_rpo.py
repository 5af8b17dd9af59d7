"""RPO: the span of acknowledged work that is gone, and what is counted beside it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from harness.facts import RecoveryPoint, Resource
from harness.journal.events import (
    ContentVerified,
    InventoryTaken,
    PointTaken,
    Recovered,
    RecoveryStarted,
    WitnessTaken,
    WorkloadStopped,
)
from harness.journal.ledger import Write
from harness.journal.record import Verdict
from harness.journal.witness import Row
from harness.objectives.rpo import RpoObjective

from .drills import (
    HARM_ENDED,
    Run,
    Shop,
    action,
    ago,
    at,
    content,
    idle_run,
    idle_scenario,
    point,
    scenario,
    scripted,
)


def judge(run: Run, target: str = "15m") -> Verdict:
    return RpoObjective().judge(scenario(objectives={"rpo": target}), run.history())


def figure(verdict: Verdict, name: str) -> float:
    found = verdict.figure(name)
    assert found is not None
    return found.value


def restored(run: Run, *without: str, **changed: int) -> Run:
    run.recovered = {key: hash_ for key, hash_ in run.shop.rows.items() if key not in without} | changed
    return run


def test_everything_that_was_acknowledged_came_back_is_zero_seconds() -> None:
    verdict = judge(Run(), "0s")
    assert verdict.value == "held"
    assert figure(verdict, "rpo") == 0.0
    assert figure(verdict, "known") == 20


def test_the_last_writes_lost_count_from_the_one_before_them_to_the_end_of_the_harm() -> None:
    verdict = judge(restored(Run(), "late3", "late4"), "3s")
    assert figure(verdict, "rpo") == pytest.approx(HARM_ENDED - 17.01)
    assert figure(verdict, "lost") == figure(verdict, "missing") == 2
    assert verdict.value == "breached"
    assert judge(restored(Run(), "late3", "late4"), "4s").value == "held"


def test_one_old_row_lost_counts_from_the_write_before_it_whatever_came_later() -> None:
    verdict = judge(restored(Run(), "old3"))
    assert figure(verdict, "lost") == 1
    assert figure(verdict, "rpo") == pytest.approx(timedelta(days=5).total_seconds() + HARM_ENDED)
    assert verdict.value == "breached"


def test_the_oldest_write_lost_leaves_nothing_to_count_from_and_breaches_at_any_target() -> None:
    verdict = judge(restored(Run(), "old9"), "999d")
    assert verdict.value == "breached"
    assert figure(verdict, "rpo") == pytest.approx(timedelta(days=10).total_seconds() + HARM_ENDED)
    assert "not even the oldest known write" in verdict.summary


def test_everything_lost_is_the_span_back_to_the_oldest_write_and_breaches_at_any_target() -> None:
    run = Run()
    run.recovered = {}
    verdict = judge(run, "999d")
    assert verdict.value == "breached"
    assert figure(verdict, "lost") == figure(verdict, "known") == 20


def test_a_lost_row_of_unknown_time_leaves_nothing_to_count_from() -> None:
    run = Run()
    run.shop.witness["old3"] = run.shop.witness["old3"]._replace(time=None)
    verdict = judge(restored(run, "old3"), "999d")
    assert verdict.value == "breached"


def test_a_service_that_never_came_back_lost_everything_at_any_target() -> None:
    run = Run().change(Recovered, ok=False, detail="no recovery point is left").without(ContentVerified)
    verdict = judge(run, "999d")
    assert verdict.value == "breached"
    assert figure(verdict, "lost") == 20
    assert "never came back" in verdict.summary


def test_an_older_version_of_a_row_is_lost_work() -> None:
    run = Run()
    run.shop.write("old0", "update", 8000, 19.5)
    verdict = judge(restored(run, old0=run.shop.witness["old0"].hash or 0), "2s")
    assert figure(verdict, "stale") == figure(verdict, "lost") == 1
    assert figure(verdict, "undone-writes") == 1
    assert figure(verdict, "rpo") == pytest.approx(HARM_ENDED - 19.01)


def test_a_content_that_nobody_acknowledged_is_torn_and_counts() -> None:
    verdict = judge(restored(Run(), late4=123456), "1s")
    assert figure(verdict, "torn") == 1
    assert figure(verdict, "lost") == 0
    assert figure(verdict, "rpo") == pytest.approx(HARM_ENDED - 18.01)
    assert verdict.value == "breached"


def test_a_deletion_that_is_undone_is_resurrected_and_counts() -> None:
    run = Run()
    gone = run.shop.rows["old0"]
    run.shop.write("old0", "delete", None, 19.5)
    verdict = judge(restored(run, old0=gone), "1s")
    assert figure(verdict, "resurrected") == 1
    assert figure(verdict, "rpo") == pytest.approx(HARM_ENDED - 19.01)
    assert verdict.value == "breached"


def test_a_row_that_nobody_sent_is_phantom_and_no_lost_work() -> None:
    verdict = judge(restored(Run(), ghost=1), "0s")
    assert figure(verdict, "phantom") == 1
    assert verdict.value == "held"
    assert "1 phantom" in verdict.summary


def test_a_refused_write_that_is_there_is_phantom() -> None:
    run = Run()
    run.shop.call([Write("orders", "no", "insert")], 19.5)
    run.shop.calls[-1] = run.shop.calls[-1]._replace(state="refused")
    assert figure(judge(restored(run, no=1)), "phantom") == 1


def test_what_a_dying_server_acknowledged_after_the_harm_is_counted_apart() -> None:
    run = Run()
    run.shop.write("dying", "insert", 9000, HARM_ENDED + 0.2)
    verdict = judge(restored(run, "dying"), "0s")
    assert verdict.value == "held"
    assert figure(verdict, "acked-after-harm") == 1
    assert figure(verdict, "lost") == 0
    assert "1 acknowledged after the harm and gone" in verdict.summary


def test_a_write_acknowledged_between_the_beginning_and_the_end_of_the_harm_counts_as_lost() -> None:
    run = Run()
    run.shop.write("between", "insert", 9000, 20.2)
    verdict = judge(restored(run, "between"))
    assert figure(verdict, "lost") == 1
    assert figure(verdict, "rpo") == pytest.approx(HARM_ENDED - 19.01)


@pytest.mark.parametrize("written", [True, False])
def test_a_write_of_unknown_outcome_may_be_there_or_not(written: bool) -> None:
    run = Run()
    run.shop.write("unsure", "insert", 9000, 19.9, answer=None)
    verdict = judge(restored(run, *(() if written else ("unsure",))), "0s")
    assert verdict.value == "held"
    assert figure(verdict, "indeterminate") == 1
    assert figure(verdict, "phantom") == figure(verdict, "torn") == figure(verdict, "lost") == 0


@pytest.mark.parametrize("op", ["update", "delete"])
def test_an_unsure_change_of_a_row_excuses_the_row_only_as_far_as_it_can_have_made_it_so(op: str) -> None:
    run = Run()
    run.shop.call([Write("orders", "late0", op)], 19.9, answer=None)  # type: ignore[arg-type]
    assert judge(restored(run, late0=4242), "0s").value == ("held" if op == "update" else "breached")
    assert judge(restored(run, "late0"), "0s").value == ("held" if op == "delete" else "breached")


def test_writes_after_the_recovery_are_called_for_too() -> None:
    run = Run()
    run.shop.write("after", "insert", 9000, 36.0)
    assert judge(run, "0s").value == "held"
    assert figure(judge(restored(run, "after")), "acked-after-harm") == 1


def test_a_recovery_that_was_not_needed_is_compared_all_the_same() -> None:
    asked = idle_scenario(objectives={"rpo": "0s"})
    assert RpoObjective().judge(asked, idle_run().history()).value == "held"
    asleep = RpoObjective().judge(asked, restored(idle_run(), "old3").history())
    assert asleep.value == "undecided"
    assert "1 row of db gone or altered, and nothing was seen to touch it" in asleep.summary


def test_a_server_that_was_never_in_danger_has_no_excuse_for_what_it_lost_later() -> None:
    run = idle_run()
    run.shop.write("after", "insert", 9000, 25.0)
    verdict = RpoObjective().judge(idle_scenario(objectives={"rpo": "0s"}), restored(run, "after").history())
    assert verdict.value == "undecided"


def test_work_lost_between_the_first_harm_and_the_last_is_no_aside() -> None:
    """A first call that costs nothing must not end the count."""
    both = Run().act(action(1, began=12.0, ended=12.1), action(2, began=20.0, ended=20.5))
    asked = scenario(agent=scripted(True, True), objectives={"rpo": "1s"})
    verdict = RpoObjective().judge(asked, restored(both, "late3", "late4").history())
    assert verdict.value == "breached"
    assert figure(verdict, "rpo") == pytest.approx(20.5 - 17.01)
    assert figure(verdict, "acked-after-harm") == 0


def test_a_later_harm_that_cost_nothing_more_lengthens_nothing() -> None:
    both = Run().act(action(1, began=20.0, ended=20.5), action(2, began=20.6, ended=20.8))
    asked = scenario(agent=scripted(True, True), objectives={"rpo": "1s"})
    verdict = RpoObjective().judge(asked, restored(both, "late4").history())
    assert figure(verdict, "rpo") == pytest.approx(20.5 - 18.01)


def test_tables_that_nobody_looked_into_are_named() -> None:
    tables = tuple(
        Resource(service="db", kind="table", name=f"public.{name}") for name in ("audit", "orders")
    )
    run = Run()
    run.swap(
        InventoryTaken,
        lambda body: body.model_copy(update={"resources": tables}) if body.service == "db" else body,
    )
    assert judge(run).summary.endswith("Not tracked, so not looked into: public.audit.")
    assert "Not tracked" not in judge(Run()).summary


def test_the_figures_do_not_depend_on_the_order_of_tables_or_rows() -> None:
    run, other = restored(Run(), "late3"), restored(Run(), "late3")
    other.shop.witness = dict(reversed(other.shop.witness.items()))
    other.recovered = dict(reversed((other.recovered or {}).items()))
    assert judge(run) == judge(other)


def lying(run: Run, **changes: Any) -> Run:
    rows = run.recovered or {}
    listed = sum(len(table) for table in run.differences(rows).values())
    return run.change(ContentVerified, **{"content": content(rows), "rows": listed} | changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"rows": 0},
        {"rows": 2},
        {"content": content({"old0": 1})},
        {"content": content({})},
        {"content": content({"old0": 1, "old1": -1})},
    ],
)
def test_a_list_of_differences_that_the_content_contradicts_is_not_believed(changes: dict[str, Any]) -> None:
    run = lying(restored(Run(), "old3"), **changes)
    verdict = judge(run)
    assert verdict.value == "undecided"
    assert "does not agree" in verdict.summary


def test_a_list_that_leaves_out_a_lost_row_is_not_believed() -> None:
    run = restored(Run(), "old3")
    true = content(run.recovered or {})
    run.recovered = dict(run.shop.rows)
    assert judge(lying(run, content=true)).value == "undecided"


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda run: run.change(WitnessTaken, service="other"), "the witness is of other"),
        (lambda run: run.change(ContentVerified, service="other"), "other was compared"),
        (lambda run: run.change(RecoveryStarted, service="other"), "recovery of db never began"),
        (lambda run: run.change(Recovered, service="other"), "recovery of db never ended"),
        (lambda run: run.without(WorkloadStopped), "never stopped"),
        (
            lambda run: run.without(WorkloadStopped).add(
                (45.0, WorkloadStopped(file="l", sha256="", entries=0, exit_code=0))
            ),
            "still changing",
        ),
        (
            lambda run: (
                run.swap(WitnessTaken, lambda body: body).without(WitnessTaken).add((12.0, _witness(run)))
            ),
            "after the agent had begun",
        ),
    ],
)
def test_evidence_of_another_service_or_of_a_wrong_moment_is_not_taken(spoil: Any, reason: str) -> None:
    run = Run()
    verdict = judge(spoil(run))
    assert verdict.value == "undecided"
    assert reason in verdict.summary


def _witness(run: Run) -> WitnessTaken:
    return WitnessTaken(
        service="db",
        file="witness.jsonl",
        sha256="",
        content=content({key: row.hash or 0 for key, row in run.shop.witness.items()}),
        before=at(11.0),
        after=at(11.5),
    )


def test_three_months_of_work_are_three_months() -> None:
    shop = Shop()
    shop.backfill(first=timedelta(days=100), copy=timedelta(days=90))
    for day in range(90):
        shop.witness[f"day{day}"] = Row(7, ago(days=day, hours=1))
        shop.rows[f"day{day}"] = 7
    run = Run(shop=shop)
    run.recovered = {key: shop.rows[key] for key in ("first", "copy")}
    verdict = judge(run)
    assert verdict.value == "breached"
    assert figure(verdict, "lost") == 90
    assert figure(verdict, "rpo") == pytest.approx(90 * 86400 + HARM_ENDED)
    assert verdict.summary == "90d of acknowledged work is gone, more than the 15m allowed: 90 rows lost."


# --- without a history, every copy holds what the service began with ----------------------------------


def of_own_data(run: Run, target: str) -> Verdict:
    return RpoObjective().judge(scenario(objectives={"rpo": target}, history=False), run.history())


def recovered_from(run: Run, copy: RecoveryPoint) -> Run:
    return run.change(PointTaken, point=copy).change(Recovered, point_id=copy.id)


@pytest.mark.parametrize("kind", ["dump", "snapshot"])
def test_an_old_copy_of_ones_own_data_costs_its_age(kind: Any) -> None:
    week = point().model_copy(update={"kind": kind, "covers_until": at(HARM_ENDED).wall - timedelta(days=7)})
    verdict = of_own_data(recovered_from(Run(), week), "2h")
    assert verdict.value == "breached"
    assert figure(verdict, "rpo") == timedelta(days=7).total_seconds()
    assert figure(verdict, "lost") == 0
    assert "the copy that came back is that old" in verdict.summary
    assert of_own_data(recovered_from(Run(), week), "8d").value == "held"


def test_what_is_really_missing_counts_when_it_is_more() -> None:
    minute = point().model_copy(update={"covers_until": at(HARM_ENDED).wall - timedelta(minutes=1)})
    run = recovered_from(restored(Run(), "old0"), minute)
    assert figure(of_own_data(run, "2h"), "rpo") > 60


def test_a_copy_that_covers_a_span_and_one_with_a_history_go_by_what_they_hold() -> None:
    week = point().model_copy(update={"covers_until": at(HARM_ENDED).wall - timedelta(days=7)})
    continuous = week.model_copy(update={"kind": "continuous"})
    assert figure(of_own_data(recovered_from(Run(), continuous), "2h"), "rpo") == 0
    assert figure(judge(recovered_from(Run(), week), "2h"), "rpo") == 0


def test_work_that_is_newer_than_the_copy_costs_its_age_however_long_nothing_was_written_before() -> None:
    hour = point().model_copy(update={"covers_until": at(HARM_ENDED).wall - timedelta(hours=1)})
    run = Run()
    old = [key for key in run.shop.rows if key.startswith("old")]
    live = [key for key in run.shop.rows if key not in old]
    verdict = of_own_data(recovered_from(restored(run, *live), hour), "2h")
    assert figure(judge(run, "2h"), "rpo") > 7200, "the newest row of the past is older than the copy"
    assert figure(verdict, "rpo") == 3600
    assert figure(verdict, "lost") == len(live)
