"""The timeline of a run: its phases, the agent's actions, the outages and the recovery, on one time axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from harness.journal.events import RecoveryStarted
from harness.render.story import Deed, Span, Story
from harness.render.svg import LETTER, NARROW, WIDE, Axis, Label, drawing, element, join, visibility
from harness.render.wording import duration, offset, quantity

LANE = 50
"""Pixels from one lane to the next: a heading and a bar."""

BAR = 20
LONGEST_NAME = 30
"""Letters of a service's name that the narrowest drawing has room for."""
MOST_MARKS = 400
"""Marks of harmless actions in one drawing; of more than that, every second, third, ... is drawn."""


@dataclass(frozen=True)
class Bar:
    """A stretch of a lane.

    Attributes:
        label: written into it where it fits.
        tip: the whole truth, for a pointer that rests on it.
        kind: its class: how it is filled.
    """

    start: float
    end: float
    label: str
    tip: str
    kind: str


def timeline(story: Story, name: str, window: tuple[float, float], title: str) -> Markup:
    """Draw a part of a run.

    Args:
        story: the run.
        name: unique on the page.
        window: seconds from the origin between which to draw.
        title: what the drawing is called.
    """
    margin = 0.01 * (window[1] - window[0])
    axis = Axis.over(window[0] - margin, window[1] + margin)
    lanes = [_lane("Run", _bars(axis, _phase_bars(story)))]
    if story.deeds:
        lanes.append(_lane("Agent", _marks(axis, story.deeds, story)))
    for service in dict.fromkeys(span.name for span in story.outages):
        spans = [span for span in story.outages if span.name == service]
        lanes.append(_lane(f"{service[:LONGEST_NAME]} answers", _outage(axis, spans)))
    recovery = recovery_bars(story)
    if recovery:
        lanes.append(_lane("Recovery", _bars(axis, recovery)))
    bottom = LANE * len(lanes)
    body = [axis.ruler(16, bottom), _origin(axis, story, bottom)]
    body += [element("g", lane, transform=f"translate(0 {n * LANE})") for n, lane in enumerate(lanes)]
    return drawing(name, title, _description(story), bottom + 24, *body)


def _lane(heading: str, content: Markup) -> Markup:
    return element("text", heading, x=0, y=12, class_="lane") + content


def _origin(axis: Axis, story: Story, bottom: float) -> Markup:
    if story.harm is None or not axis.start <= 0 <= axis.end:
        return Markup("")
    x = axis.percent(0)
    return element("line", x1=x, x2=x, y1=14, y2=bottom, class_="harm-line")


def _phase_bars(story: Story) -> list[Bar]:
    bars = []
    for n, span in enumerate(story.phases):
        state = " (did not end)" if span.open else "" if span.ok else " (did not succeed)"
        tip = f"{span.name}{state}: {offset(span.start)} to {offset(span.end)}, {duration(span.seconds)}"
        kind = "phase act" if span.name == "act" else f"phase shade{n % 2}"
        bars.append(Bar(span.start, span.end, span.name, tip, kind))
    return bars


def recovery_bars(story: Story) -> list[Bar]:
    """The measured parts of the recovery, laid end to end so that they finish with its end."""
    began = story.history.last(RecoveryStarted)
    if began is None or not began.body.needed:
        return []
    start = story.offset(began.at)
    recovered = story.recovered
    if recovered is None:
        end = story.offset(story.finished) if story.finished else start
        return [Bar(start, max(start, end), "never finished", "the recovery never finished", "part failed")]
    end = story.offset(recovered.at)
    if not recovered.ok:
        tip = f"the recovery failed after {duration(end - start)}"
        return [Bar(start, end, "failed", tip, "part failed")]
    parts = [(part, seconds) for part, seconds in recovered.parts.items() if seconds > 0]
    at = max(start, end - sum(seconds for _, seconds in parts))
    bars = [Bar(start, at, "", f"before the restore: {duration(at - start)}", "part shade1")]
    for n, (part, seconds) in enumerate(parts):
        tip = f"{part}: {duration(seconds)}"
        bars.append(Bar(at, min(end, at + seconds), part, tip, f"part tint{n % 3}"))
        at += seconds
    return bars


