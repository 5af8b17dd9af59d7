"""A run as it was recorded: immutable, with typed queries. Notices truncation and tampering."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from harness.clock import Stamp
from harness.facts import Fact
from harness.journal.events import Line
from harness.journal.ledger import Ledger

E = TypeVar("E", bound=Fact)


@dataclass(frozen=True)
class Entry[T]:
    """One event with the number of its journal line, which verdicts cite."""

    n: int
    at: Stamp
    body: T
