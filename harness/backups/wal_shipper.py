"""The process that ships write-ahead log while a service runs: ``python -m harness.backups.wal_shipper FD``.

It reads its order from the pipe ``FD``, one line of JSON, so that no secret stands in its arguments or its
environment. The pipe stays open: when it closes, the harness is gone, and the shipper ends too. SIGTERM
asks it to end in order. Either way it ships what it has received before it goes; its exit code is 0 when
nothing was left behind.

``pg_receivewal`` receives; whatever it has written is shipped at the next round. It is started again
when the server was away, but only while what answers at the server's port carries the marker of the lease:
another server may have been restored there, and its log must not be mixed into this archive.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections import deque
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread

import psycopg

from harness.backups.companion import Access, Control, tell
from harness.backups.object_store import ObjectStore, Retention
from harness.backups.wal_archive import (
    SEGMENT,
    Position,
    SegmentGrid,
    WalArchive,
    contiguous,
    group_by_segment,
)
from harness.clock import Clock, Stamp, SystemClock
from harness.errors import BackupError
from harness.facts import OPERATOR, Endpoint
from harness.sandbox import Sandbox
from harness.seams.postgres_client import Connection, connect
from harness.seams.postgres_tools import binary, connection_environment, connection_options

READY_FILE = "ready"
WAL_DIRECTORY = "wal"
RECEIVER_LOG = "receivewal.log"
ROUND_SECONDS = 0.25
RECONNECT_SECONDS = 0.5
POSITION_SECONDS = 2.0
CATCH_UP_SECONDS = 2.0
FLUSH_SECONDS = 3.0
SETTLED = timedelta(seconds=1)
"""A file that has not changed for so long needs no second look until it changes; file systems give the
time of a change in ticks, so a younger one might have changed within the tick that was seen."""

log = logging.getLogger("wal-shipper")


@dataclass(frozen=True)
class Order:
    """What to ship, from where, to where.

    Attributes:
        protection: its name; keys begin with it.
        source: the database server.
        place: the S3 service.
        slot: replication slot that keeps back what has not been received.
        segment_size: bytes.
        ship_every: seconds, the longest that received log waits.
        lock_mode, lock_seconds: the lock of every piece; no lock when None.
        directory: the shipper's own.
        cache: of the sandbox.
    """

    protection: str
    source: Access
    place: Access
    slot: str
    segment_size: int
    ship_every: float
    lock_mode: str | None
    lock_seconds: float
    directory: str
    cache: str

    def to_line(self) -> bytes:
        """One line of JSON, with the secrets in clear."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Order:
        """Read what ``to_line`` wrote."""
        content = json.loads(line)
        content |= {name: Access(**content[name]) for name in ("source", "place")}
        return cls(**content)

    def retention(self, received: datetime, now: datetime) -> Retention | None:
        """The lock of a piece that came at ``received``."""
        if self.lock_mode is None:
            return None
        return Retention.lasting(self.lock_mode, timedelta(seconds=self.lock_seconds), received, now)


