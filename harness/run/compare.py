"""Records how the content of a service, or of a copy of it, differs from what witness and ledger call for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from harness.errors import DatabaseError
from harness.facts import Endpoint
from harness.journal.events import ContentCompared, ContentVerified, WitnessTaken
from harness.journal.ledger import expected, read_ledger
from harness.journal.witness import Lines, TableRead, Written, lines_of, read_witness, write_differences
from harness.run.assess import Copy
from harness.run.backfill import content, tracked
from harness.run.ground import Ground
from harness.run.traffic import LEDGER
from harness.seams.drivers import Database, Dictating

RECOVERED = "recovered.jsonl"
WITHOUT_ORIGINAL = ("continuous", "undo")
"""Kinds of copies that were not taken at one instant, so that nothing was read then to compare them with."""


def compare_service(ground: Ground, witness: WitnessTaken) -> None:
    """Compare the service as it is now; the workload has been stopped."""
    service = ground.plan.target
    written = _write_differences(ground, service, ground.endpoints[service], witness, RECOVERED)
    ground.journal.write(
        ContentVerified(
            service=service,
            content=written.content,
            file=RECOVERED,
            sha256=written.sha256,
            rows=written.rows,
        )
    )


def compare_copy(ground: Ground, copy: Copy, endpoint: Endpoint, witness: WitnessTaken) -> None:
    """Compare a restored copy with what its source held when it was taken; nobody writes to either now.

    Args:
        ground: the run.
        copy: what was restored.
        endpoint: where it answers.
        witness: of the service, for copies that were not taken at one instant.
    """
    service, file, sha256 = copy.point.service, "", ""
    if copy.point.kind in WITHOUT_ORIGINAL:
        file = f"{endpoint.lease.service.replace('@', '-')}.jsonl"
        sha256 = _write_differences(ground, service, endpoint, witness, file).sha256
    ground.journal.write(
        ContentCompared(
            point_id=copy.point.id,
            taken=ground.taken.get(copy.point.id),
            restored=content(ground, service, endpoint),
            newest=newest_write(ground, service, endpoint),
            file=file,
            sha256=sha256,
        )
    )


def unreadable(ground: Ground, endpoint: Endpoint) -> str:
    """Why the tracked tables of a service cannot be looked into; empty when they can."""
    store = ground.plan.store(endpoint.service)
    try:
        content(ground, endpoint.service, endpoint)
        for table, (key, time) in tracked(ground, endpoint.service).items():
            next(iter(store.rows(endpoint, table, key, time)), None)
    except DatabaseError as error:
        return error.message
    return ""


def newest_write(ground: Ground, service: str, endpoint: Endpoint) -> datetime | None:
    """Time of the newest write in the tracked tables that tell it; None when those are empty."""
    store = ground.plan.store(service)
    if isinstance(store, Database):
        columns = tracked(ground, service).items()
        times = [store.newest(endpoint, table, time) for table, (_, time) in columns if time is not None]
    else:
        times = [time for _, rows in tracked_rows(ground, service, endpoint) for _, _, time in rows]
    return max((time for time in times if time is not None), default=None)


def _write_differences(
    ground: Ground, service: str, endpoint: Endpoint, witness: WitnessTaken, file: str
) -> Written:
    folder = ground.journal.folder
    calls_for = expected(read_witness(folder / witness.file), read_ledger(folder / LEDGER), witness)
    return write_differences(folder / file, tracked_rows(ground, service, endpoint), calls_for)


def tracked_rows(ground: Ground, service: str, endpoint: Endpoint) -> Iterator[TableRead]:
    """Every row of every tracked table, table by table."""
    store = ground.plan.store(service)
    for table, (key, time) in sorted(tracked(ground, service).items()):
        yield table, store.rows(endpoint, table, key, time)


def tracked_lines(ground: Ground, service: str, endpoint: Endpoint) -> Iterator[tuple[str, Iterable[Lines]]]:
    """The same as lines of a witness, put together by the server itself where it does that."""
    store = ground.plan.store(service)
    if not isinstance(store, Dictating):
        yield from ((table, lines_of(table, rows)) for table, rows in tracked_rows(ground, service, endpoint))
        return
    for table, (key, time) in sorted(tracked(ground, service).items()):
        yield table, store.lines(endpoint, table, key, time)
