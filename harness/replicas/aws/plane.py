"""The control plane put together."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

from harness.clock import Clock
from harness.replicas.aws.audit import AuditLog, Listing
from harness.replicas.aws.calendar import Calendar
from harness.replicas.aws.databases import Databases
from harness.replicas.aws.disk import Disk, Real
from harness.replicas.aws.handover import Handover
from harness.replicas.aws.identities import Identities
from harness.replicas.aws.parts import Part
from harness.replicas.aws.records import Records
from harness.replicas.aws.recycle_bin import RecycleBin
from harness.replicas.aws.vaults import Vaults
from harness.replicas.aws.volumes import Volumes
from harness.replicas.aws.wire import ApiCall


class Plane:
    """Everything behind the API.

    Args:
        handover: the account as it stands at the start.
        clock: the machine's.

    Attributes:
        disk: where everything real lies.
        lodgings: directories of what databases of the stack lie on; the rest is nobody's but the plane's.
        changed_behind: how often the harness has changed something through the back door.
    """

    def __init__(self, handover: Handover, clock: Clock) -> None:
        self.marker = handover.marker
        self.account = handover.account
        self.region = handover.region
        self.back_door = handover.back_door
        self.audit = AuditLog()
        self._clock = clock
        self.disk = disk = Disk(Path(handover.root), handover.owner, clock)
        self.changed_behind = 0
        self._records = Records(handover.account, handover.region)
        self.identities = Identities(handover.account, handover.users)
        self._calendar = Calendar(clock)
        where = handover.account, handover.region
        self.databases = Databases(*where, handover.databases, disk, self._calendar)
        bin = RecycleBin(*where, self._calendar)
        self.volumes = Volumes(*where, handover.volumes, disk, bin, self._calendar)
        self.vaults = Vaults(*where, handover.vaults, self.databases, self.volumes, disk, self._calendar)
        self.lodgings = frozenset(self.real().places.values())
        self.parts: tuple[Part, ...] = (self.databases, self.volumes, bin, self.vaults, self._records)

    def now(self) -> datetime:
        """The present, in UTC."""
        return self._clock.stamp().wall

    def advance(self, by: timedelta) -> None:
        """Let time pass that does not pass, for locks, retention and the recycle bin; never backwards."""
        self._calendar.advance(max(by, timedelta(0)))
        self.pass_time()

    def today(self) -> datetime:
        """The present as locks, retention and recycle bins count it."""
        return self._calendar.now()

    def turn_to(self, moment: datetime) -> None:
        """Have it be that moment for them."""
        self._calendar.turn_to(moment)

    def real(self) -> Real:
        """Every directory that stands behind a record."""
        return self.databases.real() | self.volumes.real() | self.vaults.real()

    def pass_time(self) -> None:
        """Carry out what is due by now."""
        for part in self.parts:
            part.pass_time()

    def listing(self) -> Listing:
        """Everything that can be deleted, with its state."""
        return {touched: state for part in self.parts for touched, state in part.listing()}

    def tags(self, call: ApiCall) -> Mapping[str, str]:
        """The tags of what a call is about."""
        return {**self.databases.tags(call), **self._records.tags(call)}
