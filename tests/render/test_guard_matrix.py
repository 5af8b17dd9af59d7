"""The matrix of guards on a terminal, in a browser and for a CI system."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from junitparser import JUnitXml
from playwright.sync_api import Browser
from test_in_browser import NARROW, WIDE, open_page

from harness.journal.matrix import GuardMatrix, GuardNote, Trial
from harness.journal.record import Verdict
from harness.render.answers import write_reports
from harness.render.guards import matrix_page, matrix_text
from harness.render.html import FILE as PAGE_FILE
from harness.render.junit import FILE as JUNIT_FILE

OBJECTIVES = ("backup-survival", "isolation", "rpo")
HELD_WITH = {
    "backup-survival": {"token", "lock"},
    "isolation": {"token"},
    "rpo": {"token", "lock"},
}
"""Each objective, and the guards any one of which saves it."""


def tried(*guards: str) -> Trial:
    verdicts = tuple(
        Verdict(objective=name, value="held" if HELD_WITH[name] & set(guards) else "breached", summary="")
        for name in OBJECTIVES
    )
    return Trial(guards=guards, run_id=f"run-{'-'.join(guards) or 'none'}", verdicts=verdicts)


@pytest.fixture
def matrix() -> GuardMatrix:
    notes = {"token": "It can do nothing.", "lock": "A locked copy.", "sign": "It says please."}
    sets = ((), ("token",), ("lock",), ("sign",), ("lock", "sign"), ("token", "sign"), ("token", "lock"))
    return GuardMatrix(
        scenario="shop/x",
        title="A shop",
        guards=tuple(
            GuardNote(name=name, why=why, hypothetical="Not to be had." if name == "token" else None)
            for name, why in notes.items()
        ),
        trials=tuple(tried(*guards) for guards in (*sets, tuple(notes))),
    )


@pytest.fixture
def hostile(matrix: GuardMatrix) -> GuardMatrix:
    text = "<script>window.pwned=1</script><img src=x onerror=window.pwned=1>\u202e"
    guards = tuple(note.model_copy(update={"why": text, "hypothetical": text}) for note in matrix.guards)
    broken = Trial(guards=("lock", "sign"), problem=text)
    trials = tuple(broken if trial.guards == broken.guards else trial for trial in matrix.trials)
    return matrix.model_copy(update={"title": text, "guards": guards, "trials": trials})


def test_what_was_found_before_an_interruption_is_not_told_as_if_it_were_all(matrix: GuardMatrix) -> None:
    cut = matrix.model_copy(update={"trials": matrix.trials[:2], "interrupted": True})
    said = "It was interrupted: what is said rests on the sets above"
    for text in (matrix_text(cut, 200), matrix_page(cut)):
        assert "Everything holds with token." in text
        assert said in text
    assert said not in matrix_text(matrix, 200)


def test_a_terminal_shows_the_matrix_and_what_follows(matrix: GuardMatrix) -> None:
    lines = matrix_text(matrix, 80).splitlines()
    assert lines[0] == "Everything holds with token."
    assert lines[2].split() == list(OBJECTIVES)
    rows = {line[:16].strip(): line[16:].split() for line in lines[3:11]}
    assert rows["no guard"] == ["x", "x", "x"]
    assert rows["lock"] == ["+", "x", "+"]
    assert rows["all but token"] == ["+", "x", "+"]
    assert rows["all 3 guards"] == ["+", "+", "+"]
    rest = " ".join(" ".join(lines[12:]).split())
    assert "token (hypothetical): alone it saves backup-survival, isolation and rpo" in rest
    assert "lock: alone it saves backup-survival and rpo; once all others are on it changes nothing." in rest
    assert "sign: it changes no verdict, whichever others are on." in rest
    assert "what providers offer today is not enough" in rest


def test_a_narrow_terminal_shows_what_does_not_hold(matrix: GuardMatrix) -> None:
    text = matrix_text(matrix, 40)
    assert max(map(len, text.splitlines())) <= 40
    assert "lock\n    breached: isolation\n" in text
    assert "all 3 guards\n    held\n" in text


def test_a_ci_system_sees_what_does_not_hold_with_every_guard(matrix: GuardMatrix, tmp_path: Path) -> None:
    write_reports(matrix, "run", tmp_path)
    (suite,) = JUnitXml.fromfile(str(tmp_path / JUNIT_FILE))
    assert (suite.tests, suite.failures, suite.errors) == (6, 0, 0)
    nothing = Trial(guards=matrix.names, problem="the disk is full")
    write_reports(matrix.model_copy(update={"trials": (*matrix.trials[:-1], nothing)}), "run", tmp_path)
    (suite,) = JUnitXml.fromfile(str(tmp_path / JUNIT_FILE))
    assert (suite.failures, suite.errors) == (0, 3)
    breached = tried().model_copy(update={"guards": matrix.names})
    write_reports(matrix.model_copy(update={"trials": (*matrix.trials[:-1], breached)}), "run", tmp_path)
    (suite,) = JUnitXml.fromfile(str(tmp_path / JUNIT_FILE))
    assert (suite.failures, suite.errors) == (3, 0)


def test_the_same_matrix_gives_the_same_page(matrix: GuardMatrix) -> None:
    assert matrix_page(matrix) == matrix_page(GuardMatrix.model_validate_json(matrix.model_dump_json()))


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_the_page_can_be_read(
    browser: Browser, matrix: GuardMatrix, tmp_path: Path, width: int, scheme: Literal["light", "dark"]
) -> None:
    write_reports(matrix, "run", tmp_path)
    looked = open_page(browser, tmp_path / PAGE_FILE, width=width, scheme=scheme)
    assert looked.page.get_by_text("Everything holds with token.").first.is_visible()
    cells = looked.page.locator(".heat tbody td")
    assert cells.count() == len(OBJECTIVES) * len(matrix.trials)
    assert looked.page.locator(".heat tbody td.breached").count() == 3 + 0 + 1 + 3 + 1
    looked.fits_its_width()
    looked.can_be_read_on_its_ground(30)
    looked.was_quiet()
    looked.context.close()


@pytest.mark.browser
def test_nothing_of_a_stranger_runs(browser: Browser, hostile: GuardMatrix, tmp_path: Path) -> None:
    write_reports(hostile, "run", tmp_path)
    looked = open_page(browser, tmp_path / PAGE_FILE, scripts=True)
    looked.page.wait_for_timeout(200)  # an image that fails to load would tell its handler by now
    assert looked.ask("window.pwned") is None
    assert looked.asked_for == [looked.page.url]
    assert "<script>window.pwned=1</script>" in looked.page.inner_text("main")
    assert "\u202e" not in looked.page.content()
    looked.context.close()
