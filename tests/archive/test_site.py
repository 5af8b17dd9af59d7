"""A site over many runs: what its pages tell, and what becomes of the folder that they are written into."""

from __future__ import annotations

import json
import os
import re
import shutil
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from harness.archive.kept import Kept
from harness.archive.site import (
    MOST_MARKS,
    MOST_POINTS,
    MOST_ROWS,
    Contents,
    Published,
    page_of,
    pages,
    publish,
    scenario_page,
)
from harness.errors import HarnessError, RequestError
from tests.archive.runs import SHOP, kept, verdict
from tests.archive.stored import store_run


def published(number: int, *verdicts: Any, days: float = 0, **changes: Any) -> Published:
    run: Kept = kept(number, *verdicts, age=timedelta(days=days), **changes)
    return Published(name=run.run_id, evidence="ab", title="A shop", run=run)


def rto(seconds: float, value: str = "held", target: float = 300.0) -> Any:
    return verdict("rto", value, rto=seconds, target=target)


def text(page: str) -> str:
    return " ".join(unescape(re.sub(r"<(style|title)[^>]*>.*?</\1>|<[^>]*>", " ", page, flags=re.S)).split())


def silent(done: int, of: int) -> None:
    assert done <= of


# --- pages ----------------------------------------------------------------------------------------------


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


# --- the folder -----------------------------------------------------------------------------------------


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    for name in ("20260424T101200Z-pocketos-a", "20260425T101200Z-pocketos-b"):
        store_run(tmp_path / "reports" / name)
    return tmp_path / "reports"


def runs_of(reports: Path) -> list[Path]:
    return sorted(reports.iterdir())


def everything(site: Path) -> dict[str, bytes]:
    return {str(path.relative_to(site)): path.read_bytes() for path in site.rglob("*") if path.is_file()}


def test_a_site_has_the_pages_that_it_names_and_nothing_else(reports: Path, tmp_path: Path) -> None:
    contents = publish(runs_of(reports), tmp_path / "site", silent)
    written = everything(tmp_path / "site")
    assert {*written} == {"site.json", *contents.files}
    assert Contents.model_validate_json(written["site.json"]) == contents
    links = {
        (Path(page).parent / target).as_posix()
        for page, content in written.items()
        for target in re.findall(r'href="([^"#]+\.html)"', content.decode())
        if not page.startswith("runs/")
    }
    resolved = {re.sub(r"[^/]+/\.\./", "", link) for link in links}
    assert resolved == {*contents.files}, "each page is linked, and each link leads to one"
    assert str(tmp_path).encode() not in b"".join(
        content for page, content in written.items() if not page.startswith("runs/")
    )


