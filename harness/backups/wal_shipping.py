"""The harness's end of WAL shipping: starts the shipper's process, and ends it in order."""

from __future__ import annotations

from pathlib import Path

from harness.backups import wal_shipper
from harness.backups.companion import COVERS_FILE, Companion
from harness.backups.wal_shipper import READY_FILE, RECEIVER_LOG, Order
from harness.clock import Clock
from harness.sandbox import Sandbox

LOG_FILE = "shipper.log"
HINT = "does the server accept its operator's replication connections, and S3 its objects?"


class WalShipping(Companion):
    """The shipper of one protection.

    Args:
        sandbox: to start it in.
        clock: to wait by.

    Raises:
        BackupError: it does not come up, ended by itself, or could not ship everything.
    """

    def __init__(self, sandbox: Sandbox, clock: Clock) -> None:
        logs = (LOG_FILE, RECEIVER_LOG)
        super().__init__(wal_shipper.__name__, "the WAL shipper", HINT, sandbox, clock, logs)
        self._clock = clock
        self._ready = Path()

    def start(self, order: Order) -> None:
        """Start it; it may not have begun to receive when this returns."""
        directory = Path(order.directory)
        self._ready = directory / READY_FILE
        for path in (self._ready, directory / COVERS_FILE):
            path.unlink(missing_ok=True)
        self.launch(directory, order.to_line())

    def await_ready(self) -> None:
        """Wait until it receives."""
        self.wait(self._ready.exists, "does not begin")

    def await_caught_up(self) -> None:
        """Wait until everything that the server has acknowledged by now is in the archive."""
        asked = self._clock.stamp().wall
        self.wait(lambda: self.covers() >= asked, "does not keep up")
