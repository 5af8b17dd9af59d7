"""The only caller of ``time``. Durations come from the monotonic clock, dates from the wall clock."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from pydantic import ConfigDict


@dataclass(frozen=True, slots=True)
class Stamp:
    """One instant on both clocks.

    A journal has several a line, and a model would take five times the memory of this.

    On Linux and macOS the monotonic clock is one for the whole machine, so stamps made in the
    workload's child process and in the harness compare (clock_gettime(2), CLOCK_MONOTONIC).

    Attributes:
        mono: seconds on the monotonic clock; only differences mean something.
        wall: the date, in UTC, for people.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    mono: float
    wall: datetime

    def since(self, earlier: Stamp) -> float:
        """Seconds from ``earlier`` to this stamp."""
        return self.mono - earlier.mono


class Clock(Protocol):
    """Where a run takes its time from; tests hand in their own."""

    def stamp(self) -> Stamp: ...

    def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's clocks."""

    def stamp(self) -> Stamp:
        """Now, on both clocks."""
        return Stamp(mono=time.monotonic(), wall=datetime.now(UTC))

    def sleep(self, seconds: float) -> None:
        """Wait ``seconds``; zero or less returns at once."""
        if seconds > 0:
            time.sleep(seconds)

    def cpu(self) -> float:
        """CPU seconds that this process has used so far, user and system, all threads."""
        return time.process_time()
