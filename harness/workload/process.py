"""The workload as the harness sees it: a child process that goes, pauses and stops when it is told to."""

from __future__ import annotations

import json
import os
import re
import select
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from harness.clock import SystemClock
from harness.errors import ScenarioFileError, WorkloadError
from harness.facts import Endpoint
from harness.sandbox import Sandbox
from harness.workload.assignment import Access, Assignment
from harness.workload.mistake import Mistake, last_mistake

CHILD = "harness.workload.child"
FOLDER = "workload"
LOG = "workload.log"
READY_SECONDS = 30.0
"""To load locust and the locustfile on a busy machine."""

ANSWER_SECONDS = 10.0
STOP_SECONDS = 10.0
"""To finish transactions under way; each is given up after 5 s by the child itself."""

REFUSALS = {"unfit": ScenarioFileError, "failed": WorkloadError}
"""What a child that does not start says first, and whose mistake it is."""

LAST_WORDS = 1000
"""Characters of the child's log that an error repeats."""


class Workload:
    """One child process with the users of a scenario's locustfile.

    Args:
        sandbox: how to start processes, and where to write.
        locustfile: its path.
        endpoint: the database that the users write to, as ``APPLICATION``.
        stores: S3 services; the users may put objects into those that ``APPLICATION`` has a credential on.
        keys: the key column of each tracked table.
        ledger: file that every write is noted in; made here.
        users: how many.
        rate: transactions a second, over all users.
        seed: of everything that is random.

    Attributes:
        log: what the child and its locustfile say.
    """

    def __init__(
        self,
        *,
        sandbox: Sandbox,
        locustfile: Path,
        endpoint: Endpoint,
        stores: Sequence[Endpoint],
        keys: Mapping[str, str],
        ledger: Path,
        users: int,
        rate: float,
        seed: int = 0,
    ) -> None:
        self._sandbox = sandbox
        self.log = sandbox.root / FOLDER / LOG
        self._assignment = Assignment(
            locustfile=locustfile.resolve(),
            database=Access.of_application(endpoint),
            keys=keys,
            stores=Assignment.stores_of(stores),
            ledger=ledger.resolve(),
            users=users,
            rate=rate,
            seed=seed,
        )
        self._process: subprocess.Popen[bytes] | None = None
        self._orders = -1
        self._answers = -1
        self._heard = b""
        self._answered = False

    @property
    def pid(self) -> int:
        """The child's process id.

        Raises:
            WorkloadError: it was never started.
        """
        return self._child().pid

    def start(self) -> None:
        """Start the child and let it load, which takes it a second; it sends nothing before ``go``.

        Raises:
            ProvisionError: the process cannot be started.
            WorkloadError: it was started before.
        """
        if self._process is not None:
            raise WorkloadError("the workload was started before", hint="make another one")
        self._assignment.ledger.touch()
        self.log.parent.mkdir(parents=True, exist_ok=True)
        orders_in, self._orders = os.pipe()
        self._answers, answers_out = os.pipe()
        try:
            self._process = self._sandbox.start(
                [sys.executable, "-P", "-m", CHILD, str(orders_in), str(answers_out)],
                log=self.log,
                directory=self.log.parent,
                # A locustfile lies in the user's own folder, where nothing is to be left.
                environment={"PYTHONDONTWRITEBYTECODE": "1"},
                pass_fds=(orders_in, answers_out),
            )
        finally:
            os.close(orders_in)
            os.close(answers_out)
        self._order(self._assignment.model_dump_json())

    def look(self) -> None:
        """Hear whether it could be loaded, if it says so by now; does not wait.

        Raises:
            ScenarioFileError: the locustfile cannot be loaded, or does not fit.
            WorkloadError: the child could not start, or died.
        """
        if not self._answered and select.select([self._answers], [], [], 0)[0]:
            self._await_ready()

    def go(self) -> None:
        """Let the users work, at first or after a pause; returns when they do.

        Raises:
            ScenarioFileError: the locustfile cannot be loaded, or does not fit.
            WorkloadError: the child could not start, or died.
        """
        self._await_ready()
        self._order("go")
        self._await("going", ANSWER_SECONDS)

    def pause(self) -> None:
        """Hold the users before their next transaction; what is under way ends as it may.

        A child that is dead is as quiet as can be.
        """
        with suppress(WorkloadError, ScenarioFileError):
            self._await_ready()
            self._order("pause")
            self._await("paused", ANSWER_SECONDS)

    def stop(self) -> int:
        """End the child; the ledger is complete then. Idempotent.

        Returns:
            Its exit code: 0 when all was well, negative when a signal ended it (so when it was still
            loading), else as ``harness.workload.child`` says. 0 also when it was never started.
        """
        if self._process is None:
            return 0
        self._close()
        if self._answered:
            with suppress(subprocess.TimeoutExpired):
                return self._process.wait(STOP_SECONDS)
        # It is still loading, or does not listen: there is nothing of which the ledger would not know.
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            return self._process.wait(STOP_SECONDS)
        self._process.kill()
        return self._process.wait()

    def alive(self) -> bool:
        """Whether the child runs."""
        return self._process is not None and self._process.poll() is None

    def last_words(self) -> str:
        """The end of the child's log, from the beginning of a word: nobody knows half a credential."""
        if not self.log.is_file():
            return ""
        text = self.log.read_text(encoding="utf-8", errors="replace").strip()
        return text if len(text) <= LAST_WORDS else re.sub(r"^\S*\s*", "", text[-LAST_WORDS:])

    def mistake(self) -> Mistake | None:
        """The last exception that the locustfile raised; None when there was none."""
        return last_mistake(self.log.parent)

    def _child(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise WorkloadError("the workload was never started", hint="call start() first")
        return self._process

    def _await_ready(self) -> None:
        if not self._answered:
            self._await("ready", READY_SECONDS)

    def _order(self, line: str) -> None:
        self._child()
        try:
            os.write(self._orders, line.encode() + b"\n")
        except OSError as error:
            raise self._dead() from error

    def _await(self, word: str, seconds: float) -> None:
        answer = self._answer(word, seconds)
        if answer == word:
            return
        kind, _, told = answer.partition(" ")
        if kind in REFUSALS:
            message, hint = json.loads(told)
            raise REFUSALS[kind](message, hint=hint)
        raise WorkloadError(f"the workload answers {answer!r}, not {word!r}", hint="run the drill again")

    def _answer(self, word: str, seconds: float) -> str:
        """The next line that the child says."""
        self._child()
        clock = SystemClock()
        began = clock.stamp()
        while b"\n" not in self._heard:
            left = seconds - clock.stamp().since(began)
            if left <= 0 or not select.select([self._answers], [], [], left)[0]:
                raise WorkloadError(
                    f"the workload is not {word} after {seconds:g} s",
                    hint=f"the machine may be overloaded; its last words: {self.last_words() or 'none'}",
                )
            chunk = os.read(self._answers, 4096)
            if not chunk:
                raise self._dead()
            self._heard += chunk
        self._answered = True
        line, _, self._heard = self._heard.partition(b"\n")
        return line.decode()

    def _dead(self) -> WorkloadError:
        return WorkloadError(
            "the workload's process has died",
            hint=f"its last words: {self.last_words() or 'none'}",
        )

    def _close(self) -> None:
        """The end of the pipe is the order to stop."""
        for pipe in (self._orders, self._answers):
            if pipe >= 0:
                os.close(pipe)
        self._orders = self._answers = -1
