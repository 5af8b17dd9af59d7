"""The process that copies objects while a bucket is in use: ``python -m harness.backups.s3_follower FD``.

It is told on its pipe what to copy (see ``companion``), looks through the list of the bucket's versions again
and again, and copies each one that is not in the other bucket yet: content, metadata, and when it was put. It
reads as the source's operator and writes as the other service's.

It goes on only while what answers carries the marker of the source's lease: another server may have been
started at the same address, with objects that have been restored.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from harness.backups.companion import Access, Control, tell
from harness.backups.object_store import ObjectStore, Retention, date_text
from harness.clock import Clock, SystemClock
from harness.errors import BackupError, RestoreError
from harness.facts import OPERATOR
from harness.seams.s3_client import marker_of, open_client
from harness.seams.s3_items import UNVERSIONED, Listed, rank, side_by_side

ROUND_SECONDS = 1.0
PUT, VERSION, SHA256, DELETED = "replica-put", "replica-version", "replica-sha256", "replica-deleted"
"""What a copy notes of its original: when it was put, as which version, its digest; or its deletion."""

log = logging.getLogger("s3-follower")


@dataclass(frozen=True)
class Order:
    """What to copy, from where, to where.

    Attributes:
        protection: its name; keys of copies begin with it.
        source: the bucket, as its operator.
        door: the same, as whoever may read the lease's marker.
        place: the other bucket.
        deletes: a deletion is copied too.
        delay: seconds that a version waits.
        lock_mode, lock_seconds: the lock of every copy; no lock when None.
        directory: the follower's own.
    """

    protection: str
    source: Access
    door: Access
    place: Access
    deletes: bool
    delay: float
    lock_mode: str | None
    lock_seconds: float
    directory: str

    def to_line(self) -> bytes:
        """One line of JSON, with the secrets in clear."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Order:
        """Read what ``to_line`` wrote."""
        content = json.loads(line)
        content |= {name: Access(**content[name]) for name in ("source", "door", "place")}
        return cls(**content)

    def retention(self, put: datetime, now: datetime) -> Retention | None:
        """The lock of a copy of what was put then."""
        if self.lock_mode is None:
            return None
        return Retention.lasting(self.lock_mode, timedelta(seconds=self.lock_seconds), put, now)


class Follower:
    """Copies what is not in the other bucket yet.

    Args:
        order: what to copy.
        clock: where time comes from.

    Raises:
        BackupError: a bucket cannot be listed, or the copy not be written.
        RestoreError: an object cannot be read.
    """

    def __init__(self, order: Order, clock: Clock) -> None:
        directory = Path(order.directory)
        self._order = order
        self._clock = clock
        self._bucket = order.source.endpoint(directory)
        self._door = order.door.endpoint(directory)
        self._source = ObjectStore(self._bucket)
        self._place = ObjectStore(order.place.endpoint(directory))
        self._copied: set[tuple[str, str]] | None = None
        self._kept: frozenset[tuple[str, str]] = frozenset()
        self._has_lost = False

    def look(self, delay: timedelta) -> datetime | None:
        """Copy everything that is older than a delay.

        Returns:
            Everything that had been acknowledged by then is in the other bucket; None when another server
            answers, an object could not be read, or versions were deleted since the first look: others may
            then have come and gone between two looks.
        """
        began = self._clock.stamp().wall
        listed = self._listed()
        if listed is None:
            return None
        self._notice_loss(listed)
        if self._copied is None:
            self._copied = self._copied_before()
        due: dict[str, list[Listed]] = {}
        for each in sorted(listed, key=rank, reverse=True):
            is_new = (each.key, each.id) not in self._copied
            if is_new and each.modified + delay <= began and (self._order.deletes or not each.is_marker):
                due.setdefault(each.key, []).append(each)
        complaints = [
            complaint for _, found in side_by_side(self._copy_in_turn, due.values()) for complaint in found
        ]
        if complaints:
            log.warning("%d objects cannot be read, the first: %s", len(complaints), complaints[0])
        return None if complaints or self._has_lost else began - delay

    def _notice_loss(self, listed: Sequence[Listed]) -> None:
        kept = frozenset(
            (each.key, each.id) for each in listed if not each.is_marker and each.id != UNVERSIONED
        )
        if not self._has_lost and (gone := self._kept - kept):
            self._has_lost = True
            log.warning(
                "%d versions were deleted; how far the copy is whole cannot be told from here", len(gone)
            )
        self._kept = kept

    def _copy_in_turn(self, versions: Sequence[Listed]) -> list[str]:
        """Copy versions of one object, given newest first, the oldest first.

        Returns:
            Why some could not be read.
        """
        complaints = []
        for listed in reversed(versions):
            try:
                self._copy(listed)
            except RestoreError as error:
                complaints.append(error.message)
            else:
                self._note(listed.key, listed.id)
        return complaints

    def _listed(self) -> tuple[Listed, ...] | None:
        """Every version and marker of the source; None when it is not the source that answered."""
        if not self._is_ours():
            return None
        listed = self._source.everything()
        return listed if self._is_ours() else None

    def _is_ours(self) -> bool:
        client = open_client(self._door, self._door.credentials[OPERATOR], timeout=10.0)
        try:
            return marker_of(client) == self._bucket.lease.marker
        except (BotoCoreError, ClientError, KeyError):
            return False

    def _copy(self, listed: Listed) -> None:
        name = f"{self._order.protection}/{listed.key}"
        notes = {PUT: date_text(listed.modified), VERSION: listed.id}
        retention = self._order.retention(listed.modified, self._clock.stamp().wall)
        if listed.is_marker:
            # The note tells when it was deleted, which the date of our own marker does not.
            self._place.put(b"", name, {**notes, DELETED: "yes"}, retention)
            self._place.hide(name)
            return

        def describe(metadata: Mapping[str, str], digest: str) -> Mapping[str, str]:
            return {**metadata, **notes, SHA256: digest}

        self._source.copy(listed.key, listed.id, self._place, name, describe, retention)

    def _note(self, key: str, id: str) -> None:
        if self._copied is not None:
            self._copied.add((key, id))

    def _copied_before(self) -> set[tuple[str, str]]:
        """What lies in the other bucket already."""
        prefix = f"{self._order.protection}/"
        found = side_by_side(self._place.facts, self._place.versions(prefix))
        return {
            (version.key.removeprefix(prefix), facts.metadata[VERSION])
            for version, facts in found
            if VERSION in facts.metadata
        }


def follow(order: Order, control: Control, clock: Clock) -> int:
    """Look again and again until told to stop, and then once more; the exit code."""
    follower, pause = Follower(order, clock), 0.0
    while not control.stopped_within(pause):
        began = clock.stamp()
        _round(order, follower)
        # On a slow machine the looking itself must not take all the time there is.
        pause = max(ROUND_SECONDS, clock.stamp().since(began))
    if control.asked:
        _round(order, follower)
    return 0


def _round(order: Order, follower: Follower) -> None:
    """Look once, and tell how far it has come. What fails now is tried again at the next round."""
    try:
        covers = follower.look(timedelta(seconds=order.delay))
    except BackupError as error:
        log.warning("%s", error.message)
        return
    if covers is not None:
        tell(Path(order.directory), covers)


def main(arguments: list[str]) -> int:
    """Copy as the order on the pipe says; returns the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    control = Control(int(arguments[0]))
    return follow(Order.from_line(control.read_line()), control, SystemClock())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
