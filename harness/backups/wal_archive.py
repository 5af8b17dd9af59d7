"""Write-ahead log in an S3 service: pieces of segments, each written once and never changed.

A segment (PostgreSQL 18, section 28.6: 16 MiB unless set otherwise at initdb) is shipped piece by piece
while it fills. A piece is an object ``<segment>/<start>-<end>-<md5>`` with the bytes from ``start`` to
``end``, without the zeros at their end, which are filled in again when it is read. So every byte is stored
once, pieces can be locked as they come, and a listing alone shows whether a piece is still what was
written: the entity tag of an object that was put in one go is the MD5 of its content.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from harness.backups.object_store import ObjectStore, Retention, StoredVersion, date_text
from harness.errors import BackupError, RestoreError
from harness.facts import Fact

SEGMENT = re.compile(r"[0-9A-F]{24}")
PIECE = re.compile(
    r"(?P<segment>[0-9A-F]{24})/(?P<start>[0-9a-f]{8})-(?P<end>[0-9a-f]{8})-(?P<md5>[0-9a-f]{32})"
)
READERS = 4
"""Pieces that are fetched at a time; each may be as large as a segment."""


@dataclass(frozen=True)
class SegmentGrid:
    """How one server cuts its log into segments.

    Attributes:
        size: bytes of a segment.
    """

    size: int

    def name(self, timeline: int, lsn: int) -> str:
        """The segment in which the byte at ``lsn`` lies (xlog_internal.h, XLogFileName)."""
        number, per_log = lsn // self.size, (1 << 32) // self.size
        return f"{timeline:08X}{number // per_log:08X}{number % per_log:08X}"

    def begin(self, segment: str) -> int:
        """The LSN of a segment's first byte."""
        return int(segment[8:16], 16) * (1 << 32) + int(segment[16:], 16) * self.size

    def after(self, segment: str) -> str:
        """The next segment on the same timeline."""
        return self.name(int(segment[:8], 16), self.begin(segment) + self.size)


def parse_lsn(text: str) -> int:
    """``0/3000028`` as a number of bytes."""
    high, low = text.split("/")
    return (int(high, 16) << 32) + int(low, 16)


@dataclass(frozen=True)
class Piece:
    """The bytes from ``start`` to ``end`` of one segment, as they lie in the store."""

    segment: str
    start: int
    end: int
    md5: str
    version: StoredVersion


@dataclass(frozen=True)
class Chain:
    """Pieces that follow each other without a gap.

    Attributes:
        pieces: in order; perhaps none.
        end: LSN up to which they go.
    """

    pieces: tuple[Piece, ...]
    end: int

    @property
    def size(self) -> int:
        """Bytes in the store."""
        return sum(piece.version.size for piece in self.pieces)


class Position(Fact):
    """A note of the shipper's: up to when the archive was complete, although nothing was written since.

    Attributes:
        covers_until: everything that the server had acknowledged by then is in the archive.
        lsn: where the archive ended at that time.
    """

    covers_until: datetime
    lsn: int


