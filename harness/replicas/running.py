"""What is known of a server that was started, whatever it runs in."""

from __future__ import annotations

from typing import Protocol


class Running(Protocol):
    """A server that was started."""

    def poll(self) -> int | None:
        """Its exit code; None while it runs."""
        ...
