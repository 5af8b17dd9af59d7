"""Numbers and strangers' text, as they stand in reports."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.journal.record import Figure
from harness.objectives.judging import said as said_by_verdicts
from harness.render import wording
from harness.scenario.models import parse_duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.0004, "0s"),
        (0.34, "340ms"),
        (0.9994, "999ms"),
        (0.9996, "1s"),
        (4.23, "4.2s"),
        (59.94, "59.9s"),
        (59.96, "1m"),
        (98.9, "1m39s"),
        (3599.6, "1h"),
        (3600 * 5 + 700, "5h12m"),
        (86399, "1d"),
        (86400 * 1.5, "1d12h"),
        (86400 * 90.05, "90d1h"),
        (1e300, f"{1e300 / 86400:.0f}d"),
        (86400 * 9 + 3600 * 23.9, "10d"),
        (86400 * 90, "90d"),
        (86400 * 4000, "4000d"),
        (-3, "\N{MINUS SIGN}3s"),
        (float("inf"), "unbounded"),
        (float("nan"), "unknown"),
    ],
)
def test_a_duration_has_at_most_two_units(seconds: float, text: str) -> None:
    assert wording.plain(wording.duration(seconds)) == text


@given(st.floats(min_value=0, max_value=3e9))
def test_a_duration_is_near_what_it_says(seconds: float) -> None:
    said = parse_duration(wording.duration(seconds)).total_seconds()
    assert said == pytest.approx(seconds, rel=0.03, abs=0.0005)


@given(st.floats(min_value=0, max_value=3e9).filter(lambda seconds: not 59.94 < seconds < 60))
def test_a_report_writes_a_duration_as_the_verdicts_do(seconds: float) -> None:
    assert wording.duration(seconds) == said_by_verdicts(seconds)


@pytest.mark.parametrize(
    ("value", "text"), [(0.9999, "99.9 %"), (1, "100 %"), (0.00001, "0.1 %"), (0, "0 %"), (0.5, "50 %")]
)
def test_a_share_never_claims_all_or_nothing_falsely(value: float, text: str) -> None:
    assert wording.plain(wording.share(value)) == text


@pytest.mark.parametrize(
    ("unit", "value", "text"),
    [
        ("s", 90, "1m30s"),
        ("rows", 1, "1 row"),
        ("rows", 19482, "19,482 rows"),
        ("copies", 1, "1 copy"),
        ("actions", 2, "2 actions"),
        ("share", 0.87, "87 %"),
        ("bytes", 4404019, "4.2 MiB"),
        ("count", 3, "3"),
    ],
)
def test_a_figure_carries_its_unit(unit: str, value: float, text: str) -> None:
    assert (
        wording.plain(wording.amount(Figure.model_validate({"name": "x", "value": value, "unit": unit})))
        == text
    )


@given(st.text(max_size=2000))
def test_cleaned_text_shows_everything_that_it_holds(text: str) -> None:
    shown = wording.clean(text)
    assert len(shown) <= wording.LONGEST + 40
    unseen = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert all(c in "\t\n" or unicodedata.category(c) not in unseen for c in shown)


def test_cut_text_says_how_long_it_was() -> None:
    assert wording.clean("W" * 5000).endswith("(5,000 characters)")


def test_a_character_that_is_hidden_leaves_a_trace() -> None:
    assert wording.clean("invoice\u202efdp.exe\x1b[2J") == "invoice\ufffdfdp.exe\ufffd[2J"


@pytest.mark.parametrize(
    ("names", "text"),
    [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (list("abcde"), "a, b, c and 2 more")],
)
def test_a_listing_names_what_fits_and_counts_the_rest(names: list[str], text: str) -> None:
    assert wording.listing(names) == text


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("![x](https://t.example)", "\\!\\[x\\]\\(https\\://t.example\\)"),
        ("a `b` | <c>", "a \\`b\\` \\| \\<c\\>"),
        ("@name, a@b.example, 3 @ 4", "\\@&#8203;name, a\\@&#8203;b.example, 3 \\@ 4"),
        ("#12 # 12", "\\#&#8203;12 \\# 12"),
        ("www.x.example _WWW.x.example", "www&#8203;.x.example \\_WWW&#8203;.x.example"),
        ("two\nlines\\", "two lines\\\\"),
    ],
)
def test_nothing_of_a_stranger_is_markdown_a_mention_or_a_link(text: str, kept: str) -> None:
    assert wording.inert(text) == kept, "as cmark-gfm was seen to leave alone"