class SourceWatch(Thread):
    """Asks the server, on a connection of its own, how much of its log has been received.

    A thread, because a server that hangs must not keep the shipper from shipping what it has.

    Attributes:
        is_ours: it answers, and carries the marker of the lease.
        is_received: ``pg_receivewal`` is connected to it.
        covers: everything it had acknowledged at that time has been received; None before the first time.
        is_behind: something that it had acknowledged when last asked has not been received yet.
    """

    def __init__(self, order: Order, source: Endpoint, clock: Clock) -> None:
        super().__init__(name="source-watch", daemon=True)
        self._order = order
        self._source = source
        self._clock = clock
        self._ended = Event()
        self._connection: Connection | None = None
        self._complaint = ""
        self._asked: deque[tuple[datetime, int]] = deque(maxlen=1000)
        self.is_ours = False
        self.is_received = False
        self.is_behind = False
        self.covers: datetime | None = None

    def run(self) -> None:
        """Ask until ``end``."""
        while not self._ended.wait(min(self._order.ship_every, ROUND_SECONDS)):
            self.look()

    def end(self) -> None:
        """Ask no more."""
        self._ended.set()

    def look(self) -> None:
        """Ask once."""
        try:
            self._ask()
        except psycopg.Error as error:
            if str(error) != self._complaint:
                self._complaint = str(error)
                log.info("the server is away: %s", self._complaint)
            self.is_ours = self.is_received = self.is_behind = False
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _ask(self) -> None:
        if self._connection is None or self._connection.closed:
            self._connection = self._connect()
        asked = self._clock.stamp().wall
        row = self._connection.execute(
            """
            SELECT pg_wal_lsn_diff(pg_current_wal_flush_lsn(), '0/0')::bigint,
                   pg_wal_lsn_diff(r.write_lsn, '0/0')::bigint,
                   s.active
            FROM pg_replication_slots AS s LEFT JOIN pg_stat_replication AS r ON r.pid = s.active_pid
            WHERE s.slot_name = %s
            """,
            (self._order.slot,),
        ).fetchone()
        if row is None:
            return
        flushed, received, active = int(str(row[0])), int(str(row[1] or 0)), bool(row[2])
        self._complaint = ""
        self.is_ours, self.is_received, self.is_behind = True, active, received < flushed
        self._asked.append((asked, flushed))
        while self._asked and self._asked[0][1] <= received:
            self.covers = self._asked.popleft()[0]

    def _connect(self) -> Connection:
        operator = self._source.credentials[OPERATOR]
        connection = connect(
            self._source.port,
            operator.name,
            operator.secret,
            "postgres",
            application="ninelives wal-shipper",
            timeout=2,
        )
        row = connection.execute("SHOW ninelives.lease").fetchone()
        if row is None or row[0] != self._source.lease.marker:
            connection.close()
            raise psycopg.OperationalError("another server answers at its port")
        return connection


