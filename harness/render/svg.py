"""Inline SVG, written by hand: elements, a time axis, and labels that do not run into each other.

Drawings have no viewBox. What lies on the axis is placed in per cent of the width and everything else in
pixels, so that a drawing is as wide as its box and its letters keep their size on every screen.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from harness.render.wording import clean, duration

LETTER = 7.2
"""Pixels that a letter of a 12 px sans-serif takes up; wide enough for the fonts of all systems."""

WIDE = 660
"""The narrowest drawing, in pixels, on a screen that the style sheet calls wide."""

NARROW = 300
"""The drawing on the narrowest screen, 360 px."""

_NICE = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)


def element(name: str, *children: Markup | str, **attributes: str | float | None) -> Markup:
    """One element; text and attributes are cleaned and escaped, ``class_`` and ``font_size`` renamed."""
    pairs = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_value(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    inner = "".join(child if isinstance(child, Markup) else escape(clean(child)) for child in children)
    return Markup(f"<{name}{pairs}>{inner}</{name}>")  # noqa: S704 (all of it was escaped above)


def _value(value: str | float) -> str:
    if isinstance(value, str):
        # Never cut: a path may be long.
        return clean(value, len(value))
    return f"{value:.2f}".rstrip("0").rstrip(".") or "0"


def drawing(name: str, title: str, description: str, height: float, *children: Markup) -> Markup:
    """A whole drawing with its title and description for those who cannot see it.

    Args:
        name: unique on the page; the ids are made from it.
        title, description: what it is, and what can be read from it.
        height: pixels.
        children: elements.
    """
    return element(
        "svg",
        element("title", title, id=f"{name}-title"),
        element("desc", description, id=f"{name}-desc"),
        *children,
        role="img",
        aria_labelledby=f"{name}-title {name}-desc",
        class_=f"drawing {name}",
        width="100%",
        height=height,
    )


@dataclass(frozen=True)
class Axis:
    """A span of seconds laid over the width of a drawing.

    Attributes:
        start, end: seconds from the report's origin; ``end`` is greater than ``start``.
    """

    start: float
    end: float

    @classmethod
    def over(cls, start: float, end: float) -> Axis:
        """An axis of at least a second."""
        return cls(start, max(end, start + 1.0))

    @property
    def span(self) -> float:
        """Seconds."""
        return self.end - self.start

    def share(self, at: float) -> float:
        """Where an instant lies, from 0 to 1; instants beyond the ends lie on them."""
        return min(1.0, max(0.0, (at - self.start) / self.span))

    def percent(self, at: float) -> str:
        """The same for an attribute: ``12.5%``."""
        return f"{self.share(at) * 100:.3f}%"

    def width(self, start: float, end: float) -> str:
        """The width between two instants, for an attribute."""
        return f"{(self.share(end) - self.share(start)) * 100:.3f}%"

    def ticks(self, most: int) -> tuple[float, ...]:
        """Round instants, at most about ``most`` of them; zero is one of them if it is on the axis."""
        step = nice_step(self.span / most)
        first = math.ceil(self.start / step - 1e-9)
        last = math.floor(self.end / step + 1e-9)
        return tuple(n * step for n in range(first, last + 1))

    def ruler(self, top: float, bottom: float) -> Markup:
        """Grid lines with their instants below."""
        ticks = self.ticks(9)
        step = ticks[1] - ticks[0] if len(ticks) > 1 else 1.0
        every = math.ceil(len(ticks) / 4)
        parts = []
        for at in ticks:
            kind = "tick" if round(at / step) % every == 0 else "tick roomy"
            x = self.percent(at)
            parts.append(element("line", x1=x, x2=x, y1=top, y2=bottom, class_=f"{kind} grid"))
            label = "0" if abs(at) < 1e-9 else duration(at)
            anchor = "start" if self.share(at) < 0.03 else "end" if self.share(at) > 0.97 else "middle"
            parts.append(
                element("text", label, x=x, y=bottom + 16, text_anchor=anchor, class_=f"{kind} axis")
            )
        return Markup("").join(parts)


def nice_step(least: float) -> float:
    """The smallest round number of seconds that is not below ``least``."""
    if least > _NICE[-1]:
        return math.ceil(least / 86400) * 86400.0
    if least <= 1:
        power = 10.0 ** math.floor(math.log10(least)) if least > 0 else 0.1
        return next(power * n for n in (1, 2, 5, 10) if power * n >= least * (1 - 1e-9))
    return next(float(n) for n in _NICE if n >= least)


@dataclass(frozen=True)
class Label:
    """A text that wants to stand somewhere on an axis.

    Attributes:
        share: where its middle should be, from 0 to 1.
        text: what it says.
    """

    share: float
    text: str


def roomy(labels: Sequence[Label], width: float = WIDE) -> tuple[bool, ...]:
    """For each label, whether it can be shown on a drawing of ``width`` pixels without touching one before.

    Earlier labels win; hand them in by importance.
    """
    taken: list[tuple[float, float]] = []
    shown = []
    for label in labels:
        half = len(label.text) * LETTER / 2 + 3
        low, high = label.share * width - half, label.share * width + half
        free = all(high <= left or right <= low for left, right in taken)
        shown.append(free)
        if free:
            taken.append((low, high))
    return tuple(shown)


def visibility(labels: Sequence[Label]) -> tuple[str | None, ...]:
    """For each label its class: ``""`` to show it always, ``roomy`` on wide screens only, None never."""
    wide, narrow = roomy(labels, WIDE), roomy(labels, NARROW)
    return tuple(("" if n else "roomy") if w else None for w, n in zip(wide, narrow, strict=True))


def join(parts: Iterable[Markup]) -> Markup:
    """Elements one after another."""
    return Markup("").join(parts)
