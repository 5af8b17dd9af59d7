"""The files that a run's verdicts rest on, with their digests: what a report shows as its evidence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from harness.errors import JournalError
from harness.journal.history import History
from harness.journal.witness import digest_file
from harness.journal.writer import JOURNAL_FILE

JOURNAL = "everything that was observed, a line an event, each with the hash of the line before"
HOLDS = {
    "run-started": "scenario and stack as they were played",
    "witness-taken": "keys, hashes and times of all that is tracked, just before the agent acted",
    "workload-stopped": "every write of the workload, with the answer it got",
    "content-verified": "what differs after the recovery",
    "content-compared": "what differs in a restored copy",
    "answered": "the result of a search",
}


@dataclass(frozen=True)
class Exhibit:
    """One file of the run folder.

    Attributes:
        name: in the run folder.
        sha256: in hex; as the journal has it, for every file but the journal itself.
        holds: what is in it.
    """

    name: str
    sha256: str
    holds: str


def exhibits(history: History) -> tuple[Exhibit, ...]:
    """The journal, then what it vouches for. A record that is not stored has none."""
    return tuple(_exhibits(history))


def _exhibits(history: History) -> Iterator[Exhibit]:
    if history.folder is None:
        return
    try:
        digest = digest_file(history.folder / JOURNAL_FILE)
    except JournalError:
        return
    yield Exhibit(JOURNAL_FILE, digest, JOURNAL)
    for file in history.named_files:
        yield Exhibit(file.name, file.sha256, HOLDS[file.event])