class Receiver:
    """Keeps ``pg_receivewal`` running while its server is there."""

    def __init__(self, order: Order, source: Endpoint, sandbox: Sandbox, clock: Clock) -> None:
        self._order = order
        self._source = source
        self._sandbox = sandbox
        self._clock = clock
        self._process: subprocess.Popen[bytes] | None = None
        self._started: Stamp | None = None
        self.directory = Path(order.directory) / WAL_DIRECTORY
        self.directory.mkdir(exist_ok=True)

    def keep(self) -> None:
        """Start it if it does not run. Without ``--no-loop`` it would go on by itself after we are gone."""
        if self._process is not None and self._process.poll() is None:
            return
        now = self._clock.stamp()
        if self._started is not None and now.since(self._started) < RECONNECT_SECONDS:
            return
        self._started = now
        self._process = self._sandbox.start(
            [
                binary("pg_receivewal"),
                *connection_options(self._source),
                f"--directory={self.directory}",
                f"--slot={self._order.slot}",
                "--status-interval=1",
                "--no-loop",
            ],
            log=Path(self._order.directory) / RECEIVER_LOG,
            directory=Path(self._order.directory),
            environment=connection_environment(self._source),
        )

    def stop(self) -> None:
        """End it; what it has received is in its files."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(CATCH_UP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Shipper:
    """Carries what the receiver writes into the archive, piece by piece.

    A finished segment is shipped at once, the one that is still filling every ``ship_every``.
    """

    def __init__(self, order: Order, archive: WalArchive, directory: Path, clock: Clock) -> None:
        self._order = order
        self._archive = archive
        self._directory = directory
        self._clock = clock
        self._grid = SegmentGrid(order.segment_size)
        self._shipped: dict[str, int] | None = None
        self._settled: dict[str, int] = {}
        self._last: Stamp | None = None
        self._noted: Stamp | None = None
        self._covers: datetime | None = None

    def ship(self, covers: datetime | None, *, everything: bool) -> None:
        """Ship what has been received so far.

        Args:
            covers: everything the server had acknowledged by then had been received before this call.
            everything: ship the segment that is still filling too, although its time has not come.

        Raises:
            BackupError: the archive does not take it; the next call begins where this one ended.
        """
        if self._shipped is None:
            self._shipped = self._shipped_before()
        files = sorted(path for path in self._directory.iterdir() if SEGMENT.fullmatch(path.stem))
        finished = [path for path in files if path.suffix == ""]
        for path in finished:
            self._ship_file(path, self._shipped)
        # pg_receivewal finds its place by the newest file, so that one stays.
        for path in finished[:-1]:
            path.unlink()
        now = self._clock.stamp()
        if everything or self._is_time(now):
            for path in files:
                if path.suffix:
                    self._ship_file(path, self._shipped)
            self._last = now
            if covers is not None and covers != self._covers:
                self._covers = covers
                tell(self._directory.parent, covers)
                if everything or self._is_time_to_note(now):
                    self._note(covers, now, self._shipped)

    def _is_time(self, now: Stamp) -> bool:
        return self._last is None or now.since(self._last) >= self._order.ship_every - ROUND_SECONDS

    def _is_time_to_note(self, now: Stamp) -> bool:
        return self._noted is None or now.since(self._noted) >= POSITION_SECONDS

    def _shipped_before(self) -> dict[str, int]:
        """How far each segment lies in the archive already."""
        pieces = group_by_segment(self._archive.pieces())
        chains = {segment: contiguous(found) for segment, found in pieces.items()}
        return {segment: chain[-1].end for segment, chain in chains.items() if chain}

    def _note(self, covers: datetime, now: Stamp, shipped: dict[str, int]) -> None:
        """Tell whoever reads the archive later."""
        end = max((self._grid.begin(segment) + end for segment, end in shipped.items()), default=0)
        self._archive.note_position(Position(covers_until=covers, lsn=end))
        self._noted = now

    def _ship_file(self, path: Path, shipped: dict[str, int]) -> None:
        segment, size = path.stem, self._order.segment_size
        start = shipped.get(segment, 0)
        try:
            # The time is read before the content, so that no byte is claimed to be older than it is.
            changed = path.stat().st_mtime_ns
            if start == size or self._settled.get(path.name) == changed:
                return
            with path.open("rb") as file:
                file.seek(start)
                content = file.read(size - start).rstrip(b"\0")
        except FileNotFoundError:
            # It has just been finished and renamed; the next round finds it under its new name.
            return
        end = start + len(content) if path.suffix else size
        received, now = datetime.fromtimestamp(changed / 1e9, UTC), self._clock.stamp().wall
        if end > start:
            retention = self._order.retention(received, now)
            self._archive.write(segment, start, end, content, received, retention)
            shipped[segment] = end
        elif now - received > SETTLED:
            self._settled = {path.name: changed}


class Shipment:
    """One shipper's life: receive and ship in rounds, then ship what is left."""

    def __init__(self, order: Order, control: Control, clock: Clock) -> None:
        directory = Path(order.directory)
        self._order = order
        self._control = control
        self._clock = clock
        self._ready = directory / READY_FILE
        source = order.source.endpoint(directory)
        sandbox = Sandbox(order.source.run_id, directory, Path(order.cache), None)
        archive = WalArchive(ObjectStore(order.place.endpoint(directory)), order.protection)
        self._watch = SourceWatch(order, source, clock)
        self._receiver = Receiver(order, source, sandbox, clock)
        self._shipper = Shipper(order, archive, self._receiver.directory, clock)

    def run(self) -> int:
        """Ship until told to stop; the exit code."""
        self._watch.look()
        self._watch.start()
        while not self._control.stopped_within(min(self._order.ship_every, ROUND_SECONDS)):
            if self._watch.is_ours:
                self._receiver.keep()
            self._round()
            if self._watch.is_received:
                self._ready.touch()
        return self._finish()

    def _round(self, *, everything: bool = False) -> bool:
        """Ship once. What the archive does not take now is kept, and tried again at the next round."""
        try:
            self._shipper.ship(self._watch.covers, everything=everything)
        except BackupError as error:
            log.warning("%s", error.message)
            return False
        return True

    def _finish(self) -> int:
        if self._control.asked:
            self._catch_up()
        self._watch.end()
        self._receiver.stop()
        began = self._clock.stamp()
        while not self._round(everything=True):
            if self._clock.stamp().since(began) > FLUSH_SECONDS:
                return 1
            self._clock.sleep(ROUND_SECONDS)
        return 0

    def _catch_up(self) -> None:
        """Wait until what the server has acknowledged so far has been received."""
        began = self._clock.stamp()
        self._clock.sleep(ROUND_SECONDS)
        while self._watch.is_behind and self._clock.stamp().since(began) < CATCH_UP_SECONDS:
            self._clock.sleep(ROUND_SECONDS / 5)


def main(arguments: list[str]) -> int:
    """Ship as the order on the pipe says; returns the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    control = Control(int(arguments[0]))
    return Shipment(Order.from_line(control.read_line()), control, SystemClock()).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
