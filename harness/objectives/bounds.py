"""How many rows a copy of a moving database can hold, when all that is known of it is counts."""

from __future__ import annotations

from datetime import datetime

from harness.journal.ledger import NO_CLAIM, Claim, Expected
from harness.journal.witness import Row
from harness.objectives.losses import Axis


def row_bounds(expected: Expected, table: str, instant: datetime, axis: Axis) -> tuple[int, int]:
    """The least and the most rows that a table can have had at an instant or at any time after it.

    Args:
        expected: what witness and ledger know of each row.
        table: the table.
        instant: the earliest time that the copy may stand for.
        axis: puts the ledger's stamps on the wall clock.
    """
    least = most = 0
    witnessed, claims = expected.witness.get(table, {}), expected.claims.get(table, {})
    for key in expected.keys(table):
        row, claim = witnessed.get(key), claims.get(key, NO_CLAIM)
        least += _surely_there(row, claim, instant, axis)
        most += not _surely_gone(claim, instant, axis)
    return least, most


def newest_certain(expected: Expected, instant: datetime, axis: Axis) -> datetime | None:
    """A time that the newest write of a copy cannot be older than; None when nothing was written by then.

    Args:
        expected: what witness and ledger know of each row.
        instant: what was acknowledged up to here is in the copy.
        axis: puts the ledger's stamps on the wall clock.
    """
    times = [
        min(axis.wall(change.sent) for change in claim.last)
        for rows in expected.claims.values()
        for claim in rows.values()
        if _surely_kept(claim, instant, axis)
    ]
    times += [
        row.time
        for table, rows in expected.witness.items()
        for key, row in rows.items()
        if row.time is not None and row.time <= instant and key not in expected.claims.get(table, {})
    ]
    return max(times, default=None)


def _surely_kept(claim: Claim, instant: datetime, axis: Axis) -> bool:
    """Whether a row's newest content was there at the instant and has not been touched since."""
    if claim.unsure or not claim.acked:
        return False
    return all(change.state is not None and axis.wall(change.at) <= instant for change in claim.last)


def _surely_there(row: Row | None, claim: Claim, instant: datetime, axis: Axis) -> bool:
    """Whether a row was there at the instant and was never deleted."""
    if "delete" in claim.unsure or any(change.state is None for change in claim.acked):
        return False
    times = [axis.wall(change.at) for change in claim.acked]
    if row is not None and row.time is not None:
        times.append(row.time)
    return bool(times) and min(times) <= instant


def _surely_gone(claim: Claim, instant: datetime, axis: Axis) -> bool:
    """Whether a row was deleted before the instant and never written again."""
    if claim.unsure - {"delete"} or not claim.acked:
        return False
    return all(change.state is None and axis.wall(change.at) <= instant for change in claim.last)
