"""Plays scenarios in processes of their own, some at a time.

Each is ``ninelives run`` itself: runs share nothing, so what one machine can carry is all that bounds them.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from harness.clock import SystemClock
from harness.interrupts import deferred_interrupts
from harness.journal.record import Verdict
from harness.run.judge import judge_run
from harness.run.loading import NO_GUARD
from harness.run.place import Place
from harness.seams.lookup import Provider

POLL_SECONDS = 0.05
JUDGED = (0, 1, 2)
"""Exit codes of a run that came to an end."""

USERS_MISTAKE = 3
"""Exit code of a run that was asked for what cannot be."""


def processors() -> int:
    """How many runs go at a time if nothing is said: one for each processor."""
    return os.cpu_count() or 1


@dataclass(frozen=True)
class Order:
    """What is to be played.

    Attributes:
        file: of the scenario.
        guards: to be on, instead of the scenario's own; None for those.
        idle: an agent that does nothing acts instead of the scenario's own.
        name: of this run, in words.
    """

    file: Path
    guards: tuple[str, ...] | None = None
    idle: bool = False
    name: str = ""


@dataclass(frozen=True)
class Outcome:
    """What came of an order.

    Attributes:
        order: what was to be played.
        run_id: names its run folder; empty when it did not even begin.
        verdicts: as judged.
        problem: what stopped it, as the command said it; empty when nothing did.
        users: the problem is the user's to mend.
    """

    order: Order
    run_id: str = ""
    verdicts: tuple[Verdict, ...] = ()
    problem: str = ""
    users: bool = False


@dataclass(frozen=True)
class _Run:
    order: Order
    process: subprocess.Popen[bytes]
    said: IO[bytes]
    complained: IO[bytes]


@dataclass(frozen=True)
class SideBySide:
    """Plays orders, ``at_once`` of them at a time.

    Attributes:
        place: where runs are written and work.
        provider: what replicas run on.
        at_once: processes, at least one.
        follow: is told of each order as it begins.
    """

    place: Place
    provider: Provider
    at_once: int
    follow: Callable[[Order], None] = lambda _: None

    def play(self, orders: Iterable[Order]) -> Generator[Outcome]:
        """Play them; each outcome is yielded as soon as there is one.

        Raises:
            KeyboardInterrupt: somebody asked for the end. What was under way has been torn down then.
        """
        waiting, running = list(reversed(list(orders))), list[_Run]()
        clock = SystemClock()
        try:
            while waiting or running:
                while waiting and len(running) < self.at_once:
                    with deferred_interrupts():
                        running.append(self._start(waiting.pop()))
                ended = [run for run in running if run.process.poll() is not None]
                for run in ended:
                    running.remove(run)
                    yield self._outcome(run)
                if not ended:
                    clock.sleep(POLL_SECONDS)
        finally:
            with deferred_interrupts():
                _end(running)

    def _start(self, order: Order) -> _Run:
        self.follow(order)
        said, complained = TemporaryFile(), TemporaryFile()  # noqa: SIM115 - closed when the run has ended
        process = subprocess.Popen(
            [
                *(sys.executable, "-P", "-m", "harness.cli", "run", "--json"),
                *(() if order.guards is None else ("--guards", ",".join(order.guards) or NO_GUARD)),
                *(("--idle",) if order.idle else ()),
                *("--provider", self.provider),
                *("--reports", str(self.place.reports)),
                *("--work", str(self.place.work)),
                *("--cache", str(self.place.cache)),
                str(order.file),
            ],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=complained,
            # Ctrl-C in a terminal reaches us; we ask each of them to end, once.
            start_new_session=True,
        )
        return _Run(order, process, said, complained)

    def _outcome(self, run: _Run) -> Outcome:
        with run.said, run.complained:
            for file in (run.said, run.complained):
                file.seek(0)
            lines, complaint = run.said.read().splitlines(), run.complained.read().decode(errors="replace")
        users = run.process.returncode == USERS_MISTAKE
        if not lines:
            problem = complaint.strip() or f"it ended with {run.process.returncode}"
            return Outcome(run.order, problem=problem, users=users)
        run_id = str(json.loads(lines[-1])["run_id"])
        verdicts = judge_run(self.place.reports / run_id).verdicts
        fault = run.process.returncode not in JUDGED
        return Outcome(run.order, run_id, verdicts, complaint.strip() if fault else "", users)


def _end(running: Iterable[_Run]) -> None:
    """Ask them to tear down, and wait until they have."""
    for run in running:
        with suppress(ProcessLookupError):
            run.process.send_signal(signal.SIGINT)
    for run in running:
        run.process.wait()
        run.said.close()
        run.complained.close()
