"""The owner's mailbox. The only way to take a deletion back is a link that Railway mails."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from harness.replicas.railway.audit import Touched


@dataclass(frozen=True)
class Mail:
    """One mail.

    Attributes:
        link: path that it asks to open; empty when there is none.
        about: the objects that it speaks of.
    """

    at: datetime
    to: str
    subject: str
    text: str
    link: str = ""
    about: tuple[Touched, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """As the back door tells it."""
        return {**asdict(self), "at": self.at.isoformat()}
