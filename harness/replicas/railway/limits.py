"""Rate limits by plan: requests in an hour and in a second, counted for each token.

Sources: Railway's documentation, "Public API", grade A: 100, 1,000 and 10,000 requests an hour for Free,
Hobby and Pro, 10 and 50 a second for Hobby and Pro, and the names of the headers. That windows are fixed
and begin with the first request in them, and that each token is counted alone, is assumed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
PER_HOUR = {"free": 100, "hobby": 1_000, "pro": 10_000}
PER_SECOND = {"hobby": 10, "pro": 50}


@dataclass(frozen=True)
class Admission:
    """Whether a request may pass.

    Attributes:
        limit, remaining: requests in the hour.
        reset: when the hour ends.
        retry_after: whole seconds until the next request may pass; None when this one may.
    """

    limit: int
    remaining: int
    reset: datetime
    retry_after: int | None = None

    def headers(self) -> dict[str, str]:
        """The headers of the answer. The reset is told in seconds since 1970."""
        headers = {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(math.ceil(self.reset.timestamp())),
        }
        if self.retry_after is not None:
            headers["Retry-After"] = str(self.retry_after)
        return headers


@dataclass
class Window:
    """Requests since ``start``."""

    length: timedelta
    limit: int
    start: datetime
    used: int = 0

    def roll(self, now: datetime) -> None:
        """Begin anew when the window is over."""
        if now >= self.start + self.length:
            self.start, self.used = now, 0

    @property
    def full(self) -> bool:
        return self.used >= self.limit

    @property
    def end(self) -> datetime:
        return self.start + self.length


class RateLimits:
    """Counts the requests of each token.

    Args:
        plan: ``free``, ``hobby`` or ``pro``.
    """

    def __init__(self, plan: str) -> None:
        self._hourly = PER_HOUR[plan]
        self._secondly = PER_SECOND.get(plan)
        self._windows: dict[str, list[Window]] = {}

    @property
    def counted(self) -> bool:
        """Whether any request was counted since this was made or told to forget."""
        return bool(self._windows)

    def forget(self) -> None:
        """Begin to count anew, for every token."""
        self._windows.clear()

    def admit(self, token: str, now: datetime) -> Admission:
        """Count one request, unless it is one too many.

        Args:
            token: what to count for; any text that names it.
            now: the date of the request.
        """
        windows = self._windows.setdefault(token, self._fresh(now))
        for window in windows:
            window.roll(now)
        full = [window for window in windows if window.full]
        if not full:
            for window in windows:
                window.used += 1
        hour = windows[0]
        waits = [(window.end - now).total_seconds() for window in full]
        return Admission(
            hour.limit,
            hour.limit - hour.used,
            hour.end,
            retry_after=max(1, math.ceil(max(waits))) if waits else None,
        )

    def _fresh(self, now: datetime) -> list[Window]:
        windows = [Window(HOUR, self._hourly, now)]
        if self._secondly is not None:
            windows.append(Window(SECOND, self._secondly, now))
        return windows

    def remaining(self, token: str, now: datetime) -> tuple[int, datetime]:
        """Requests that the token has left in the hour, and when the hour ends; counts nothing."""
        hour = self._windows.get(token, self._fresh(now))[0]
        return hour.limit - hour.used, hour.end
