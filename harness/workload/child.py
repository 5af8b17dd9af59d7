"""The child process: plays a locustfile's users, as the harness tells it through a pipe.

Run as ``python -m harness.workload.child CONTROL STATUS``, two inherited file descriptors. What comes in at
``CONTROL`` and goes out at ``STATUS``, a line each:

    in      the assignment, as JSON         out  ready; unfit and why, if it is the locustfile; failed and why
    in      go                              out  going
    in      pause                           out  paused
    in      stop, or the pipe's end         out  nothing: it finishes what is under way, and exits

SIGTERM is as good as ``stop``. The pipe ends when the harness does, so a child never outlives it.

Exit codes: 0 all is well; 1 the locustfile raised what it should not; 2 it could not start; 3 the ledger
could not be written.
"""

from __future__ import annotations

from gevent import monkey  # type: ignore[import-untyped]

monkey.patch_all()

# What follows must find the standard library patched.
import json  # noqa: E402
import logging  # noqa: E402
import os  # noqa: E402
import random  # noqa: E402
import signal  # noqa: E402
import sys  # noqa: E402
from collections.abc import Iterator  # noqa: E402
from pathlib import Path  # noqa: E402
from traceback import extract_tb  # noqa: E402
from types import TracebackType  # noqa: E402
from typing import Any  # noqa: E402

import gevent  # noqa: E402
import locust  # noqa: E402
from gevent.event import AsyncResult  # type: ignore[import-untyped]  # noqa: E402
from gevent.os import make_nonblocking, nb_read  # type: ignore[import-untyped]  # noqa: E402
from locust.runners import LocalRunner  # noqa: E402
from locust.util.load_locustfile import load_locustfile  # noqa: E402

from harness.clock import SystemClock  # noqa: E402
from harness.errors import HarnessError, ScenarioFileError  # noqa: E402
from harness.workload.assignment import Assignment  # noqa: E402
from harness.workload.connections import PATIENCE  # noqa: E402
from harness.workload.mistake import Mistake, note_mistake  # noqa: E402
from harness.workload.user import LedgerEnvironment, LedgerUser  # noqa: E402
from harness.workload.work import Work  # noqa: E402

WELL, RAISED, NOT_STARTED, NO_LEDGER = range(4)
MOST_MISTAKES = 100
"""Exceptions of the locustfile's own after which it is not worth going on."""

SETTLING = 0.02
"""Seconds in which users whose wait is over begin their task; the others are held."""

FASTEST_SPAWN = 100
"""New users a second; locust warns of more."""


class Child:
    """One workload at work.

    Args:
        assignment: what to do.

    Raises:
        HarnessError: it cannot be done.
    """

    def __init__(self, assignment: Assignment) -> None:
        random.seed(assignment.seed)  # locust draws the next task from the module's own generator
        self.over: Any = AsyncResult()
        self._assignment = assignment
        self._mistakes = 0
        self._folder = Path.cwd()  # before the locustfile can change it
        self._started = False
        self._work = Work(assignment, SystemClock(), give_up=lambda: self.end(NO_LEDGER))
        self._runner = self._prepare()

    def go(self) -> None:
        """Let the users work; the first time, make them."""
        self._work.go()
        if not self._started:
            self._started = True
            self._runner.start(self._assignment.users, spawn_rate=min(self._assignment.users, FASTEST_SPAWN))

    def pause(self) -> None:
        """Hold the users before their next task."""
        self._work.pause()

    def end(self, exit_code: int) -> None:
        """Let ``run`` end; the first reason counts."""
        if not self.over.ready():
            self.over.set(exit_code)

    def run(self) -> int:
        """Wait for the end, finish what is under way and close the ledger.

        Returns:
            The exit code.
        """
        exit_code: int = self.over.get()
        self._work.hold()
        # Locust kills users that wait. One whose wait has just ended would be killed in its next write.
        gevent.sleep(SETTLING)
        self._runner.quit()
        self._work.ledger.close()
        return exit_code if exit_code != WELL or not self._mistakes else RAISED

    def _prepare(self) -> LocalRunner:
        users = _user_classes(self._assignment)
        self._work.own_client = next(
            (user.item_client for user in users if user.item_client is not None), None
        )
        environment = LedgerEnvironment(
            user_classes=list(users),
            events=locust.events,
            stop_timeout=PATIENCE + 1,
        )
        environment.work = self._work
        runner = environment.create_local_runner()
        events: Any = locust.events
        events.user_error.add_listener(self._count_mistake)
        events.init.fire(environment=environment, runner=runner, web_ui=None)
        return runner

    def _count_mistake(self, *, exception: BaseException, tb: TracebackType, **_: object) -> None:
        self._mistakes += 1
        note_mistake(self._folder, _mistake(self._assignment.locustfile, exception, tb))
        if self._mistakes >= MOST_MISTAKES:
            self.end(RAISED)


