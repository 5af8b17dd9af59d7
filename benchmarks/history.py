"""Asking a history of 100,000 runs, by the command: its newest runs, two of them compared, a gate.

The runs are written into it as the harness does, but from no folders, since nobody plays so many. Times are
those of the whole command, from its first instruction to its last, with the processor time beside them: on a
busy machine only that says anything. The first call of all has a run to record.
"""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from tempfile import TemporaryDirectory

from harness.archive.database import BEGINNING, Reached
from harness.archive.file import opened_file
from harness.archive.kept import Kept
from harness.clock import SystemClock
from harness.journal.roll import FIRST_PREV, ROLL_FILE, Enrolled
from tests.archive.runs import kept, play, verdict

RUNS = 100_000
SCENARIOS = 50
AT_ONCE = 1000
ROUNDS = 3
FRAMEWORKS = ("soc2", "iso-27001")
PROGRAM = Path(sys.executable).with_name("ninelives")


def main() -> None:
    """Print what each verb takes."""
    with TemporaryDirectory(prefix="ninelives-history-") as root:
        reports = Path(root) / "reports"
        _write(reports)
        (Path(root) / "policy.yaml").write_text(_policy())
        calls = {
            "history": ("history",),
            "compare": ("compare", "99951", "latest"),
            "gate": ("gate", "--policy", "policy.yaml"),
        }
        for name, arguments in calls.items():
            rounds = [_call(root, *arguments) for _ in range(ROUNDS)]
            walls, cpus = zip(*rounds, strict=True)
            print(
                f"  {name}: best {min(walls):.2f} s, worst of {ROUNDS} {max(walls):.2f} s, "
                f"of which {min(cpus):.2f} s processor time"
            )
        size = (reports / "history.sqlite").stat().st_size
        print(
            f"  {RUNS:,} runs of {SCENARIOS} scenarios, {size / 2**20:.0f} MiB; {_rules()} rules in the gate"
        )


def _call(root: str, *arguments: str) -> tuple[float, float]:
    """Seconds that a command took, and seconds of processor time."""
    clock = SystemClock()
    began, cpu = clock.stamp(), _cpu()
    done = subprocess.run([PROGRAM, *arguments], cwd=root, capture_output=True, text=True, check=False)
    took = clock.stamp().since(began), _cpu() - cpu
    if done.returncode not in (0, 1, 2):
        raise RuntimeError(done.stderr)
    return took


def _cpu() -> float:
    used = getrusage(RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _write(reports: Path) -> None:
    """A roll and a history of so many runs, and one that is on the roll alone."""
    reports.mkdir()
    now = SystemClock().stamp().wall
    last: Enrolled | None = None
    reached = BEGINNING
    with (reports / ROLL_FILE).open("wb") as roll, opened_file(reports) as archive:
        for numbers in (range(n, n + AT_ONCE) for n in range(1, RUNS + 1, AT_ONCE)):
            runs = []
            for number in numbers:
                run = _run(number, now - timedelta(minutes=RUNS - number))
                last = _line(run, last)
                roll.write(last.model_dump_json().encode() + b"\n")
                runs.append(run)
            roll.flush()
            before, reached = reached, Reached(roll.tell(), last)
            archive.advance("aa", before, runs, reached)
    play(reports, "last", scenario="shop/s0", at=now)


def _run(number: int, at: datetime) -> Kept:
    """A run with five objectives; its figures vary a little."""
    vary = number * 7919 % 101 / 10
    return kept(
        number,
        verdict("backup-survival", sufficient=2.0, broken=0.0, surviving=3.0, existed=14.0, lost=11.0),
        verdict("isolation", outside=0.0, touched=2.0, allowed=1.0),
        verdict("rpo", rpo=60 + vary, target=900.0, known=40742.0, lost=12.0, missing=12.0, stale=0.0),
        verdict("rto", rto=90 + vary, target=300.0, detect=30.0, decide=60.0, restore=vary, verify=0.2),
        verdict("invariants", checked=3.0, broken=0.0),
        scenario=f"shop/s{number % SCENARIOS}",
        started=at,
    )


def _line(run: Kept, last: Enrolled | None) -> Enrolled:
    assert run.number is not None
    return Enrolled(
        roll=run.roll,
        number=run.number,
        run_id=run.run_id,
        scenario=run.scenario,
        at=run.started,
        prev=last.digest if last else FIRST_PREV,
    )


def _policy() -> str:
    ids = [f"shop/s{n}" for n in range(SCENARIOS)]
    lines = ["required:", *(f"  - {{scenario: {one}, every: 7d}}" for one in ids)]
    lines += [
        "restore-cadence:",
        "  - {every: 7d}",
        "retests:",
        "  - {within: 14d, over: 90d}",
        "frameworks:",
    ]
    lines += [f"  - {{framework: {name}, every: 90d}}" for name in FRAMEWORKS]
    lines += ["regressions:"]
    lines += [f"  - {{scenario: {one}, objective: rto, may-grow: 20%}}" for one in ids]
    return "\n".join(lines) + "\n"


def _rules() -> int:
    return 2 * SCENARIOS + 2 + len(FRAMEWORKS)
