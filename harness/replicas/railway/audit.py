"""Every mutation that was tried, and what it changed. The harness reads it; the API does not show it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

Result = Literal["done", "refused", "failed"]


@dataclass(frozen=True, order=True)
class Touched:
    """An object that a call changed, or that can be deleted.

    Attributes:
        kind: ``volume-instance``, ``volume-backup``, ``environment``, ``service``, ``project``, ...
        name: with its environment first: ``production/bookings-data``.
        environment: where it stands; None for what belongs to the whole project or account.
    """

    kind: str
    name: str
    environment: str | None = None


@dataclass(frozen=True)
class Entry:
    """One call.

    Attributes:
        seq: counts from 1.
        principal: whose token it was; a token that was minted with another one's counts as that one's.
        token_kind: ``account``, ``workspace``, ``project``, ``scoped``, ``none``, or ``mail-link``.
        operation: the mutation's name.
        outcome: ``refused`` when the token does not reach that far, ``failed`` when the call made no sense
            or was aimed at what does not exist, even where the answer does not say so.
        resources: what was changed; empty unless it was done.
    """

    seq: int
    at: datetime
    principal: str
    token_kind: str
    operation: str
    outcome: Result
    resources: tuple[Touched, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """As the back door tells it."""
        return {**asdict(self), "at": self.at.isoformat()}


class AuditLog:
    """The entries, in order."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []

    def add(
        self,
        at: datetime,
        principal: str,
        token_kind: str,
        operation: str,
        outcome: Result,
        resources: tuple[Touched, ...] = (),
    ) -> None:
        """Write down one call."""
        seq = len(self._entries) + 1
        self._entries.append(Entry(seq, at, principal, token_kind, operation, outcome, resources))

    def forget_after(self, seq: int) -> None:
        """Keep entries up to that one only."""
        del self._entries[seq:]

    def after(self, seq: int) -> tuple[Entry, ...]:
        """Entries later than that one."""
        return tuple(self._entries[max(seq, 0) :])
