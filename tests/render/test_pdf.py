"""report.pdf: the whole page on paper, the same bytes each time, and nothing fetched."""

from __future__ import annotations

import ctypes
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pypdfium2
import pytest
from hostile_texts import CORPUS, corpus_run
from test_answers import explored, matrix, radius

from harness.errors import MissingToolError
from harness.journal.answer import Result
from harness.journal.record import RunRecord
from harness.render import html
from harness.render.answers import write_reports
from harness.render.html import CONTENTS
from harness.render.pdf import FILE, PdfReporter, document

pytestmark = [pytest.mark.pdf, pytest.mark.slow]

ACT = (0xEF, 0xC9, 0xBF)
"""Of the phase in which the agent acts, in the timeline: a variable of the page's style sheet."""


@pytest.fixture(scope="module")
def printed(pocketos: RunRecord) -> bytes:
    return document(html.page(pocketos), pocketos.run_id)


def sheets(printed: bytes) -> Iterator[pypdfium2.PdfPage]:
    yield from pypdfium2.PdfDocument(printed)


def text(printed: bytes) -> str:
    """All of it, with single spaces."""
    return " ".join(" ".join(sheet.get_textpage().get_text_bounded() for sheet in sheets(printed)).split())


def test_every_part_of_the_page_is_there_in_its_order(pocketos: RunRecord, printed: bytes) -> None:
    told, at = text(printed), 0
    headings = re.findall(r"<h2 id[^>]*>([^<]+)<", html.page(pocketos))
    assert len(headings) >= len(CONTENTS) - 1
    for heading in headings:
        at = told.find(unescape(heading).strip(), at)
        assert at >= 0, heading


def test_what_a_browser_folds_away_is_on_paper(pocketos: RunRecord, printed: bytes) -> None:
    told = text(printed)
    assert "45 T+310ms action-ended" in told, "the lines that verdicts cite"
    assert "Never shown by a replica: 26." in told, "the chapters of controls"
    assert "Phases in numbers" not in told, "there is nothing to open"


def test_each_sheet_names_the_run_and_its_place(pocketos: RunRecord, printed: bytes) -> None:
    every = [sheet.get_textpage().get_text_bounded() for sheet in sheets(printed)]
    for n, told in enumerate(every, 1):
        assert f"run {pocketos.run_id}" in told
        assert f"Page {n} of {len(every)}" in told


def test_a_reader_of_screens_gets_a_title_and_a_structure(pocketos: RunRecord, printed: bytes) -> None:
    paper = pypdfium2.PdfDocument(printed)
    assert pypdfium2.raw.FPDFCatalog_IsTagged(paper)
    assert paper.get_metadata_dict()["Title"] == f"breached: {pocketos.scenario.id}"
    language = pypdfium2.raw.FPDFCatalog_GetLanguage(paper, None, 0)
    buffer = ctypes.create_string_buffer(language)
    pypdfium2.raw.FPDFCatalog_GetLanguage(
        paper, ctypes.cast(buffer, ctypes.POINTER(ctypes.c_ushort)), language
    )
    assert buffer.raw.decode("utf-16-le").rstrip("\0") == "en"


def test_drawings_have_the_colours_of_the_page(printed: bytes) -> None:
    seen = (sheet for sheet in sheets(printed) if "Timeline" in sheet.get_textpage().get_text_bounded())
    colours = {
        colour: count for count, colour in next(seen).render().to_pil().convert("RGB").getcolors(1 << 24)
    }
    assert colours.get(ACT, 0) > 100
    assert colours.get((0, 0, 0), 0) < 0.02 * sum(colours.values()), "what has no colour of its own is black"


def test_the_same_page_gives_the_same_bytes_whatever_the_clock(
    pocketos: RunRecord, printed: bytes, tmp_path: Path
) -> None:
    page = tmp_path / "index.html"
    page.write_text(html.page(pocketos), encoding="utf-8", newline="\n")
    code = "import sys; from pathlib import Path; from harness.render.pdf import document\n"
    code += f"sys.stdout.buffer.write(document(Path(sys.argv[1]).read_text('utf-8'), {pocketos.run_id!r}))"
    done = subprocess.run(
        [sys.executable, "-c", code, page],
        env={**os.environ, "SOURCE_DATE_EPOCH": "86400", "TZ": "Asia/Tokyo", "PYTHONHASHSEED": "7"},
        capture_output=True,
        check=True,
    )
    assert done.stdout == printed
    assert b"/CreationDate" not in printed


def test_another_run_has_another_identifier() -> None:
    one, other = (document(f"<html lang=en><title>{n}</title><body>{n}", "x") for n in "ab")
    assert one != other
    assert identifier(one) != identifier(other)


def identifier(printed: bytes) -> bytes:
    return printed.rpartition(b"/ID")[2].partition(b"]")[0]


def test_nothing_is_fetched() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        other.setblocking(False)
        asked = f"http://127.0.0.1:{other.getsockname()[1]}/x"
        styles = f"<style>@import '{asked}'; body {{ background: url({asked}) }}</style>"
        drawn = f"<svg><image href='{asked}'/></svg><img src='{asked}'><img src='{Path(__file__).as_uri()}'>"
        assert document(f"<html lang=en><title>x</title>{styles}<body>{drawn}", "x").startswith(b"%PDF")
        with pytest.raises(BlockingIOError):
            other.accept()


def test_hostile_texts_are_texts(tmp_path: Path) -> None:
    told = text(PdfReporter().render(corpus_run(tmp_path / "run"), tmp_path).read_bytes())
    assert " ".join(CORPUS["script"].split()) in told
    assert b"/JavaScript" not in (tmp_path / FILE).read_bytes()


def test_a_run_that_did_not_go_as_runs_should_is_printed_too(odd_run: RunRecord, tmp_path: Path) -> None:
    assert "For an audit" in text(PdfReporter().render(odd_run, tmp_path).read_bytes())


@pytest.mark.parametrize("result", [matrix(), radius(), explored()], ids=["guards", "radius", "explored"])
def test_a_search_is_printed_too(result: Result, tmp_path: Path) -> None:
    (path,) = write_reports(result, "some-search", tmp_path, ["pdf"])
    assert "run some-search" in text(path.read_bytes())


def test_without_the_extra_it_says_what_to_install(
    pocketos: RunRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "weasyprint", None)
    with pytest.raises(MissingToolError, match="WeasyPrint is not installed") as raised:
        PdfReporter().render(pocketos, tmp_path)
    assert "ninelives[pdf]" in raised.value.hint
    assert not (tmp_path / FILE).exists()
