"""Which copies of the past are still there: so many, one interval apart."""

from __future__ import annotations

from datetime import datetime, timedelta

from harness.seams.drivers import Due


def every(interval: timedelta, keep: int, now: datetime, span: timedelta, label: str) -> tuple[Due, ...]:
    """The points of the last ``span`` that are kept; the newest is one interval old, as it is at worst."""
    ages = [interval * number for number in range(keep, 0, -1)]
    return tuple(Due(now - age, label) for age in ages if age <= span)


def coming(
    interval: timedelta, present: datetime, since: datetime, until: datetime, label: str
) -> tuple[Due, ...]:
    """The points after ``since`` and not after ``until``; the first is due an interval after ``present``."""
    first, last = (since - present) // interval + 1, (until - present) // interval
    return tuple(Due(present + interval * number, label) for number in range(first, last + 1))
