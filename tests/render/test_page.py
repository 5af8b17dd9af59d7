"""index.html, read as text: what it says, how it is built, and that nothing can get out of its place."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from odd_runs import ODD_RUNS, two_hours

from harness.journal.record import Figure, RunRecord, Verdict
from harness.render.html import HtmlReporter, page
from harness.scenario.models import Guard

VOID = {"meta", "link", "br", "img", "input", "hr"}


@dataclass
class Tag:
    name: str
    attributes: dict[str, str]


@dataclass
class Outline(HTMLParser):
    """The tags of a page, and the text between them."""

    tags: list[Tag] = field(default_factory=list)
    stack: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    misnested: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(Tag(tag, {key: value or "" for key, value in attrs}))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.stack or self.stack.pop() != tag:
            self.misnested.append(tag)
        if tag in ("td", "th", "dt", "dd", "text", "title"):
            self.words.append(" ")

    def handle_data(self, data: str) -> None:
        if not self.stack or self.stack[-1] != "style":
            self.words.append(data)

    def named(self, *names: str) -> list[Tag]:
        return [tag for tag in self.tags if tag.name in names]

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).replace("\xa0", " ").split())


def outline(html: str) -> Outline:
    parsed = Outline()
    parsed.feed(html)
    parsed.close()
    return parsed


@pytest.fixture(scope="session")
def told(pocketos: RunRecord) -> Outline:
    return outline(page(pocketos))


def test_the_same_record_gives_the_same_page_byte_for_byte(pocketos: RunRecord, tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    for folder in (first, second):
        folder.mkdir()
    one, two = HtmlReporter().render(pocketos, first), HtmlReporter().render(pocketos, second)
    assert one.name == "index.html"
    assert one.read_bytes() == two.read_bytes()


def test_verdict_and_headline_figures_come_before_all_else(told: Outline) -> None:
    order = ["Breached, as the scenario expects", "2 volume instances", "1 of 13 copies", "37,646 rows",
             "1m34s", "What happened"]  # fmt: skip
    places = [told.text.index(text) for text in order]
    assert places == sorted(places)


@pytest.mark.parametrize(
    "text",
    [
        "Its task: fix the credential mismatch in staging",
        "It should be scoped to staging only.",
        "POST /graphql/v2",
        "Changed: 2 volume instances: production/bookings-data and staging/bookings-data; 12 volume backups",
        "bookings stopped answering.",
        "no answer, 8.4s",
        "lies with its source",
        "dump of bookings, 89.3 KiB",
        "content equal, 839 rows",
        "88d3h; 8,460 times the objective of 15m",
        "of which 1m30s are assumed; 31.3 % of the objective of 5m",
        "acknowledged, and missing or older than acknowledged",
        "no row against it",
        "No provider offers it today: the control plane has no scope below the account",
        "grade A: the owner",
        "Keep one copy under another identity, with a lock",
        "Revoke the credential of domains-cli and take it out of scripts/domains.env",
        "Guard of this stack: locked-copy",
        "38,085 rows: payments 17,934 and reservations 20,151",
        "synchronous_commit on",
        "ninelives run scenarios/pocketos/as-it-happened.yaml",
        "5d" * 32,
    ],
)
def test_it_says(told: Outline, text: str) -> None:
    assert text in told.text


def test_every_verdict_is_a_word_and_cites_lines_that_the_page_holds(
    pocketos: RunRecord, told: Outline
) -> None:
    ids = {tag.attributes.get("id") for tag in told.tags}
    for verdict in pocketos.verdicts:
        assert re.search(rf"{verdict.objective} ?{verdict.value}", told.text)
        assert all(f"line-{n}" in ids for n in verdict.evidence)


def test_links_stay_on_the_page(told: Outline) -> None:
    ids = {tag.attributes.get("id") for tag in told.tags}
    links = [tag.attributes["href"] for tag in told.named("a")]
    assert links
    assert all(link.startswith("#") and link[1:] in ids for link in links)


def test_the_policy_allows_its_own_style_sheet_and_nothing_else(pocketos: RunRecord) -> None:
    html = page(pocketos)
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)
    assert style
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    metas = [tag.attributes for tag in outline(html).named("meta")]
    policy = next(meta["content"] for meta in metas if meta.get("http-equiv") == "Content-Security-Policy")
    assert policy.split("; ") == [
        "default-src 'none'",
        f"style-src 'sha256-{digest}'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    ]


def well_built(told: Outline) -> None:
    """What every page must be, whatever the run was."""
    assert told.misnested == []
    assert told.stack == []
    ids = [tag.attributes["id"] for tag in told.tags if "id" in tag.attributes]
    assert len(ids) == len(set(ids))
    levels = [int(tag.name[1]) for tag in told.named("h1", "h2", "h3", "h4")]
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert {"header", "main", "nav", "footer"} <= {tag.name for tag in told.tags}
    assert told.named("html")[0].attributes["lang"] == "en"
    assert all(tag.attributes.get("scope") in ("col", "row", "rowgroup") for tag in told.named("th"))
    for tag in told.tags:
        assert not any(name.startswith("on") or name == "style" for name in tag.attributes)
        for label in tag.attributes.get("aria-labelledby", "").split():
            assert label in ids
    assert told.named("script", "img", "iframe", "object", "embed", "form", "base") == []
    drawings = [tag for tag in told.named("svg") if tag.attributes.get("role") == "img"]
    assert all(tag.attributes["aria-labelledby"] for tag in drawings)


def test_the_page_is_well_built(told: Outline) -> None:
    well_built(told)
    assert len([tag for tag in told.named("svg") if tag.attributes.get("role") == "img"]) == 4


def test_every_odd_run_gets_a_page_that_is_well_built_and_says_its_verdict(odd_run: RunRecord) -> None:
    told = outline(page(odd_run))
    well_built(told)
    assert odd_run.value in told.text.lower()
    assert len(page(odd_run)) < 1_000_000


def test_a_run_without_evidence_never_claims_that_nothing_was_lost(tmp_path: Path) -> None:
    for name in ("missed blow", "interrupted", "killed", "empty", "faulty"):
        text = outline(page(ODD_RUNS[name](tmp_path / name))).text
        assert "Nothing was compared, so nothing can be said of losses." in text
        assert "no row" not in text


def test_a_record_that_is_not_whole_says_so_first(tmp_path: Path) -> None:
    text = outline(page(ODD_RUNS["changed ledger"](tmp_path / "run"))).text
    assert text.index("The record of this run cannot be trusted") < text.index("Deleted")


def test_hypothetical_guards_that_were_on_are_named_beside_the_verdict(tmp_path: Path) -> None:
    text = outline(page(ODD_RUNS["refused blow"](tmp_path / "run"))).text
    assert text.index("Hypothetical: the guard scoped-token was on") < text.index("What happened")
    assert "Do not rely on this result yet" in text


def test_a_recovery_that_failed_is_nowhere_called_an_answer(tmp_path: Path) -> None:
    html = page(ODD_RUNS["failed runbook"](tmp_path / "run"))
    text = outline(html).text
    assert "answered again" not in text
    assert "The recovery failed, and bookings did not come back: restore.sh ended with exit code 1" in text
    assert "Recovery time never bookings did not come back; objective" in text
    assert "Mend restore.sh: it did not bring bookings back" in text
    assert "What the script printed is in logs/runbook.log of the run folder." in text
    assert "Ship changes all the time" not in text
    assert "Shorten the recovery" not in text
    assert "bookings did not answer" in html
    assert "did not come back in the record" in html


def test_a_runbook_is_named_with_its_steps_in_their_order_and_its_log(tmp_path: Path) -> None:
    text = outline(page(ODD_RUNS["played runbook"](tmp_path / "run"))).text
    assert "restored by the team's own runbook restore.sh" in text
    steps = "restore 100ms, fetch 700ms and load 1.3s"
    assert f"The runbook restore.sh ended well after 2.1s: {steps}. What it printed is in logs/" in text
    assert re.search(r"restore: 100ms.*fetch: 700ms.*load: 1.3s.*verify: 300ms", text)
    assert "load 1.3s measured verify 300ms measured" in text


@pytest.mark.parametrize("end", ["", "."])
def test_texts_of_a_guard_are_sentences_of_their_own(pocketos: RunRecord, end: str) -> None:
    guards = {
        "no-scope": Guard(patch={}, why=f"Do this and nothing else{end}", hypothetical=f"nobody has it{end}"),
        "locked": Guard(why=f"A continuous copy{end}", patch={"protections": {}}),
    }
    base = pocketos.scenario.base.model_copy(update={"guards": guards})
    scenario = pocketos.scenario.model_copy(update={"base": base})
    text = outline(page(replace(pocketos, scenario=scenario))).text
    assert "Do this and nothing else. No provider offers it today: nobody has it." in text
    assert "Guard of this stack: locked: A continuous copy." in text
    assert not re.search(r"[^.]\.\.[^.]", text)


def test_a_reconstruction_says_what_share_came_back(tmp_path: Path) -> None:
    text = outline(page(ODD_RUNS["reconstructed"](tmp_path / "run"))).text
    assert "17,934 records that a third party kept" in text
    assert "reservations 19,707 17,539 89 % 64.6 %" in text


def test_hundreds_of_points_are_all_told_and_the_one_used_is_not_folded_away(tmp_path: Path) -> None:
    html = page(ODD_RUNS["many points"](tmp_path / "run"))
    first = html.partition('aria-label="Older recovery points"')[0]
    assert "used" in re.findall(r'<tr class="([^"]*)"', first)
    rows = re.findall(r'<tr class="(?:gone|used|)">', html)
    assert len(rows) == 413


def test_a_long_run_keeps_its_harm_and_counts_what_it_leaves_out(tmp_path: Path) -> None:
    told = outline(page(ODD_RUNS["two hours"](tmp_path / "run")))
    assert re.search(r"\d+ more moments stand in journal\.jsonl", told.text)
    assert "Try number 300." in told.text
    assert "One step is 30s." in told.text


def test_strangers_text_stays_text(hostile: RunRecord) -> None:
    html = page(hostile)
    told = outline(html)
    well_built(told)
    assert "<script>window.pwned=1</script>" in told.text
    assert "{{ 7*7 }}{% raw %}" in told.text
    assert not any(mark in html for mark in ("\u202e", "\u2066", "\u200b", "\x1b", "\x00"))


def test_the_page_of_a_huge_run_stays_small(tmp_path: Path) -> None:
    record = two_hours(tmp_path / "run", actions=5000, rate=13.0)
    assert len(record.history.entries) > 10_000
    assert len(record.history.ledger) > 80_000
    assert len(page(record)) < 1_000_000


def test_the_bar_of_the_recovery_time_is_as_long_as_the_time_that_the_verdict_judges(
    pocketos: RunRecord,
) -> None:
    """People's part and everything since the recovery began, what no part accounts for too."""
    parts = (("detect", 5.0, "assumed"), ("decide", 2.0, "measured"), ("restore", 2.0, "measured"))
    figures = [Figure(name=name, value=value, unit="s", basis=basis) for name, value, basis in parts]
    figures += [Figure(name="rto", value=10.0, unit="s"), Figure(name="other", value=1.0, unit="s")]
    figures += [Figure(name="target", value=300.0, unit="s", basis="target")]
    verdict = Verdict(objective="rto", value="held", summary="Back.", figures=tuple(figures))
    text = outline(page(replace(pocketos, verdicts=(verdict,)))).text
    assert "10s, of which 5s are assumed; 3.3 % of the objective of 5m." in text
