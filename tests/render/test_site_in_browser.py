"""The site in headless Chromium: filters without JavaScript, each width and scheme, hostile texts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import product
from pathlib import Path

import pytest
from hostile_texts import CORPUS, corpus_run
from playwright.sync_api import Browser
from test_in_browser import NARROW, OVERLAPS, WIDE, Looked, open_page

from harness.archive.pages import Published, Unreadable, pages, scenario_page
from harness.archive.site import publish
from tests.archive.runs import SHOP, kept, verdict
from tests.archive.stored import store_run

pytestmark = pytest.mark.browser
NIS2 = "EU Directive 2022/2555 (NIS2) and Regulation 2024/2690"


def written(folder: Path, runs: tuple[Published, ...], unreadable: tuple[Unreadable, ...] = ()) -> Path:
    for page, text in pages(runs, unreadable):
        (folder / page).parent.mkdir(exist_ok=True)
        (folder / page).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve runs of a scenario, every third breached and unexpected, one that ended before it measured."""
    runs = tuple(
        Published(
            name=f"run-{n}",
            evidence="ab",
            title="A shop loses its orders",
            run=run,
            frameworks=("nis2", "soc2") if n % 2 else ("soc2",) if n > 2 else (),
        )
        for n in range(12, 0, -1)
        for value in ("undecided" if n == 5 else "breached" if n % 3 == 0 else "held",)
        for times in ({} if n == 5 else {"rto": 40.0 * n, "target": 300.0},)
        for run in (
            kept(
                n,
                verdict("rto", value, **times),
                verdict("isolation"),
                age=timedelta(days=12 - n),
                ended=n != 5,
            ),
        )
    )
    return written(tmp_path_factory.mktemp("site"), runs)


@pytest.fixture(
    params=[(w, s) for w in (WIDE, NARROW) for s in ("light", "dark")], ids=lambda p: f"{p[0]}-{p[1]}"
)
def looks(request: pytest.FixtureRequest, browser: Browser, site: Path) -> Iterator[list[Looked]]:
    """Index and scenario, in each width and scheme."""
    width, scheme = request.param
    found = [
        open_page(browser, site / page, width=width, scheme=scheme)
        for page in ("index.html", scenario_page(SHOP))
    ]
    yield found
    for looked in found:
        looked.context.close()


def test_pages_fit_their_width_and_can_be_read(looks: list[Looked]) -> None:
    for looked in looks:
        looked.fits_its_width()
        size = looked.page.viewport_size
        height = looked.ask("document.documentElement.scrollHeight")
        looked.page.set_viewport_size({**size, "height": height})
        looked.can_be_read_on_its_ground(40)
        assert looked.ask(OVERLAPS) == []
        looked.was_quiet()


@pytest.mark.parametrize("page", ["index.html", scenario_page(SHOP)])
def test_on_a_phone_nothing_of_a_run_is_out_of_sight(browser: Browser, site: Path, page: str) -> None:
    looked = open_page(browser, site / page, width=NARROW)
    cells = looked.page.locator("tr.run").first.locator("> *:visible")
    boxes = [cells.nth(n).bounding_box() for n in range(cells.count())]
    assert len(boxes) == (6 if page == "index.html" else 5) + 1, "the newest run turned"
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= NARROW for box in boxes)
    assert len({box["y"] for box in boxes}) == len(boxes), "one below the other"
    label = "getComputedStyle(document.querySelector('tr.run td.num'), '::before').content"
    assert looked.ask(label) == '"RPO"'
    looked.context.close()


def visible(looked: Looked) -> int:
    return looked.page.locator("tr.run:visible").count()


@pytest.mark.parametrize("page", ["index.html", scenario_page(SHOP)])
def test_filters_work_by_keyboard_and_without_javascript(browser: Browser, site: Path, page: str) -> None:
    looked = open_page(browser, site / page)
    assert visible(looked) == 12
    looked.page.get_by_label("every verdict").focus()
    for kind, count in (("held", 7), ("breached", 4), ("undecided", 1)):
        looked.page.keyboard.press("ArrowRight")
        assert looked.page.get_by_label(kind, exact=True).is_checked()
        assert visible(looked) == count
        assert looked.page.locator(f"tr.run.{kind}:visible").count() == count
    looked.page.get_by_label("every verdict").check()
    looked.page.get_by_label("only what was not expected").focus()
    looked.page.keyboard.press("Space")
    assert visible(looked) == 5
    looked.page.get_by_label("held", exact=True).check()
    assert visible(looked) == 0
    looked.page.get_by_label("every verdict").check()
    looked.page.get_by_label("only what was not expected").uncheck()
    looked.page.get_by_label("only what did not end").focus()
    looked.page.keyboard.press("Space")
    assert visible(looked) == 1
    assert looked.page.locator("tr.run:visible").get_by_text("did not end").is_visible()
    looked.context.close()


