"""A process that a backup tool runs beside the harness, as long as the service runs: both of its ends.

It reads its order from a pipe, one line of JSON, so that no secret stands in its arguments or its
environment. The pipe stays open: when it closes, the harness is gone, and the companion ends too. SIGTERM
asks it to end in order; its exit code is 0 when nothing was left behind. How far it has come stands in a file
of its directory.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from harness.backups.programs import TAIL_LINES
from harness.clock import Clock
from harness.errors import BackupError
from harness.facts import OPERATOR, Credential, CredentialKind, Endpoint, Lease, Secret
from harness.sandbox import LOOPBACK, Sandbox

COVERS_FILE = "covers"
PATIENCE_SECONDS = 60.0
STOP_SECONDS = 15.0
POLL_SECONDS = 0.02


@dataclass(frozen=True)
class Access:
    """How to reach one replica as its operator; sent to the child, never written.

    Attributes:
        run_id, service, kind: of its lease.
        port: on loopback.
        name: database or bucket.
        user, password: the operator's.
    """

    run_id: str
    service: str
    kind: str
    port: int
    name: str
    user: str
    password: str = field(repr=False)

    @classmethod
    def to(cls, endpoint: Endpoint) -> Access:
        """What the child must know of an endpoint."""
        operator = endpoint.credentials[OPERATOR]
        return cls(
            endpoint.lease.run_id,
            endpoint.lease.service,
            endpoint.kind,
            endpoint.port,
            endpoint.name,
            operator.name,
            operator.secret.reveal(),
        )

    def endpoint(self, directory: Path) -> Endpoint:
        """The endpoint again, as far as a client needs it."""
        kind: CredentialKind = "password" if self.kind == "postgres" else "access-key"
        return Endpoint(
            lease=Lease(run_id=self.run_id, service=self.service, kind=self.kind, directory=directory),
            kind=self.kind,
            host=LOOPBACK,
            port=self.port,
            name=self.name,
            environment=None,
            path=directory,
            credentials={OPERATOR: Credential(OPERATOR, kind, self.user, Secret(self.password))},
        )


class Control:
    """Tells when to stop: SIGTERM came, or the other end of the pipe is closed.

    Args:
        pipe: file descriptor of its reading end.
    """

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe
        self._wake, self._waker = os.pipe()
        os.set_blocking(self._waker, False)
        self.asked = False
        signal.signal(signal.SIGTERM, self._stop)
        # Ctrl-C reaches the whole group of the terminal; the harness decides when shipping ends.
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def read_line(self) -> bytes:
        """What the harness wrote before anything else."""
        line = b""
        while not line.endswith(b"\n"):
            chunk = os.read(self._pipe, 1 << 16)
            if not chunk:
                raise EOFError
            line += chunk
        return line

    def stopped_within(self, seconds: float) -> bool:
        """Wait; True as soon as it is time to stop."""
        if self.asked:
            return True
        readable, _, _ = select.select([self._pipe, self._wake], [], [], seconds)
        return bool(readable)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self.asked = True
        os.write(self._waker, b"x")


def tell(directory: Path, covers: datetime) -> None:
    """Tell the harness that everything that was acknowledged by then is in the copy."""
    fresh = directory / f"{COVERS_FILE}.new"
    fresh.write_text(covers.isoformat(), encoding="utf-8")
    fresh.rename(directory / COVERS_FILE)


def told(directory: Path) -> datetime:
    """What was told last; long ago when nothing was."""
    try:
        return datetime.fromisoformat((directory / COVERS_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return datetime.min.replace(tzinfo=UTC)


class Companion:
    """The harness's end: starts the process, waits for it, and ends it in order.

    Args:
        module: that it runs.
        title: what it is called in messages.
        hint: what to look at when it does not do what it should.
        sandbox: to start it in.
        clock: to wait by.
        logs: files in its directory with what it and its own children say.

    Raises:
        BackupError: it does not come up, ended by itself, or left something behind.
    """

    def __init__(
        self, module: str, title: str, hint: str, sandbox: Sandbox, clock: Clock, logs: tuple[str, ...]
    ) -> None:
        self._module = module
        self._title = title
        self._hint = hint
        self._sandbox = sandbox
        self._clock = clock
        self._logs = logs
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: int | None = None
        self._directory = Path()

    @property
    def runs(self) -> bool:
        """Whether it has been started and not been stopped."""
        return self._process is not None

    def launch(self, directory: Path, line: bytes) -> None:
        """Start it in a directory of its own, with an order."""
        self._directory = directory
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        reading, writing = os.pipe()
        try:
            self._process = self._sandbox.start(
                [sys.executable, "-P", "-m", self._module, str(reading)],
                log=directory / self._logs[0],
                directory=directory,
                pass_fds=(reading,),
            )
            os.write(writing, line)
        except BaseException:
            os.close(writing)
            raise
        finally:
            os.close(reading)
        self._pipe = writing

    def wait(self, condition: Callable[[], bool], complaint: str) -> None:
        """Wait until something is so, as long as it runs."""
        began = self._clock.stamp()
        while not condition():
            self.check()
            if self._clock.stamp().since(began) > PATIENCE_SECONDS:
                raise BackupError(
                    f"{self._title} {complaint} within {PATIENCE_SECONDS:.0f} s: {self._last_words()}",
                    hint=self._hint,
                )
            self._clock.sleep(POLL_SECONDS)

    def covers(self) -> datetime:
        """Everything that was acknowledged by then is in the copy."""
        return told(self._directory)

    def check(self) -> None:
        """Raises BackupError if it has ended by itself."""
        if self._process is not None and self._process.poll() is not None:
            raise self._failure(self._process.returncode)

    def stop(self) -> None:
        """Have it end in order. Idempotent."""
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

    def end(self) -> None:
        """As ``stop``, but whatever it leaves behind, it just ends. Idempotent."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._forget()

    def _failure(self, code: int) -> BackupError:
        self._forget()
        return BackupError(
            f"{self._title} ended with exit code {code}, perhaps not all is copied: {self._last_words()}",
            hint=f"is the S3 service still up? What it received and did not copy is in {self._directory}",
        )

    def _forget(self) -> None:
        self._process = None
        if self._pipe is not None:
            os.close(self._pipe)
            self._pipe = None

    def _last_words(self) -> str:
        logs = [self._directory / name for name in self._logs]
        lines = [
            line
            for path in logs
            if path.exists()
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL_LINES:]
        ]
        return "\n".join(lines)
