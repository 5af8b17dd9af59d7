"""Texts that want to do harm, through every format: what its reader takes for markup, code or a command."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hostile_texts import CORPUS, UNSEEN, corpus_run
from junitparser import JUnitXml
from playwright.sync_api import Browser
from prometheus_client.parser import text_string_to_metric_families
from test_in_browser import OPEN_ALL, look
from test_page import outline

from harness.journal.record import RunRecord
from harness.render.csv import FORMULA
from harness.seams.lookup import BUILT_IN, lookup

SEEN = re.compile(f"[{UNSEEN}]")
VERBATIM = ("json",)
"""verdicts.json is for programs, which get each text as it was."""
PRINTED = ("pdf",)
"""A page as a document, compressed: looked at in test_pdf.py."""


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    return corpus_run(tmp_path_factory.mktemp("corpus") / "run")


def written(name: str, record: RunRecord, out: Path) -> dict[str, str]:
    """The text of every file of a format, by its name."""
    lookup("reporters", name)().render(record, out)
    return {path.name: path.read_bytes().decode() for path in out.iterdir()}


def texts(part: Any) -> Iterator[str]:
    """Every text of a JSON document, keys too."""
    if isinstance(part, str):
        yield part
    elif isinstance(part, dict | list):
        for inner in (*part, *part.values()) if isinstance(part, dict) else part:
            yield from texts(inner)


@pytest.mark.parametrize("name", sorted(set(BUILT_IN["reporters"]) - {*VERBATIM, *PRINTED}))
def test_no_format_holds_what_cannot_be_seen(name: str, record: RunRecord, tmp_path: Path) -> None:
    for file, text in written(name, record, tmp_path).items():
        assert SEEN.search(text) is None, file
        if file.endswith((".json", ".sarif")):
            assert not [each for each in texts(json.loads(text)) if SEEN.search(each)], file


def test_programs_get_each_text_as_it_was(record: RunRecord, tmp_path: Path) -> None:
    (text,) = written("json", record, tmp_path).values()
    assert [verdict["summary"] for verdict in json.loads(text)["verdicts"]] == list(CORPUS.values())


def test_no_cell_is_calculated_and_none_breaks_out(record: RunRecord, tmp_path: Path) -> None:
    (text,) = written("csv", record, tmp_path).values()
    head, *rows = csv.reader(text.splitlines())
    assert len(rows) == len(CORPUS)
    for row in rows:
        assert len(row) == len(head)
        assert not [cell for cell in row if cell.startswith(FORMULA)]


def test_nothing_is_a_link_a_mention_or_a_table_of_the_summary(record: RunRecord, tmp_path: Path) -> None:
    (text,) = written("markdown", record, tmp_path).values()
    left = re.sub(r"\\.", "", text.partition("\n## ")[0].rpartition("Run `")[0]).replace("**", "")
    assert not re.search(r"[<>`@~_\[\]]", left)
    rows = [re.sub(r"\\.", "", line).count("|") for line in text.splitlines() if line.startswith("| ")]
    assert set(rows) <= {4, 5}


def test_each_test_case_is_one_and_has_its_whole_text(record: RunRecord, tmp_path: Path) -> None:
    written("junit", record, tmp_path)
    (suite,) = JUnitXml.fromfile(str(tmp_path / "junit.xml"))
    cases = list(suite)
    assert len(cases) == len(CORPUS)
    assert cases[0].name == CORPUS["script"]


def test_no_label_becomes_a_metric(record: RunRecord, tmp_path: Path) -> None:
    (text,) = written("prometheus", record, tmp_path).values()
    families = list(text_string_to_metric_families(text))
    assert all(family.name.startswith("ninelives_") for family in families)
    assert "ninelives_pwned" not in {family.name for family in families}
    labels = {sample.labels.get("objective") for family in families for sample in family.samples}
    assert CORPUS["formula"] in labels


def test_no_text_is_a_tag_of_the_page(record: RunRecord, tmp_path: Path) -> None:
    (html,) = written("html", record, tmp_path).values()
    told = outline(html)
    assert told.misnested == []
    assert told.named("script", "img", "iframe", "object", "animate", "base") == []
    assert CORPUS["script"] in told.text
    assert "{{ 7*7 }}" in told.text


@pytest.mark.browser
def test_nothing_of_them_runs_or_is_asked_for_in_a_browser(
    browser: Browser, record: RunRecord, tmp_path: Path
) -> None:
    looked = look(browser, record, tmp_path, scripts=True)
    looked.ask(OPEN_ALL)
    looked.page.wait_for_timeout(200)  # an image that fails to load would tell its handler by now
    assert looked.ask("window.pwned") is None
    looked.was_quiet()
    looked.fits_its_width()
    looked.context.close()
