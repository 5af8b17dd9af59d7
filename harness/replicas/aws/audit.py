"""Every call that could change something, and what it changed. The harness reads it, the API hides it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

Result = Literal["done", "refused", "failed"]


@dataclass(frozen=True, order=True)
class Touched:
    """An object that a call changed, or that can be deleted.

    Attributes:
        kind: ``db-instance``, ``db-snapshot``, ``volume``, ``vpc``, ...
        name: with its parent first: ``courses/before-upgrade``.
        environment: where it stands; None when it stands in none.
    """

    kind: str
    name: str
    environment: str | None = None


Listing = Mapping[Touched, str]
"""Everything that can be deleted, each with a text that differs when anything of it that counts does."""


def changes(before: Listing, after: Listing) -> tuple[Touched, ...]:
    """What is gone, new, or not as it was; sorted."""
    return tuple(
        sorted(
            (each for each in before.keys() | after.keys() if before.get(each) != after.get(each)),
            key=lambda touched: (touched.kind, touched.name),
        )
    )


@dataclass(frozen=True)
class Entry:
    """One call.

    Attributes:
        seq: counts from 1.
        id: of the request, as its answer has it.
        principal: whose access key it was signed with; empty when nobody's.
        operation: ``rds.DeleteDBInstance``.
        outcome: ``refused`` when a guard said no, ``failed`` when it made no sense or was aimed at what is
            not there.
        code: of the error; empty when it was done.
        resources: what was changed; empty unless it was done.
    """

    seq: int
    id: str
    at: datetime
    principal: str
    operation: str
    outcome: Result
    code: str = ""
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
        id: str,
        at: datetime,
        principal: str,
        operation: str,
        outcome: Result,
        code: str = "",
        resources: tuple[Touched, ...] = (),
    ) -> None:
        """Write down one call."""
        seq = len(self._entries) + 1
        self._entries.append(Entry(seq, id, at, principal, operation, outcome, code, resources))

    def after(self, seq: int) -> tuple[Entry, ...]:
        """Entries later than that one."""
        return tuple(self._entries[max(seq, 0) :])
