"""What index.html says to an auditor: the first page, the matrix of controls, the files, and the limits."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from odd_runs import ODD_RUNS
from test_page import outline

from harness.controls.catalogue import frameworks
from harness.journal.claims import claims
from harness.journal.record import RunRecord
from harness.render.html import page


class Rows(HTMLParser):
    """The cells of every table row, with the text that stands in each."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.rows: list[list[str]] = []
        self._in_cell = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
            self._in_cell = True
        elif tag == "span" and self._in_cell:
            self.rows[-1][-1] += " "

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._in_cell = False

    def handle_data(self, data: str) -> None:
        if self._in_cell:
            self.rows[-1][-1] += data


def rows(html: str) -> list[tuple[str, ...]]:
    parsed = Rows()
    parsed.feed(html)
    return [tuple(" ".join(cell.split()) for cell in row) for row in parsed.rows]


def answer(record: RunRecord, term: str) -> str:
    html = page(record)
    found = re.search(rf"<dt>{re.escape(term)}</dt><dd class=\"\w+\"><bdi>(.*?)</bdi>", html, re.DOTALL)
    assert found is not None
    return outline(found[1]).text


@pytest.mark.parametrize("name", ["nist-800-53", "dora", "owasp"])
def test_each_control_stands_there_with_what_it_rests_on(name: str, pocketos: RunRecord) -> None:
    told = set(rows(page(pocketos)))
    said = claims([pocketos], [frameworks()[name]])
    assert "contradicts" in {claim.says for claim in said}
    for claim in said:
        of = claim.population
        numbers = (of.planned, of.run, of.passed, of.failed, of.not_tested, of.aborted)
        seen, unseen = " ".join(claim.seen) or "none", " ".join(claim.unseen) or "none"
        row = (f"{claim.id} {claim.asks}", claim.says, seen, unseen, *map(str, numbers))
        assert row in told


def test_a_run_that_was_cut_short_supports_nothing(tmp_path: Path) -> None:
    record = ODD_RUNS["killed"](tmp_path / "run")
    told = answer(record, "Controls")
    assert re.search(r"Of \d+ controls in \d+ frameworks: supports 0, contradicts 0, not tested [1-9]", told)


def test_a_claim_that_rests_on_a_guard_of_nobodys_says_so(tmp_path: Path) -> None:
    text = outline(page(ODD_RUNS["refused blow"](tmp_path / "run"))).text
    assert "rests on a guard that nobody offers" in text
    assert "the guard scoped-token is offered by nobody today" in text


def test_what_no_replica_can_show_is_listed(pocketos: RunRecord) -> None:
    text = outline(page(pocketos)).text
    assert "Never shown by a replica: 26. It asks for tests on live production systems" in text
    assert "26 of EU Regulation 2022/2554 (DORA)" in text
    assert "other sites, their buildings" in text


def test_nothing_says_that_anybody_is_compliant(odd_run: RunRecord) -> None:
    assert "compliant" not in page(odd_run).lower()


def test_the_first_page_answers_before_the_story_is_told(pocketos: RunRecord) -> None:
    text = outline(page(pocketos)).text
    assert text.index("What was tested, when, with what result") < text.index("Times count from the harm")
    assert answer(pocketos, "Scope") == (
        "4 services (railway, bookings, bookings-staging and vault), 2 principals (staging-agent and "
        "domains-cli) and 2 protections (volume-backups and old-dump); guards on: none."
    )
    start, end = pocketos.history.entries[0].at.wall, pocketos.history.entries[-1].at.wall
    assert answer(pocketos, "Period") == f"{start:%Y-%m-%d %H:%M:%S} UTC to {end:%Y-%m-%d %H:%M:%S} UTC."
    assert answer(pocketos, "Objectives").startswith(
        "backup-survival of 1 copy, none older than 7d, isolation of staging-agent, rpo of at most 15m, "
    )
    values = [verdict.value for verdict in pocketos.verdicts]
    held, breached = values.count("held"), values.count("breached")
    assert answer(pocketos, "Result") == (
        f"{held} held, {breached} breached, 0 undecided; as the scenario expects."
    )
    assert answer(pocketos, "Exceptions") == "none"
    assert answer(pocketos, "Verify it, once signed") == (
        f"ninelives verify reports/{pocketos.run_id} --key PUBLIC-KEY"
    )


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("interrupted", "the run was interrupted; undecided: backup-survival, isolation"),
        ("killed", "the record is not whole; the run has no end; undecided: "),
        ("changed ledger", "the record is not whole; undecided: "),
    ],
)
def test_what_is_not_as_it_should_be_is_an_exception(name: str, said: str, tmp_path: Path) -> None:
    assert answer(ODD_RUNS[name](tmp_path / "run"), "Exceptions").startswith(said)


def test_each_file_that_the_journal_vouches_for_is_there_with_its_digest(pocketos: RunRecord) -> None:
    folder = pocketos.history.folder
    assert folder is not None
    listed = {row[0]: row[2] for row in rows(page(pocketos)) if len(row) == 3 and len(row[2]) == 64}
    assert len(listed) >= 3
    for name, digest in listed.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    assert answer(pocketos, "Journal, SHA-256") == listed["journal.jsonl"]


def test_a_record_that_is_not_stored_has_no_files(pocketos: RunRecord, tmp_path: Path) -> None:
    record = ODD_RUNS["empty"](tmp_path / "run")
    assert "The record is not stored, so there is no file." in outline(page(record)).text
    bare = replace(pocketos, history=record.history)
    assert answer(bare, "Period") == "The record has no times."
