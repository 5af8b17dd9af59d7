"""Plays the past: slices of data, and the recovery points that retention would have kept until today."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from harness.facts import Endpoint, Fingerprint
from harness.journal.events import PointTaken, SlicePlayed
from harness.run.faults import blaming
from harness.run.ground import Ground
from harness.run.past_items import Slice, past_items
from harness.scenario.models import LONGEST, PastHistory, tracked_of
from harness.seams.drivers import Database, Due, ItemStore

END = re.compile(r";\s*(?:--[^\n]*\s*)*\Z")
"""A semicolon after which there is nothing but comments."""


@dataclass(frozen=True)
class Moment:
    """An instant of the past at which something is due.

    Attributes:
        at: when, in scenario time.
        protection: whose point is due; None for the end of the history.
        due: what is due.
    """

    at: datetime
    protection: str | None = None
    due: Due | None = None


def backfill(
    ground: Ground, look: Callable[[], None], *, most: int | None = None, every_schedule: bool = False
) -> None:
    """Insert the history of the scenario slice by slice and take each recovery point when it is due.

    Over a dump there may be no history: then all points hold what the dump held.

    Args:
        ground: the replicas.
        look: is called after each moment of the past, which can last; what it raises ends the backfill.
        most: recovery points of each protection that are taken, the newest; all of them if nothing is said.
        every_schedule: and the newest of each schedule that a protection has.

    Raises:
        ScenarioFileError: the database refuses the slice, or the query of an export.
    """
    history = ground.plan.loaded.scenario.history
    now = ground.clock.stamp().wall.replace(microsecond=0)
    ground.present = now
    span = span_of(ground)
    cursor, played = now - span, 0
    for moment in moments(ground, now, most, every_schedule):
        until = round((history.rows if history else 0) * ((moment.at - (now - span)) / span))
        if history is not None and moment.at > cursor:
            _play(ground, history, Slice(cursor, moment.at, played, until), now)
            cursor, played = moment.at, until
        if moment.protection is not None and moment.due is not None:
            take(ground, moment.protection, moment.due)
        look()


def moments(
    ground: Ground, now: datetime, most: int | None = None, every_schedule: bool = False
) -> Iterator[Moment]:
    """What is due in the past, oldest first, and at last the present."""
    due = [
        Moment(point.at, protection, point)
        for protection, tool in ground.tools.items()
        for point in newest(tool.due(now, span_of(ground)), most, every_schedule)
    ]
    yield from sorted(due, key=lambda moment: moment.at)
    yield Moment(now)


def newest(points: tuple[Due, ...], most: int | None, every_schedule: bool) -> tuple[Due, ...]:
    """The newest points.

    Args:
        points: of one protection, oldest first, labelled with the schedule.
        most: how many; all if nothing is said.
        every_schedule: and the newest of each schedule, which may outlive all of the others.
    """
    taken = points[-most if most else None :]
    if not every_schedule:
        return taken
    last = {point.label: point for point in points}
    return tuple(point for point in points if point in taken or point is last[point.label])


def span_of(ground: Ground) -> timedelta:
    """How far back the past goes; without a history it has no end, and every backup that is kept is there."""
    history = ground.plan.loaded.scenario.history
    return history.span if history is not None else LONGEST


def take(ground: Ground, protection: str, due: Due) -> None:
    """Take one recovery point and record what its source held, which nothing writes to meanwhile."""
    source = ground.plan.loaded.stack.protections[protection].of
    began = ground.clock.stamp()
    point = ground.tools[protection].take(due)
    seconds = ground.clock.stamp().since(began)
    ground.taken[point.id] = content(ground, source)
    ground.journal.write(PointTaken(point=point, content=ground.taken[point.id], seconds=seconds))


def content(ground: Ground, service: str, endpoint: Endpoint | None = None) -> Fingerprint:
    """What the tracked tables of a service hold, or those of a copy of it at another endpoint."""
    return ground.plan.store(service).fingerprint(
        endpoint or ground.endpoints[service], tuple(sorted(tracked(ground, service)))
    )


def tracked(ground: Ground, service: str) -> dict[str, tuple[str, str | None]]:
    """Key and time column of each tracked table of a service; some tell no time."""
    return tracked_of(ground.plan.loaded.stack.services[service])


def lines_of(database: Database, endpoint: Endpoint, query: str, values: Mapping[str, object]) -> str:
    """The records of an export, one JSON value a line, as the server writes them; empty when there are none.

    Args:
        database: how to ask.
        endpoint: whom.
        query: one JSON value a row.
        values: for its names.

    Raises:
        DatabaseError: the server refused it.
    """
    # On the query's first line, so that a message about one of its lines has the right number.
    head, tail = "SELECT string_agg(record::jsonb::text || chr(10), '') FROM (", "\n) AS export (record)"
    ((text,),) = database.query(endpoint, head + END.sub("", query) + tail, values)
    return str(text or "")


def _play(ground: Ground, history: PastHistory, part: Slice, now: datetime) -> None:
    store, endpoint = ground.plan.store(history.service), ground.endpoints[history.service]
    if isinstance(store, ItemStore):
        store.fill(endpoint, past_items(tuple(tracked(ground, history.service)), part, history.size))
    else:
        _play_sql(ground, history, part, now)
    ground.journal.write(SlicePlayed(start=part.start, end=part.end, rows=part.rows))


def _play_sql(ground: Ground, history: PastHistory, part: Slice, now: datetime) -> None:
    database, endpoint = ground.plan.database(history.service), ground.endpoints[history.service]
    files, folder = ground.plan.loaded.files, ground.plan.loaded.folder
    values = {"from": part.start, "to": part.end, "rows": part.rows, "now": now}
    if part.rows > 0 and history.slice is not None:
        with blaming(folder / history.slice, "the slice"):
            database.execute(endpoint, files[history.slice], values)
    for export in history.exports:
        with blaming(folder / export.query, "the query of an export"):
            body = lines_of(database, endpoint, files[export.query], values)
        if body:
            key = f"{export.prefix}{part.end:%Y%m%dT%H%M%SZ}.jsonl"
            ground.store(export.to).put(body.encode(), key, {}, None)
