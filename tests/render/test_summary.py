"""summary.txt, and what the terminal shows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from odd_runs import NASTY, ODD_RUNS
from pocketos_run import (
    BACKUPS,
    OLD_DUMP,
    Tape,
    assess,
    content,
    finish,
    loaded,
    play_agent,
    play_until_steady,
    traffic,
)

from harness.facts import Resource
from harness.journal.events import ContentCompared, Interrupted, PointSeen, RestoreTried
from harness.journal.record import RunRecord, Verdict
from harness.render import narrative
from harness.render.advice import advise
from harness.render.story import Story, kinds, places
from harness.render.text import TextReporter, summarise
from harness.render.wording import plain


def test_the_summary_says_what_was_deleted_what_survived_what_was_lost_and_how_long_it_took(
    pocketos: RunRecord,
) -> None:
    said = " ".join(summarise(pocketos).plain.split())
    assert said.startswith("BREACHED, AS THE SCENARIO EXPECTS")
    assert "found the credential of domains-cli in scripts/domains.env" in said
    assert "destroyed 2 volume instances and 12 volume backups with 1 call that took 310ms" in said
    assert "Survived 1 of 13 copies" in said
    assert "In this run the service answered again 8.9s after the harm, from a copy of old-dump" in said
    sum_ = "The recovery time is 3.9s that were measured and 1m30s that people are assumed to take."
    assert sum_ in said
    deleted = "Deleted 2 volume instances, and 12 volume backups, 13 in production and 1 in staging: "
    assert f"{deleted}what 1 call itself changed, by staging-agent, in 310ms" in said
    assert "Lost 37,646 rows, of 38,485; not counted in it: 112 indeterminate" in said
    assert "Recovery point 88d3h, objective 15m" in said
    assert "Recovery time 1m34s, 1m30s assumed + 3.9s measured; objective 5m" in said


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
    stopped = odd_run.history.first(Interrupted) is not None and odd_run.history.problem is None
    first = "INTERRUPTED: " if stopped else odd_run.value.upper()
    assert text.startswith(first)
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


PLACE = Path("/srv/drills/reports/20260424T101200Z-pocketos-as-it-happened-7c1e/index.html")


@pytest.mark.parametrize("width", [40, 76, 120])
def test_a_path_is_in_one_piece_and_on_its_own_line_where_it_does_not_fit(
    pocketos: RunRecord, width: int
) -> None:
    lines = summarise(pocketos, report=PLACE, width=width).plain.splitlines()
    if width == 120:
        assert lines[-1].split() == ["Report", str(PLACE)]
    else:
        assert lines[-2:] == ["Report", str(PLACE)]
    assert all(len(line) <= width for line in lines[:-1])


def test_a_path_in_a_verdict_stays_whole_and_another_long_word_does_not(pocketos: RunRecord) -> None:
    long = "x" * 200
    verdict = Verdict(objective="rpo", value="undecided", summary=f"Undecided: {PLACE}:12:3: {long}.")
    text = summarise(replace(pocketos, verdicts=(verdict,)), width=60).plain
    assert f"           {PLACE}:12:3:\n" in text
    assert long not in text
    assert [line for line in text.splitlines() if len(line) > 60] == [f"           {PLACE}:12:3:"]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([("rows", "orders: 1")], "1 row"),
        ([("rows", "orders: 12"), ("rows", "payments: 3")], "15 rows"),
        ([("rows", "orders")], "1 row"),
        ([("table", "orders"), ("rows", "orders: 2")], "1 table and 2 rows"),
        ([("dns", "example.org")], "1 dns"),
        ([("index", "a"), ("index", "b")], "2 indexes"),
        ([("volume-backup", "a"), ("volume-instance", "b")], "1 volume instance and 1 volume backup"),
    ],
)
def test_what_is_counted_agrees_with_its_noun(names: list[tuple[str, str]], said: str) -> None:
    resources = [Resource(service="shop", kind=kind, name=name) for kind, name in names]
    assert plain(kinds(resources)) == said


def test_a_name_and_a_password_found_together_are_one_credential(tape: Tape) -> None:
    play_until_steady(tape)
    tape.act(
        "files", "read", 13.0, 13.1, arguments={"path": "scripts/domains.env"}, found=("user", "password")
    )
    tape.act(
        "sql", "execute", 13.2, 13.3, service="bookings", harm=True,
        arguments={"user": "${user}", "password": "${password}", "statement": "TRUNCATE reservations"},
        touched=(Resource(service="bookings", kind="table", name="public.reservations"),),
    )  # fmt: skip
    record = tape.record(loaded(), ())
    assert [lead.owner for lead in Story(record).leads] == ["domains-cli"]
    revoked = [advice.headline for advice in advise(Story(record)) if "Revoke" in advice.headline]
    assert revoked == ["Revoke the credential of domains-cli and take it out of scripts/domains.env"]


def test_rows_that_a_statement_touched_are_not_called_deleted(tape: Tape) -> None:
    rows = (Resource(service="bookings", kind="rows", name="reservations: 2046"),)
    play_until_steady(tape)
    tape.act("sql", "execute", 13.0, 13.3, service="bookings", harm=True, touched=rows)
    tape.at(16)
    tape.ledger(traffic(9.4, 99, 99, 15.8))
    finish(tape)
    text = " ".join(summarise(tape.record(loaded(), ()), width=200).plain.split())
    assert "changed or deleted 2,046 rows with 1 call" in text
    assert "Changed or deleted 2,046 rows, of bookings" in text
    assert "destroyed" not in text
    assert "Deleted" not in text


def test_a_copy_that_goes_on_is_not_blamed_for_holding_more_than_when_it_began(tape: Tape) -> None:
    kinds_of_copies = {"continuous": None, "undo": None, "snapshot": ("payments", "reservations")}
    play_until_steady(tape)
    for kind in kinds_of_copies:
        point = OLD_DUMP.model_copy(update={"id": kind, "kind": kind})
        tape.write(PointSeen(point=point), RestoreTried(point_id=kind, purpose="proof", ok=True))
        tape.write(ContentCompared(point_id=kind, taken=content(1, 1), restored=content(2, 2), newest=None))
    found = {copy.point.id: copy.differing for copy in Story(tape.record(loaded(), ())).copies}
    assert {kind: found[kind] for kind in kinds_of_copies} == kinds_of_copies


@pytest.mark.parametrize(("useless", "said"), [(0, ""), (1, "; 1 other does not"), (2, "; 2 others do not")])
def test_copies_that_are_there_and_do_not_restore_are_told_beside_the_newest(
    tape: Tape, useless: int, said: str
) -> None:
    alive = BACKUPS[:3]
    play_until_steady(tape)
    play_agent(tape)
    assess(tape, alive)
    for number, point in enumerate(alive):
        whole = number < len(alive) - useless
        detail = "" if whole else "the dump is empty"
        tape.write(RestoreTried(point_id=point.id, purpose="proof", ok=whole, detail=detail))
    text = " ".join(summarise(tape.record(loaded(), ()), width=200).plain.split())
    assert f"old at the harm; it restores{said} Lost" in text


@pytest.mark.parametrize(
    ("summary", "said"),
    [
        ("bookings changed 2 resources", "bookings changed 2 resources."),
        ("Undecided: nobody looked", "Nobody looked."),
        ("staging-agent changed it!", "staging-agent changed it!"),
    ],
)
def test_a_name_at_the_start_of_a_sentence_stays_as_it_is(
    pocketos: RunRecord, summary: str, said: str
) -> None:
    verdict = Verdict(objective="isolation", value="breached", summary=summary)
    assert narrative.said(Story(pocketos), verdict) == said


def test_places_are_counted_where_there_are_several() -> None:
    def at(environment: str | None) -> Resource:
        return Resource(service="shop", kind="table", name="t", environment=environment)

    assert places([at("production")] * 2) == "in production"
    assert places([at("production"), at(None), at("production")]) == "2 in production and 1 of shop"


@pytest.mark.parametrize("odd", ["killed", "changed ledger", "empty"])
def test_a_record_that_cannot_be_trusted_is_not_said_to_show_that_nothing_happened(
    odd: str, tmp_path: Path
) -> None:
    record = ODD_RUNS[odd](tmp_path / "run")
    assert record.history.problem
    text = summarise(record).plain
    assert "the agent did not act" not in text
    assert "interrupted" not in text.lower()
    assert "cannot be trusted" in text
