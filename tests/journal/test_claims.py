"""What runs say of controls: supports, contradicts or not tested, with the checks that it rests on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.controls.catalogue import frameworks
from harness.facts import Fact
from harness.journal.claims import Claim, Population, claims
from harness.journal.events import FaultSeen, Interrupted, RunEnded
from harness.journal.history import History
from harness.journal.record import Figure, RunRecord, Verdict
from harness.run.loading import load_idle
from harness.scenario.load import load_scenario, restore_scenario
from harness.scenario.models import LoadedScenario

POCKETOS = Path(__file__).parents[2] / "scenarios" / "pocketos"
ENDED = RunEnded(seconds=1.0, harness_cpu=0.1)


def run(
    name: str, *, ended: bool = True, scenario: str = "locked-copy", controls: Any = (), **said: Any
) -> RunRecord:
    """A judged run with these verdicts, objective by objective, and these numbers of copies in each."""
    loaded = load_scenario(POCKETOS / f"{scenario}.yaml")
    written = loaded.scenario.model_copy(update={"controls": controls})
    figures = tuple(
        Figure(name=one.replace("_", "-"), value=count, unit="copies")
        for one, count in said.items()
        if isinstance(count, int)
    )
    verdicts = tuple(
        Verdict(objective=one.replace("_", "-"), value=value, summary="", figures=figures)
        for one, value in said.items()
        if isinstance(value, str)
    )
    history = History.of_events((ENDED,) if ended else ())
    return RunRecord(name, loaded.model_copy(update={"scenario": written}), history, verdicts)


def stored(loaded: LoadedScenario) -> str:
    return loaded.model_dump_json(by_alias=True)


def claim(control: str, *records: RunRecord) -> Claim:
    (found,) = (one for one in claims(records) if f"{one.framework}:{one.id}" == control)
    return found


def test_without_runs_nothing_is_tested() -> None:
    every = claims(())
    assert len(every) == sum(len(framework.controls) for framework in frameworks().values())
    assert {one.says for one in every} == {"not tested"}
    assert {one.population.planned for one in every} == {0}


@pytest.mark.parametrize(
    ("value", "says"), [("held", "supports"), ("breached", "contradicts"), ("undecided", "not tested")]
)
def test_a_verdict_supports_contradicts_or_leaves_open(value: str, says: str) -> None:
    assert claim("nist-800-53:AC-6", run("a", isolation=value)).says == says


def test_one_failure_outweighs_every_success() -> None:
    runs = [run(str(number), isolation="held") for number in range(9)]
    found = claim("iso-27001:A.8.31", *runs, run("last", isolation="breached"))
    assert found.says == "contradicts"
    assert found.population == Population(planned=10, run=10, passed=9, failed=1, not_tested=0, aborted=0)


def test_what_was_not_seen_is_told() -> None:
    found = claim("nist-800-53:CP-9", run("a", backup_survival="held", sufficient=1))
    assert (found.says, found.seen, found.unseen) == ("supports", ("O1", "O2"), ("O9",))
    assert found.population.planned == 2


@pytest.mark.parametrize(
    ("copies", "says"),
    [
        ({"sufficient": 1}, "supports"),
        ({"too_old": 1}, "supports"),
        ({"broken": 1, "sufficient": 3}, "contradicts"),
        ({"different": 1}, "contradicts"),
        ({"lost": 14}, "not tested"),
        ({}, "not tested"),
    ],
)
def test_whether_copies_restore_is_told_by_the_copies_that_were_restored(
    copies: dict[str, int], says: str
) -> None:
    """Not by the verdict: a copy that was deleted did not fail to restore."""
    assert claim("nist-800-53:CP-9(2)", run("a", backup_survival="breached", **copies)).says == says


def test_copies_of_a_run_that_is_undecided_are_no_evidence() -> None:
    found = claim("nist-800-53:CP-9(2)", run("a", backup_survival="undecided", sufficient=1))
    assert found.says == "not tested"


def test_a_run_that_was_cut_short_supports_nothing_and_is_counted() -> None:
    found = claim("soc2:A1.2", run("a", ended=False, backup_survival="held", rpo="undecided"))
    assert found.says == "not tested"
    assert found.population == Population(planned=2, run=0, passed=0, failed=0, not_tested=0, aborted=2)


@pytest.mark.parametrize(
    "stopped", [Interrupted(phase="act"), FaultSeen(phase="recover", kind="RestoreError", detail="")]
)
def test_a_run_that_wrote_its_end_after_something_stopped_it_was_cut_short(stopped: Fact) -> None:
    whole = run("a", backup_survival="undecided", rpo="undecided")
    record = replace(whole, history=History.of_events((stopped, ENDED)))
    population = claim("soc2:A1.2", record).population
    assert (population.aborted, population.run, population.not_tested) == (2, 0, 0)


@pytest.mark.parametrize(
    "loaded",
    [
        load_scenario(POCKETOS / "locked-copy.yaml", guards=()),
        load_idle(POCKETOS / "locked-copy.yaml"),
        load_idle(POCKETOS / "locked-copy.yaml").model_copy(update={"replaced": ()}),
    ],
    ids=["other guards", "an idle agent instead", "an idle agent of its own"],
)
@pytest.mark.parametrize("value", ["held", "breached"])
def test_what_would_have_been_is_evidence_for_nothing(loaded: LoadedScenario, value: str) -> None:
    supposed = replace(run("a", isolation=value, rpo=value), scenario=restore_scenario(stored(loaded)))
    assert {one.says for one in claims((supposed,))} == {"not tested"}
    assert {one.population.planned for one in claims((supposed,))} == {0}


def test_a_run_with_the_guards_that_its_scenario_has_is_evidence_however_they_were_given() -> None:
    guards = load_scenario(POCKETOS / "locked-copy.yaml").scenario.guards
    loaded = load_scenario(POCKETOS / "locked-copy.yaml", guards=guards)
    record = replace(run("a", isolation="held"), scenario=restore_scenario(stored(loaded)))
    assert guards
    assert claim("nist-800-53:AC-6", record).says == "supports"


def test_undecided_is_not_tested_and_not_seen() -> None:
    found = claim("soc2:A1.2", run("a", backup_survival="undecided", rpo="held"))
    assert (found.says, found.seen, found.unseen) == ("supports", ("O4",), ("O1", "O7"))
    assert (found.population.passed, found.population.not_tested) == (1, 1)


def test_a_scenario_that_lists_controls_is_evidence_for_no_others() -> None:
    narrow = run("a", controls=("nist-800-53:CP-9", "ours:1"), backup_survival="held")
    assert claim("nist-800-53:CP-9", narrow).says == "supports"
    assert claim("soc2:A1.2", narrow).says == "not tested"


def test_a_scenario_that_lists_only_its_owners_controls_is_evidence_for_all() -> None:
    assert claim("soc2:A1.2", run("a", controls=("ours:1",), backup_survival="held")).says == "supports"


def test_a_guard_that_no_provider_offers_is_told() -> None:
    found = claim(
        "nist-800-53:AC-6",
        run("real", isolation="held"),
        run("wishful", scenario="scoped-token", isolation="held"),
    )
    assert found.runs == ("real", "wishful")
    assert found.hypothetical == ("wishful",)


def test_a_second_person_is_never_claimed_without_its_objective() -> None:
    everything = dict.fromkeys(("backup_survival", "isolation", "rpo", "rto", "invariants"), "held")
    assert claim("nist-800-53:CP-9(7)", run("a", **everything)).says == "not tested"
