"""How many sequences a minute: in an arena, against a stack that is made anew for each, in the same run.

Sequences are of five calls, on the PocketOS stack with every guard, in which nothing is found that would end
the search. Memory is what this process holds after a tenth of the sequences, and after all of them. The CPU
of a sequence is that of this process and of all that it has started; calls wait for each other, so on an idle
machine a sequence takes about that long.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp

import psutil

from harness.clock import SystemClock
from harness.journal.writer import Journal
from harness.run.loading import load
from harness.run.place import Place, in_memory, usual_place
from harness.search.arena import Arena
from harness.search.exploration import Budget, Exploration, Statistics

HARDENED = Path(__file__).parent.parent / "scenarios" / "pocketos" / "hardened.yaml"
SEQUENCES = 500
FRESH = 2
DEPTH = 5


def main() -> None:
    """Measure, and print."""
    folder = Path(mkdtemp(prefix="ninelives-explore-"))
    folder.chmod(0o711)
    try:
        place = in_memory(usual_place(folder / "reports"))
        fresh = min(_explore(place, f"fresh-{number}", 1).whole for number in range(FRESH))
        reset = _explore(place, "reset", SEQUENCES)
    finally:
        shutil.rmtree(folder)
    each = reset.search / SEQUENCES
    split = ", ".join(f"{name} {seconds / reset.search:.0%}" for name, seconds in reset.split.items())
    print(f"  {60 / each:,.0f} sequences/min of {reset.calls / SEQUENCES:.1f} calls: {split}")
    own, every = (1000 * cpu / SEQUENCES for cpu in (reset.own_cpu, reset.cpu))
    print(f"  CPU of a sequence: {every:.0f} ms, of which this process {own:.0f} ms")
    print(f"  a fresh stack for each: {60 / fresh:,.1f} sequences/min, {fresh / each:,.0f} x slower")
    print(f"  memory: {reset.early:.0f} MB after {SEQUENCES // 10}, {reset.late:.0f} MB after {SEQUENCES}")


class _Measured:
    """One search: seconds with and without bringing the stack up, what they went into, and seconds of CPU."""

    def __init__(self) -> None:
        self.whole = self.search = self.early = self.late = self.own_cpu = self.cpu = 0.0
        self.calls = 0
        self.split: dict[str, float] = {}


def _explore(place: Place, name: str, sequences: int) -> _Measured:
    measured, clock, process = _Measured(), SystemClock(), psutil.Process()
    run_id = f"{place.reports.parent.name}-{name}"

    def watch(told: Statistics) -> None:
        if told.sequences == sequences // 10:
            measured.early = process.memory_info().rss / 1e6

    began = clock.stamp()
    with Journal(place.reports / run_id, clock) as journal:
        stack: Arena
        with Arena(load(HARDENED), place, run_id, journal, clock) as stack:
            up, own, every = clock.stamp(), clock.cpu(), _cpu_of_all(process)
            exploration = Exploration(stack, "staging-agent", clock, watch)
            exploration.search(Budget(sequences=sequences, depth=DEPTH), 1, None)
            measured.search = clock.stamp().since(up)
            measured.own_cpu, measured.cpu = clock.cpu() - own, _cpu_of_all(process) - every
            measured.late = process.memory_info().rss / 1e6
        told = exploration.statistics
        seconds = stack.seconds
        measured.calls = told.actions
        measured.split = {"reset": seconds.reset, "actions": seconds.actions, "checks": seconds.checks}
    measured.whole = clock.stamp().since(began)
    return measured


def _cpu_of_all(process: psutil.Process) -> float:
    """Seconds of a process, of those below it, and of those below them that have ended."""
    seconds = 0.0
    for one in (process, *process.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            seconds += sum(one.cpu_times()[:4])
    return seconds
