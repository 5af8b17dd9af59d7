"""What was lost, derived from witness, ledger and the rows that came back otherwise than they should.

Every acknowledged write has an instant: the acknowledgement's own stamp when the ledger has it, else the
time that the witness read from the row. What was found of a row is compared with every state that would be
right (``Expected.accepts``), and then with the states that were right once:

| found | counted as |
|---|---|
| a state that is right | nothing |
| not there, though it should be | lost |
| an older acknowledged state | lost (stale) |
| a state that an indeterminate write can have made | explained, counted as indeterminate only |
| a content that was never acknowledged | torn |
| there, though its deletion was acknowledged | resurrected |
| there, though nobody sent it and the witness did not see it | phantom |

A row that differs only in what was acknowledged after the harm counts as ``after_harm`` and as nothing else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import inf, isfinite
from typing import Literal, NamedTuple

from harness.clock import Stamp
from harness.facts import Fingerprint
from harness.journal.ledger import NO_CLAIM, Claim, Expected, Operation
from harness.journal.witness import Row, Rows, Tally

Kind = Literal["right", "missing", "stale", "torn", "resurrected", "phantom", "explained"]

GONE: tuple[Kind, ...] = ("missing", "stale", "torn", "resurrected")
"""The kinds of difference that mean that something acknowledged is not there."""

WRITING: frozenset[Operation] = frozenset(("insert", "update"))


class Change(NamedTuple):
    """One acknowledged change of a row, as far as anybody knows.

    Attributes:
        state: the hash from then on; None for a deletion.
        at: when it was acknowledged; None when a row without a time was seen by the witness only.
        sure: False when it may have been overwritten by what was found, since their calls overlapped.
    """

    state: int | None
    at: datetime | None
    sure: bool = True


class _Past(NamedTuple):
    """A change, and between which instants it took effect, in seconds on the monotonic clock.

    Attributes:
        change: what it was.
        began: infinity when it surely followed all that was acknowledged before it.
        ended: minus infinity when all that was acknowledged after it surely followed.
    """

    change: Change
    began: float
    ended: float


class Difference(NamedTuple):
    """One row that is not as it should be.

    Attributes:
        kind: in what way.
        undone: the acknowledged changes that are not there, in order.
    """

    kind: Kind
    undone: tuple[Change, ...]


@dataclass(frozen=True)
class Losses:
    """What did not come back.

    Attributes:
        known: rows that should be there.
        missing, stale, torn, resurrected: rows, as the table above has it.
        phantom: rows that nobody sent.
        after_harm: rows that differ only in what was acknowledged after the harm.
        explained: rows that differ in what an indeterminate write can have done.
        indeterminate: rows that an indeterminate write was about, whatever became of them.
        undone: acknowledged changes before the harm that are not there.
        oldest: when the oldest of those was acknowledged; None when there is none, or it is not known.
        undated: among them is one of which nobody knows the time, so that ``oldest`` is no bound.
        newest_whole: the newest acknowledged write before which nothing is missing; None when there is
            none, or when nothing is missing.
    """

    known: int
    missing: int
    stale: int
    torn: int
    resurrected: int
    phantom: int
    after_harm: int
    explained: int
    indeterminate: int
    undone: int
    oldest: datetime | None
    undated: bool
    newest_whole: datetime | None

    @property
    def lost(self) -> int:
        """Rows that are missing or older than acknowledged."""
        return self.missing + self.stale

    @property
    def none(self) -> bool:
        """Whether nothing that was acknowledged before the harm is gone."""
        return not (self.lost or self.torn or self.resurrected)


@dataclass(frozen=True)
class Axis:
    """Brings both clocks on one line, by an instant that is known on both.

    Attributes:
        anchor: that instant; for losses the harm.
    """

    anchor: Stamp

    def wall(self, mono: float) -> datetime:
        """The date of an instant on the monotonic clock."""
        return self.anchor.wall + timedelta(seconds=mono - self.anchor.mono)


def losses(expected: Expected, found: Rows, harm: Stamp) -> Losses:
    """Compare what came back with what must come back.

    Args:
        expected: what witness and ledger call for.
        found: rows that differ from ``expected.state``; a null hash for a missing row.
        harm: when the harm was done; what was acknowledged later is counted apart.
    """
    axis = Axis(harm)
    # As rows are dated: times of two zones take ten times as long to compare.
    done = harm.wall.astimezone(UTC)
    kinds: Counter[Kind | Literal["after"]] = Counter()
    undone: list[datetime | None] = []
    for difference in differences(expected, found, axis):
        before = [change.at for change in difference.undone if change.at is None or change.at <= done]
        if difference.undone and not before:
            kinds["after"] += 1
        else:
            kinds[difference.kind] += 1
            undone += before
    dated = [at for at in undone if at is not None]
    oldest = min(dated, default=None)
    gone = any(kinds[kind] for kind in GONE)
    undated = len(dated) < len(undone) or (gone and not undone)
    return Losses(
        known=known(expected),
        missing=kinds["missing"],
        stale=kinds["stale"],
        torn=kinds["torn"],
        resurrected=kinds["resurrected"],
        phantom=kinds["phantom"],
        after_harm=kinds["after"],
        explained=kinds["explained"],
        indeterminate=sum(bool(c.unsure) for rows in expected.claims.values() for c in rows.values()),
        undone=len(undone),
        oldest=oldest,
        undated=undated,
        newest_whole=None if oldest is None or undated else newest_before(expected, oldest, axis),
    )


def known(expected: Expected) -> int:
    """How many rows should be there."""
    rows = sum(map(len, expected.witness.values()))
    for table, claims in expected.claims.items():
        for key in claims:
            seen, there = expected.witnessed(table, key), expected.state(table, key)
            rows += (there is not None) - (seen is not None)
    return rows


def newest_before(expected: Expected, instant: datetime, axis: Axis) -> datetime | None:
    """The newest acknowledged write before an instant; None when none is known."""
    times = [at for at in acknowledged(expected, axis) if at is not None and at < instant]
    return max(times, default=None)


def acknowledged(expected: Expected, axis: Axis) -> Iterator[datetime | None]:
    """When each acknowledged write was acknowledged; None where that is not known."""
    for rows in expected.claims.values():
        for claim in rows.values():
            for change in claim.acked:
                yield axis.wall(change.at)
    for table, witnessed in expected.witness.items():
        claims = expected.claims.get(table, {})
        for key, row in witnessed.items():
            # There is no claim on most rows.
            if key not in claims or all(change.state != row.hash for change in claims[key].acked):
                yield row.time


def differences(expected: Expected, found: Rows, axis: Axis) -> Iterator[Difference]:
    """Each row that is not as it should be."""
    for table in sorted({*expected.claims, *found}):
        claims, others = expected.claims.get(table, {}), found.get(table, {})
        witnessed = expected.witness.get(table, {})
        for key in claims:
            state = others[key].hash if key in others else expected.state(table, key)
            difference = _difference(expected, table, key, state, axis)
            if difference.kind != "right":
                yield difference
        for key, row in others.items():
            if key not in claims:
                unclaimed = _unclaimed(witnessed.get(key), row.hash)
                if unclaimed.kind != "right":
                    yield unclaimed


def _unclaimed(seen: Row | None, state: int | None) -> Difference:
    """``_difference`` for a row that only the witness knows, as it knows most rows of a backfilled table."""
    if state == (None if seen is None else seen.hash):
        return Difference("right", ())
    if seen is None:
        return Difference("phantom", ())
    return Difference("missing" if state is None else "torn", (Change(seen.hash, seen.time),))


def _difference(expected: Expected, table: str, key: str, state: int | None, axis: Axis) -> Difference:
    right = expected.accepts(table, key)
    if state in right:
        return Difference("right", ())
    claim = expected.claims.get(table, {}).get(key, NO_CLAIM)
    past = _changes(expected, table, key, axis)
    once = any(change.state == state for change in claim.acked) or (
        state == expected.witnessed(table, key) and expected.outdated(table, key)
    )
    if _can_be_unsure(claim, state, right, once):
        return Difference("explained", ())
    unknown = state is not None and not once
    if unknown and claim.unsure & WRITING:
        # It may be an unsure write's, which followed all but what contradicts it: the last change, or the
        # witness, which saw the row gone after it.
        last = tuple(one.change for one in past[-1:])
        seen_gone = right == {None} and last and last[0].state is not None
        undone = () if seen_gone else last
    else:
        undone = _after(past, state)
    if state is None:
        return Difference("missing", undone)
    if right == {None}:
        return Difference("resurrected" if past else "phantom", undone)
    return Difference("stale" if once else "torn", undone)


def _changes(expected: Expected, table: str, key: str, axis: Axis) -> tuple[_Past, ...]:
    """Everything that is known to have been acknowledged for a row, oldest first.

    What the witness saw stands between the changes that it must have seen and the later ones, unless it
    is one of them.
    """
    acked = expected.claims.get(table, {}).get(key, NO_CLAIM).acked
    seen = expected.witness.get(table, {}).get(key)
    standing = None if seen is None else seen.hash
    listed = []
    for change in acked:
        # The witness saw it, and not what had been acknowledged before.
        stood = change.state == standing and change.at <= expected.before
        listed.append(
            _Past(Change(change.state, axis.wall(change.at)), inf if stood else change.sent, change.at)
        )
    if seen is not None and all(change.state != seen.hash for change in acked):
        place = sum(change.at <= expected.before for change in acked)
        read = expected.after if isfinite(expected.after) else -inf
        listed.insert(place, _Past(Change(seen.hash, seen.time), inf, read))
    return tuple(listed)


def _after(past: tuple[_Past, ...], state: int | None) -> tuple[Change, ...]:
    """The changes acknowledged since a row last had a state; all of them if it never had."""
    for place in range(len(past), 0, -1):
        had = past[place - 1]
        if had.change.state == state:
            return tuple(one.change._replace(sure=one.began >= had.ended) for one in past[place:])
    return tuple(one.change for one in past)


def _can_be_unsure(claim: Claim, state: int | None, right: frozenset[int | None], once: bool) -> bool:
    """Whether a write of unknown outcome can have made a row what it is.

    Such a write may take effect at any time after it was sent, even behind later acknowledged ones. It
    cannot have made a content that was acknowledged before: that is an older state come back.
    """
    if state is None:
        return "delete" in claim.unsure
    if once:
        return False
    if None in right or "delete" in claim.unsure:
        return "insert" in claim.unsure or ("update" in claim.unsure and right != {None})
    return "update" in claim.unsure


def fingerprint(expected: Expected, found: Rows) -> Fingerprint:
    """The content that a service has if it differs from what is called for as the list says.

    Args:
        expected: what witness and ledger call for.
        found: rows that differ; a null hash for a missing row.
    """
    tally = Tally()
    for table in {*expected.tables, *found}:
        states = expected.states(table) | {key: row.hash for key, row in found.get(table, {}).items()}
        there = [state for state in states.values() if state is not None]
        tally.add(table, sum(there), rows=len(there))
    return tally.fingerprint()