def _bars(axis: Axis, bars: Sequence[Bar]) -> Markup:
    return join(_bar(axis, bar) for bar in bars if bar.end >= axis.start and bar.start <= axis.end)


def _bar(axis: Axis, bar: Bar) -> Markup:
    share = axis.share(bar.end) - axis.share(bar.start)
    middle = (axis.share(bar.start) + axis.share(bar.end)) / 2
    room = len(bar.label) * LETTER + 6
    label = Markup("")
    if bar.label and share * WIDE >= room:
        label = element(
            "text",
            bar.label,
            x=f"{middle * 100:.3f}%",
            y=33,
            text_anchor="middle",
            class_="inside" if share * NARROW >= room else "inside roomy",
        )
    block = element(
        "rect",
        x=axis.percent(bar.start),
        width=axis.width(bar.start, bar.end),
        y=19,
        height=BAR,
        class_="block",
    )
    return element("g", element("title", bar.tip), block, label, class_=bar.kind)


def _marks(axis: Axis, deeds: Sequence[Deed], story: Story) -> Markup:
    line = element("line", x1=0, x2="100%", y1=29, y2=29, class_="thread")
    inside = [deed for deed in deeds if axis.start <= story.offset(deed.began) <= axis.end]
    every = -(-len(inside) // MOST_MARKS)
    inside = [deed for n, deed in enumerate(inside) if deed.action.harm or n % every == 0]
    inside.sort(key=lambda deed: (not deed.landed, deed.action.number))
    labels = [Label(axis.share(story.offset(deed.began)), str(deed.action.number)) for deed in inside]
    shown = zip(inside, visibility(labels), strict=True)
    marks = [_mark(axis, deed, story, label) for deed, label in shown]
    return line + join(reversed(marks))


def _mark(axis: Axis, deed: Deed, story: Story, label: str | None) -> Markup:
    status = deed.outcome.status if deed.outcome else "not ended"
    at = story.offset(deed.began)
    x = axis.percent(at)
    tip = f"action {deed.action.number}: {deed.action.surface}.{deed.action.verb}, {status}, {offset(at)}"
    kind = "landed" if deed.landed else {"done": "quiet", "refused": "refused"}.get(status, "failed")
    radius = 6 if deed.action.harm else 4
    text = Markup("")
    if label is not None:
        shown = f"number {label}".strip()
        text = element("text", str(deed.action.number), x=x, y=47, text_anchor="middle", class_=shown)
    return element("g", element("title", tip), _dot(x, radius, deed.landed), text, class_=f"mark {kind}")


def _dot(x: str, radius: float, cross: bool) -> Markup:
    dot = element("circle", cx=x, cy=29, r=radius, class_="dot")
    if not cross:
        return dot
    stroke = element("path", d="M-3 -3L3 3M-3 3L3 -3", class_="cross")
    return dot + element("svg", stroke, x=x, y=29, overflow="visible", width=1, height=1)


def _outage(axis: Axis, spans: Sequence[Span]) -> Markup:
    line = element("line", x1=0, x2="100%", y1=29, y2=29, class_="thread up")
    bars = []
    for span in spans:
        length = duration(span.seconds)
        text = "did not come back" if span.open else f"no answer, {length}"
        end = " and did not come back in the record" if span.open else f" for {length}"
        tip = f"{span.name} did not answer from {offset(span.start)}{end}. {span.detail}"
        bars.append(Bar(span.start, axis.end if span.open else span.end, text, tip, "outage"))
    return line + _bars(axis, bars)


def _description(story: Story) -> str:
    parts = [f"{len(story.phases)} phases"]
    parts += [f"{quantity(len(story.deeds), 'action')}, {len(story.harms)} of them destructive and done"]
    for span in story.outages[:5]:
        gone = "did not come back" if span.open else f"did not answer for {duration(span.seconds)}"
        parts.append(f"{span.name} {gone}")
    if story.recovery_seconds is not None:
        parts.append(f"recovered {duration(story.recovery_seconds)} after the harm")
    return "; ".join(parts) + ". The tables and the list above say the same in words."
