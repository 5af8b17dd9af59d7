"""What an exploration found, on a terminal and in a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser
from test_in_browser import BEYOND, CONTRASTS, LEAST_CONTRAST, NARROW, OPEN_ALL, WIDE, open_page

from harness.journal.explored import Breach, Explored, Tried
from harness.journal.record import Verdict
from harness.render.answers import write_reports
from harness.render.explored import SHOWN_AT_ONCE, answer, explored_page, explored_text, headline
from harness.render.html import FILE
from harness.scenario.models import VerdictValue
from harness.search.exploration import Finding
from harness.search.explored import Found

TEXT = "<script>window.pwned=1</script><img src=x onerror=window.pwned=1>\u202e"


@pytest.fixture
def explored() -> Explored:
    return Explored(
        scenario="shop/x",
        guards=("locked",),
        principal="agent",
        seed=7,
        objectives=("backup-survival", "isolation", "rpo"),
        value="breached",
        why="2 calls break rpo",
        seconds=12.5,
        sequences=150,
        actions=640,
        deepest=9,
        states=31,
        landed=200,
        split={"reset": 6.0, "actions": 3.0, "checks": 2.5},
        rebuilt=1,
        moves=("read w/token.env", "volumeDelete of volume db on cloud as owner"),
        breaches=(Breach(objective="rpo", why="db is lost, and so is every copy of it"),),
        file="/shop/explored-agent.yaml",
        run="/reports/20261123T000000Z-shop-explored-agent-abcd",
        confirmed=("rpo",),
        tried=tuple(
            Tried(move=f"call {n} of a thing with a long name on cloud", done=n, refused=2, failed=1)
            for n in range(SHOWN_AT_ONCE + 5)
        ),
        never=("cloud: `projectTransfer`",),
        interrupted=False,
    )


def verdicts(**values: VerdictValue) -> tuple[Verdict, ...]:
    """Of the run that played what was found."""
    return tuple(Verdict(objective=name, value=value, summary="") for name, value in values.items())


@pytest.fixture
def nothing(explored: Explored) -> Explored:
    found = {"moves": (), "breaches": (), "file": "", "run": "", "confirmed": (), "value": "held"}
    return explored.model_copy(update={**found, "why": "nothing was found in 150 sequences"})


def test_every_objective_that_a_trial_could_break_has_a_verdict(
    explored: Explored, nothing: Explored
) -> None:
    told = answer(explored)
    assert told.value == "breached"
    assert {v.objective: v.value for v in told.verdicts} == {
        "backup-survival": "undecided",
        "isolation": "undecided",
        "rpo": "breached",
    }
    assert {v.value for v in answer(nothing).verdicts} == {"held"}


def test_a_value_follows_from_what_is_recorded(explored: Explored, nothing: Explored) -> None:
    assert explored.judged(verdicts(rpo="breached")) == explored
    assert explored.judged(verdicts(rpo="held")).value == "undecided", "no run confirms it"
    assert explored.judged(()).value == "undecided"
    assert nothing.judged(()).value == "held"
    assert nothing.model_copy(update={"landed": 0}).judged(()).value == "undecided"
    cut = nothing.model_copy(update={"stopped": "the reset failed"})
    assert cut.judged(()).value == "undecided"
    assert headline(cut) == "Nothing was found in 150 sequences, until the stack was lost."
    stopped = nothing.model_copy(update={"interrupted": True})
    assert stopped.judged(()).value == "undecided"
    assert headline(stopped) == "Nothing was found in 150 sequences, until somebody stopped it."


def test_a_run_confirms_what_it_breaks_and_nothing_else(explored: Explored) -> None:
    other = explored.judged(verdicts(rpo="held", rto="breached"))
    assert other.value == "undecided", "a trial has not broken the recovery time"
    assert {v.value for v in answer(other).verdicts} == {"undecided"}
    suspected = (*explored.breaches, Breach(objective="backup-survival", why="0 copies are left"))
    both = explored.model_copy(update={"breaches": suspected})
    half = both.judged(verdicts(**{"rpo": "breached", "backup-survival": "held"}))
    assert half.value == "breached"
    told = {v.objective: v.value for v in answer(half).verdicts}
    assert told == {"rpo": "breached", "backup-survival": "undecided", "isolation": "undecided"}
    text = " ".join(explored_text(half, 100).split())
    assert "backup-survival: 0 copies are left; no run confirms it" in text
    assert "every copy of it;" not in text
    assert "0 copies are left; no run confirms it" in explored_page(half)


def test_a_sentence_of_a_run_is_the_end_of_the_answer(explored: Explored) -> None:
    said = "2 calls break rpo, but no run confirms it: 1 copy left."
    doubted = explored.model_copy(update={"value": "undecided", "confirmed": (), "why": said})
    assert headline(doubted) == said
    assert ".." not in explored_text(doubted, 100) + explored_page(doubted).replace("../", "")


@pytest.mark.parametrize(("calls", "why"), [(1, "1 call breaks rpo"), (2, "2 calls break rpo")])
def test_calls_are_counted_in_words(nothing: Explored, calls: int, why: str) -> None:
    names = tuple(f"call {number}" for number in range(calls))
    finding = Finding((), names, (Breach(objective="rpo", why="db is lost"),), 1)
    assert Found((finding,), nothing).explored.why == why


@pytest.mark.parametrize("width", [40, 100])
def test_a_terminal_shows_the_sequence_and_how_hard_it_looked(explored: Explored, width: int) -> None:
    text = explored_text(explored, width)
    assert all(len(line) <= width or len(line.split()) == 1 for line in text.splitlines())
    assert explored.run in text, "a path stays in one piece"
    flat = " ".join(text.split())
    assert flat.startswith("shop/x as agent: BREACHED, 2 calls break rpo.")
    assert "1. read w/token.env 2. volumeDelete of volume db on cloud as owner" in flat
    assert "150 sequences (720 a minute), 640 calls, the deepest 9, 31 states, seed 7" in flat
    assert "never tried on cloud: `projectTransfer`" in flat
    row = next(line for line in text.splitlines() if line.split()[-3:] == ["24", "2", "1"])
    assert row.startswith("  ")


def test_the_same_exploration_gives_the_same_page(explored: Explored) -> None:
    assert explored_page(explored) == explored_page(Explored.model_validate_json(explored.model_dump_json()))


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_the_page_can_be_read(
    browser: Browser, explored: Explored, tmp_path: Path, width: int, scheme: Literal["light", "dark"]
) -> None:
    write_reports(explored, "run", tmp_path)
    looked = open_page(browser, tmp_path / FILE, width=width, scheme=scheme)
    for text in ("2 calls break rpo.", "read w/token.env", "cloud: `projectTransfer`", "Never reached"):
        assert looked.page.get_by_text(text).first.is_visible()
    assert looked.page.locator("#found").count() == 1
    looked.page.get_by_text("5 other calls").click()
    looked.ask(OPEN_ALL)
    rows = looked.page.locator(".calls tbody tr")
    assert rows.count() == len(explored.tried)
    assert rows.first.inner_text().startswith("call 24"), "the most frequent comes first"
    assert looked.page.locator("svg.time rect.block").count() == len(explored.split)
    assert looked.ask("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    assert looked.ask(BEYOND) == []
    found = looked.ask(CONTRASTS)
    assert len(found) > 30
    assert [(text, round(ratio, 2)) for text, ratio in found if ratio < LEAST_CONTRAST] == []
    assert looked.asked_for == [looked.page.url]
    assert looked.complaints == []
    looked.context.close()


@pytest.mark.browser
def test_a_page_of_nothing_found_has_no_sequence(browser: Browser, nothing: Explored, tmp_path: Path) -> None:
    empty = nothing.model_copy(update={"tried": (), "never": (), "split": {}, "sequences": 0, "seconds": 0.0})
    write_reports(empty, "run", tmp_path)
    looked = open_page(browser, tmp_path / FILE)
    assert looked.page.locator("#found").count() == 0
    assert looked.page.get_by_text("No call was made.").is_visible()
    looked.context.close()


@pytest.mark.browser
def test_nothing_of_a_stranger_runs(browser: Browser, explored: Explored, tmp_path: Path) -> None:
    strange = {
        "moves": (TEXT,),
        "why": TEXT,
        "principal": TEXT,
        "breaches": (Breach(objective="rpo", why=TEXT),),
        "tried": (Tried(move=TEXT, done=1, refused=0, failed=0),),
        "never": (TEXT,),
        "split": {TEXT: 1.0},
    }
    write_reports(explored.model_copy(update=strange), "run", tmp_path)
    looked = open_page(browser, tmp_path / FILE, scripts=True)
    looked.page.wait_for_timeout(200)  # an image that fails to load would tell its handler by now
    assert looked.ask("window.pwned") is None
    assert looked.asked_for == [looked.page.url]
    assert "\u202e" not in looked.page.content()
    looked.context.close()
