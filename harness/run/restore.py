"""Brings one recovery point back into a fresh replica, for the recovery or for the proof of a copy."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from harness.clock import Clock, Stamp
from harness.errors import BackupError, DatabaseError, RestoreError
from harness.facts import Endpoint
from harness.journal.events import RestoreTried, WitnessTaken
from harness.run.assess import Copy
from harness.run.compare import compare_copy
from harness.run.ground import Ground
from harness.seams.drivers import PointInTime, Vessel

Purpose = Literal["recovery", "proof"]


class Stopwatch:
    """Times the parts of a recovery, one after the other.

    Attributes:
        parts: seconds of each part that is over, in the order in which they began.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._part = ""
        self._since = clock.stamp()
        self.parts: dict[str, float] = {}

    def __call__(self, part: str, at: Stamp | None = None) -> None:
        """The next part begins now, or began at an instant; an empty name only ends the last one."""
        now = at or self._clock.stamp()
        if self._part:
            self.parts[self._part] = self.parts.get(self._part, 0.0) + now.since(self._since)
        self._part, self._since = part, now

    def since(self, earlier: dict[str, float]) -> dict[str, float]:
        """Seconds of each part beyond those of an earlier copy of ``parts``."""
        return {
            part: s - earlier.get(part, 0.0) for part, s in self.parts.items() if s > earlier.get(part, 0.0)
        }


def vessel(ground: Ground, service: str, purpose: str, *, replace: bool) -> Vessel:
    """A fresh replica of a service, its lease written down first."""
    return ground.plan.store(service).vessel(
        ground.lease(service, purpose), ground.endpoints[service], ground.setting(), replace=replace
    )


def restore(
    ground: Ground,
    copy: Copy,
    into: Vessel,
    purpose: Purpose,
    watch: Stopwatch,
    until: datetime | None,
    witness: WitnessTaken,
) -> Endpoint | None:
    """Try to restore one copy, look at all of it before anything changes it, and record how it went.

    Args:
        ground: the run.
        copy: what to restore.
        into: where to; discarded when the restore fails.
        purpose: of the restore, for the record.
        watch: is told the parts.
        until: nothing committed later is wanted; only for tools that can stop at an instant.
        witness: what the content of some copies is compared with.

    Returns:
        Where the copy answers, or None when it could not be restored, or not be read.
    """
    earlier = dict(watch.parts)
    endpoint, detail = _try(ground, copy, into, watch, until)
    if endpoint is not None:
        watch("verify")
        detail = _unreadable(ground, copy, endpoint, witness)
    watch("")
    detail = ground.redactor().clean_log(detail)
    ground.journal.write(
        RestoreTried(
            point_id=copy.point.id,
            purpose=purpose,
            ok=not detail,
            detail=detail,
            parts=watch.since(earlier),
        )
    )
    if detail:
        into.discard()
    return None if detail else endpoint


def _unreadable(ground: Ground, copy: Copy, endpoint: Endpoint, witness: WitnessTaken) -> str:
    """Why a copy that runs cannot be read; empty when it was."""
    try:
        compare_copy(ground, copy, endpoint, witness)
    except DatabaseError as error:
        return f"it runs and cannot be read: {error.message}"
    return ""


def _try(
    ground: Ground, copy: Copy, into: Vessel, watch: Stopwatch, until: datetime | None
) -> tuple[Endpoint | None, str]:
    tool = ground.tools[copy.protection]
    try:
        if until is not None and isinstance(tool, PointInTime):
            return tool.restore_to(copy.point, into, watch, until), ""
        return tool.restore(copy.point, into, watch), ""
    except (RestoreError, BackupError) as error:
        return None, f"{type(error).__name__}: {error.message}"
