"""The real command, as child processes in an installation of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import psutil

from harness.journal.writer import JOURNAL_FILE

SHOP = Path(__file__).parent / "shop"
PROGRAM = Path(sys.executable).with_name("ninelives")
PATIENCE = 300.0
"""Seconds for whatever must happen at some time. It says nothing about speed: the machine may be busy."""

POLL = 0.002
"""Seconds between looks at a journal. A phase can be over in 50 ms."""


class MissedError(AssertionError):
    """What was waited for was over before it could be seen."""


def fresh_installation(cache: Path) -> Installation:
    """An installation in a new folder, but not below pytest's own: those are closed to the account that
    servers run as when the tests run as root."""
    root = Path(mkdtemp(prefix="ninelives-drills-"))
    root.chmod(0o755)
    return Installation(root, cache)


@dataclass
class Installation:
    """Where one or more runs are written, work, and cache.

    Attributes:
        root: everything lies below it.
        cache: prepared servers; shared, so that each test need not prepare its own.
        variables: of the command's environment, on top of the usual ones.
    """

    root: Path
    cache: Path
    variables: Mapping[str, str] = field(default_factory=dict)
    _started: list[Running] = field(default_factory=list)

    @property
    def reports(self) -> Path:
        return self.root / "reports"

    @property
    def work(self) -> Path:
        return self.root / "work"

    @property
    def environment(self) -> dict[str, str]:
        """Of the command: the caller's own, and where its three folders are."""
        inherited = {name: text for name, text in os.environ.items() if not name.startswith("NINELIVES_")}
        places = {"REPORTS": self.reports, "WORK": self.work, "CACHE": self.cache}
        return {
            **inherited,
            **{f"NINELIVES_{name}": str(path) for name, path in places.items()},
            **self.variables,
        }

    def call(self, *arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run the command to its end."""
        settings: dict[str, Any] = {"env": self.environment, "capture_output": True, "text": True, **options}
        return subprocess.run(_command(arguments), timeout=PATIENCE, check=False, **settings)

    def start(self, *arguments: str | Path, **options: Any) -> Running:
        """Start the command in a process group of its own, as a shell does."""
        settings: dict[str, Any] = {
            "env": self.environment,
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "text": True,
            "start_new_session": True,
            **options,
        }
        before = set(self.folders())
        self._started.append(Running(self, subprocess.Popen(_command(arguments), **settings), before))
        return self._started[-1]

    def remove(self) -> None:
        """Leave nothing, whatever a failed test has left: no process that works below ``root``, no file."""
        for run in self._started:
            if run.process.poll() is None:
                run.kill()
        for process in psutil.process_iter(["cwd"]):
            if Path(process.info["cwd"] or "/").is_relative_to(self.root):
                with suppress(psutil.Error):
                    process.kill()
        shutil.rmtree(self.root, ignore_errors=True)

    def at_work(self) -> tuple[Path, ...]:
        """The working directories of runs that are there."""
        return tuple(path for path in self.work.glob("*") if path.is_dir())

    def folders(self) -> tuple[Path, ...]:
        """The run folders, oldest first."""
        if not self.reports.is_dir():
            return ()
        return tuple(
            sorted(path for path in self.reports.iterdir() if path.is_dir() and not path.is_symlink())
        )


@dataclass
class Running:
    """The command while it runs.

    Attributes:
        installation: that it runs in.
        process: the command itself.
        before: the run folders that were there already.
    """

    installation: Installation
    process: subprocess.Popen[str]
    before: set[Path]
    _events: list[dict[str, Any]] = field(default_factory=list)
    _read: int = 0

    @cached_property
    def folder(self) -> Path:
        """The run folder; waits for its journal."""

        def look() -> Path | None:
            for folder in self.installation.folders():
                if folder not in self.before and (folder / JOURNAL_FILE).exists():
                    return folder
            return None

        return self._wait(look, "a run folder")

    def events(self) -> list[dict[str, Any]]:
        """The events in the journal by now; read raw and fast, since phases can be short."""
        with (self.folder / JOURNAL_FILE).open("rb") as journal:
            journal.seek(self._read)
            whole, _, _ = journal.read().rpartition(b"\n")
        if whole:
            self._events += [json.loads(line)["body"] for line in whole.split(b"\n")]
            self._read += len(whole) + 1
        return self._events

    def wait_for(self, phase: str, event: str = "") -> None:
        """Wait until a phase has begun, and an event of this name is in it.

        Raises:
            MissedError: the phase was over by then.
        """

        def look() -> bool:
            within = inside(self.events(), phase)
            return within is not None and (not event or any(body["event"] == event for body in within))

        self._wait(look, f"{event or 'the start'} in {phase}")

    def must_be_in(self, phase: str) -> None:
        """Check that a phase had begun and not ended.

        Raises:
            MissedError: otherwise.
        """
        if inside(self.events(), phase) is None:
            raise MissedError(f"{phase} had not begun")

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the command alone."""
        self.process.send_signal(number)

    def send_group(self, number: signal.Signals) -> None:
        """Send a signal to its process group, as a terminal does."""
        os.killpg(self.process.pid, number)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self.process.kill()
        self.end()

    def end(self) -> tuple[int, str, str]:
        """Wait for the end: exit code, standard output, standard error."""
        out, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, out or "", err or ""

    def _wait(self, look: Callable[[], Any], what: str) -> Any:
        return wait_until(look, what, lambda: self.process.poll() is not None)


def inside(events: Iterable[Mapping[str, Any]], phase: str) -> list[Mapping[str, Any]] | None:
    """The events since a phase began; None when it has not begun.

    Raises:
        MissedError: it is over.
    """
    found: list[Mapping[str, Any]] | None = None
    for body in events:
        if body["event"] == "phase-started" and body["phase"] == phase:
            found = []
        elif body["event"] == "phase-ended" and body["phase"] == phase:
            raise MissedError(f"{phase} was over already")
        elif found is not None:
            found.append(body)
    return found


def wait_until(look: Callable[[], Any], what: str, over: Callable[[], bool] = lambda: False) -> Any:
    """Look again and again until there is something to see.

    Args:
        look: what to ask; its first true answer is returned.
        what: is waited for, for the error.
        over: whether it cannot happen any more.

    Raises:
        MissedError: it did not happen in time, or never will.
    """
    began = time.monotonic()
    while True:
        ended = over()
        seen = look()
        if seen:
            return seen
        if ended or time.monotonic() - began > PATIENCE:
            raise MissedError(f"waited for {what} in vain")
        time.sleep(POLL)


def _command(arguments: Sequence[str | Path]) -> list[str]:
    return [str(PROGRAM), *(str(argument) for argument in arguments)]
