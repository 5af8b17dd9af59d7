"""Every write of the workload, as the child process saw it: sent, acknowledged, refused or broken.

One JSON array a line, appended with a single write(2) so that a killed child leaves whole lines:

    [seq, "sent",    mono, wall, user, [[table, key, op], ...]]
    [seq, "acked",   mono, wall, user, [[table, key, op, hash], ...]]
    [seq, "refused", mono, wall, user, detail]      the server said no: nothing was written
    [seq, "broken",  mono, wall, user, detail]      the answer never came: it may have been written

``seq`` counts from 1 and names one call: a transaction that is written whole or not at all. ``op`` is
``insert``, ``update`` or ``delete``; ``hash`` is the row's as acknowledged (after an insert or update,
before a delete), the same function as the witness uses. ``mono`` and ``wall`` are seconds. A write that
was sent and has no later line, or a broken one, is indeterminate.
"""

from __future__ import annotations

import json
import os
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple, get_args, overload

from pydantic_core import from_json

from harness.clock import Clock, Stamp
from harness.errors import JournalError
from harness.journal.bulk import collector_paused
from harness.journal.events import WitnessTaken
from harness.journal.witness import Row, Rows

Operation = Literal["insert", "update", "delete"]
State = Literal["acked", "refused", "broken", "unanswered"]
OPERATIONS: tuple[Operation, ...] = get_args(Operation)
STATES: tuple[State, ...] = get_args(State)
OPERATION: Mapping[str, Operation] = {name: name for name in OPERATIONS}
STATE: Mapping[str, State] = {"acked": "acked", "refused": "refused", "broken": "broken"}
NEVER = float("inf")


class Write(NamedTuple):
    """One row that a call wants written, or has written.

    Attributes:
        table, key: which row; the key as text.
        op: what to do with it.
        hash: the row's, once acknowledged: after an insert or update, before a delete.
    """

    table: str
    key: str
    op: Operation
    hash: int | None = None


class Call(NamedTuple):
    """One transaction of the workload, from its first byte to its answer.

    Attributes:
        seq: its number.
        user: which of the workload's users made it.
        state: what came of it; ``unanswered`` when the ledger ends before its answer.
        writes: as acknowledged when it was, else as sent.
        sent, sent_wall: when it was sent, on the monotonic and on the wall clock, in seconds.
        ended, ended_wall: when the answer came; infinity when none did.
        sent_line, ended_line: places in the ledger, which order what the child saw.
        detail: why it was refused or broken.
    """

    seq: int
    user: str
    state: State
    writes: tuple[Write, ...]
    sent: float
    sent_wall: float
    ended: float
    ended_wall: float
    sent_line: int
    ended_line: int
    detail: str = ""

    @property
    def indeterminate(self) -> bool:
        """Whether nobody can say if it was written."""
        return self.state in ("broken", "unanswered")


@dataclass(frozen=True)
class Second:
    """What came back within one second.

    Attributes:
        at: seconds from the origin to the second's start.
        acked, refused, broken: calls that ended so.
    """

    at: int
    acked: int
    refused: int
    broken: int


