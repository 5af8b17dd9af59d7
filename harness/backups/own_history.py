"""What a service itself keeps of what it held before, beside what it holds: nobody takes such a copy."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import ClassVar

from harness.errors import BackupError
from harness.facts import Endpoint, RecoveryPoint
from harness.seams.drivers import Due, PartTimer, Vessel


class OwnHistory:
    """A continuous copy that the service writes as it writes everything else.

    Attributes:
        consists_of: what it is made of, for messages.
    """

    consists_of: ClassVar[str]

    def due(self, now: datetime, span: timedelta) -> tuple[Due, ...]:
        """Nothing is taken at any time: it is written all the time."""
        del now, span
        return ()

    def take(self, due: Due) -> RecoveryPoint:
        """There is nothing to take.

        Raises:
            BackupError: always.
        """
        raise BackupError(
            f"{due.label}: nobody takes {self.consists_of}, the service writes it", hint="none is ever due"
        )

    def start(self) -> None:
        """The service does it."""

    def stop(self) -> None:
        """The service does it."""

    def restore(self, point: RecoveryPoint, into: Vessel, mark: PartTimer) -> Endpoint:
        """Everything that is in it, the harm too."""
        return self.restore_to(point, into, mark, None)

    def restore_to(
        self, point: RecoveryPoint, into: Vessel, mark: PartTimer, until: datetime | None
    ) -> Endpoint:
        """What the service held at an instant; see ``harness.seams.drivers.PointInTime``."""
        raise NotImplementedError
