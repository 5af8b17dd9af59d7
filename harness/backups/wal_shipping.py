"""The harness's end of WAL shipping: starts the shipper's process, and ends it in order."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from harness.backups import wal_shipper
from harness.backups.wal_shipper import COVERS_FILE, READY_FILE, RECEIVER_LOG, Order
from harness.clock import Clock
from harness.errors import BackupError
from harness.sandbox import Sandbox

LOG_FILE = "shipper.log"
PATIENCE_SECONDS = 60.0
STOP_SECONDS = 15.0
POLL_SECONDS = 0.02
TAIL_LINES = 6


class WalShipping:
    """The shipper of one protection.

    Args:
        sandbox: to start it in.
        clock: to wait by.

    Raises:
        BackupError: it does not come up, ended by itself, or could not ship everything.
    """

    def __init__(self, sandbox: Sandbox, clock: Clock) -> None:
        self._sandbox = sandbox
        self._clock = clock
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: int | None = None
        self._directory = Path()

    @property
    def runs(self) -> bool:
        """Whether it has been started and not been stopped."""
        return self._process is not None

    def start(self, order: Order) -> None:
        """Start it; it may not have begun to receive when this returns."""
        self._directory = Path(order.directory)
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in (READY_FILE, COVERS_FILE):
            (self._directory / name).unlink(missing_ok=True)
        reading, writing = os.pipe()
        try:
            self._process = self._sandbox.start(
                [sys.executable, "-P", "-m", wal_shipper.__name__, str(reading)],
                log=self._directory / LOG_FILE,
                directory=self._directory,
                pass_fds=(reading,),
            )
            os.write(writing, order.to_line())
        except BaseException:
            os.close(writing)
            raise
        finally:
            os.close(reading)
        self._pipe = writing

    def await_ready(self) -> None:
        """Wait until it receives."""
        self._await((self._directory / READY_FILE).exists, "does not begin")

    def await_caught_up(self) -> None:
        """Wait until everything that the server has acknowledged by now is in the archive."""
        asked = self._clock.stamp().wall
        self._await(lambda: self._covers() >= asked, "does not keep up")

    def _await(self, condition: Callable[[], bool], complaint: str) -> None:
        began = self._clock.stamp()
        while not condition():
            self.check()
            if self._clock.stamp().since(began) > PATIENCE_SECONDS:
                raise BackupError(
                    f"WAL shipping {complaint} within {PATIENCE_SECONDS:.0f} s: {self._last_words()}",
                    hint="does the server accept its operator's replication connections, and S3 its objects?",
                )
            self._clock.sleep(POLL_SECONDS)

    def _covers(self) -> datetime:
        told = self._directory / COVERS_FILE
        return (
            datetime.fromisoformat(told.read_text(encoding="utf-8"))
            if told.exists()
            else datetime.min.replace(tzinfo=UTC)
        )

    def check(self) -> None:
        """Raises BackupError if it has ended by itself."""
        if self._process is not None and self._process.poll() is not None:
            raise self._failure(self._process.returncode)

    def stop(self) -> None:
        """Have it ship what it has received, and end. Idempotent."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            code = self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        if code != 0:
            raise self._failure(code)
        self._forget()

    def _failure(self, code: int) -> BackupError:
        self._forget()
        return BackupError(
            f"the WAL shipper ended with exit code {code}, perhaps not all is shipped: {self._last_words()}",
            hint=f"is the S3 service still up? What it received and did not ship lies in {self._directory}",
        )

    def _forget(self) -> None:
        self._process = None
        if self._pipe is not None:
            os.close(self._pipe)
            self._pipe = None

    def _last_words(self) -> str:
        logs = [self._directory / name for name in (LOG_FILE, RECEIVER_LOG)]
        lines = [
            line
            for path in logs
            if path.exists()
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL_LINES:]
        ]
        return "\n".join(lines)
