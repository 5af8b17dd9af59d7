"""Live progress by phase: a moving line on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.status import Status

from harness.clock import Stamp
from harness.journal.events import (
    ActionDecided,
    ActionEnded,
    Interrupted,
    Line,
    PhaseEnded,
    PhaseStarted,
    PointTaken,
    Provisioned,
    RestoreTried,
)
from harness.render.wording import clean, duration
from harness.scenario.models import LoadedScenario

DOING = {
    "provision": "bringing up replicas",
    "backfill": "playing the past",
    "steady-state": "watching the workload",
    "act": "letting the agent act",
    "assess": "looking at what is left",
    "recover": "recovering",
    "verify": "verifying what came back",
    "prove": "restoring every other copy",
    "try": "trying what must be refused",
    "teardown": "tearing down",
}
NAME, TIME = 28, 7
"""Columns of a phase's name, and of how long it took."""

MARGIN = 4
"""Columns before and between a phase's name, its mark and its time."""

SPINNER = 3
"""Columns that the moving line's own sign takes, and one at the edge that stays free."""

SHORTEST = 10


@contextmanager
def follow(scenario: LoadedScenario) -> Iterator[Callable[[Line], None]]:
    """Show a run while it happens, on standard error.

    Args:
        scenario: what is played.

    Yields:
        The listener to hand to ``drill``.
    """
    console = Console(stderr=True, highlight=False)
    title = f"[bold]{scenario.id}[/]  {escape(scenario.scenario.title)}"
    console.print(title, soft_wrap=not console.is_terminal)
    progress = Progress(console)
    try:
        yield progress
    finally:
        progress.close()


class Progress:
    """Turns journal lines into lines for people."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status: Status | None = None
        self._began: Stamp | None = None
        self._notes: list[str] = []
        self._actions: dict[int, str] = {}
        self._interrupted = False

    def __call__(self, line: Line) -> None:
        body = line.body
        if isinstance(body, PhaseStarted):
            self._begin(body.phase, line.at)
        elif isinstance(body, PhaseEnded):
            self._end(body, line.at)
        elif isinstance(body, Interrupted):
            self._interrupted = True
        elif isinstance(body, ActionDecided):
            self._actions[body.action.number] = f"{body.action.surface}.{body.action.verb}"
        elif (note := self._note(body)) and self._status is not None:
            self._notes.append(note)
            self._status.update(self._live(f"{self._notes[0]}: {note}"))

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._status is not None:
            self._status.stop()
            self._status = None

    def _begin(self, phase: str, at: Stamp) -> None:
        self._began = at
        self._notes = [DOING[phase]]
        if self._console.is_terminal:
            self._status = self._console.status(self._live(DOING[phase]))
            self._status.start()

    def _end(self, body: PhaseEnded, at: Stamp) -> None:
        self.close()
        took = duration(at.since(self._began)) if self._began else ""
        word, tone = ("ok", "green") if body.ok else ("failed", "red")
        if not body.ok and self._interrupted:
            word, tone = "interrupted", "yellow"
        room = max(self._console.width - MARGIN - len(word) - TIME, SHORTEST)
        doing = _shortened(DOING[body.phase], room)
        self._console.print(f"  {doing:<{min(room, NAME)}} [{tone}]{word}[/] {took:>{TIME}}", soft_wrap=True)

    def _live(self, text: str) -> str:
        """Text for the moving line, which must not wrap: it could not be moved any more."""
        return escape(_shortened(clean(text), max(self._console.width - SPINNER, SHORTEST)))

    def _note(self, body: object) -> str:
        match body:
            case Provisioned(service=service):
                return service
            case PointTaken(point=point):
                return f"{point.protection} of {point.taken:%Y-%m-%d}"
            case ActionEnded(number=number, outcome=outcome):
                return f"{self._actions.get(number, '')} {outcome.status}"
            case RestoreTried(point_id=point):
                return point
        return ""


def _shortened(text: str, room: int) -> str:
    return text if len(text) <= room else f"{text[: room - 1]}\N{HORIZONTAL ELLIPSIS}"