class LedgerWriter:
    """Keeps the ledger in the workload's child process.

    Every line is one plain write(2), so that greenlets do not mix theirs and a killed child leaves whole
    lines.

    Args:
        path: the ledger's file; appended to.
        clock: where stamps come from.

    Raises:
        JournalError: the file cannot be opened; of every method: it cannot be written to.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._seq = 0
        try:
            self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise self._unwritable(error) from error

    def sent(self, user: str, writes: Iterable[Write]) -> int:
        """Note a call just before it is sent.

        Returns:
            Its number, for the line that ends it.
        """
        self._seq += 1
        self._append(self._seq, "sent", user, [write[:3] for write in writes])
        return self._seq

    def acked(self, seq: int, user: str, writes: Iterable[Write]) -> None:
        """Note that a call was acknowledged, with the hash of each row that was really written."""
        self._append(seq, "acked", user, [write[:4] for write in writes])

    def refused(self, seq: int, user: str, detail: str) -> None:
        """Note that the server said no: nothing was written."""
        self._append(seq, "refused", user, detail)

    def broken(self, seq: int, user: str, detail: str) -> None:
        """Note that no answer will come: it may have been written."""
        self._append(seq, "broken", user, detail)

    def close(self) -> None:
        """Close the file. Idempotent."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _append(self, seq: int, state: str, user: str, what: object) -> None:
        now = self._clock.stamp()
        line = [seq, state, round(now.mono, 6), round(now.wall.timestamp(), 6), user, what]
        rest = json.dumps(line, separators=(",", ":")).encode() + b"\n"
        try:
            while rest:
                rest = rest[os.write(self._fd, rest) :]
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> JournalError:
        return JournalError(
            f"cannot write the ledger {self._path}: {error}",
            hint="check free space, quota and permissions of that folder (`df -h`); then run again",
        )


class Calls(Sequence[Call]):
    """Calls in the order in which they were sent; a column for each attribute, since there may be a million.

    A ``Call`` is made when it is asked for; a million kept as objects took more than twice the memory.
    """

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._seq = array("Q")
        self._user: list[str] = []
        self._state = array("B")
        self._times = tuple(array("d") for _ in range(4))
        self._lines = array("I"), array("I")
        self._detail: dict[int, str] = {}
        # The writes of call n are those from _first[n] up to _first[n + 1].
        self._first = array("I", [0])
        self._table: list[str] = []
        self._key: list[str] = []
        self._op = array("B")
        self._hash: list[int | None] = []
        self._order = array("I")

    @classmethod
    def of(cls, calls: Iterable[Call]) -> Calls:
        """Some calls, in whatever order."""
        made = cls()
        for call in sorted(calls, key=lambda call: call.ended_line or NEVER):
            made._append(call)
        made._sort()
        return made

    def _append(self, call: Call) -> None:
        """Take one in; those that were answered in the order of their answers, then the others."""
        if call.detail:
            self._detail[len(self._seq)] = call.detail
        self._seq.append(call.seq)
        self._user.append(self._named(call.user))
        self._state.append(STATES.index(call.state))
        for column, at in zip(
            self._times, (call.sent, call.sent_wall, call.ended, call.ended_wall), strict=True
        ):
            column.append(at)
        for places, place in zip(self._lines, (call.sent_line, call.ended_line), strict=True):
            places.append(place)
        for write in call.writes:
            self._table.append(self._named(write.table))
            self._key.append(write.key)
            self._op.append(OPERATIONS.index(write.op))
            self._hash.append(write.hash)
        self._first.append(len(self._key))

    def _sort(self) -> None:
        sent_line, _ = self._lines
        self._order = array("I", sorted(range(len(self._seq)), key=sent_line.__getitem__))

    def _named(self, name: str) -> str:
        return self._names.setdefault(name, name)

    def __len__(self) -> int:
        return len(self._seq)

    @overload
    def __getitem__(self, place: int) -> Call: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Call, ...]: ...
    def __getitem__(self, place: int | slice) -> Call | tuple[Call, ...]:
        if isinstance(place, slice):
            return tuple(map(self._at, self._order[place]))
        return self._at(self._order[place])

    def __iter__(self) -> Iterator[Call]:
        return map(self._at, self._order)

    def in_state(self, *states: State) -> Iterator[Call]:
        """Those that came to this, in the order of their answers."""
        wanted = {STATES.index(state) for state in states}
        return (self._at(n) for n, state in enumerate(self._state) if state in wanted)

    def ends(self) -> Iterator[tuple[State, float]]:
        """What came of each, and when on the monotonic clock, in the order of the answers."""
        return zip(map(STATES.__getitem__, self._state), self._times[2], strict=True)

    def _at(self, n: int) -> Call:
        writes = range(self._first[n], self._first[n + 1])
        sent, sent_wall, ended, ended_wall = (column[n] for column in self._times)
        sent_line, ended_line = (places[n] for places in self._lines)
        return Call(
            self._seq[n],
            self._user[n],
            STATES[self._state[n]],
            tuple(
                Write(self._table[w], self._key[w], OPERATIONS[self._op[w]], self._hash[w]) for w in writes
            ),
            sent,
            sent_wall,
            ended,
            ended_wall,
            sent_line,
            ended_line,
            self._detail.get(n, ""),
        )


