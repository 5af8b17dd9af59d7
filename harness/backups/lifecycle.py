"""What a bucket's lifecycle rules will do to an object, if nobody takes them back.

In a bucket that keeps versions, expiry only hides the newest one; it is gone when a rule for noncurrent
versions has purged it too (Amazon S3, "Examples of S3 Lifecycle configurations").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

HIDING, PURGING = "Expiration", "NoncurrentVersionExpiration"


def gone_at(
    rules: Sequence[Mapping[str, Any]],
    key: str,
    put: datetime,
    *,
    versioned: bool,
    hidden: datetime | None = None,
) -> datetime | None:
    """When the rules will have deleted an object; None when they never do.

    Args:
        rules: as S3 lists them. Conditions on sizes are taken for fulfilled, those on tags for not: backup
            tools set none.
        key: of the object.
        put: when it was put; the rules count from there.
        versioned: its bucket keeps versions.
        hidden: when a newer version or a deletion was put over it; None for the newest.
    """
    matching = [rule for rule in rules if _matches(rule, key)]
    hidden = hidden or first_of(_ends(rule.get(HIDING, {}), "Days", put) for rule in matching)
    if hidden is None or not versioned:
        return hidden
    return first_of(_ends(rule.get(PURGING, {}), "NoncurrentDays", hidden) for rule in matching)


def first_of(instants: Iterable[datetime | None]) -> datetime | None:
    """The earliest of some instants; None when there is none."""
    return min((instant for instant in instants if instant is not None), default=None)


def _matches(rule: Mapping[str, Any], key: str) -> bool:
    found = rule.get("Filter", rule)
    conditions = {**found, **found.get("And", {})}
    tagged = "Tag" in conditions or bool(conditions.get("Tags"))
    return rule["Status"] == "Enabled" and not tagged and key.startswith(conditions.get("Prefix", ""))


def _ends(action: Mapping[str, Any], days: str, since: datetime) -> datetime | None:
    if days in action:
        return since + timedelta(days=action[days])
    date = action.get("Date")
    return date.astimezone(UTC) if isinstance(date, datetime) else None
