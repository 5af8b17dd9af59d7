"""The present, as locks, retention and recycle bins count it; tests let time pass that does not pass."""

from __future__ import annotations

from datetime import datetime, timedelta

from harness.clock import Clock


class Calendar:
    """A clock that can be put forward.

    Args:
        clock: the machine's.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ahead = timedelta(0)

    def now(self) -> datetime:
        """The present, in UTC."""
        return self._clock.stamp().wall + self._ahead

    def advance(self, by: timedelta) -> None:
        """Let time pass that does not pass."""
        self._ahead += by

    def turn_to(self, moment: datetime) -> None:
        """Have it be that moment now; time goes on from there."""
        self._ahead = moment - self._clock.stamp().wall
