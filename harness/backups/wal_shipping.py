"""The harness's end of WAL shipping: starts the shipper's process, and ends it in order."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from harness.backups import wal_shipper
from harness.backups.wal_shipper import READY_FILE, RECEIVER_LOG, Order
from harness.clock import Clock
from harness.errors import BackupError
from harness.sandbox import Sandbox

LOG_FILE = "shipper.log"
READY_SECONDS = 30.0
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
        (self._directory / READY_FILE).unlink(missing_ok=True)
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
        began = self._clock.stamp()
        while not (self._directory / READY_FILE).exists():
            self.check()
            if self._clock.stamp().since(began) > READY_SECONDS:
                raise BackupError(
                    f"WAL shipping does not begin after {READY_SECONDS:.0f} s: {self._last_words()}",
                    hint="does the server accept replication connections of its operator?",
                )
            self._clock.sleep(POLL_SECONDS)

    def check(self) -> None:
        """Raises BackupError if it has ended by itself."""
        if self._process is not None and self._process.poll() is not None:
            code = self._process.returncode
            self._forget()
            raise BackupError(
                f"the WAL shipper ended by itself with exit code {code}: {self._last_words()}",
                hint=f"its log is {self._directory / LOG_FILE}",
            )

    def stop(self) -> None:
        """Have it ship what it has received, and end. Idempotent."""
        if self._process is None:
            return
        self.check()
        process = self._process
        process.terminate()
        try:
            code = process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        self._forget()
        if code != 0:
            raise BackupError(
                f"the WAL shipper could not ship everything it had received: {self._last_words()}",
                hint="is the S3 service still up? What it could not ship lies in its directory",
            )

    def _forget(self) -> None:
        self._process = None
        if self._pipe is not None:
            os.close(self._pipe)
            self._pipe = None

    def _last_words(self) -> str:
        logs = [self._directory / name for name in (LOG_FILE, RECEIVER_LOG)]
        lines = [
            line for path in logs if path.exists() for line in path.read_text().splitlines()[-TAIL_LINES:]
        ]
        return "\n".join(lines)
