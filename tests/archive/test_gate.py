"""``decide``: each rule sees what the history shows, says where, and never passes for want of evidence."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from harness.archive.file import FILE, opened_file
from harness.archive.gate import Check, Decision, decide
from harness.archive.kept import Kept
from harness.archive.policy import Policy, read_policy
from harness.archive.words import decision_markdown, decision_text
from harness.errors import ScenarioError
from tests.archive.runs import NOW, SHOP, kept, verdict


@cache
def empty_history() -> bytes:
    """The file of a history without a run, since making its tables takes longer than a test."""
    with TemporaryDirectory() as folder:
        with opened_file(Path(folder)):
            pass
        return (Path(folder) / FILE).read_bytes()


def decided(asked: Policy, runs: Iterable[Kept], problem: str | None = None) -> Decision:
    """What comes of a policy when the history has these runs."""
    with TemporaryDirectory() as folder:
        (Path(folder) / FILE).write_bytes(empty_history())
        with opened_file(Path(folder)) as archive:
            archive.keep(runs)
            return decide(asked, archive, NOW, problem)


def policy(text: str) -> Policy:
    return Policy.model_validate_json(json.dumps(yaml.safe_load(text)))


REQUIRED = policy(f"required: [{{scenario: {SHOP}, every: 7d}}]")
HOLD = policy(f"required: [{{scenario: {SHOP}, every: 7d, must: hold}}]")
RESTORES = policy("restore-cadence: [{every: 30d}]")
CONTROL = policy("frameworks: [{framework: soc2, every: 90d, controls: [A1.3]}]")
WHOLE = policy("frameworks: [{framework: soc2, every: 90d}]")
RETESTS = policy("retests: [{within: 14d, over: 90d}]")
GROWTH = policy(f"regressions: [{{scenario: {SHOP}, objective: rto, may-grow: 20%, last: 10}}]")
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


def only(asked: Policy, *runs: Kept) -> Check:
    (check,) = decided(asked, runs).checks
    return check


def series(newest: float, *before: float, **changes: str) -> list[Kept]:
    """Runs with such recovery times, the newest first."""
    return [
        kept(n, verdict(rto=seconds), age=DAY * n, **(changes if n else {}))
        for n, seconds in enumerate((newest, *before))
    ]


class TestRequired:
    def test_a_recent_run_as_expected_holds(self) -> None:
        check = only(REQUIRED, kept(1, age=6 * DAY))
        assert (check.value, check.runs, check.do) == ("held", ("run-1",), "")

    @pytest.mark.parametrize(
        "runs", [[], [kept(1, age=8 * DAY)], [kept(1, ended=False)], [kept(1, supposed=True)]]
    )
    def test_none_an_old_one_and_one_that_did_not_end_breach(self, runs: list[Kept]) -> None:
        check = only(REQUIRED, *runs)
        assert check.value == "breached"
        assert SHOP in check.do

    @pytest.mark.parametrize("value", ["breached", "undecided"])
    def test_a_surprise_is_what_the_verdict_is(self, value: str) -> None:
        check = only(REQUIRED, kept(2, verdict("rto", value)), kept(1, age=DAY))
        assert check.value == value
        assert "rto" in check.saw

    def test_an_expected_breach_is_as_expected_but_does_not_hold(self) -> None:
        run = kept(1, verdict("rto", "breached").model_copy(update={"expected": "breached"}))
        assert (only(REQUIRED, run).value, only(HOLD, run).value) == ("held", "breached")

    def test_a_run_whose_record_cannot_be_trusted_decides_nothing(self) -> None:
        assert only(REQUIRED, kept(1, problem="a line was changed")).value == "undecided"

    def test_a_run_that_a_wrong_clock_has_dated_ahead_is_not_recent_for_ever(self) -> None:
        assert only(REQUIRED, kept(2, age=-DAY), kept(1, age=8 * DAY)).value == "breached"
        assert only(REQUIRED, kept(1, age=-HOUR / 2)).value == "held"

    def test_other_scenarios_are_not_counted(self) -> None:
        assert only(REQUIRED, kept(1, scenario="shop/other")).value == "breached"


class TestRestoreCadence:
    def test_a_copy_that_was_restored_in_time_holds(self) -> None:
        run = kept(1, verdict("backup-survival", "held", sufficient=1.0, broken=0.0), age=29 * DAY)
        assert only(RESTORES, kept(2), run).value == "held"

    @pytest.mark.parametrize("age", [31, 1])
    def test_an_old_restore_and_one_that_failed_breach(self, age: int) -> None:
        copies = {"sufficient": 1.0, "broken": float(age == 1)}
        run = kept(1, verdict("backup-survival", "held", **copies), age=age * DAY)
        assert only(RESTORES, run).value == "breached"

    def test_without_any_it_is_breached(self) -> None:
        assert only(RESTORES, kept(1)).value == "breached"

    def test_one_is_found_behind_many_that_had_no_copy_to_restore(self) -> None:
        lost = [kept(n, verdict("backup-survival", "breached", lost=14.0), age=n * HOUR) for n in range(99)]
        good = kept(99, verdict("backup-survival", "held", sufficient=1.0), age=99 * HOUR)
        assert only(RESTORES, *lost).value == "breached"
        assert only(RESTORES, *lost, good).runs == ("run-99",)


def failed(number: int, days: float, **changes: Any) -> Kept:
    return kept(number, verdict("rto", "breached"), age=days * DAY, **changes)


class TestRetests:
    def test_without_a_failure_it_holds_and_names_no_run(self) -> None:
        check = only(RETESTS, kept(1))
        assert (check.value, check.runs) == ("held", ())

    @pytest.mark.parametrize(
        ("then", "value"), [(20, "held"), (17, "held"), (15, "breached"), (None, "breached")]
    )
    def test_a_failure_wants_a_good_run_in_time(self, then: int | None, value: str) -> None:
        runs = [failed(1, 30)] if then is None else [failed(1, 30), kept(2, age=then * DAY)]
        check = only(RETESTS, *runs)
        assert (check.value, check.runs) == (value, ("run-1",))
        assert bool(check.do) == (value != "held")
        assert (SHOP in check.do) == (then is None)

    def test_while_there_is_time_it_is_undecided(self) -> None:
        check = only(RETESTS, failed(1, 13))
        assert (check.value, check.runs) == ("undecided", ("run-1",))
        assert only(RETESTS, failed(1, 13), failed(2, 80)).runs == ("run-2",)

    @pytest.mark.parametrize(
        "changes",
        [{"scenario": "shop/other"}, {"ended": False}, {"supposed": True}, {"problem": "a line was changed"}],
    )
    def test_not_every_later_run_is_a_retest(self, changes: dict[str, Any]) -> None:
        assert only(RETESTS, failed(1, 30), kept(2, age=29 * DAY, **changes)).value == "breached"

    def test_a_run_before_the_failure_is_none(self) -> None:
        assert only(RETESTS, kept(1, age=31 * DAY), failed(2, 30)).value == "breached"

    def test_the_next_good_run_counts_and_serves_all_failures_before_it(self) -> None:
        runs = [failed(1, 30), failed(2, 29), kept(3, age=28 * DAY), failed(4, 27), kept(5, age=20 * DAY)]
        assert only(RETESTS, *runs).runs == ("run-4", "run-2", "run-1")

    def test_what_is_older_than_the_period_is_over(self) -> None:
        assert only(RETESTS, failed(1, 91)).value == "held"

    def test_it_can_be_about_one_scenario(self) -> None:
        asked = policy(f"retests: [{{scenario: {SHOP}, within: 14d, over: 90d}}]")
        assert only(asked, failed(1, 30, scenario="shop/other")).value == "held"
        check = only(asked, failed(1, 30))
        assert (check.rule, check.value) == (f"retests:{SHOP}", "breached")

    @given(st.lists(st.tuples(st.booleans(), st.integers(0, 2)), max_size=12))
    def test_it_is_what_a_look_at_every_pair_says(self, played: list[tuple[bool, int]]) -> None:
        """Runs a day apart, newest last, of three scenarios."""
        runs = [
            (kept if good else failed)(n, **{"age" if good else "days": (DAY if good else 1) * (40 - 3 * n)})
            for n, (good, _) in enumerate(played)
        ]
        runs = [
            run.model_copy(update={"scenario": f"shop/{of}"})
            for run, (_, of) in zip(runs, played, strict=True)
        ]
        good = [run for run in runs if run.as_expected]
        waits = [
            min((one.started - run.started for one in good if _follows(one, run)), default=None)
            for run in runs
            if not run.as_expected
        ]
        late = [
            wait
            for run, wait in zip(_bad(runs), waits, strict=True)
            if (wait or NOW - run.started) > 14 * DAY
        ]
        value = "breached" if late else "undecided" if None in waits else "held"
        assert only(RETESTS, *runs).value == value


def _follows(one: Kept, run: Kept) -> bool:
    return one.scenario == run.scenario and one.started > run.started


def _bad(runs: list[Kept]) -> list[Kept]:
    return [run for run in runs if not run.as_expected]


class TestFrameworks:
    def test_a_control_is_held_contradicted_or_not_tested(self) -> None:
        good = verdict("backup-survival", "held", sufficient=1.0, broken=0.0)
        bad = verdict("backup-survival", "held", sufficient=1.0, broken=1.0)
        assert only(CONTROL, kept(1, good)).value == "held"
        assert only(CONTROL, kept(1, bad)).value == "breached"
        assert only(CONTROL, kept(1, verdict("of-mine"))).value == "undecided"
        assert only(CONTROL).value == "undecided"

    def test_a_whole_framework_needs_one_supported_and_none_contradicted(self) -> None:
        good = kept(1, verdict("backup-survival", "held", sufficient=1.0, broken=0.0))
        bad = kept(2, verdict("isolation", "breached"), scenario="shop/other")
        assert only(WHOLE, good).value == "held"
        assert only(WHOLE, good, bad).value == "breached"
        assert only(WHOLE).value == "undecided"
        chosen = policy(f"frameworks: [{{framework: soc2, every: 90d, scenarios: [{SHOP}]}}]")
        assert only(chosen, good, bad).value == "held"

    @pytest.mark.parametrize(
        ("copies", "says"), [({"sufficient": 1.0}, "held"), ({"broken": 1.0}, "breached"), ({}, "breached")]
    )
    def test_what_only_a_gate_sees_counts_for_controls(self, copies: dict[str, float], says: str) -> None:
        """8.5 of ISO 22301 asks for tests at a pace, which no single run shows."""
        asked = "frameworks: [{framework: iso-22301, every: 90d, controls: ['8.5']}]"
        run = kept(1, verdict("backup-survival", "held", **copies))
        without = only(policy(asked), run)
        assert (without.value, without.do) == ("undecided", "it takes a rule restore-cadence in the policy")
        both = policy(f"{asked}\nrestore-cadence: [{{every: 30d}}]")
        cadence, control = decided(both, [run]).checks
        assert (cadence.rule, cadence.value) == ("restore-cadence:any", says)
        assert (control.rule, control.value) == ("framework:iso-22301:8.5", says)

    @pytest.mark.parametrize(
        ("runs", "says"),
        [
            ([], "undecided"),
            ([failed(1, 30), kept(2, age=29 * DAY)], "held"),
            ([failed(1, 30)], "breached"),
        ],
    )
    def test_a_retest_counts_for_controls_and_that_nothing_failed_does_not(
        self, runs: list[Kept], says: str
    ) -> None:
        asked = "frameworks: [{framework: iso-22301, every: 90d, controls: ['8.6']}]"
        (control,) = (
            check
            for check in decided(policy(f"{asked}\nretests: [{{within: 14d, over: 90d}}]"), runs).checks
            if check.rule.startswith("framework")
        )
        assert control.value == says

    def test_a_guard_that_nobody_offers_is_told(self) -> None:
        good = kept(1, verdict("backup-survival", "held", sufficient=1.0), hypothetical=True)
        assert "with a guard that no provider offers: run-1" in only(CONTROL, good).saw


class TestRegressions:
    @pytest.mark.parametrize(("newest", "value"), [(96.0, "held"), (96.1, "breached"), (1.0, "held")])
    def test_it_goes_by_the_median_of_those_before(self, newest: float, value: str) -> None:
        check = only(GROWTH, *series(newest, 70.0, 80.0, 500.0))
        assert check.value == value
        assert check.runs == ("run-0", "run-1", "run-2", "run-3")
        assert "the median of 3 runs before it is 1m20s" in check.saw

    def test_only_the_last_ones_count(self) -> None:
        assert only(GROWTH, *series(96.0, *[80.0] * 10, *[1.0] * 50)).value == "held"

    def test_too_few_runs_and_no_figure_decide_nothing(self) -> None:
        assert only(GROWTH, *series(96.0, 80.0, 80.0)).value == "undecided"
        assert only(GROWTH).value == "undecided"
        assert only(GROWTH, kept(9, verdict("rpo", rpo=1.0)), *series(80.0, 80.0)).value == "undecided"

    def test_a_service_that_never_came_back_has_grown(self) -> None:
        before = series(80.0, 80.0, 80.0, 80.0)[1:]
        assert only(GROWTH, *series(float("inf"), 80.0, 80.0, 80.0)).value == "breached"
        assert only(GROWTH, kept(0, verdict("rto", "breached")), *before).value == "breached"
        assert only(GROWTH, kept(0, verdict("rto", "undecided")), *before).value == "undecided"

    def test_runs_on_another_provider_are_not_compared(self) -> None:
        assert only(GROWTH, *series(96.0, 80.0, 80.0, 80.0, provider="docker")).value == "undecided"

    def test_a_run_whose_record_cannot_be_trusted_is_no_measure(self) -> None:
        spoilt = {"problem": "a line was changed"}
        assert only(GROWTH, *series(80.0, 80.0, 80.0, 80.0, **spoilt)).value == "undecided"
        newest, *before = series(80.0, 80.0, 80.0, 80.0)
        assert only(GROWTH, newest.model_copy(update=spoilt), *before).value == "undecided"

    def test_other_files_of_the_scenario_are_told(self) -> None:
        assert "3 of them with other files" in only(GROWTH, *series(80.0, 80.0, 80.0, 80.0, digest="d2")).saw

    @given(
        st.lists(st.floats(0, 1e6), min_size=3, max_size=10),
        st.floats(0, 1e6),
    )
    def test_what_is_within_all_before_it_never_breaches(self, before: list[float], newest: float) -> None:
        value = only(GROWTH, *series(newest, *before)).value
        if newest <= min(before):
            assert value == "held"
        if newest > max(before) * 1.2000001:
            assert value == "breached"


class TestWaivers:
    def waived(self, until: str) -> Decision:
        text = f"""
            required: [{{scenario: {SHOP}, every: 7d}}]
            waivers: [{{rule: "required:{SHOP}", reason: moving house, owner: ana, until: {until}}}]
        """
        return decided(policy(text.replace(until, f'"{until}"')), [])

    def test_a_rule_that_is_waived_does_not_count_until_that_day_is_over(self) -> None:
        decision = self.waived("2026-04-24")
        assert (decision.value, decision.expired) == ("held", ())
        told = decision_text(decision)
        assert "waived until 2026-04-24 by ana: moving house" in told
        assert told.endswith("PASSES: 1 waived of 1 rule")

    def test_one_past_its_day_does_not_count_and_is_named(self) -> None:
        decision = self.waived("2026-04-23")
        assert decision.value == "breached"
        assert [waiver.owner for waiver in decision.expired] == ["ana"]
        assert f"the waiver of required:{SHOP} ended 2026-04-23; ask ana" in decision_text(decision)
        assert "ended 2026-04-23; ask ana" in decision_markdown(decision)


def test_a_history_that_is_not_whole_passes_nothing() -> None:
    decision = decided(REQUIRED, [kept(1)], "line 2 of runs.jsonl is not as it was written")
    assert decision.value == "undecided"
    assert "line 2 of runs.jsonl" in decision_text(decision)


def test_hostile_text_of_a_run_cannot_break_the_summary_of_a_job() -> None:
    run = kept(1, verdict("r|to<img src=x>\n# big", "breached"), run_id="run|`x`")
    text = decision_markdown(decided(REQUIRED, [run]))
    (row,) = (line for line in text.splitlines() if line.startswith("| required"))
    assert row.replace("\\|", "").count("|") == 6
    assert "<img" not in text.replace("\\<", "")
    assert not any(line.startswith("# big") for line in text.splitlines())


BAD_KEYS = """\
requird:
  - {scenario: shop/drill, every: 7d}
