"""Drawings of measured numbers: the traffic second by second, and a time against its objective."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

from harness.render.svg import LETTER, WIDE, Axis, drawing, element, join
from harness.render.wording import duration, number, offset
from harness.scenario.models import VerdictValue

MOST_BUCKETS = 240
"""Steps of the traffic curve; more than a screen can show apart."""

GLYPHS: dict[VerdictValue, str] = {
    "breached": "M5 5L11 11M11 5L5 11",
    "held": "M4.5 8.4L7 10.8L11.5 5.6",
    "undecided": "M5.8 6.2C5.8 3.4 10.2 3.6 10.2 6.2C10.2 7.8 8 7.8 8 9.4M8 11.9V12",
}
"""What tells verdicts apart without their colour, in a box of 16 pixels."""

UPPER = 120
"""Pixels of the highest rate."""


@dataclass(frozen=True)
class Tally:
    """What the workload saw in one stretch of time.

    Attributes:
        start: seconds from the origin.
        seconds: how long the stretch is.
        acknowledged: writes that were acknowledged in it.
        failed: writes that were refused or whose answer never came.
    """

    start: float
    seconds: float
    acknowledged: int
    failed: int


@dataclass(frozen=True)
class Mark:
    """An instant that a curve is read against.

    Attributes:
        at: seconds from the origin.
        text: what happened then.
        kind: its class.
    """

    at: float
    text: str
    kind: Literal["harm", "recovered"]


@dataclass(frozen=True)
class Piece:
    """One part of a length of time.

    Attributes:
        basis: ``measured`` in this run or ``assumed`` by the scenario.
        tone: its class, when it is not to be one of the usual tints.
    """

    name: str
    seconds: float
    basis: Literal["measured", "assumed"]
    tone: str = ""


def merged(tallies: Sequence[Tally], most: int = MOST_BUCKETS) -> tuple[Tally, ...]:
    """The same traffic in at most ``most`` stretches, neighbours summed up."""
    group = -(-len(tallies) // most) or 1
    chunks = (tallies[n : n + group] for n in range(0, len(tallies), group))
    return tuple(
        Tally(
            chunk[0].start,
            sum(tally.seconds for tally in chunk),
            sum(tally.acknowledged for tally in chunk),
            sum(tally.failed for tally in chunk),
        )
        for chunk in chunks
    )


def traffic(
    tallies: Sequence[Tally], marks: Sequence[Mark], outages: Sequence[tuple[float, float]]
) -> Markup:
    """Draw acknowledged writes a second above a line and failed ones below it, on one scale.

    Args:
        tallies: without gaps, in order; at least one.
        marks: instants to point out.
        outages: start and end of each, seconds from the origin.
    """
    buckets = merged(tallies)
    axis = Axis.over(buckets[0].start, buckets[-1].start + buckets[-1].seconds)
    good = [bucket.acknowledged / bucket.seconds for bucket in buckets]
    bad = [bucket.failed / bucket.seconds for bucket in buckets]
    top, base = 52, 52 + UPPER
    scale = max(*good, *bad, 1.0)
    lower = max(UPPER * max(bad) / scale, 16)
    bottom = base + lower
    body = [
        join(_shade(axis, start, end, top, bottom) for start, end in outages),
        axis.ruler(top, bottom),
        _curve("good", axis, buckets, good, top, UPPER, scale, upward=True),
        _curve("bad", axis, buckets, bad, base, lower, scale * lower / UPPER, upward=False),
        element("line", x1=0, x2="100%", y1=base, y2=base, class_="base"),
        join(_marked(axis, mark, bottom) for mark in marks if axis.start <= mark.at <= axis.end),
        element("text", f"at most {number(round(scale, 1))} a second", x=0, y=44, class_="axis scale"),
    ]
    return drawing("traffic", "Writes a second", _said(buckets, marks), bottom + 24, *body)


def _curve(
    name: str,
    axis: Axis,
    buckets: Sequence[Tally],
    rates: Sequence[float],
    y: float,
    height: float,
    scale: float,
    *,
    upward: bool,
) -> Markup:
    floor = height if upward else 0.0
    path = [f"M{axis.share(buckets[0].start) * 1000:.2f} {floor:.2f}"]
    for bucket, rate in zip(buckets, rates, strict=True):
        level = rate / scale * height
        path.append(f"V{height - level if upward else level:.2f}")
        path.append(f"H{axis.share(bucket.start + bucket.seconds) * 1000:.2f}")
    path.append(f"V{floor:.2f}Z")
    return element(
        "svg",
        element("path", d="".join(path), class_=name, vector_effect="non-scaling-stroke"),
        x=0,
        y=y,
        width="100%",
        height=height,
        viewBox=f"0 0 1000 {height:g}",
        preserveAspectRatio="none",
    )


def _shade(axis: Axis, start: float, end: float, top: float, bottom: float) -> Markup:
    return element(
        "rect",
        element("title", f"no answer from {offset(start)} to {offset(end)}"),
        x=axis.percent(start),
        width=axis.width(start, end),
        y=top,
        height=bottom - top,
        class_="shade",
    )


def _marked(axis: Axis, mark: Mark, bottom: float) -> Markup:
    x = axis.percent(mark.at)
    late = axis.share(mark.at) > 0.6
    y = 12 if mark.kind == "harm" else 27
    text = f"{mark.text} " if late else f" {mark.text}"
    line = element("line", x1=x, x2=x, y1=y - 10, y2=bottom, class_=f"{mark.kind}-line")
    label = element(
        "text",
        text,
        x=x,
        dx=-6 if late else 6,
        y=y,
        text_anchor="end" if late else "start",
        class_=f"said {mark.kind}",
    )
    return line + label


def _said(buckets: Sequence[Tally], marks: Sequence[Mark]) -> str:
    good = sum(bucket.acknowledged for bucket in buckets)
    bad = sum(bucket.failed for bucket in buckets)
    said = ", ".join(f"{mark.text} at {offset(mark.at)}" for mark in marks)
    return f"{good:,} writes acknowledged and {bad:,} failed in all. {said}"


def against(name: str, title: str, pieces: Sequence[Piece], objective: float) -> Markup:
    """Draw a length of time, in its parts, against what was asked for. The scale is linear.

    Args:
        name: unique on the page.
        title: what is measured.
        pieces: the parts, in order; assumed ones are hatched.
        objective: seconds.
    """
    total = sum(piece.seconds for piece in pieces)
    axis = Axis(0.0, max(total, objective, 0.001) * 1.02)
    x = axis.percent(objective)
    late = axis.share(objective) > 0.5
    within = "within" if total <= objective else "beyond"
    said = f"{duration(total)} against an objective of {duration(objective)}: {within} it."
    body = [
        element("rect", x=0, width="100%", y=8, height=26, class_="track"),
        join(_pieces(axis, pieces, f"url(#{name}-hatch)")),
        element("line", x1=x, x2=x, y1=2, y2=42, class_="objective-line"),
        element(
            "text",
            f"objective {duration(objective)}",
            x=x,
            dx=-6 if late else 6,
            y=50,
            text_anchor="end" if late else "start",
            class_="said",
        ),
    ]
    pattern = element(
        "pattern",
        element("rect", width=6, height=6, class_="hatch-back"),
        element("path", d="M0 6L6 0", class_="hatch-line"),
        id=f"{name}-hatch",
        width=6,
        height=6,
        patternUnits="userSpaceOnUse",
    )
    return drawing(name, title, said, 56, element("defs", pattern), *body)


@dataclass(frozen=True)
class Point:
    """One run in a trend.

    Attributes:
        text: which run it is.
        seconds: what was measured; None when nothing was.
        value: the verdict on it.
    """

    text: str
    seconds: float | None
    value: VerdictValue


def trend(name: str, title: str, points: Sequence[Point], objective: float | None) -> Markup:
    """Draw a time over runs, one mark a run and the oldest first, against what was asked for.

    A run in which nothing was measured stands below the line of zero. The scale is linear.

    Args:
        name: unique on the page.
        title: what is measured.
        points: the runs; at least one.
        objective: seconds; None when nothing is asked for.
    """
    measured = [point.seconds for point in points if point.seconds is not None and point.seconds < math.inf]
    scale = max([*measured, objective or 0.0, 0.001]) * 1.08
    base = 20.0 + UPPER
    axis = Axis(0.0, float(len(points)))

    def level(seconds: float) -> float:
        return base - min(seconds / scale, 1.0) * UPPER

    body = [
        element("line", x1=0, x2="100%", y1=base, y2=base, class_="base"),
    ]
    if measured and max(measured) > 0:
        most = max(measured)
        body.append(element("text", f"most {duration(most)}", x=0, y=level(most) - 8, class_="axis"))
    if objective is not None:
        y = level(objective)
        body += [
            element("line", x1=0, x2="100%", y1=y, y2=y, class_="asked"),
            element(
                "text",
                f"objective {duration(objective)}",
                x="100%",
                y=y - 5,
                text_anchor="end",
                class_="said",
            ),
        ]
    for n, point in enumerate(points):
        known = point.seconds is not None and point.seconds < math.inf
        y = level(point.seconds) if point.seconds is not None and known else base + 14
        x = axis.percent(n + 0.5)
        body += [element("line", x1=x, x2=x, y1=base, y2=y, class_="thread"), _run_mark(x, y, point)]
    said = f"{number(len(measured))} of {number(len(points))} runs measured it"
    if measured:
        said += (
            f", from {duration(min(measured))} to {duration(max(measured))}, {duration(measured[-1])} at last"
        )
    return drawing(name, title, f"{said}.", base + 26, *body)


def _run_mark(x: str, y: float, point: Point) -> Markup:
    """The glyph of a verdict, its middle there."""
    told = "not measured" if point.seconds is None else duration(point.seconds)
    glyph = element(
        "g",
        element("circle", cx=8, cy=8, r=7.5),
        element("path", d=GLYPHS[point.value]),
        transform="translate(-5,-5) scale(.625)",
    )
    tip = element("title", f"{point.text}: {told}, {point.value}")
    return element("svg", tip, glyph, x=x, y=y, overflow="visible", class_=f"run {point.value}")


def parts(name: str, title: str, pieces: Sequence[Piece]) -> Markup:
    """Draw a length of time in its parts, one beside the other.

    Args:
        name: unique on the page.
        title: what is measured.
        pieces: the parts, in order.
    """
    total = sum(piece.seconds for piece in pieces)
    axis = Axis(0.0, max(total, 0.001))
    said = ", ".join(f"{piece.name} {duration(piece.seconds)}" for piece in pieces)
    track = element("rect", x=0, width="100%", y=8, height=26, class_="track")
    return drawing(name, title, f"{duration(total)}: {said}.", 42, track, join(_pieces(axis, pieces, "")))


def _pieces(axis: Axis, pieces: Sequence[Piece], hatch: str) -> list[Markup]:
    drawn, at = [], 0.0
    for n, piece in enumerate(pieces):
        tip = f"{piece.name}, {piece.basis}: {duration(piece.seconds)}"
        share = axis.share(at + piece.seconds) - axis.share(at)
        block = element(
            "rect",
            x=axis.percent(at),
            width=axis.width(at, at + piece.seconds),
            y=8,
            height=26,
            fill=hatch if piece.basis == "assumed" else None,
            class_="block",
        )
        label = Markup("")
        if share * WIDE >= len(piece.name) * LETTER + 6:
            middle = f"{(axis.share(at) + share / 2) * 100:.3f}%"
            label = element("text", piece.name, x=middle, y=26, text_anchor="middle", class_="inside roomy")
        kind = "part assumed" if piece.basis == "assumed" else f"part {piece.tone or f'tint{n % 3}'}"
        drawn.append(element("g", element("title", tip), block, label, class_=kind))
        at += piece.seconds
    return drawn