@dataclass(frozen=True, eq=False)
class Ledger:
    """The ledger as it was left.

    Attributes:
        calls: in the order in which they were sent.
        lines: how many whole lines it has.
        torn: the last line is not whole.
    """

    calls: Calls = field(default_factory=Calls)
    lines: int = 0
    torn: bool = False

    def __len__(self) -> int:
        return self.lines

    def acknowledged(self) -> Iterator[Call]:
        """The calls that were acknowledged, in the order of their acknowledgements."""
        return self.calls.in_state("acked")

    def indeterminate(self) -> Iterator[Call]:
        """The calls of which nobody can say whether they were written."""
        return self.calls.in_state("broken", "unanswered")

    @property
    def answered(self) -> tuple[float, float]:
        """When the first and the last answer came, on the monotonic clock; infinity before minus infinity
        when none did."""
        first, last = NEVER, -NEVER
        for state, ended in self.calls.ends():
            if state != "unanswered":
                first, last = min(first, ended), max(last, ended)
        return first, last

    def first_acknowledged_since(self, mono: float) -> float | None:
        """When the first acknowledgement at or after ``mono`` came, on the same clock; None if none did."""
        ends = (ended for state, ended in self.calls.ends() if state == "acked" and ended >= mono)
        return next(ends, None)

    def count_since(self, mono: float) -> tuple[int, int]:
        """Calls acknowledged, and calls refused or broken, at or after ``mono``."""
        states = Counter(state for state, ended in self.calls.ends() if mono <= ended < NEVER)
        return states["acked"], states["refused"] + states["broken"]

    def per_second(self, origin: Stamp) -> tuple[Second, ...]:
        """What came back in each second from the first answer to the last, for charts.

        Args:
            origin: where second 0 starts; seconds before it are negative.
        """
        counts = Counter(
            (int((ended - origin.mono) // 1), state)
            for state, ended in self.calls.ends()
            if state != "unanswered"
        )
        if not counts:
            return ()
        seconds = [second for second, _ in counts]
        return tuple(
            Second(at, counts[at, "acked"], counts[at, "refused"], counts[at, "broken"])
            for at in range(min(seconds), max(seconds) + 1)
        )


def read_ledger(path: Path) -> Ledger:
    """Read a ledger, complete or still being written; empty when there is none yet.

    Raises:
        JournalError: it cannot be read, or a whole line of it makes no sense.
    """
    try:
        with path.open("rb") as file, collector_paused():
            return parse_ledger(file)
    except FileNotFoundError:
        return Ledger()
    except OSError as error:
        raise JournalError(
            f"cannot read the ledger {path}: {error}", hint="check the permissions of the run folder"
        ) from error
    except ValueError as error:
        raise JournalError(
            f"the ledger {path} makes no sense: {error}", hint="it was changed; play the drill again"
        ) from error


def parse_ledger(lines: Iterable[bytes]) -> Ledger:
    """Pair the lines of a ledger.

    Args:
        lines: each with its newline; a last one without any is torn, and not read.

    Raises:
        ValueError: a line is not what the format says.
    """
    open_calls: dict[int, tuple[int, list[object]]] = {}
    calls = Calls()
    place, torn = 0, False
    for text in lines:
        if not text.endswith(b"\n"):
            torn = True
            break
        place += 1
        try:
            line = from_json(text)
            seq, state = line[0], line[1]
            if state == "sent":
                if type(seq) is not int or seq in open_calls:
                    raise ValueError("sent twice")
                open_calls[seq] = (place, line)
                continue
            sent_place, sent = open_calls.pop(seq)
            calls._append(_ended(line, place, sent, sent_place))
        except (ValueError, LookupError, TypeError, OverflowError) as error:
            raise ValueError(f"line {place}: {error!r}") from error
    for sent_place, sent in open_calls.values():
        try:
            calls._append(_unanswered(sent, sent_place))
        except (ValueError, LookupError, TypeError, OverflowError) as error:
            raise ValueError(f"line {sent_place}: {error!r}") from error
    calls._sort()
    return Ledger(calls, place, torn)


def _ended(line: list, place: int, sent: list, sent_place: int) -> Call:  # type: ignore[type-arg]
    seq, said, mono, wall, user, what = line
    state = STATE.get(said)
    if state is None:
        raise ValueError(f"unknown state {said!r}")
    acked = state == "acked"
    return Call(
        seq,
        user,
        state,
        _writes(what, 4) if acked else _writes(sent[5], 3),
        float(sent[2]),
        float(sent[3]),
        float(mono),
        float(wall),
        sent_place,
        place,
        "" if acked else str(what),
    )


def _unanswered(sent: list, place: int) -> Call:  # type: ignore[type-arg]
    seq, _, mono, wall, user, what = sent
    return Call(seq, user, "unanswered", _writes(what, 3), float(mono), float(wall), NEVER, NEVER, place, 0)


def _writes(what: list, size: int) -> tuple[Write, ...]:  # type: ignore[type-arg]
    for entry in what:
        if len(entry) != size or entry[2] not in OPERATION:
            raise ValueError(f"not a write: {entry!r}")
    return tuple(Write(entry[0], str(entry[1]), OPERATION[entry[2]], *entry[3:]) for entry in what)


# --- what must come back ----------------------------------------------------------------------------


class Acked(NamedTuple):
    """One acknowledged change of one row.

    Attributes:
        state: the row's hash from then on; None once it is deleted.
        sent_line, acked_line: places in the ledger.
        sent, at: when it was sent and acknowledged, in seconds on the monotonic clock.
    """

    state: int | None
    sent_line: int
    acked_line: int
    sent: float
    at: float


class Claim(NamedTuple):
    """What the ledger says of one row that the workload wrote.

    Attributes:
        acked: its acknowledged changes, in the order of the acknowledgements.
        unsure: what indeterminate calls wanted to do with it.
    """

    acked: tuple[Acked, ...]
    unsure: frozenset[Operation] = frozenset()

    @property
    def last(self) -> tuple[Acked, ...]:
        """The changes that may be the newest: no other was sent after their acknowledgement.

        There are several when calls overlapped, since acknowledgements may arrive in another order than
        the commits they speak of.
        """
        if len(self.acked) == 1:
            return self.acked
        newest_sent = max(change.sent_line for change in self.acked)
        return tuple(change for change in self.acked if change.acked_line > newest_sent)


NO_CLAIM = Claim(())


@dataclass(frozen=True, eq=False)
class Expected:
    """What witness and ledger call for, row by row.

    Attributes:
        witness: rows of the witness, by table and key.
        claims: rows that the workload wrote, by table and key.
        before: acknowledgements up to here are in the witness for certain, in seconds on the monotonic
            clock; minus infinity when that is not known.
        after: what was sent later than this is not in the witness, on the same clock; infinity when that is
            not known.
    """

    witness: Rows
    claims: Mapping[str, Mapping[str, Claim]]
    before: float = float("-inf")
    after: float = float("inf")

    @property
    def empty(self) -> bool:
        """Whether the witness saw no row and nothing was acknowledged."""
        claims = (claim for rows in self.claims.values() for claim in rows.values())
        return not any(self.witness.values()) and not any(claim.acked for claim in claims)

    @property
    def tables(self) -> tuple[str, ...]:
        """Every table that either of them names, sorted."""
        return tuple(sorted({*self.witness, *self.claims}))

    def keys(self, table: str) -> Iterable[str]:
        """Every key of a table that either of them names."""
        known = self.witness.get(table, {})
        return (*known, *(key for key in self.claims.get(table, {}) if key not in known))

    def state(self, table: str, key: str) -> int | None:
        """The hash that a row should have; None when it should not be there.

        Of changes that overlapped, the one acknowledged last; ``accepts`` knows the others. What a
        recovery is compared with, so that the list of differences means the same to all who read it.
        """
        claim = self.claims.get(table, {}).get(key)
        if claim is not None and claim.acked:
            return claim.acked[-1].state
        return self.witnessed(table, key)

    def states(self, table: str) -> dict[str, int | None]:
        """What ``state`` says of every key of a table, in a dictionary of the caller's own."""
        states: dict[str, int | None] = {key: row.hash for key, row in self.witness.get(table, {}).items()}
        for key, claim in self.claims.get(table, {}).items():
            if claim.acked:
                states[key] = claim.acked[-1].state
        return states

    def outdated(self, table: str, key: str) -> bool:
        """Whether what the witness saw of a row is surely not the newest.

        It is surely not when something was acknowledged that was sent after the witness was read, nor when
        no write of unknown outcome can have made it.
        """
        claim = self.claims.get(table, {}).get(key)
        if claim is None or not claim.acked:
            return False
        if not claim.unsure & {"insert", "update"}:
            return True
        return any(change.sent > self.after for change in claim.last)

    def witnessed(self, table: str, key: str) -> int | None:
        """The hash that the witness saw; None when the row was not there."""
        row = self.witness.get(table, {}).get(key)
        return None if row is None else row.hash

    def accepts(self, table: str, key: str) -> frozenset[int | None]:
        """Every state that would be right.

        The witness decides when it saw everything that was acknowledged for the row, because it was read
        after; else the ledger does. Changes acknowledged while the witness was being read may or may not
        be in it, and are newer than what it saw or the same.
        """
        claim = self.claims.get(table, {}).get(key)
        if claim is None or not claim.acked:
            return frozenset((self.witnessed(table, key),))
        last = claim.last
        if all(change.at <= self.before for change in last):
            return frozenset((self.witnessed(table, key),))
        return frozenset(change.state for change in last)


def expected(witness: Rows, ledger: Ledger, taken: WitnessTaken | None = None) -> Expected:
    """Put witness and ledger together.

    Args:
        witness: rows of the witness, by table and key.
        ledger: every write of the workload.
        taken: the event that says when the witness was read.
    """
    with collector_paused():
        claims = _claims(ledger)
    if taken is None:
        return Expected(witness, claims)
    return Expected(witness, claims, taken.before.mono, taken.after.mono)


def _claims(ledger: Ledger) -> dict[str, dict[str, Claim]]:
    acked: dict[str, dict[str, list[Acked]]] = {}
    for call in ledger.acknowledged():
        for table, key, op, hash_ in _net(call.writes):
            state = None if op == "delete" else hash_
            change = Acked(state, call.sent_line, call.ended_line, call.sent, call.ended)
            acked.setdefault(table, {}).setdefault(key, []).append(change)
    # Each list is gone as soon as there is a claim of it.
    claims = {
        table: {key: Claim(tuple(rows.pop(key))) for key in tuple(rows)} for table, rows in acked.items()
    }
    for call in ledger.indeterminate():
        for write in call.writes:
            of_table = claims.setdefault(write.table, {})
            claim = of_table.get(write.key, NO_CLAIM)
            of_table[write.key] = claim._replace(unsure=claim.unsure | {write.op})
    return claims


def _net(writes: Sequence[Write]) -> Iterable[Write]:
    """The last write to each row: nobody outside of a transaction sees what was there in between."""
    return writes if len(writes) == 1 else {(w.table, w.key): w for w in writes}.values()


__all__ = [
    "Acked",
    "Call",
    "Claim",
    "Expected",
    "Ledger",
    "LedgerWriter",
    "Operation",
    "Row",
    "Second",
    "Write",
    "expected",
    "parse_ledger",
    "read_ledger",
]