regressions:
  - {scenario: shop/drill, objective: rto, may-grow: 20}
"""
BAD_NAMES = """\
required:
  - {scenario: shop/drill, every: 7d}
frameworks:
  - {framework: soc3, every: 90d}
  - {framework: iso-27001, every: 90d, controls: [A.8.133]}
waivers:
  - {rule: "required:shop/dril", reason: why not, owner: ana, until: 2026-12-31}
"""


def problems(file: Path, text: str) -> dict[tuple[int, str], str]:
    file.write_text(text)
    with pytest.raises(ScenarioError) as raised:
        read_policy(file)
    assert all(problem.file == str(file) for problem in raised.value.problems)
    return {(problem.line, problem.key): problem.hint for problem in raised.value.problems}


def test_every_mistake_of_a_policy_is_told_with_its_place_and_the_nearest_key(tmp_path: Path) -> None:
    told = problems(tmp_path / "policy.yaml", BAD_KEYS)
    assert told[1, "requird"] == "did you mean 'required'?"
    assert told.keys() == {(1, "requird"), (4, "regressions[0].may-grow")}
    assert problems(tmp_path / "policy.yaml", BAD_NAMES) == {
        (4, "frameworks[0].framework"): "did you mean 'soc2'?",
        (5, "frameworks[1].controls[0]"): "did you mean 'A.8.13'?",
        (7, "waivers[0].rule"): "did you mean 'required:shop/drill'?",
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("waivers: []\n", "asks for nothing"),
        ("restore-cadence: [{every: 1d}, {every: 2d}]\n", "restore-cadence:any stands here twice"),
        ("retests: [{within: 90d, over: 7d}]\n", "nothing is ever late"),
        ("retests: [{within: 7d, over: 7d}]\n", "nothing is ever late"),
        (f"regressions: [{{scenario: {SHOP}, objective: rto, may-grow: 20.0}}]\n", "a share such as 20%"),
    ],
)
def test_a_policy_that_could_not_refuse_is_none(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(text)
    with pytest.raises(ScenarioError, match=message):
        read_policy(file)