@pytest.mark.parametrize("page", ["index.html", scenario_page(SHOP)])
def test_runs_can_be_chosen_by_what_they_are_evidence_for(browser: Browser, site: Path, page: str) -> None:
    looked = open_page(browser, site / page, width=NARROW)
    chosen = looked.page.get_by_label("evidence for")
    chosen.focus()
    for titles, count in ((NIS2, 6), ("SOC 2, Trust Services Criteria", 11)):
        looked.page.keyboard.press("ArrowDown")
        assert looked.ask("document.activeElement.selectedOptions[0].text") == titles
        assert visible(looked) == count
    looked.page.get_by_label("breached", exact=True).check()
    assert visible(looked) == 4, "both filters hold"
    chosen.select_option("whatever")
    looked.page.get_by_label("every verdict").check()
    assert visible(looked) == 12
    box = chosen.bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= NARROW
    looked.context.close()


def test_a_run_leads_back_to_its_scenario_and_to_the_run_before(browser: Browser, tmp_path: Path) -> None:
    for name in ("20260424T101200Z-pocketos-a", "20260425T101200Z-pocketos-b"):
        store_run(tmp_path / "reports" / name)
    publish(sorted((tmp_path / "reports").iterdir()), tmp_path / "site", lambda *_: None)
    looked = open_page(browser, tmp_path / "site" / "runs" / "20260425T101200Z-pocketos-b.html", width=NARROW)
    looked.fits_its_width()
    looked.page.get_by_role("link", name="2026-04-24 10:12:00 UTC").click()
    assert looked.page.url.endswith("20260424T101200Z-pocketos-a.html")
    looked.page.get_by_role("link", name="runs of pocketos").click()
    assert looked.page.get_by_role("heading", name="Trend").is_visible()
    looked.page.go_back()
    looked.page.get_by_role("link", name="All scenarios").click()
    assert looked.page.get_by_role("heading", name="Drills and what they showed").is_visible()
    looked.context.close()


def test_who_has_the_focus_can_be_seen(browser: Browser, site: Path) -> None:
    looked = open_page(browser, site / "index.html")
    looked.page.get_by_label("every verdict").focus()
    looked.page.keyboard.press("ArrowRight")
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert looked.ask(outline) == "solid"
    looked.context.close()


def test_a_mark_stands_as_high_as_its_run_took(browser: Browser, site: Path) -> None:
    looked = open_page(browser, site / scenario_page(SHOP))
    marks = looked.page.locator(".drawing svg.run")
    boxes = [marks.nth(n).locator("circle").bounding_box() for n in range(marks.count())]
    assert len(boxes) == 12
    heights = [box["y"] for n, box in enumerate(boxes, 1) if n != 5]
    assert heights == sorted(heights, reverse=True), "each took longer than the one before"
    assert boxes[4]["y"] > max(heights), "the one that measured nothing is below zero"
    line = looked.page.locator(".drawing .asked").bounding_box()["y"]
    above = [n for n, box in enumerate(boxes, 1) if box["y"] + box["height"] / 2 < line]
    assert above == [8, 9, 10, 11, 12], "40 s a run against 300 s"
    looked.context.close()


def test_the_index_leads_to_a_scenario_and_back(browser: Browser, site: Path) -> None:
    looked = open_page(browser, site / "index.html")
    looked.page.get_by_role("link", name=SHOP).first.click()
    assert looked.page.get_by_role("heading", name="A shop loses its orders").is_visible()
    looked.page.get_by_role("link", name="All scenarios").click()
    assert looked.page.get_by_role("heading", name="Drills and what they showed").is_visible()
    looked.context.close()


def test_hostile_texts_neither_run_nor_break_a_page(browser: Browser, tmp_path: Path) -> None:
    runs = tuple(
        Published(
            name=f"run-{n}",
            evidence="",
            title=text,
            run=kept(
                n,
                verdict(text, "breached" if n % 2 else "held", rto=1.0),
                verdict("rto", rto=1.0),
                age=timedelta(days=100 - n),
                scenario=scenario,
                problem=text,
            ),
        )
        for n, (text, scenario) in enumerate(
            [(text, scenario) for text in CORPUS.values() for scenario in (text, SHOP)], 1
        )
    )
    unreadable = tuple(Unreadable(name=text[:300], why=text[:300]) for text in CORPUS.values())
    site = written(tmp_path, runs[::-1], unreadable)
    every = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.html"))
    assert len(every) == 2 + len(CORPUS)
    each_is_harmless(browser, site, every)


def test_a_run_full_of_hostile_texts_is_published_harmlessly(browser: Browser, tmp_path: Path) -> None:
    """From its folder, the name of which is one too, to the pages that tell of it."""
    reports = tmp_path / "reports"
    run = reports / CORPUS["image"]
    scenario = corpus_run(run).scenario.model_dump_json(by_alias=True)
    (run / "scenario.json").write_text(scenario)
    broken = reports / '"><script>window.pwned=1<'
    broken.mkdir()
    (broken / "scenario.json").write_text(CORPUS["script"])
    contents = publish([run, broken], tmp_path / "site", lambda done, of: None)
    assert (len(contents.runs), len(contents.unreadable), len(contents.files)) == (1, 1, 3)
    each_is_harmless(browser, tmp_path / "site", contents.files)


def each_is_harmless(browser: Browser, site: Path, pages: Iterable[str]) -> None:
    for page, width in product(pages, (WIDE, NARROW)):
        looked = open_page(browser, site / page, width=width, scripts=True)
        assert looked.ask("window.pwned") is None, page
        assert looked.page.locator("script, img, iframe, object, base, animate").count() == 0, page
        looked.was_quiet()
        looked.fits_its_width()
        looked.context.close()
