"""A run as it was recorded: immutable, with typed queries. Notices truncation and tampering."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Generic, TypeVar, cast

from pydantic import ValidationError
from pydantic_core import from_json

from harness.clock import Stamp
from harness.errors import JournalError
from harness.facts import Fact
from harness.journal.bulk import collector_paused
from harness.journal.events import (
    SCHEMA_VERSION,
    ActionDecided,
    ActionEnded,
    Answered,
    ContentCompared,
    ContentVerified,
    FaultSeen,
    Interrupted,
    Line,
    RunEnded,
    RunStarted,
    WitnessTaken,
    WorkloadStarted,
    WorkloadStopped,
)
from harness.journal.ledger import Ledger, read_ledger
from harness.journal.witness import Rows, digest_file, read_witness
from harness.journal.writer import FIRST_PREV, JOURNAL_FILE, sealed

T_co = TypeVar("T_co", bound=Fact, covariant=True)
E = TypeVar("E", bound=Fact)

_WITH_FILES = (WitnessTaken, WorkloadStopped, ContentVerified, ContentCompared, Answered)

SCENARIO_FILE = "scenario.json"
LATEST = "latest"
"""The link to the newest run or search in a folder of them."""

EPOCH = Stamp(mono=1000.0, wall=datetime(2026, 1, 1, tzinfo=UTC))
"""Where hand-written histories start."""


@dataclass(frozen=True, slots=True)
class Entry(Generic[T_co]):
    """One event with the number of its journal line, which verdicts cite.

    Attributes:
        n: the line, from 1.
        at: when it was written.
        body: the event.
    """

    n: int
    at: Stamp
    body: T_co


@dataclass(frozen=True)
class NamedFile:
    """A file beside the journal that an event names.

    Attributes:
        name: in the run folder.
        sha256: in hex, as the event has it.
        event: the event's kind.
    """

    name: str
    sha256: str
    event: str


@dataclass(frozen=True, eq=False)
class History:
    """Everything that was recorded of one run.

    Attributes:
        folder: the run folder; None when the history was written by hand.
        entries: the events in order; when something is wrong, those before the first bad line.
        problem: None when the record is whole; else what is wrong with it, precisely.
    """

    folder: Path | None
    entries: tuple[Entry[Fact], ...]
    problem: str | None
    _load: Callable[[str], Rows]
    _load_ledger: Callable[[], Ledger]

    def of(self, kind: type[E]) -> tuple[Entry[E], ...]:
        """All events of one kind, in order."""
        return cast("tuple[Entry[E], ...]", self._by_kind.get(kind, ()))

    def first(self, kind: type[E]) -> Entry[E] | None:
        """The first event of one kind, if there is one."""
        found = self.of(kind)
        return found[0] if found else None

    def last(self, kind: type[E]) -> Entry[E] | None:
        """The last event of one kind, if there is one."""
        found = self.of(kind)
        return found[-1] if found else None

    @property
    def cut_short(self) -> bool:
        """Whether a kill, a fault or Ctrl-C stopped it. After the last two a run still says that it ended."""
        return self.last(RunEnded) is None or any(self.of(kind) for kind in (FaultSeen, Interrupted))

    @cached_property
    def ledger(self) -> Ledger:
        """Every write of the workload; empty when the run had none.

        Raises:
            JournalError: it cannot be read. A history without a problem has one that was not changed.
        """
        return self._load_ledger()

    @cached_property
    def witness(self) -> Rows:
        """Rows just before the agent acted, by table and key; empty when none were taken.

        Raises:
            JournalError: as for ``ledger``.
        """
        taken = self.last(WitnessTaken)
        return self._load(taken.body.file) if taken else {}

    @cached_property
    def recovered(self) -> Rows:
        """Rows that differed after the recovery, by table and key; a null hash where one was missing.

        Raises:
            JournalError: as for ``ledger``.
        """
        verified = self.last(ContentVerified)
        return self._load(verified.body.file) if verified else {}

    def rows(self, file: str) -> Rows:
        """Rows of a file that an event names.

        Raises:
            JournalError: as for ``ledger``.
        """
        return self._load(file)

    @cached_property
    def named_files(self) -> tuple[NamedFile, ...]:
        """The files beside the journal that its events name, in their order, each once."""
        started = self.first(RunStarted)
        resolved = started.body.resolved_sha256 if started else ""
        named = {SCENARIO_FILE: NamedFile(SCENARIO_FILE, resolved, "run-started")} if resolved else {}
        for entry in self.entries:
            body = entry.body
            if isinstance(body, _WITH_FILES) and body.file:
                named[body.file] = NamedFile(body.file, body.sha256, body.event)
        return tuple(named.values())

    @cached_property
    def _by_kind(self) -> Mapping[type[Fact], tuple[Entry[Fact], ...]]:
        kinds: dict[type[Fact], list[Entry[Fact]]] = {}
        for entry in self.entries:
            kinds.setdefault(type(entry.body), []).append(entry)
        return {kind: tuple(entries) for kind, entries in kinds.items()}

    @classmethod
    def of_events(
        cls,
        events: Iterable[Fact | tuple[float, Fact]],
        *,
        ledger: Ledger | None = None,
        witness: Rows | None = None,
        recovered: Rows | None = None,
        files: Mapping[str, Rows] | None = None,
        start: Stamp = EPOCH,
    ) -> History:
        """A history written by hand.

        Args:
            events: in order; each with its second after ``start``, or a tenth of a second after the one
                before.
            ledger, witness, recovered: what would lie beside the journal.
            files: more files of rows, by the name that an event gives them.
            start: when it all began.
        """
        entries = tuple(_placed(events, start))
        named = dict(files or {})
        for kind, rows in ((WitnessTaken, witness), (ContentVerified, recovered)):
            for entry in entries:
                if isinstance(entry.body, kind):
                    named[entry.body.file] = rows or {}
        return cls(
            folder=None,
            entries=entries,
            problem=problem_of(entries),
            _load=lambda file: named.get(file, {}),
            _load_ledger=lambda: ledger or Ledger(),
        )


def _placed(events: Iterable[Fact | tuple[float, Fact]], start: Stamp) -> Iterator[Entry[Fact]]:
    second = 0.0
    for n, event in enumerate(events, start=1):
        second, body = event if isinstance(event, tuple) else (second + 0.1, event)
        at = Stamp(mono=start.mono + second, wall=start.wall + timedelta(seconds=second))
        yield Entry(n, at, body)


def read_history(folder: Path) -> History:
    """Read a run folder. What is wrong with the record is in ``problem``, not raised.

    Args:
        folder: the run folder.

    Raises:
        JournalError: there is no journal in it, or it cannot be opened.
    """
    path = folder / JOURNAL_FILE
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise JournalError(
            f"{folder} holds no {JOURNAL_FILE}", hint="name a run folder, such as reports/latest"
        ) from None
    except OSError as error:
        raise JournalError(
            f"cannot read {path}: {error}", hint="check the permissions of the folder"
        ) from error
    with collector_paused():
        entries, problem = read_lines(data)
    return History(
        folder=folder,
        entries=entries,
        problem=problem or problem_of(entries) or _problem_of_files(folder, entries),
        _load=lambda file: read_witness(_inside(folder, file)),
        _load_ledger=lambda: _read_named_ledger(folder, entries),
    )


def read_lines(data: bytes) -> tuple[tuple[Entry[Fact], ...], str | None]:
    """The events of a journal up to the first line that is not as it was written.

    Returns:
        Them, and what is wrong with the line after them; None when nothing is.
    """
    entries: list[Entry[Fact]] = []
    prev = FIRST_PREV
    *lines, rest = data.split(b"\n")
    for n, text in enumerate(lines, start=1):
        problem, line = _read_line(text, n, prev)
        if line is None:
            return tuple(entries), problem
        entries.append(Entry(n, line.at, cast("Fact", line.body)))
        prev = sha256(text).hexdigest()
    if rest:
        return tuple(entries), f"line {len(entries) + 1} of the journal is cut off: the run was killed"
    return tuple(entries), None


def _read_line(text: bytes, n: int, prev: str) -> tuple[str, Line | None]:
    version = _unknown_version(text) if n == 1 else None
    if version is not None:
        return f"the journal has schema version {version}; this ninelives reads {SCHEMA_VERSION}", None
    try:
        line = Line.model_validate_json(text)
    except ValidationError as error:
        what = error.errors(include_url=False)[0]["msg"]
        return f"line {n} of the journal is not an event: {what}", None
    if line.n != n:
        return f"line {n} of the journal has the number {line.n}: lines are missing or were added", None
    if line.prev != prev:
        return f"the hash chain is broken at line {n}: the line before it was changed or removed", None
    if line.own != sealed(text[: -len(line.own) - 2] + b'"}'):
        return f"line {n} of the journal is not what was written: its seal does not fit", None
    return "", line


def _unknown_version(text: bytes) -> object | None:
    """The schema version of a first line, when it is one that this program does not know."""
    try:
        version = from_json(text)["body"]["schema_version"]
    except (ValueError, LookupError, TypeError):
        return None
    return None if version == SCHEMA_VERSION else cast("object", version)


def problem_of(entries: Sequence[Entry[Fact]]) -> str | None:
    """What is wrong with the order of the events; None when nothing is."""
    if not entries or not isinstance(entries[0].body, RunStarted):
        return "the journal does not begin with the start of a run"
    if entries[0].body.schema_version != SCHEMA_VERSION:
        return (
            f"the journal has schema version {entries[0].body.schema_version}; "
            f"this ninelives reads {SCHEMA_VERSION}"
        )
    problem = _problem_of_bounds(entries) or _problem_of_clock(entries) or _problem_of_actions(entries)
    if problem is None and not isinstance(entries[-1].body, RunEnded):
        return "the journal does not end with the end of the run: it was cut off, or the run was killed"
    return problem


def _problem_of_bounds(entries: Sequence[Entry[Fact]]) -> str | None:
    for kind, what in ((RunStarted, "starts"), (RunEnded, "ends")):
        lines = [entry.n for entry in entries if isinstance(entry.body, kind)]
        if len(lines) > 1:
            return f"the run {what} more than once: lines {', '.join(map(str, lines))}"
        if kind is RunEnded and lines and lines[0] != entries[-1].n:
            return f"line {lines[0] + 1} of the journal comes after the end of the run"
    return None


def _problem_of_clock(entries: Sequence[Entry[Fact]]) -> str | None:
    for earlier, later in pairwise(entries):
        if later.at.mono < earlier.at.mono:
            return f"the clock went backwards at line {later.n}"
    return None


def _problem_of_actions(entries: Sequence[Entry[Fact]]) -> str | None:
    decided: set[int] = set()
    ended: set[int] = set()
    for entry in entries:
        body = entry.body
        if isinstance(body, ActionDecided):
            if body.action.number in decided:
                return f"action {body.action.number} was decided twice, at line {entry.n} again"
            decided.add(body.action.number)
        elif isinstance(body, ActionEnded):
            if body.number not in decided or body.number in ended:
                return f"action {body.number} ended at line {entry.n}, but was not under way"
            if body.outcome.ended.mono < body.outcome.began.mono:
                return f"action {body.number} ended before it began, at line {entry.n}"
            ended.add(body.number)
    return None


def _problem_of_files(folder: Path, entries: Sequence[Entry[Fact]]) -> str | None:
    """What is wrong with the files beside the journal; None when each is as its event says."""
    started = cast("RunStarted", entries[0].body)
    if started.resolved_sha256:
        problem = _problem_of_file(folder, SCENARIO_FILE, started.resolved_sha256)
        if problem:
            return problem
    for entry in entries:
        body = entry.body
        if isinstance(body, _WITH_FILES) and body.file:
            problem = _problem_of_file(folder, body.file, body.sha256)
            if problem:
                return f"{problem} (line {entry.n})"
    return _problem_of_ledger(folder, entries)


def _problem_of_file(folder: Path, file: str, digest: str) -> str | None:
    try:
        found = digest_file(_inside(folder, file))
    except JournalError as error:
        return error.message
    return None if found == digest else f"{file} is not what was written: its digest differs"


def _problem_of_ledger(folder: Path, entries: Sequence[Entry[Fact]]) -> str | None:
    stopped = [entry for entry in entries if isinstance(entry.body, WorkloadStopped)]
    started = [entry for entry in entries if isinstance(entry.body, WorkloadStarted)]
    if started and not stopped:
        return "the workload was never stopped: nothing vouches for its ledger"
    for entry in stopped:
        path = _inside(folder, cast("WorkloadStopped", entry.body).file)
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(size - 1, 0))
            if size and file.read() != b"\n":
                return f"{path.name} ends in half a line: the workload could not finish it (line {entry.n})"
    return None


def _inside(folder: Path, file: str) -> Path:
    """A file of the run folder; events name files, never paths.

    Raises:
        JournalError: the name leads elsewhere.
    """
    if not file or Path(file).name != file:
        raise JournalError(
            f"{file!r} is not the name of a file in {folder}", hint="the journal was changed; do not trust it"
        )
    return folder / file


def _read_named_ledger(folder: Path, entries: Sequence[Entry[Fact]]) -> Ledger:
    for entry in reversed(entries):
        if isinstance(entry.body, WorkloadStopped):
            return read_ledger(_inside(folder, entry.body.file))
    return read_ledger(folder / "ledger.jsonl")
