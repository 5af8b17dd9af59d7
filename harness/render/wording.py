"""Numbers and strangers' text made fit to read: durations, counts, dates, and text that may be hostile.

Units hang on to their numbers with a no-break space (U+00A0); ``plain`` puts ordinary ones in its place.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from harness.journal.record import Figure
from harness.scenario.models import format_duration

LONGEST = 600
"""Characters that a text of a scenario, an agent or a server may take up in a report."""

_ACTIVE = re.compile(r"([\\`*_{}\[\]<>()#+!|~@$&:])")
"""Characters that Markdown, HTML and job summaries take for more than themselves."""

_FOUND_LATER = re.compile(r"(?<=\\[@#])(?=\w)|(?<=www)(?=\.)", re.IGNORECASE)
"""Where an escaped text would be a mention, an issue or an address all the same."""

NO_BREAK = "\N{NO-BREAK SPACE}"
MINUS = "\N{MINUS SIGN}"

LONGEST_TIME = 1e12
"""Seconds beyond which there is no timedelta."""

_STEPS = ((86400, 3600), (3600, 60), (59.95, 1))
"""From so many seconds on, a time is told in steps of so many."""

_NOUNS = {"copies": ("copy", "copies"), "actions": ("action", "actions")}


def clean(text: str, longest: int = LONGEST) -> str:
    """Text of unknown origin with nothing unseen in it, cut at ``longest`` characters.

    Unseen are controls, format characters (zero-width ones, and those of UAX #9 that turn round what stands
    next to them), surrogates and code points without a character: all that Unicode calls Other. Each becomes
    U+FFFD, so that a reader sees that something was there. What is left is allowed in XML 1.0.
    """
    shown = text[:longest]
    if not shown.isprintable():
        shown = "".join(map(_seen, shown))
    if len(text) <= longest:
        return shown
    return f"{shown}\N{HORIZONTAL ELLIPSIS} ({len(text):,} characters)"


def _seen(character: str) -> str:
    if character.isprintable() or character in "\t\n" or unicodedata.category(character) == "Zs":
        return character
    return "\N{REPLACEMENT CHARACTER}"


def inert(text: str, longest: int = LONGEST) -> str:
    """Text of unknown origin in one line, in which nothing is Markdown, HTML, a mention or a link.

    GitHub looks for addresses, mentions and numbers of issues in what Markdown comes to, where a backslash is
    no more: an unseen space of no width keeps those apart.
    """
    return _FOUND_LATER.sub("&#8203;", _ACTIVE.sub(r"\\\1", line(text, longest)))


def line(text: str, longest: int = LONGEST) -> str:
    """Text of unknown origin in one line, for files that people search, with nothing unseen in it."""
    return " ".join(plain(clean(text, longest)).split())


def plain(text: str) -> str:
    """The same text with ordinary spaces, for files that people search."""
    return text.replace(NO_BREAK, " ")


def number(value: float) -> str:
    """``19,482``, ``0.25``, ``unbounded`` for infinity; at most two decimals."""
    if not math.isfinite(value):
        return "unknown" if math.isnan(value) else "unbounded"
    if value == round(value):
        return f"{value:,.0f}"
    return f"{value:,.2f}".rstrip("0").rstrip(".")


def quantity(value: float, one: str, many: str | None = None) -> str:
    """A number with its noun: ``1 copy``, ``2 copies``, ``2 indexes``."""
    ending = "es" if one.endswith(("s", "x")) else "s"
    return f"{number(value)}{NO_BREAK}{one if value == 1 else many or one + ending}"


def duration(seconds: float) -> str:
    """A length of time as scenarios and verdicts write it: ``340ms``, ``4.2s``, ``3m20s``, ``90d``.

    At most two units; a minute and more to the second, an hour and more to the minute, a day and more to
    the hour.
    """
    if not math.isfinite(seconds):
        return number(seconds)
    if seconds < 0:
        return MINUS + duration(-seconds)
    if 0.9995 <= seconds < 59.95:
        return f"{seconds:.1f}".removesuffix(".0") + "s"
    if seconds > LONGEST_TIME:
        return f"{seconds / 86400:.0f}d"
    step = next((step for least, step in _STEPS if seconds >= least), 0.001)
    return format_duration(timedelta(seconds=round(seconds / step) * step))


def offset(seconds: float) -> str:
    """Where an instant lies from the origin of a report: ``T+4.2s``, with a minus sign before it."""
    if abs(seconds) < 0.0005:
        return "T+0"
    return f"T{'+' if seconds > 0 else MINUS}{duration(abs(seconds))}"


def moment(at: datetime) -> str:
    """A date to the second, in UTC: ``2026-04-24 10:12:03 UTC``."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def day(at: datetime) -> str:
    """A date to the minute, in UTC, for tables: ``2026-04-24 10:12``."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M}"


def size(octets: float) -> str:
    """Bytes in binary units: ``4.1 MiB``."""
    unit = "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):  # noqa: B007
        if octets < 1024:
            break
        octets /= 1024
    return f"{octets:,.1f}".removesuffix(".0") + f"{NO_BREAK}{unit}"


def share(value: float) -> str:
    """A part of one, in per cent, never rounded up to all or down to nothing."""
    if not math.isfinite(value):
        return number(value)
    percent = value * 100
    shown = f"{percent:.1f}".removesuffix(".0")
    if shown == "100" and percent < 100:
        shown = "99.9"
    if shown == "0" and percent > 0:
        shown = "0.1"
    return f"{shown}{NO_BREAK}%"


def amount(figure: Figure, noun: str = "row") -> str:
    """The value of a figure with its unit; what is counted as rows may have another name."""
    if figure.unit == "s":
        return duration(figure.value)
    if figure.unit == "share":
        return share(figure.value)
    if figure.unit == "bytes":
        return size(figure.value)
    if figure.unit == "rows":
        return quantity(figure.value, noun)
    if figure.unit in _NOUNS:
        return quantity(figure.value, *_NOUNS[figure.unit])
    return number(figure.value)


def listing(names: Sequence[str], most: int = 4) -> str:
    """``a``, ``a and b``, ``a, b and 3 more``."""
    if len(names) > most:
        return f"{', '.join(names[: most - 1])} and {len(names) - most + 1:,} more"
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"
