"""A site over many runs: what becomes of the folder that it is written into."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from html import unescape
from pathlib import Path

import pytest

import harness
from harness.archive.pages import page_of
from harness.archive.site import Contents, publish
from harness.errors import HarnessError, RequestError
from tests.archive.stored import store_run


def text(page: str) -> str:
    return " ".join(unescape(re.sub(r"<(style|title)[^>]*>.*?</\1>|<[^>]*>", " ", page, flags=re.S)).split())


def silent(done: int, of: int) -> None:
    assert done <= of


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


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the runs that were judged, one a time."""
    from harness.archive import site

    names: list[str] = []
    judge = site.judge_begun
    monkeypatch.setattr(site, "judge_begun", lambda folder: (names.append(folder.name), judge(folder))[1])
    return names


def test_a_page_says_against_which_run_what_differs(reports: Path, tmp_path: Path) -> None:
    first, second = runs_of(reports)
    publish([first, second], tmp_path / "site", silent)
    pages = {run.name: (tmp_path / "site" / page_of(run.name)).read_text() for run in (first, second)}
    assert "Since the run before" not in pages[first.name]
    told = text(pages[second.name])
    assert (
        "Since the run before Against the run of 2026-04-24 10:12:00 UTC : no verdict turned, and no figure"
        in told
    )
    assert f'href="../{page_of(first.name)}"' in pages[second.name]


def test_a_run_that_turns_up_later_is_put_where_it_belongs(
    reports: Path, tmp_path: Path, judged: list[str]
) -> None:
    first, second = runs_of(reports)
    publish([second], tmp_path / "site", silent)
    publish([first, second], tmp_path / "site", silent)
    assert judged == [second.name, first.name, second.name], "the second is set against the first now"
    publish([first, second], tmp_path / "anew", silent)
    assert everything(tmp_path / "site") == everything(tmp_path / "anew")


def stop_after(runs: int) -> Callable[[int, int], None]:
    """Interrupts when that many were read."""

    def tell(done: int, of: int) -> None:
        if done == runs:
            raise KeyboardInterrupt

    return tell


def test_what_was_drawn_before_an_interruption_is_not_judged_again(
    reports: Path, tmp_path: Path, judged: list[str]
) -> None:
    store_run(reports / "20260426T101200Z-pocketos-c")
    folders = runs_of(reports)
    site = tmp_path / "site"
    for n in (1, 2):
        with pytest.raises(KeyboardInterrupt):
            publish(folders, site, stop_after(n))
        begun = site / ".site.part.jsonl"
        begun.write_bytes(begun.read_bytes() + b'\n{"name": "cut o')
        assert judged == [folder.name for folder in folders[:n]]
    publish(folders, site, silent)
    assert judged == [folder.name for folder in folders]
    publish(folders, tmp_path / "anew", silent)
    assert everything(site) == everything(tmp_path / "anew")


def test_what_was_set_against_another_run_before_an_interruption_is_not_judged_again(
    reports: Path, tmp_path: Path, judged: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness.archive import site

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    first, second = runs_of(reports)
    publish([second], tmp_path / "site", silent)
    with monkeypatch.context() as patch:
        patch.setattr(site, "pages", stop)
        with pytest.raises(KeyboardInterrupt):
            publish([first, second], tmp_path / "site", silent)
    assert judged == [second.name, first.name, second.name]
    publish([first, second], tmp_path / "site", silent)
    assert len(judged) == 3


def test_what_another_version_drew_is_judged_again_once(
    reports: Path, tmp_path: Path, judged: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = runs_of(reports)
    first, second = (folder.name for folder in folders)
    site = tmp_path / "site"
    with monkeypatch.context() as patch:
        patch.setattr(harness, "__version__", "0.0.1")
        with pytest.raises(KeyboardInterrupt):
            publish(folders, site, stop_after(1))
    judged.clear()
    with pytest.raises(KeyboardInterrupt):
        publish(folders, site, stop_after(1))
    assert judged == [first], "the other version's line is not believed"
    publish(folders, site, silent)
    assert judged == [first, second], "the first was done"
    publish(folders, tmp_path / "anew", silent)
    assert everything(site) == everything(tmp_path / "anew")


def test_a_site_that_was_interrupted_is_brought_up_to_date(reports: Path, tmp_path: Path) -> None:
    first, second = runs_of(reports)
    with pytest.raises(KeyboardInterrupt):
        publish([first, second], tmp_path / "site", stop_after(1))
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
    file: str, reports: Path, tmp_path: Path, judged: list[str]
) -> None:
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
