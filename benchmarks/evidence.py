"""Rendering, signing and verifying a large run by the command: 100,000 events, 1,000,000 rows of ledger.

The run is written by hand, event by event, since nothing plays so long; it is judged like any other. Times
are those of the whole command, from its first instruction to its last, the best of three, with the processor
time beside them: on a busy machine only that says anything. Rendering is one command for all formats.
"""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

from harness.clock import SystemClock
from harness.journal.events import RunStarted, WorkloadStopped
from harness.journal.roll import enroll
from harness.journal.writer import JOURNAL_FILE
from harness.render.html import FILE as PAGE
from harness.seams.lookup import names
from tests.objectives.drills import EPOCH, Event, Run, action, plain_shop, scenario, store

EVENTS = 100_000
LEDGER_ROWS = 1_000_000
ROUNDS = 3
PROGRAM = Path(sys.executable).with_name("ninelives")


@dataclass(frozen=True)
class Used:
    """What a command took.

    Attributes:
        seconds: from its start to its end.
        cpu: seconds of processor time.
        memory: bytes, at most.
    """

    seconds: float
    cpu: float
    memory: int


def main() -> None:
    """Print what rendering, signing and verifying take."""
    with TemporaryDirectory(prefix="ninelives-evidence-") as root:
        out = Path(root) / "rendered"
        # In a process of its own: to the kernel, what a process held when it started a command is that one's.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as writer:
            folder = writer.submit(_write, Path(root) / "reports" / "large").result()
        lines = {name: (folder / name).read_bytes().count(b"\n") for name in (JOURNAL_FILE, "ledger.jsonl")}
        out.mkdir()
        formats = [option for name in names("reporters") for option in ("--format", name)]
        rendering = _best(root, "report", str(folder), "--out", str(out), *formats)
        printing = _best(root, "report", str(folder), "--out", str(out), "--format", "pdf")
        page = (out / PAGE).stat().st_size
        _call(root, "keygen", "team")
        signing = _call(root, "sign", str(folder), "--key", "team.key", "--operator", "benchmark")
        verifying = _best(root, "verify", str(folder), "--key", "team.pub")
    print(f"  {lines[JOURNAL_FILE]:,} events, {lines['ledger.jsonl']:,} rows of ledger")
    _tell(f"rendered in {len(names('reporters'))} formats", rendering)
    print(f"    the page has {page / 1e6:.2f} MB")
    _tell("the PDF alone", printing)
    _tell("signed", signing)
    _tell("verified", verifying)


def _tell(what: str, used: Used) -> None:
    print(
        f"  {what}: {used.seconds:.1f} s ({used.cpu:.1f} s of processor time),"
        f" {used.memory / 1e6:.0f} MB of memory"
    )


def _best(root: str, *arguments: str) -> Used:
    return min((_call(root, *arguments) for _ in range(ROUNDS)), key=lambda used: used.seconds)


def _call(root: str, *arguments: str) -> Used:
    clock = SystemClock()
    began = clock.stamp()
    process = subprocess.Popen([PROGRAM, *arguments], cwd=root, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, f"ninelives {arguments[0]} ended with {process.returncode}"
    return Used(clock.stamp().since(began), used.ru_utime + used.ru_stime, used.ru_maxrss * 1024)


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
