"""The PocketOS drill, from command to report, and what of that time is the harness's own.

The command is started as a user starts it. Its own share is the processor time of its own process, which the
kernel has counted when it has ended: interpreter, imports, every thread, judging, rendering. The processes
that it starts are replicas, tools and the workload. While it uses no processor it waits for one of them, or
for a time that the scenario declares.

Its own time is more than what the drill would be shorter by without it: threads beside the main one bring
replicas up side by side and ask whether the service answers, while the main one waits for a server, a tool or
a declared time. So what the main thread used is told too.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import psutil

from benchmarks.interruption import ended_with_us, in_order
from harness.clock import SystemClock
from harness.journal.events import PhaseEnded, PhaseStarted, RunEnded, RunStarted
from harness.journal.history import read_history

SCENARIO = Path(__file__).parent.parent / "scenarios" / "pocketos" / "as-it-happened.yaml"
ROUNDS = 3
MOST_SECONDS = 20.0
MOST_SHARE = 0.10
AS_EXPECTED = 0


@dataclass(frozen=True)
class Round:
    """One run of the command.

    Attributes:
        seconds: from its start to its end.
        cpu: seconds of processor time that its own process has used.
        main: of those, what its main thread has used.
        parts: seconds of each phase, and of what lies before and after them.
    """

    seconds: float
    cpu: float
    main: float
    parts: Mapping[str, float]

    @property
    def share(self) -> float:
        """What of the time was the harness itself."""
        return self.cpu / self.seconds


def play(*options: str) -> Round:
    """Run the command once, into a folder of its own.

    Args:
        options: of ``ninelives run``.
    """
    with TemporaryDirectory(prefix="ninelives-bench-") as folder:
        clock = SystemClock()
        began = clock.stamp()
        program = Path(sys.executable).with_name("ninelives")
        command = [program, "run", "-q", "--reports", folder, *options, SCENARIO]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=_environment())
        with process, ended_with_us(process):
            # It stays a zombie until its own times have been read: those of its children are not in them.
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
            ended = clock.stamp()
            zombie = psutil.Process(process.pid)
            times = zombie.cpu_times()
            main = next(thread for thread in zombie.threads() if thread.id == process.pid)
        assert process.returncode == AS_EXPECTED, f"the drill ended with {process.returncode}"
        parts = _parts(Path(folder) / "latest", began.mono, ended.mono)
        cpu, of_main = times.user + times.system, main.user_time + main.system_time
        return Round(ended.since(began), cpu, of_main, parts)


def _environment() -> dict[str, str]:
    """Ours, with Python free to keep what it has compiled: an installed command is not compiled anew."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def _parts(run: Path, began: float, ended: float) -> dict[str, float]:
    history = read_history(run)
    first, last = history.first(RunStarted), history.last(RunEnded)
    assert first is not None
    assert last is not None
    starts = {entry.body.phase: entry.at.mono for entry in history.of(PhaseStarted)}
    phases = {entry.body.phase: entry.at.mono - starts[entry.body.phase] for entry in history.of(PhaseEnded)}
    return {"start-up": first.at.mono - began, **phases, "judge and render": ended - last.at.mono}


def main() -> None:
    """Print how long the drill takes, what of it is ours, and where the time goes."""
    rounds = [play() for _ in range(ROUNDS)]
    best = min(rounds, key=lambda played: played.seconds)
    print(f"pocketos/as-it-happened from command to report ({ROUNDS} rounds)")
    print(
        f"  whole               {best.seconds:6.2f} s best {median(r.seconds for r in rounds):6.2f} s median"
        f"; at most {MOST_SECONDS:g} s asked for"
    )
    print(
        f"  the harness itself  {best.cpu:6.2f} s, {best.share:.1%} of the best round"
        f" ({median(r.share for r in rounds):.1%} median); at most {MOST_SHARE:.0%} asked for"
    )
    print(
        f"    its main thread   {best.main:6.2f} s, {best.main / best.seconds:.1%} of the best round"
        "; the rest ran beside what that one waited for"
    )
    for part, seconds in best.parts.items():
        print(f"    {part:<18}{seconds:6.2f} s")


if __name__ == "__main__":
    sys.exit(in_order(main))