class WalArchive:
    """The archive of one protection.

    Args:
        store: the bucket.
        protection: its name; keys begin with it.

    Raises:
        BackupError: the bucket cannot be written or listed.
        RestoreError: a piece is not what was written.
    """

    def __init__(self, store: ObjectStore, protection: str) -> None:
        self._store = store
        self._prefix = f"{protection}/wal/"
        self._position_key = f"{protection}/position.json"
        self._notes: deque[str] = deque()

    def write(
        self,
        segment: str,
        start: int,
        end: int,
        content: bytes,
        received: datetime,
        retention: Retention | None,
    ) -> None:
        """Add one piece.

        Args:
            segment: name of the segment.
            start, end: offsets of its bytes in the segment.
            content: its bytes, without the zeros at their end.
            received: when its last byte came from the server.
            retention: the lock that it gets.
        """
        md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
        key = f"{self._prefix}{segment}/{start:08x}-{end:08x}-{md5}"
        self._store.put(content, key, {"received": date_text(received)}, retention)

    def pieces(self) -> tuple[Piece, ...]:
        """Every piece that is still what was written."""
        found = []
        for version in self._store.versions(self._prefix):
            match = PIECE.fullmatch(version.key.removeprefix(self._prefix))
            if match and match["md5"] == version.tag:
                start, end = int(match["start"], 16), int(match["end"], 16)
                found.append(Piece(match["segment"], start, end, match["md5"], version))
        return tuple(found)

    def remove_before(self, segment: str) -> None:
        """Delete every version of older log for good; what is locked stays.

        Args:
            segment: the first that is kept.
        """
        for version in self._store.versions(self._prefix):
            if version.key.removeprefix(self._prefix)[: len(segment)] < segment:
                with suppress(BackupError):
                    self._store.remove(version.key, version.id)

    def covers_until(self, chain: Chain) -> datetime | None:
        """The newest instant that a chain brings back; None for one without pieces.

        That is when its last byte came from the server; or later, if the shipper noted that nothing was
        missing then either.
        """
        if not chain.pieces:
            return None
        noted = self._store.facts(chain.pieces[-1].version).metadata.get("received")
        known = [datetime.fromisoformat(noted)] if noted else []
        known += [note.covers_until for note in self._positions() if note.lsn <= chain.end]
        return max(known, default=chain.pieces[-1].version.modified)

    def note_position(self, position: Position) -> None:
        """Replace the shipper's note. It is not locked: without it the pieces speak for themselves."""
        self._notes.append(self._store.put(position.model_dump_json().encode(), self._position_key, {}, None))
        # Two are kept, so that whoever has just listed them still finds one to read.
        while len(self._notes) > 2:
            former = self._notes.popleft()
            if former not in self._notes:
                self._store.remove(self._position_key, former)

    def fetch(self, chain: Chain, directory: Path, grid: SegmentGrid) -> None:
        """Write the chain's segments as files of full size, as a server wants to find them."""
        for segment in {piece.segment for piece in chain.pieces}:
            with (directory / segment).open("xb") as file:
                file.truncate(grid.size)
        with ThreadPoolExecutor(READERS, thread_name_prefix="wal-fetch") as readers:
            for _ in readers.map(lambda piece: self._fetch_piece(piece, directory), chain.pieces):
                pass

    def _fetch_piece(self, piece: Piece, directory: Path) -> None:
        content = self._store.read(piece.version)
        if hashlib.md5(content, usedforsecurity=False).hexdigest() != piece.md5:
            raise RestoreError(
                f"the write-ahead log {piece.version.name} is not what was written",
                hint="list the points again: what comes before it can still be restored",
            )
        with (directory / piece.segment).open("r+b") as file:
            file.seek(piece.start)
            file.write(content)

    def _positions(self) -> list[Position]:
        found = []
        for version in self._store.versions(self._position_key):
            try:
                found.append(Position.model_validate_json(self._store.read(version)))
            except (ValidationError, RestoreError):
                # Somebody else wrote it, or a newer one has taken its place: the pieces speak for themselves.
                continue
        return found


def contiguous(pieces: Iterable[Piece]) -> tuple[Piece, ...]:
    """The pieces of one segment that cover it from its beginning without a gap."""
    chosen: list[Piece] = []
    left = sorted(pieces, key=lambda piece: (piece.start, piece.end))
    end = 0
    while True:
        following = [piece for piece in left if piece.start <= end < piece.end]
        if not following:
            return tuple(chosen)
        chosen.append(max(following, key=lambda piece: piece.end))
        end = chosen[-1].end


def chain_from(pieces: Iterable[Piece], segment: str, grid: SegmentGrid) -> Chain:
    """Everything from the beginning of ``segment`` up to the first gap."""
    by_segment = group_by_segment(pieces)
    chosen: list[Piece] = []
    while True:
        found = contiguous(by_segment.get(segment, ()))
        chosen += found
        reached = found[-1].end if found else 0
        if reached < grid.size:
            return Chain(tuple(chosen), grid.begin(segment) + reached)
        segment = grid.after(segment)


def group_by_segment(pieces: Iterable[Piece]) -> Mapping[str, list[Piece]]:
    """Pieces by the segment they belong to."""
    grouped: dict[str, list[Piece]] = defaultdict(list)
    for piece in pieces:
        grouped[piece.segment].append(piece)
    return grouped
