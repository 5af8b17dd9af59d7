"""How child processes are started: an environment built from nothing, inside the run's own directory.

A child sees no cloud, database or token variable of the user's, and no home directory. Its working
directory lies inside the run's, and its environment carries the run's id: either is enough for
``ninelives sweep`` to find it, whatever happened to its parent.
"""

from __future__ import annotations

import os
import pwd
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from harness.confinement import Bounds, confined
from harness.errors import Failure, MissingToolError, ProvisionError

MARK = "NINELIVES_RUN"
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Account:
    """The unprivileged account that servers run as when the harness itself runs as root."""

    uid: int
    gid: int


def unprivileged_account() -> Account | None:
    """The account to drop to, or None when we are not root.

    Raises:
        MissingToolError: we are root and there is no account ``nobody``.
    """
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        raise MissingToolError(
            "running as root, and there is no account 'nobody' for the database server to run as",
            hint="create it, or run ninelives as an ordinary user",
        ) from None
    return Account(entry.pw_uid, entry.pw_gid)


@dataclass(frozen=True)
class Sandbox:
    """One run's place for processes and files.

    Attributes:
        run_id: goes into every child's environment as ``NINELIVES_RUN``.
        root: the run's own working directory; outside of it nothing is written but the run folder.
        cache: prepared things that outlive runs (clusters, unpacked servers).
        account: what servers are dropped to; None keeps the current one.
    """

    run_id: str
    root: Path
    cache: Path
    account: Account | None

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment of a child: nothing of ours but PATH."""
        return {
            "PATH": os.defpath,
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
            "HOME": str(self.root),
            "TMPDIR": str(self.root),
            MARK: self.run_id,
            **(extra or {}),
        }

    def start(
        self,
        command: Sequence[str | Path],
        *,
        log: Path,
        directory: Path,
        environment: Mapping[str, str] | None = None,
        drop: bool = False,
        pass_fds: Sequence[int] = (),
        stdin: IO[bytes] | int = subprocess.DEVNULL,
        stdout: IO[bytes] | int | None = None,
        bounds: Bounds | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start a server, or a program in a pipe, in a session of its own.

        Args:
            command: program and arguments.
            log: file that standard error is appended to, and standard output if it goes nowhere else.
            directory: its working directory, inside ``root``.
            environment: variables on top of ``environment()``.
            drop: run it as the unprivileged account, if we are root.
            pass_fds: file descriptors that it inherits.
            stdin, stdout: as for ``subprocess.Popen``.
            bounds: confine it to the run's files, and to these; None for a program of ours.

        Raises:
            ProvisionError: the program could not be started.
        """
        log.parent.mkdir(parents=True, exist_ok=True)
        try:
            with log.open("ab") as output:

                def popen() -> subprocess.Popen[bytes]:
                    return subprocess.Popen(
                        [str(part) for part in command],
                        stdin=stdin,
                        stdout=output if stdout is None else stdout,
                        stderr=output,
                        cwd=directory,
                        env=self.environment(environment),
                        start_new_session=True,
                        pass_fds=tuple(pass_fds),
                        **self._identity(drop),
                    )

                return popen() if bounds is None else confined(bounds, Path(command[0]), self.root, popen)
        except OSError as error:
            raise ProvisionError(
                f"cannot start {command[0]}: {error}", hint="run `ninelives doctor` to see what is missing"
            ) from error

    def call(
        self,
        command: Sequence[str | Path],
        *,
        directory: Path | None = None,
        environment: Mapping[str, str] | None = None,
        drop: bool = False,
        timeout: float = 600.0,
        stdin: str | Path = "",
        failure: Failure = ProvisionError,
    ) -> subprocess.CompletedProcess[str]:
        """Run a tool to its end and return its exit code and output; the caller judges the code.

        It gets a session of its own too: Ctrl-C in a terminal reaches the harness, which decides.

        Args:
            command, directory, environment, drop: as for ``start``; ``directory`` defaults to ``root``.
            timeout: seconds, after which it is killed.
            stdin: text for its standard input, or a file.
            failure: what its taking too long raises.

        Raises:
            MissingToolError: the program is not there.
            ProvisionError: it took too long; another error if ``failure`` says so.
        """
        with ExitStack() as opened:
            given: dict[str, Any] = {"input": stdin}
            if isinstance(stdin, Path):
                given = {"stdin": opened.enter_context(stdin.open("rb"))}
            try:
                return subprocess.run(
                    [str(part) for part in command],
                    capture_output=True,
                    text=True,
                    errors="replace",
                    cwd=directory or self.root,
                    env=self.environment(environment),
                    timeout=timeout,
                    check=False,
                    start_new_session=True,
                    **given,
                    **self._identity(drop),
                )
            except FileNotFoundError as error:
                raise MissingToolError(
                    f"cannot run {command[0]}: {error}", hint="run `ninelives doctor` to see what is missing"
                ) from error
            except subprocess.TimeoutExpired:
                # Of its arguments nothing is said: they are long, and of no use to the reader.
                raise failure(
                    f"{Path(command[0]).name} did not end within {timeout:g} s, and was given up",
                    hint="the machine may be overloaded, or its disk slow; run it again when it is not",
                ) from None

    def give(self, path: Path) -> None:
        """Hand a file or a whole tree to the unprivileged account, if we are root."""
        if self.account is None:
            return
        for entry in (path, *path.rglob("*")):
            os.chown(entry, self.account.uid, self.account.gid, follow_symlinks=False)

    def _identity(self, drop: bool) -> dict[str, Any]:
        if not drop or self.account is None:
            return {}
        return {"user": self.account.uid, "group": self.account.gid, "extra_groups": []}


def has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether a child has ended, without taking its exit code: until then nobody else is given its number."""
    if process.returncode is not None:
        return True
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def end_session(process: subprocess.Popen[bytes]) -> None:
    """Kill what ``Sandbox.start`` has started, with all of its session, and wait for it. Idempotent.

    One that was waited for is left alone, with whatever it has left: its number may be another's by now.
    """
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def free_port() -> int:
    """A TCP port on loopback that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])