def _user_classes(assignment: Assignment) -> tuple[type[LedgerUser], ...]:
    """The users of the locustfile.

    Raises:
        ScenarioFileError: it cannot be loaded, or its users do not keep the ledger.
    """
    path = assignment.locustfile
    try:
        found, shapes = load_locustfile(str(path))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a scenario's own code raises
        mistake = _mistake(path, error, error.__traceback__)
        raise ScenarioFileError(
            f"{mistake.where}: the locustfile cannot be loaded: {mistake.what}",
            hint="it is imported as Python; what it needs must be installed beside ninelives",
        ) from None
    others = sorted(name for name, user in found.items() if not issubclass(user, LedgerUser))
    if others or shapes or not found:
        wrong = (
            f"{', '.join(others)} keep no ledger"
            if others
            else "it has a load shape"
            if shapes
            else "no user"
        )
        raise ScenarioFileError(
            f"{path}: the locustfile does not fit: {wrong}",
            hint="derive every user from harness.workload.LedgerUser; the scenario sets users and rate",
        )
    return tuple(user for user in found.values() if issubclass(user, LedgerUser))


def _mistake(locustfile: Path, error: BaseException, trace: TracebackType | None) -> Mistake:
    """An exception, and the innermost line of the user's own code that it came through."""
    folder = locustfile.parent
    own = [frame for frame in extract_tb(trace) if Path(frame.filename).is_relative_to(folder)]
    place: tuple[str, int | None] = (own[-1].filename, own[-1].lineno) if own else (str(locustfile), None)
    if isinstance(error, SyntaxError) and error.filename:
        place = (error.filename, error.lineno)
    where = ":".join(str(part) for part in place if part is not None)
    return Mistake.of(where, f"{type(error).__name__}: {error}")


def _lines(pipe: int) -> Iterator[str]:
    """Lines as they come in, until the other end is closed."""
    make_nonblocking(pipe)
    rest = b""
    while chunk := nb_read(pipe, 65536):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line.decode() for line in lines)


def _obey(child: Child, orders: Iterator[str], status: int) -> None:
    try:
        for order in orders:
            if order == "go":
                child.go()
                _say(status, "going")
            elif order == "pause":
                child.pause()
                _say(status, "paused")
            else:
                break
    finally:
        child.end(WELL)


def _say(status: int, word: str) -> None:
    os.write(status, word.encode() + b"\n")


def main(control: int, status: int) -> int:
    """Play the part.

    Args:
        control: file descriptor that orders come in at.
        status: file descriptor that answers go out at.

    Returns:
        The exit code.
    """
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for pipe in (control, status):
        os.set_inheritable(pipe, False)
    orders = _lines(control)
    try:
        child = Child(Assignment.model_validate_json(next(orders)))
    except StopIteration:
        return NOT_STARTED
    except HarnessError as error:
        word = "unfit" if isinstance(error, ScenarioFileError) else "failed"
        _say(status, f"{word} {json.dumps([error.message, error.hint])}")
        return NOT_STARTED
    gevent.signal_handler(signal.SIGTERM, child.end, WELL)
    gevent.spawn(_obey, child, orders, status)
    _say(status, "ready")
    return child.run()


if __name__ == "__main__":
    code = main(int(sys.argv[1]), int(sys.argv[2]))
    logging.shutdown()
    # The ledger is closed; taking locust and gevent down in good order takes up to two seconds more.
    os._exit(code)
