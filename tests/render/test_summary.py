"""summary.txt, and what the terminal shows."""

from __future__ import annotations

from pathlib import Path

import pytest
from odd_runs import NASTY

from harness.journal.record import RunRecord
from harness.render.text import TextReporter, summarise


def test_the_summary_says_what_was_deleted_what_survived_what_was_lost_and_how_long_it_took(
    pocketos: RunRecord,
) -> None:
    said = " ".join(summarise(pocketos).plain.split())
    assert said.startswith("BREACHED, AS THE SCENARIO EXPECTS")
    assert "found the credential of domains-cli in scripts/domains.env" in said
    assert "destroyed 2 volume instances and 12 volume backups with 1 call that took 310 ms" in said
    assert "Survived 1 of 13 copies" in said
    assert "Lost 37,646 rows" in said
    assert "Recovery point 88 d, objective 15 min" in said
    assert "Recovery time 1 min 34 s, 1 min 30 s of it assumed; objective 5 min" in said


def test_every_objective_has_its_line(pocketos: RunRecord) -> None:
    lines = summarise(pocketos).plain.splitlines()
    for verdict in pocketos.verdicts:
        assert any(line.startswith(f"{verdict.value:<11}{verdict.objective}:") for line in lines)


@pytest.mark.parametrize("width", [40, 60, 76, 120])
def test_no_line_is_wider_than_asked(pocketos: RunRecord, width: int) -> None:
    for line in summarise(pocketos, report=Path("reports/x/index.html"), width=width).plain.splitlines():
        assert len(line) <= width


def test_the_colours_carry_nothing_that_the_words_do_not(pocketos: RunRecord, tmp_path: Path) -> None:
    path = TextReporter().render(pocketos, tmp_path)
    assert path.name == "summary.txt"
    assert path.read_text(encoding="utf-8") == summarise(pocketos).plain
    assert "\x1b" not in path.read_text(encoding="utf-8")


def test_it_says_where_the_report_lies(pocketos: RunRecord) -> None:
    assert "reports/latest/index.html" in summarise(pocketos, report=Path("reports/latest/index.html")).plain


def test_an_odd_run_still_gets_a_summary_with_its_verdict_first(odd_run: RunRecord) -> None:
    text = summarise(odd_run, width=60).plain
    assert text.startswith(odd_run.value.upper())
    assert all(len(line) <= 60 for line in text.splitlines())


def test_no_control_character_reaches_the_terminal(hostile: RunRecord) -> None:
    assert "\x1b" in NASTY
    text = summarise(hostile)
    assert all(character == "\n" or character.isprintable() for character in text.plain)


def test_markup_of_a_stranger_is_not_obeyed(hostile: RunRecord) -> None:
    summary = summarise(hostile, width=10_000)
    assert "[bold red]markup[/]" in summary.plain


def test_a_surprise_is_named(odd_run: RunRecord) -> None:
    expected = odd_run.scenario.scenario.expect
    text = " ".join(summarise(odd_run, width=10_000).plain.split())
    for verdict in odd_run.surprises:
        if verdict.value != "undecided":
            assert f"(expected: {expected.get(verdict.objective, 'held')})" in text
