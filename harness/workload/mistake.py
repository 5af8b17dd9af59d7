"""The last exception that a locustfile raised, handed from the child to the harness in a small file."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

FILE = "mistake.json"
LONGEST = 500
"""Characters of an exception's message; the whole of it stands in the child's log."""


class Mistake(BaseModel):
    """One exception of the locustfile's own.

    Attributes:
        where: file and line of the user's code.
        what: type and message, in one line.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    where: str
    what: str

    @classmethod
    def of(cls, where: str, what: str) -> Mistake:
        """One whose message fits into a line. It is cut between words: nobody knows half a credential."""
        words = " ".join(what.split())
        whole = words if len(words) <= LONGEST else f"{words[:LONGEST].rpartition(' ')[0]} ..."
        return cls(where=where, what=whole)

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


def note_mistake(folder: Path, mistake: Mistake) -> None:
    """Put it where the harness looks; replaced in one step, so that nobody reads half of one.

    Raises:
        OSError: it cannot be written.
    """
    fresh = folder / f"{FILE}.new"
    fresh.write_text(mistake.model_dump_json(), encoding="utf-8")
    fresh.replace(folder / FILE)


def last_mistake(folder: Path) -> Mistake | None:
    """The last one that was noted; None when there was none."""
    try:
        return Mistake.model_validate_json((folder / FILE).read_text(encoding="utf-8"))
    except (OSError, ValidationError):
        return None
