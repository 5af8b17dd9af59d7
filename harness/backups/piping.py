"""Programs in a row, each of which reads what the one before writes; a failure of any is one of all."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Timer
from typing import IO

from harness.backups.object_store import READ_BYTES, DigestingReader
from harness.backups.programs import TOOL_SECONDS, tail
from harness.clock import Clock
from harness.errors import Failure
from harness.sandbox import Sandbox, end_session

POLL_SECONDS = 0.025
BROKEN = re.compile("[Bb]roken pipe|it said nothing")


@dataclass(frozen=True)
class End:
    """One end of a pipe.

    Attributes:
        command: program and arguments.
        environment: variables of its process.
        hopeless: what it complains of when it would go on trying in vain; None if it never does.
    """

    command: Sequence[str | Path]
    environment: Mapping[str, str]
    hopeless: re.Pattern[str] | None = None

    @property
    def name(self) -> str:
        """Of the program."""
        return Path(self.command[0]).name


@dataclass(frozen=True)
class Piped:
    """Both programs have ended.

    Attributes:
        output: what the second one printed.
        complaint: which of them failed, with the end of what it said; empty when both ended well.
    """

    output: str
    complaint: str


def pipe(
    sandbox: Sandbox,
    clock: Clock,
    source: End,
    sink: End,
    failure: Failure,
    hint: str,
    *,
    timeout: float = TOOL_SECONDS,
) -> Piped:
    """Run two programs until both have ended. Not a byte of what flows goes through the harness.

    Args:
        sandbox: of the run.
        clock: to wait by.
        source: writes.
        sink: reads.
        failure: what taking too long raises; whether a complaint is a failure, the caller says.
        hint: what to do about it.
        timeout: seconds for both.

    Raises:
        BackupError, RestoreError: they took too long.
        ProvisionError: one cannot be started.
    """
    with TemporaryDirectory(prefix="pipe-", dir=sandbox.root) as name:
        directory = Path(name)
        logs = directory / "source", directory / "sink"
        printed = directory / "printed"
        processes: list[subprocess.Popen[bytes]] = []
        try:
            with printed.open("wb") as output:
                _chain(sandbox, (source, sink), logs, processes, subprocess.DEVNULL, output)
            began = clock.stamp()
            while any(process.poll() is None for process in processes):
                if source.hopeless is not None and source.hopeless.search(_said(logs[0])):
                    break
                if clock.stamp().since(began) > timeout:
                    message = f"{source.name} and {sink.name} took longer than {timeout:.0f} s"
                    raise failure(message, hint=hint)
                clock.sleep(POLL_SECONDS)
        finally:
            for process in processes:
                end_session(process)
        ends = zip((source, sink), processes, logs, strict=True)
        complaints = [_complaint(end, process.returncode, _said(log)) for end, process, log in ends]
        return Piped(printed.read_text(encoding="utf-8", errors="replace"), _first_to_fail(complaints))


def feed(sandbox: Sandbox, source: DigestingReader, *sinks: End, timeout: float = TOOL_SECONDS) -> str:
    """Have programs, each reading from the one before, read what comes from somewhere else.

    All of that is read whatever the programs do.

    Args:
        sandbox: of the run.
        source: what the first one reads.
        sinks: at least one.
        timeout: seconds after which they are killed.

    Returns:
        Why one failed, with the end of what it said; empty when all ended well.

    Raises:
        ProvisionError: one cannot be started.
    """
    with TemporaryDirectory(prefix="pipe-", dir=sandbox.root) as name:
        logs = [Path(name) / str(number) for number in range(len(sinks))]
        processes: list[subprocess.Popen[bytes]] = []
        late = Event()
        patience = Timer(timeout, _give_up, (processes, late))
        patience.daemon = True
        try:
            _chain(sandbox, sinks, logs, processes, subprocess.PIPE, None)
            patience.start()
            with suppress(BrokenPipeError), processes[0].stdin or nullcontext() as entrance:
                _widen(entrance)
                while entrance is not None and (chunk := source.read()):
                    entrance.write(chunk)
            source.drain()
            for process in processes:
                process.wait()
        finally:
            patience.cancel()
            for process in processes:
                end_session(process)
        if late.is_set() and any(process.returncode != 0 for process in processes):
            return f"{' and '.join(sink.name for sink in sinks)} took longer than {timeout:g} s"
        ends = zip(sinks, processes, logs, strict=True)
        return _first_to_fail([_complaint(end, process.returncode, _said(log)) for end, process, log in ends])


def _chain(
    sandbox: Sandbox,
    ends: Sequence[End],
    logs: Sequence[Path],
    processes: list[subprocess.Popen[bytes]],
    entrance: int,
    output: IO[bytes] | None,
) -> None:
    """Start each program on the output of the one before.

    Args:
        sandbox: of the run.
        ends: the programs.
        logs: where each complains.
        processes: to which those are added that have started, whatever happens to the next.
        entrance: standard input of the first, as for ``subprocess.Popen``.
        output: standard output of the last; its log without it.
    """
    for place, (end, log) in enumerate(zip(ends, logs, strict=True), start=1):
        before = processes[-1].stdout if processes else None
        after = output if place == len(ends) else subprocess.PIPE
        processes.append(
            _start(sandbox, end, log, stdin=entrance if before is None else before, stdout=after)
        )
        if before is not None:
            _widen(before)
            before.close()  # so that the program before notices when this one ends early


def _give_up(processes: Sequence[subprocess.Popen[bytes]], late: Event) -> None:
    late.set()
    for process in processes:
        if process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def _widen(pipe: IO[bytes] | None) -> None:
    """Let a pipe hold what is read at once, where it can: each time that it is full costs two switches."""
    if pipe is not None and hasattr(fcntl, "F_SETPIPE_SZ"):
        with suppress(OSError):
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, READ_BYTES)


def _first_to_fail(complaints: Sequence[str]) -> str:
    """Each end fails when the other does, and then says nothing or that the pipe is broken."""
    told = [complaint for complaint in complaints if complaint and not BROKEN.search(complaint)]
    return next(iter(told), next(filter(None, complaints), ""))


def _start(sandbox: Sandbox, end: End, log: Path, **streams: object) -> subprocess.Popen[bytes]:
    return sandbox.start(
        end.command,
        log=log,
        directory=sandbox.root,
        environment=end.environment,
        **streams,  # type: ignore[arg-type]  # standard input and output, as they are
    )


def _said(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")


def _complaint(end: End, code: int, said: str) -> str:
    if code == 0:
        return ""
    return f"{end.name} failed with exit code {code}: {tail(said) or 'it said nothing'}"
