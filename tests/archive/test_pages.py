"""The pages over many runs: what an index and the page of a scenario tell."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest

from harness.archive.kept import Kept
from harness.archive.pages import (
    MOST_MARKS,
    MOST_POINTS,
    MOST_ROWS,
    Published,
    Row,
    around,
    before,
    page_of,
    pages,
    scenario_page,
)
from tests.archive.runs import SHOP, kept, verdict


def published(number: int, *verdicts: Any, days: float = 0, **changes: Any) -> Published:
    run: Kept = kept(number, *verdicts, age=timedelta(days=days), **changes)
    return Published(name=run.run_id, evidence="ab", title="A shop", run=run)


def rto(seconds: float, value: str = "held", target: float = 300.0) -> Any:
    return verdict("rto", value, rto=seconds, target=target)


def text(page: str) -> str:
    return " ".join(unescape(re.sub(r"<(style|title)[^>]*>.*?</\1>|<[^>]*>", " ", page, flags=re.S)).split())


def test_the_index_has_every_run_and_each_scenario_as_its_newest_run_left_it() -> None:
    runs = (
        published(3, rto(400.0, "breached"), days=0),
        published(2, rto(60.0), days=1, scenario="bank/drill"),
        published(1, rto(61.0), days=2),
    )
    told = text(dict(pages(runs, ()))["index.html"])
    assert "3 runs 2 scenarios 2 held 1 breached 0 undecided 0 did not end 1 not as expected" in told
    assert told.index("bank/drill") < told.index(SHOP), "scenarios stand in order"
    rows = told[told.index("Turned since the run before") :]
    assert rows.index("2026-04-24") < rows.index("2026-04-23") < rows.index("2026-04-22")
    assert "breached not as expected" in rows
    assert "rto: held \N{RIGHTWARDS ARROW} breached" in rows


def test_what_turned_alike_is_told_at_once() -> None:
    both = verdict("rpo", "undecided"), rto(61.0, "undecided"), verdict("isolation", "breached")
    runs = (published(2, *both), published(1, verdict("rpo"), rto(61.0), verdict("isolation"), days=1))
    arrow = "\N{RIGHTWARDS ARROW}"
    told = text(dict(pages(runs, ()))["index.html"])
    assert f"rpo and rto: held {arrow} undecided isolation: held {arrow} breached" in told


def test_a_scenario_has_its_history_and_what_the_newest_run_changed() -> None:
    runs = (published(2, rto(400.0, "breached")), published(1, rto(61.0), days=1, digest="d2"))
    told = text(dict(pages(runs, ()))[scenario_page(SHOP)])
    assert "2 of 2 runs measured it, from 1m1s to 6m40s, 6m40s at last." in told
    assert "objective 5m" in told
    assert "the files of the scenario are not the same" in told
    assert "rto held breached worse" in told
    assert "rto 1m1s 6m40s" in told


def test_a_figure_that_reads_as_before_has_not_moved() -> None:
    runs = (published(2, rto(60.0001)), published(1, rto(60.0), days=1))
    assert "No figure moved." in text(dict(pages(runs, ()))[scenario_page(SHOP)])


def test_of_what_one_run_alone_measured_only_the_times_are_told() -> None:
    before = published(1, verdict("rto", rto=61.0, target=300.0, restore=1.0), days=1)
    runs = (published(2, verdict("rto", "undecided"), ended=False), before)
    told = text(dict(pages(runs, ()))[scenario_page(SHOP)])
    assert "Figure Before Now rto 1m1s \N{EN DASH} Runs" in told


def test_a_run_that_measured_nothing_is_a_mark_of_its_own() -> None:
    runs = (published(2, verdict("rto", "undecided"), ended=False), published(1, rto(61.0), days=1))
    drawn = dict(pages(runs, ()))
    page = drawn[scenario_page(SHOP)]
    assert "1 undecided 1 did not end" in text(drawn["index.html"])
    assert "not measured, undecided" in page
    assert "1 of 2 runs measured it" in page
    assert "did not end" in page


def test_a_trend_is_of_the_newest_and_says_when_the_objective_was_another() -> None:
    runs = tuple(
        published(n, rto(60.0 + n, target=300.0 if n else 600.0), days=MOST_POINTS + 9 - n)
        for n in range(MOST_POINTS + 9, -1, -1)
    )
    page = dict(pages(runs, ()))[scenario_page(SHOP)]
    assert page.count('class="run held"') == MOST_POINTS
    assert "another one before" not in page
    page = dict(pages(runs[-3:], ()))[scenario_page(SHOP)]
    assert "The objective was another one before" in page


def test_long_tables_are_cut_aloud() -> None:
    runs = tuple(published(n, days=MOST_ROWS + 7 - n) for n in range(MOST_ROWS + 7, 0, -1))
    drawn = dict(pages(runs, ()))
    assert drawn["index.html"].count('<tr class="run ') == MOST_ROWS
    assert "7 older runs: each is on the page of its scenario." in text(drawn["index.html"])
    assert "7 older runs left out here" in text(drawn[scenario_page(SHOP)])
    recent = drawn["index.html"].partition('class="recent"')[2].partition("</td>")[0]
    assert recent.count("<svg") == MOST_MARKS


def test_what_would_have_been_is_neither_counted_nor_compared() -> None:
    runs = (published(3, rto(61.0)), published(2, rto(999.0, "breached"), days=1, supposed=True))
    drawn = dict(pages(runs, ()))
    assert "1 run 1 scenario 1 held 0 breached" in text(drawn["index.html"])
    assert "Left out here: 1 run with an idle agent" in text(drawn["index.html"])
    assert "This is the only run." in text(drawn[scenario_page(SHOP)])


def test_an_empty_site_says_so() -> None:
    assert "There is no run." in text(dict(pages((), ()))["index.html"])


def test_a_run_is_set_against_the_one_right_before_it() -> None:
    oldest, middle, newest = (published(n, days=3 - n) for n in (1, 2, 3))
    assert before(middle, (oldest, newest)) == oldest
    assert before(newest, (oldest, middle)) == middle
    assert before(oldest, (middle, newest)) is None
    assert before(published(4, supposed=True), (oldest, middle)) is None


def since(earlier: tuple[Any, ...], later: tuple[Any, ...], **changes: Any) -> str:
    """What the page of a run says that differs."""
    one, two = published(1, *earlier, days=1), published(2, *later, **changes)
    return text(around(Row(two, one))[1])


def test_a_page_of_a_run_tells_only_what_turned_or_moved() -> None:
    isolation = verdict("isolation")
    start = "Since the run before Against the run of 2026-04-23 12:00:00 UTC"
    assert since((isolation, rto(61.0)), (isolation, rto(61.0))) == (
        f"{start} : no verdict turned, and no figure moved."
    )
    moved = since((isolation, rto(61.0)), (isolation, rto(62.0)))
    assert moved == f"{start} : no verdict turned. Figure Before Now rto 1m1s 1m2s"
    turned = since((isolation, rto(61.0)), (isolation, rto(61.0, "breached")))
    assert turned == f"{start} . Objective Before Now rto held breached worse No figure moved."
    both = since((isolation, rto(61.0)), (isolation, rto(600.0, "breached")), ended=False)
    unended = f"{start} . run-2 did not end."
    assert both.startswith(f"{unended} Objective Before Now rto held breached worse Figure")
    assert both.endswith("rto 1m1s 10m")


def test_frameworks_are_offered_that_a_run_says_something_of() -> None:
    runs = tuple(
        published(n, days=3 - n).model_copy(update={"frameworks": named})
        for n, named in ((3, ("soc2",)), (2, ("iso-27001", "soc2")), (1, ()))
    )
    made = dict(pages(runs, ()))
    for page in ("index.html", scenario_page(SHOP)):
        assert re.findall(r'<option class="of-([a-z0-9-]+)">', made[page]) == ["iso-27001", "soc2"]
        assert re.findall(r'<tr class="run held expected ended([^"]*)">', made[page]) == [
            " of-soc2",
            " of-iso-27001 of-soc2",
            "",
        ]
    assert "<select" not in dict(pages((published(1),), ()))["index.html"]


@pytest.mark.parametrize(
    "id_", ["../../etc/passwd", "a/b", "a-b", "A-B", "", "x" * 500, "\u202e", "a\x00b", "%2e%2e"]
)
def test_pages_stay_in_their_folders(id_: str) -> None:
    for page in (scenario_page(id_), page_of(id_)):
        assert re.fullmatch(r"(scenarios|runs)/[A-Za-z0-9_-]*(\.[0-9a-f]{12})?\.html", page)
        assert len(page) < 120


def test_no_two_scenarios_share_a_page() -> None:
    ids = ["a/b", "a-b", "A/B", "a b", "a--b", "a", "A", ""]
    assert len({scenario_page(id_).lower() for id_ in ids}) == len(ids)
