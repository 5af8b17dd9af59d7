"""The control plane put together."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from harness.clock import Clock
from harness.replicas.aws.audit import AuditLog, Listing
from harness.replicas.aws.databases import Databases
from harness.replicas.aws.disk import Disk
from harness.replicas.aws.handover import Handover
from harness.replicas.aws.identities import Identities
from harness.replicas.aws.parts import Part
from harness.replicas.aws.records import Records
from harness.replicas.aws.wire import ApiCall


class Plane:
    """Everything behind the API.

    Args:
        handover: the account as it stands at the start.
        clock: the machine's.
    """

    def __init__(self, handover: Handover, clock: Clock) -> None:
        self.marker = handover.marker
        self.account = handover.account
        self.region = handover.region
        self.back_door = handover.back_door
        self.audit = AuditLog()
        self._clock = clock
        disk = Disk(Path(handover.root), handover.owner, clock)
        self._records = Records(handover.account, handover.region)
        self.identities = Identities(handover.account, handover.users)
        self.databases = Databases(handover.account, handover.region, handover.databases, disk, clock)
        self.parts: tuple[Part, ...] = (self.databases, self._records)

    def now(self) -> datetime:
        """The present, in UTC."""
        return self._clock.stamp().wall

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
