"""Signing and verifying a large run by the command: 100,000 events and 1,000,000 rows of ledger.

The run is written by hand, event by event, since nothing plays so long; it is judged like any other. Times
are those of the whole command, from its first instruction to its last, the best of three, with the processor
time beside them: on a busy machine only that says anything.
"""

from __future__ import annotations

import subprocess
import sys
from hashlib import sha256
from itertools import chain
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from tempfile import TemporaryDirectory

from harness.clock import SystemClock
from harness.journal.events import RunStarted, WorkloadStopped
from harness.journal.roll import enroll
from harness.journal.writer import JOURNAL_FILE
from tests.objectives.drills import EPOCH, Event, Run, action, plain_shop, scenario, store

EVENTS = 100_000
LEDGER_ROWS = 1_000_000
ROUNDS = 3
PROGRAM = Path(sys.executable).with_name("ninelives")


def main() -> None:
    """Print what signing and verifying take."""
    with TemporaryDirectory(prefix="ninelives-evidence-") as root:
        folder = _write(Path(root) / "reports" / "large")
        lines = {name: (folder / name).read_bytes().count(b"\n") for name in (JOURNAL_FILE, "ledger.jsonl")}
        _call(root, "keygen", "team")
        signing = _call(root, "sign", str(folder), "--key", "team.key", "--operator", "benchmark")
        rounds = [_call(root, "verify", str(folder), "--key", "team.pub") for _ in range(ROUNDS)]
    print(f"  {lines[JOURNAL_FILE]:,} events, {lines['ledger.jsonl']:,} rows of ledger", end="")
    print(f": signed in {signing[0]:.1f} s ({signing[1]:.1f} s of processor time), ", end="")
    wall, cpu = (min(figures) for figures in zip(*rounds, strict=True))
    print(f"verified in {wall:.1f} s ({cpu:.1f} s of processor time), best of {ROUNDS}")


def _call(root: str, *arguments: str) -> tuple[float, float]:
    """Seconds that a command took, and seconds of processor time."""
    clock = SystemClock()
    began, cpu = clock.stamp(), _cpu()
    subprocess.run([PROGRAM, *arguments], cwd=root, check=True, stdout=subprocess.DEVNULL)
    return clock.stamp().since(began), _cpu() - cpu


def _cpu() -> float:
    used = getrusage(RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _write(folder: Path) -> Path:
    """A run with so many actions, of which the first does the harm, and so many writes."""
    folder.mkdir(parents=True)
    text = scenario().model_dump_json(by_alias=True)
    (folder / "scenario.json").write_text(text)
    shop = plain_shop()
    calls = (LEDGER_ROWS - 2 * len(shop.calls)) // 2
    for n in range(calls):
        # All before the harm, and in order.
        shop.write(f"many{n}", "insert", n % 4096, 15.0 + n * 4.0 / calls, 1e-6)
    run = Run(shop)
    actions = (EVENTS - len(run.events)) // 2 + 1
    quiet: list[list[Event]] = [
        action(n, began=20.5 + n * 1e-6, ended=20.5 + n * 1e-6, harm=False, touched=())
        for n in range(2, actions + 1)
    ]
    run.act(action(1))
    *before, end = run.events
    inserted = [(20.5, event[1]) for event in chain.from_iterable(quiet) if isinstance(event, tuple)]
    run.events = [*sorted((*before, *inserted), key=lambda event: event[0]), end]  # type: ignore[index]
    run.change(
        RunStarted,
        run_id=folder.name,
        enrolled=enroll(folder.parent, folder.name, "shop/drill", EPOCH.wall),
        resolved_sha256=sha256(text.encode()).hexdigest(),
    )
    run.change(WorkloadStopped, entries=LEDGER_ROWS)
    return store(run, folder)
