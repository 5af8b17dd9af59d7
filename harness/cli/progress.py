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
    Line,
    PhaseEnded,
    PhaseStarted,
    PointTaken,
    Provisioned,
    RestoreTried,
)
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
    "teardown": "tearing down",
}


@contextmanager
def follow(scenario: LoadedScenario) -> Iterator[Callable[[Line], None]]:
    """Show a run while it happens, on standard error.

    Yields:
        The listener to hand to ``drill``.
    """
    console = Console(stderr=True, highlight=False)
    console.print(f"[bold]{scenario.id}[/]  {escape(scenario.scenario.title)}", soft_wrap=True)
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

    def __call__(self, line: Line) -> None:
        body = line.body
        if isinstance(body, PhaseStarted):
            self._begin(body.phase, line.at)
        elif isinstance(body, PhaseEnded):
            self._end(body, line.at)
        elif isinstance(body, ActionDecided):
            self._actions[body.action.number] = f"{body.action.surface}.{body.action.verb}"
        elif (note := self._note(body)) and self._status is not None:
            self._notes.append(note)
            self._status.update(f"{self._notes[0]}: {note}")

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._status is not None:
            self._status.stop()
            self._status = None

    def _begin(self, phase: str, at: Stamp) -> None:
        self._began = at
        self._notes = [DOING[phase]]
        if self._console.is_terminal:
            self._status = self._console.status(DOING[phase])
            self._status.start()

    def _end(self, body: PhaseEnded, at: Stamp) -> None:
        self.close()
        seconds = at.since(self._began) if self._began else 0.0
        mark = "[green]ok[/]" if body.ok else "[red]failed[/]"
        self._console.print(f"  {DOING[body.phase]:<28} {mark} {seconds:6.1f} s")

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
