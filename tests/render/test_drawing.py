"""Axes and labels of the drawings."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.render.charts import Piece, Tally, against, merged
from harness.render.svg import NARROW, WIDE, Axis, Label, element, roomy, visibility

SPANS = st.tuples(st.floats(-1e6, 1e6), st.floats(0.001, 1e7))


@given(SPANS)
def test_ticks_lie_on_the_axis_evenly_and_are_few(span: tuple[float, float]) -> None:
    axis = Axis.over(span[0], span[0] + span[1])
    ticks = axis.ticks(9)
    assert len(ticks) <= 10
    slack = 1e-6 * axis.span  # far below what a drawing can show
    assert all(axis.start - slack <= tick <= axis.end + slack for tick in ticks)
    steps = [b - a for a, b in pairwise(ticks)]
    assert all(step == pytest.approx(steps[0]) for step in steps)


def test_zero_is_a_tick_when_it_is_on_the_axis() -> None:
    assert 0 in Axis(-7.3, 21.9).ticks(9)


@given(st.lists(st.tuples(st.floats(0, 1), st.text("abc", min_size=1, max_size=30)), max_size=40))
def test_shown_labels_never_touch(places: list[tuple[float, str]]) -> None:
    labels = [Label(share, text) for share, text in places]
    for width in (WIDE, NARROW):
        shown = [label for label, free in zip(labels, roomy(labels, width), strict=True) if free]
        extents = sorted(
            (s.share * width - len(s.text) * 3.6, s.share * width + len(s.text) * 3.6) for s in shown
        )
        assert all(right <= left for (_, right), (left, _) in pairwise(extents))


def test_an_earlier_label_wins_its_place() -> None:
    assert visibility([Label(0.5, "6"), Label(0.501, "7")]) == ("", None)


@given(st.integers(1, 3000))
def test_merging_keeps_every_write(seconds: int) -> None:
    tallies = [Tally(n, 1.0, n % 7, n % 3) for n in range(seconds)]
    buckets = merged(tallies)
    assert len(buckets) <= 240
    assert sum(b.acknowledged for b in buckets) == sum(t.acknowledged for t in tallies)
    assert sum(b.failed for b in buckets) == sum(t.failed for t in tallies)
    assert sum(b.seconds for b in buckets) == seconds


def test_assumed_parts_are_told_from_measured_ones_by_pattern_and_word() -> None:
    pieces = (Piece("detect", 60, "assumed"), Piece("restore", 30, "measured"))
    drawing = str(against("bar", "Recovery time", pieces, 300.0))
    assert "url(#bar-hatch)" in drawing
    assert "detect, assumed" in drawing
    assert "restore, measured" in drawing


def test_text_and_attributes_cannot_leave_their_element() -> None:
    drawn = element("text", "</text><script>", class_='"><script>')
    assert "<script>" not in drawn
