"""The files of a search for machines: values and words of a run, whichever verb asked."""

from __future__ import annotations

from pathlib import Path

import pytest
from junitparser import JUnitXml

from harness.journal.answer import RESULT_FILES, Result, file_of
from harness.journal.explored import Breach, Explored
from harness.journal.matrix import GuardMatrix, GuardNote, Trial
from harness.journal.radius import BlastRadius, Deed, grown
from harness.journal.record import Verdict
from harness.render.answers import AnswerFile, answer_of, write_reports

HELD = Verdict(objective="rpo", value="held", summary="")


def matrix() -> GuardMatrix:
    trials = (Trial(guards=(), verdicts=(HELD,)), Trial(guards=("lock",), verdicts=(HELD,)))
    return GuardMatrix(
        scenario="shop/x", title="A shop", guards=(GuardNote(name="lock", why="It locks."),), trials=trials
    )


def deed(name: str, *unrecoverable: str, owner: str = "agent") -> Deed:
    extent = "lost with its backups" if unrecoverable else "refused"
    return Deed(
        principal="agent",
        owner=owner,
        service="cloud",
        name=name,
        extent=extent,
        unrecoverable=unrecoverable,
    )


def radius() -> BlastRadius:
    return BlastRadius(stack="stack.yaml", deeds=(deed("a"), deed("b", owner="owner")))


def explored() -> Explored:
    return Explored(
        scenario="shop/x",
        guards=(),
        principal="agent",
        seed=0,
        objectives=("rpo",),
        value="held",
        why="nothing was found in 3 sequences",
        seconds=1.0,
        sequences=3,
        actions=9,
        deepest=3,
        states=2,
        landed=4,
        split={"reset": 0.5},
        rebuilt=0,
        moves=(),
        breaches=(),
        file="",
        run="",
        tried=(),
        never=(),
        interrupted=False,
    )


BREACHED: dict[str, Result] = {
    "guards": matrix().model_copy(
        update={
            "trials": tuple(
                trial.model_copy(update={"verdicts": (HELD.model_copy(update={"value": "breached"}),)})
                for trial in matrix().trials
            )
        }
    ),
    "blast-radius": radius().model_copy(update={"deeds": (deed("a"), deed("b", "db", owner="owner"))}),
    "explore": explored().model_copy(
        update={
            "value": "breached",
            "moves": ("x",),
            "breaches": (Breach(objective="rpo", why="db is lost"),),
            "confirmed": ("rpo",),
        }
    ),
}


@pytest.mark.parametrize("result", [matrix(), radius(), explored()], ids=lambda result: file_of(result))
def test_what_holds_passes_and_tells_how_hard_it_was_looked_at(result: Result, tmp_path: Path) -> None:
    names = [path.name for path in write_reports(result, "the-run", tmp_path)]
    assert names == ["summary.txt", "verdicts.json", "junit.xml", "index.html"]
    told = AnswerFile.model_validate_json((tmp_path / "verdicts.json").read_bytes())
    assert (told.run_id, told.value, told.as_expected, told.interrupted) == ("the-run", "held", True, False)
    assert told.figures
    assert {verdict.value for verdict in told.verdicts} == {"held"}
    (suite,) = JUnitXml.fromfile(str(tmp_path / "junit.xml"))
    assert (suite.failures, suite.errors) == (0, 0)
    assert suite.tests == len(told.verdicts) + len(told.notes)
    properties = {one.name: one.value for one in suite.properties()}
    assert properties["verdict"] == "held"
    assert {figure.name for figure in told.figures} <= set(properties)


@pytest.mark.parametrize("verb", list(BREACHED))
def test_a_breach_fails(verb: str, tmp_path: Path) -> None:
    write_reports(BREACHED[verb], "run", tmp_path)
    told = AnswerFile.model_validate_json((tmp_path / "verdicts.json").read_bytes())
    assert (told.verb, told.value) == (verb, "breached")
    (suite,) = JUnitXml.fromfile(str(tmp_path / "junit.xml"))
    assert (suite.failures, suite.errors) == (1, 0)


@pytest.mark.parametrize("result", [matrix(), radius(), explored()], ids=lambda result: file_of(result))
def test_a_search_that_was_ended_early_is_in_error_and_never_passes(result: Result, tmp_path: Path) -> None:
    ended = result.model_copy(update={"interrupted": True, "trials": (), "deeds": (), "value": "undecided"})
    write_reports(ended, "run", tmp_path)
    told = AnswerFile.model_validate_json((tmp_path / "verdicts.json").read_bytes())
    assert (told.value, told.interrupted) == ("undecided", True)
    (suite,) = JUnitXml.fromfile(str(tmp_path / "junit.xml"))
    assert suite.failures == 0
    assert suite.errors >= 1


def test_a_credential_whose_every_call_failed_shows_nothing() -> None:
    failed = deed("c", owner="other").model_copy(update={"extent": "failed"})
    told = answer_of(radius().model_copy(update={"deeds": (*radius().deeds, failed)}))
    assert told.value == "held"
    assert [verdict.objective for verdict in told.verdicts] == ["agent", "agent, by way of owner"]


def test_with_a_baseline_only_what_has_grown_fails() -> None:
    before = BREACHED["blast-radius"]
    assert isinstance(before, BlastRadius)
    same = before.model_copy(update={"growth": grown(before, before)})
    assert answer_of(same).value == "held", "the hole was there before"
    assert answer_of(same).headline.startswith("No call reaches further than in the baseline. Fewest calls")
    more = before.model_copy(update={"deeds": (*before.deeds, deed("c", "db"))})
    told = answer_of(more.model_copy(update={"growth": grown(before, more)}))
    assert told.value == "breached"
    assert {v.objective: v.value for v in told.verdicts} == {
        "agent": "breached",
        "agent, by way of owner": "held",
    }


def test_a_record_that_was_changed_decides_nothing() -> None:
    told = answer_of(matrix()).doubted("line 3 was changed")
    assert told.value == "undecided"
    assert {verdict.value for verdict in told.verdicts} == {"undecided"}


def test_every_result_has_a_file_of_its_own() -> None:
    assert {file_of(result) for result in (matrix(), radius(), explored())} == set(RESULT_FILES)
