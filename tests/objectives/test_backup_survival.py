"""Backup survival: a copy counts when it is there, restores, holds what it must, and is not too old."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from harness.clock import Stamp
from harness.facts import Fingerprint, RecoveryPoint, TableFingerprint
from harness.journal.events import (
    AgentEnded,
    ContentCompared,
    PointMissing,
    PointSeen,
    PointTaken,
    Recovered,
    RestoreTried,
)
from harness.journal.history import EPOCH
from harness.journal.record import Verdict
from harness.objectives.backup_survival import BackupSurvivalObjective
from harness.objectives.bounds import newest_certain, row_bounds
from harness.objectives.losses import Axis, differences

from .drills import (
    HARM_BEGAN,
    HARM_ENDED,
    Event,
    Run,
    ago,
    at,
    content,
    idle_run,
    idle_scenario,
    point,
    scenario,
)
from .storms import STORMS, Drop, Storm
from .storms import differences as listed

KEPT = content({"old0": 1})
OTHER = content({"old0": 2})


def judge(run: Run, copies: int = 1, max_age: str | None = None) -> Verdict:
    asked = {"backup-survival": {"copies": copies} | ({"max_age": max_age} if max_age else {})}
    return BackupSurvivalObjective().judge(scenario(objectives=asked), run.history())


def count(verdict: Verdict, name: str) -> int:
    figure = verdict.figure(name)
    assert figure is not None
    return int(figure.value)


def bare() -> Run:
    """A run without any recovery point."""
    return (
        Run()
        .without(PointTaken, PointSeen, PointMissing, RestoreTried, ContentCompared)
        .change(Recovered, point_id=None)
    )


def copy(
    made: RecoveryPoint, *, kept: Fingerprint | None = KEPT, restored: Fingerprint = KEPT
) -> list[Event]:
    """A point that survives, restores for a proof, and is compared."""
    return [
        (0.6, PointTaken(point=made, content=kept, seconds=0.1)),
        (24.5, PointSeen(point=made)),
        (45.0, RestoreTried(point_id=made.id, purpose="proof", ok=True)),
        (46.0, ContentCompared(point_id=made.id, taken=kept, restored=restored, newest=made.taken)),
    ]


def lost(made: RecoveryPoint) -> list[Event]:
    return [(0.6, PointTaken(point=made, content=KEPT, seconds=0.1)), (24.5, PointMissing(point_id=made.id))]


def test_copies_are_counted_by_what_became_of_them() -> None:
    run = bare().add(*copy(point("a")), *copy(point("b")), *lost(point("c", shares_fate=True)))
    verdict = judge(run, copies=2)
    assert verdict.value == "held"
    assert [
        count(verdict, name) for name in ("sufficient", "surviving", "existed", "lost", "sharing-fate")
    ] == [
        2,
        2,
        3,
        1,
        1,
    ]
    assert judge(run, copies=3).value == "breached"


def test_all_copies_gone_is_a_breach() -> None:
    verdict = judge(bare().add(*lost(point("a")), *lost(point("b"))))
    assert verdict.value == "breached"
    assert verdict.summary == "0 sufficient copies left of 2, 1 asked for."


def test_copies_of_another_service_do_not_count() -> None:
    assert judge(bare().add(*copy(point("a", service="other-db")))).value == "undecided"
    assert judge(bare().add(*copy(point("a", service="other-db")), *lost(point("b")))).value == "breached"


def test_a_copy_that_holds_something_else_than_when_it_was_taken_does_not_count() -> None:
    verdict = judge(bare().add(*copy(point("a"), restored=OTHER)))
    assert verdict.value == "breached"
    assert count(verdict, "different") == 1
    assert "orders is not what it was when it was taken" in verdict.summary


@pytest.mark.parametrize("extra", ["orders", "people"])
def test_a_copy_that_lost_or_gained_a_table_does_not_count(extra: str) -> None:
    more = Fingerprint(tables=(*KEPT.tables, TableFingerprint(table="zebras", rows=1, digest="1-0")))
    assert judge(bare().add(*copy(point("a"), restored=more))).value == "breached"
    assert judge(bare().add(*copy(point("a"), kept=more))).value == "breached"


def test_what_the_source_held_is_read_from_the_line_of_the_taking() -> None:
    run = bare().add(*copy(point("a"), restored=OTHER)).change(ContentCompared, taken=OTHER)
    assert judge(run).value == "breached"


def test_without_a_record_of_what_it_held_a_copy_is_unproven() -> None:
    verdict = judge(bare().add(*copy(point("a"), kept=None)))
    assert verdict.value == "undecided"
    assert "what its source held is not on record" in verdict.summary


def test_a_copy_whose_tracked_table_nobody_looked_at_is_unproven() -> None:
    elsewhere = Fingerprint(tables=(TableFingerprint(table="people", rows=1, digest="1-0"),))
    nothing = Fingerprint(tables=())
    assert judge(bare().add(*copy(point("a"), kept=elsewhere, restored=elsewhere))).value == "undecided"
    assert judge(bare().add(*copy(point("a"), kept=nothing, restored=nothing))).value == "undecided"


def test_a_copy_without_one_row_brings_nothing_back() -> None:
    empty = Fingerprint(tables=(TableFingerprint(table="orders", rows=0, digest="0-0"),))
    verdict = judge(bare().add(*copy(point("a"), kept=empty, restored=empty)))
    assert verdict.value == "breached"
    assert "holds not one row" in verdict.summary
    assert (count(verdict, "empty"), count(verdict, "different")) == (1, 0), "it is what it was"
    emptied = judge(bare().add(*copy(point("a"), restored=empty)))
    assert (count(emptied, "empty"), count(emptied, "different")) == (0, 1)


@pytest.mark.parametrize(("missing", "value"), [((), "held"), (("old3", "early2"), "breached")])
def test_a_copy_of_what_the_harm_has_left_does_not_count(missing: tuple[str, ...], value: str) -> None:
    made, held = point("a"), content(all_rows(*missing))
    seen = copy(made, kept=held, restored=held)[1:]
    verdict = judge(bare().add((22.0, PointTaken(point=made, content=held, seconds=0.1)), *seen))
    assert verdict.value == value
    assert ("was taken after the harm" in verdict.summary) == bool(missing)


def test_a_copy_that_was_taken_before_the_harm_need_only_be_what_its_source_was() -> None:
    assert judge(bare().add(*copy(point("a")))).value == "held"


def test_a_copy_that_failed_to_restore_once_does_not_count() -> None:
    run = bare().add(
        *copy(point("a")), (31.0, RestoreTried(point_id="a", purpose="recovery", ok=False, detail="cut"))
    )
    verdict = judge(run)
    assert verdict.value == "breached"
    assert count(verdict, "broken") == 1
    assert "dumps of 2025-12-31 18:00 does not restore: cut" in verdict.summary


def test_a_restore_before_the_agent_was_done_proves_nothing() -> None:
    run = bare().add(*copy(point("a"))).without(RestoreTried)
    run.add((5.0, RestoreTried(point_id="a", purpose="proof", ok=True)))
    assert judge(run).value == "undecided"


def test_a_point_seen_before_the_agent_was_done_has_not_survived() -> None:
    run = bare().add(*copy(point("a"))).without(PointSeen).add((5.0, PointSeen(point=point("a"))))
    assert judge(run).value == "undecided"


@pytest.mark.parametrize(("hours", "value"), [(5.9, "held"), (6.1, "breached")])
def test_a_copy_older_than_allowed_at_the_harm_does_not_count(hours: float, value: str) -> None:
    aged = point("a", age=timedelta(hours=hours, seconds=-HARM_ENDED))
    assert judge(bare().add(*copy(aged)), max_age="6h").value == value


@pytest.mark.parametrize(
    ("days", "locked", "value"),
    [
        (1, None, "breached"),
        (29, None, "breached"),
        (31, None, "held"),
        (1, 40, "held"),
        (1, 15, "breached"),
        (1, -1, "breached"),
    ],
)
def test_a_copy_that_is_set_to_be_deleted_soon_does_not_count_unless_it_is_locked_for_longer(
    days: int, locked: int | None, value: str
) -> None:
    harm = EPOCH.wall + timedelta(seconds=HARM_ENDED)
    doomed = point(
        "a",
        doomed_at=harm + timedelta(days=days),
        locked_until=harm + timedelta(days=locked) if locked else None,
    )
    verdict = judge(bare().add(*copy(doomed)))
    assert verdict.value == value
    assert count(verdict, "doomed") == (value == "breached")


def test_age_runs_to_the_end_of_the_agent_when_nothing_landed() -> None:
    run = idle_run()
    asked = {"backup-survival": {"copies": 1, "max_age": "21600s"}}
    ended = next(
        event[0] for event in run.events if isinstance(event, tuple) and isinstance(event[1], AgentEnded)
    )
    for age, value in ((21_600 - ended, "held"), (21_600 - ended + 1, "breached")):
        made = point("a", age=timedelta(seconds=age))
        history = (
            idle_run()
            .without(PointTaken, PointSeen, RestoreTried, ContentCompared)
            .add(*copy(made))
            .history()
        )
        assert BackupSurvivalObjective().judge(idle_scenario(objectives=asked), history).value == value


def test_unproven_copies_leave_it_undecided_only_when_they_could_make_up_the_number() -> None:
    unproven = [
        (0.6, PointTaken(point=point("b"), content=KEPT, seconds=0.1)),
        (24.5, PointSeen(point=point("b"))),
    ]
    run = bare().add(*copy(point("a")), *unproven)
    assert judge(run, copies=1).value == "held"
    assert judge(run, copies=2).value == "undecided"
    assert judge(run, copies=3).value == "breached"


def test_a_point_of_which_nobody_said_what_became_of_it_may_still_be_there() -> None:
    run = bare().add(*copy(point("a")), (0.6, PointTaken(point=point("b"), content=KEPT, seconds=0.1)))
    assert judge(run, copies=1).value == "held"
    verdict = judge(run, copies=2)
    assert verdict.value == "undecided"
    assert "nobody looked whether b is still there" in verdict.summary


# --- copies that cover a span -----------------------------------------------------------------------------


def spanning(kind: str = "continuous", covers_until: float = HARM_BEGAN, **changes: Any) -> RecoveryPoint:
    return point(
        "pitr",
        kind=kind,
        protection="offsite" if kind == "continuous" else "volume",
        taken=ago(days=7),
        covers_until=at(covers_until).wall,
        **changes,
    )


def spanned(rows: dict[str, int], made: RecoveryPoint | None = None, **compared: Any) -> Run:
    """A run whose only copy covers a span and came back with these rows, for a proof."""
    made = made or spanning()
    newest = compared.pop("newest", at(19.0).wall)
    restored = content(rows)
    return bare().add(
        (0.6, PointTaken(point=made, content=KEPT, seconds=0.1)),
        (24.5, PointSeen(point=made)),
        (45.0, RestoreTried(point_id=made.id, purpose="proof", ok=True)),
        (46.0, ContentCompared(point_id=made.id, taken=KEPT, restored=restored, newest=newest, **compared)),
    )


def all_rows(*without: str, **changed: int) -> dict[str, int]:
    rows = Run().shop.rows
    return {key: hash_ for key, hash_ in rows.items() if key not in without} | changed


@pytest.mark.parametrize("kind", ["continuous", "undo"])
def test_a_copy_of_a_span_counts_when_it_holds_all_that_was_acknowledged(kind: str) -> None:
    verdict = judge(spanned(all_rows(), spanning(kind)))
    assert verdict.value == "held"
    assert count(verdict, "compared-by-counts") == 1


def test_what_was_acknowledged_just_before_its_end_need_not_be_shipped_yet() -> None:
    assert judge(spanned(all_rows("late4"), newest=at(18.0).wall)).value == "held"


@pytest.mark.parametrize("row", ["old3", "early2", "late0"])
def test_a_copy_of_a_span_that_lacks_an_older_row_does_not_count(row: str) -> None:
    verdict = judge(spanned(all_rows(row, "late3", "late4")))
    assert verdict.value == "breached"
    assert "holds 17 rows of orders, and 18 to 20 were there" in verdict.summary


def test_a_copy_of_a_span_with_rows_that_cannot_have_been_there_does_not_count() -> None:
    assert judge(spanned(all_rows(ghost=1))).value == "breached"


def test_a_copy_of_a_span_that_ends_too_early_does_not_count() -> None:
    verdict = judge(spanned(all_rows(), newest=at(3.0).wall))
    assert verdict.value == "breached"
    assert "writes were acknowledged until" in verdict.summary
    assert judge(spanned(all_rows(), newest=None)).value == "breached"


def test_a_copy_is_not_held_to_what_came_after_the_harm() -> None:
    late = spanning(covers_until=25.0)
    run = spanned(all_rows("late4"), late, newest=at(18.0).wall)
    run.shop.write("dying", "insert", 1, HARM_ENDED + 1)
    assert judge(run).value == "held"


def proof(rows: dict[str, int], **row_changes: int) -> Run:
    """As ``spanned``, with the list of differing rows beside the comparison."""
    run = spanned(rows, file="proof-1.jsonl")
    run.files["proof-1.jsonl"] = run.differences(rows)
    return run


def test_row_by_row_a_copy_of_a_span_counts_up_to_the_tolerance() -> None:
    verdict = judge(proof(all_rows("late4")))
    assert verdict.value == "held"
    assert count(verdict, "compared-by-counts") == 0


def test_row_by_row_a_torn_row_is_seen_that_counts_do_not_show() -> None:
    torn = all_rows(old3=31337)
    assert judge(spanned(torn)).value == "held"
    verdict = judge(proof(torn))
    assert verdict.value == "breached"
    assert "lacks 1 earlier write" in verdict.summary


def test_counts_prove_nothing_of_a_table_that_tells_no_time() -> None:
    """How many of its rows were there at an instant is not known, so that an emptied table would pass."""

    def told(run: Run) -> Verdict:
        run.shop.witness = {key: row._replace(time=None) for key, row in run.shop.witness.items()}
        asked = scenario(objectives={"backup-survival": {"copies": 1}}, time=None)
        return BackupSurvivalObjective().judge(asked, run.history())

    counted = told(spanned(all_rows(), newest=None))
    assert counted.value == "undecided"
    assert "rows of orders were counted only, which tell no time" in counted.summary
    assert told(proof(all_rows())).value == "held"
    assert told(proof(all_rows("old3"))).value == "breached"


def test_a_copy_that_the_recovery_was_made_from_is_judged_row_by_row_by_what_came_back() -> None:
    made = spanning()
    for rows, value in ((all_rows("late4"), "held"), (all_rows("late0", "late4"), "breached")):
        run = spanned(rows, made).change(Recovered, point_id=made.id)
        run.recovered = rows
        verdict = judge(run)
        assert verdict.value == value
    lying = spanned(all_rows(), made).change(Recovered, point_id=made.id)
    lying.recovered = all_rows("late0")
    assert judge(lying).value == "breached", "the recovery tells more than a comparison by counts"


AXIS = Axis(at(100.0))
LATE_DELETION = Storm(
    [
        Drop("b", "insert", 0.0, 0.35, 0.01, True, True),
        Drop("b", "update", 1.4, 1.15, 0.01, True, True),
        Drop("b", "delete", 0.0, 0.05, 1.1, True, True),
    ],
    (0.0, 0.0, 0.0),
    ("a", "b"),
)
"""The deletion came first and was acknowledged after the insertion."""
SEEN_UPDATE = Storm(
    [
        Drop("b", "insert", 0.0, 0.05, 0.01, True, True),
        Drop("b", "update", 0.0, 0.05, 0.01, True, False),
        Drop("b", "update", 0.3, 1.15, 0.01, True, True),
    ],
    (0.0, 0.1, 0.1),
    (),
)
"""The witness saw an update that was never answered; nobody knows whether the insertion came before."""


@settings(max_examples=200, deadline=None)
@example(LATE_DELETION, 1.2)
@example(SEEN_UPDATE, 0.1)
@given(STORMS, st.integers(0, 70).map(lambda tenths: tenths / 10))
def test_a_true_copy_of_a_span_is_never_refused_however_calls_overlap(storm: Storm, until: float) -> None:
    shipped = until + 1.3
    rows = storm.rows_at(shipped)
    instant = at(until).wall
    least, most = row_bounds(storm.expected, "orders", instant, AXIS)
    assert least <= len(rows) <= most
    newest = newest_certain(storm.expected, instant, AXIS)
    if newest is not None:
        assert max(at(storm.sent[hash_]).wall for hash_ in rows.values()) >= newest
    gone = [
        change.at
        for difference in differences(storm.expected, listed(storm.expected, rows), AXIS)
        for change in difference.undone
        if change.sure
    ]
    assert all(moment is not None and moment > instant for moment in gone)


def test_the_bounds_of_a_table_that_nobody_writes_to_are_its_rows() -> None:
    still = Storm([], (1.0, 2.0, 3.0), ("a", "b"))
    assert row_bounds(still.expected, "orders", at(3.0).wall, AXIS) == (2, 2)
    assert newest_certain(still.expected, at(3.0).wall, AXIS) == at(-86_400.0).wall


def test_the_axis_puts_the_ledger_on_the_wall_clock() -> None:
    anchor = Stamp(mono=50.0, wall=EPOCH.wall)
    assert Axis(anchor).wall(47.5) == EPOCH.wall - timedelta(seconds=2.5)