def test_the_same_runs_give_the_same_bytes(reports: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        publish(runs_of(reports), tmp_path / name, silent)
    assert everything(tmp_path / "one") == everything(tmp_path / "two")


def test_a_site_brought_up_to_date_is_the_one_made_anew(reports: Path, tmp_path: Path) -> None:
    first, second = runs_of(reports)
    for folders in ([first], [first, second], [second]):
        publish(folders, tmp_path / "grown", silent)
    publish([second], tmp_path / "anew", silent)
    assert everything(tmp_path / "grown") == everything(tmp_path / "anew")


def test_a_site_that_was_interrupted_is_brought_up_to_date(reports: Path, tmp_path: Path) -> None:
    def stop(done: int, of: int) -> None:
        if done == 1:
            raise KeyboardInterrupt

    first, second = runs_of(reports)
    with pytest.raises(KeyboardInterrupt):
        publish([first, second], tmp_path / "site", stop)
    assert (tmp_path / "site" / page_of(first.name)).exists()
    publish([second], tmp_path / "site", silent)
    publish([second], tmp_path / "anew", silent)
    assert everything(tmp_path / "site") == everything(tmp_path / "anew"), "the page of the first is gone"


def test_an_interruption_while_pages_are_removed_leaves_none_behind(
    reports: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness.archive import site

    def stop(out: Path, path: str) -> None:
        raise KeyboardInterrupt

    first, second = runs_of(reports)
    publish([first], tmp_path / "site", silent)
    with monkeypatch.context() as patch:
        patch.setattr(site, "_remove", stop)
        with pytest.raises(KeyboardInterrupt):
            publish([second], tmp_path / "site", silent)
    publish([second], tmp_path / "site", silent)
    publish([second], tmp_path / "anew", silent)
    assert everything(tmp_path / "site") == everything(tmp_path / "anew")


@pytest.mark.parametrize("page", [page_of("20260424T101200Z-pocketos-a"), "index.html"])
def test_a_page_that_somebody_changed_is_drawn_again(page: str, reports: Path, tmp_path: Path) -> None:
    publish(runs_of(reports), tmp_path / "site", silent)
    before = everything(tmp_path / "site")
    (tmp_path / "site" / page).write_bytes(before[page].replace(b"breached", b"held"))
    publish(runs_of(reports), tmp_path / "site", silent)
    assert everything(tmp_path / "site") == before


@pytest.mark.parametrize("file", ["journal.jsonl", "ledger.jsonl"])
def test_a_run_is_judged_once_and_again_when_its_files_are_others(
    file: str, reports: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged: list[str] = []
    from harness.archive import site

    judge = site.judge_begun
    monkeypatch.setattr(site, "judge_begun", lambda folder: (judged.append(folder.name), judge(folder))[1])
    first, second = runs_of(reports)
    publish([first, second], tmp_path / "site", silent)
    publish([first, second], tmp_path / "site", silent)
    assert judged == [first.name, second.name]
    changed = second / file
    changed.write_bytes(changed.read_bytes().replace(b'"refused"', b'"done"', 1) + b" ")
    contents = publish([first, second], tmp_path / "site", silent)
    assert judged == [first.name, second.name, second.name]
    assert [one.run.problem is not None for one in contents.runs if one.name == second.name] == [True]
    assert "the record cannot be trusted" in (tmp_path / "site" / "index.html").read_text()


def test_a_run_that_is_gone_takes_its_page_along(reports: Path, tmp_path: Path) -> None:
    first, second = runs_of(reports)
    publish([first, second], tmp_path / "site", silent)
    mine = tmp_path / "site" / "runs" / "mine.txt"
    mine.write_text("somebody else's")
    publish([second], tmp_path / "site", silent)
    assert not (tmp_path / "site" / page_of(first.name)).exists()
    assert (tmp_path / "site" / page_of(second.name)).exists()
    assert mine.exists()


def test_a_former_site_cannot_have_other_files_removed(reports: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim.html"
    victim.write_text("keep me")
    site = tmp_path / "site"
    publish(runs_of(reports), site, silent)
    stored = json.loads((site / "site.json").read_text())
    stored["files"] += ["../victim.html", "runs/../../victim.html", str(victim), "site.json"]
    (site / "site.json").write_text(json.dumps(stored))
    publish(runs_of(reports), site, silent)
    assert victim.exists()
    assert (site / "site.json").exists()


def test_a_folder_that_tells_nothing_is_named_with_its_reason(reports: Path, tmp_path: Path) -> None:
    (reports / "broken").mkdir()
    (reports / "broken" / "scenario.json").write_text("{")
    contents = publish(runs_of(reports), tmp_path / "site", silent)
    assert [each.name for each in contents.unreadable] == ["broken"]
    assert str(tmp_path) not in (tmp_path / "site" / "site.json").read_text()
    assert len(contents.runs) == 2
    assert "broken" in text((tmp_path / "site" / "index.html").read_text())


def test_a_folder_whose_name_is_no_text_is_named_as_well_as_it_can_be(reports: Path, tmp_path: Path) -> None:
    store_run(reports / os.fsdecode(b"run-\xff"))
    contents = publish(runs_of(reports), tmp_path / "site", silent)
    assert [(each.name, each.why) for each in contents.unreadable] == [
        ("run-\N{REPLACEMENT CHARACTER}", "the name of its folder is not UTF-8")
    ]
    assert len(contents.runs) == 2
    assert publish(runs_of(reports), tmp_path / "site", silent) == contents, "its site.json can be read"


def test_a_search_is_no_run(reports: Path, tmp_path: Path) -> None:
    (reports / "20260426T101200Z-search").mkdir()
    (reports / "20260426T101200Z-search" / "radius.json").write_text("{}")
    contents = publish(runs_of(reports), tmp_path / "site", silent)
    assert (len(contents.runs), contents.unreadable) == (2, ())


def test_without_any_run_what_is_there_stays(reports: Path, tmp_path: Path) -> None:
    publish(runs_of(reports), tmp_path / "site", silent)
    before = everything(tmp_path / "site")
    with pytest.raises(RequestError, match="there is no run"):
        publish([], tmp_path / "site", silent)
    assert everything(tmp_path / "site") == before


def test_a_folder_of_something_else_is_left_alone(reports: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("years of work")
    with pytest.raises(RequestError, match="is no site"):
        publish(runs_of(reports), other, silent)
    (other / "site.json").write_text('{"schema": 1, "site": "of somebody else"}')
    with pytest.raises(RequestError, match="is not that of a site"):
        publish(runs_of(reports), other, silent)
    assert sorted(path.name for path in other.iterdir()) == ["site.json", "thesis.txt"]


def test_two_runs_of_one_name_are_refused(reports: Path, tmp_path: Path) -> None:
    first, _ = runs_of(reports)
    shutil.copytree(first, tmp_path / "elsewhere" / first.name)
    with pytest.raises(RequestError, match="two runs are named"):
        publish([first, tmp_path / "elsewhere" / first.name], tmp_path / "site", silent)
    assert not (tmp_path / "site").exists()


def test_a_place_that_cannot_be_written_is_told(reports: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HarnessError, match="file"):
        publish(runs_of(reports), tmp_path / "file" / "site", silent)
