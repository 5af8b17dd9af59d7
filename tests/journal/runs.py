"""A small, whole run folder, written through the public face."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from harness.clock import Stamp
from harness.facts import Action, Fact, Outcome, Resource
from harness.journal.events import (
    ActionDecided,
    ActionEnded,
    ContentVerified,
    RunEnded,
    RunStarted,
    WitnessTaken,
    WorkloadStarted,
    WorkloadStopped,
)
from harness.journal.ledger import LedgerWriter, Write, expected, read_ledger
from harness.journal.witness import digest_file, read_witness, write_differences, write_rows
from harness.journal.writer import Journal

START = Stamp(mono=100.0, wall=datetime(2026, 4, 24, 12, 0, tzinfo=UTC))


class TickingClock:
    """A clock that goes on by a tenth of a second each time it is asked; ``set_back`` turns it back."""

    def __init__(self) -> None:
        self._ticks = 0.0

    def stamp(self) -> Stamp:
        self._ticks += 0.1
        return Stamp(mono=START.mono + self._ticks, wall=START.wall + timedelta(seconds=self._ticks))

    def sleep(self, seconds: float) -> None:
        self._ticks += seconds

    def set_back(self, seconds: float) -> None:
        self._ticks -= seconds


def started(**changes: object) -> RunStarted:
    return RunStarted(
        run_id="r1", scenario="shop/drill", digest="d" * 64, version="0", provider="embedded", machine="m"
    ).model_copy(update=changes)


def ended() -> RunEnded:
    return RunEnded(seconds=1.5, harness_cpu=0.25)


def write_run(folder: Path, *, scenario: bytes = b'{"rpo": "15m"}\n') -> Path:
    """Write a run with a ledger, a witness, one harmful action and two differing rows."""
    clock = TickingClock()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "scenario.json").write_bytes(scenario)
    with Journal(folder, clock) as journal:
        journal.write(started(resolved_sha256=digest_file(folder / "scenario.json")))
        for event in _traffic(folder, clock):
            journal.write(event)
        journal.write(ended())
    return folder


def _traffic(folder: Path, clock: TickingClock) -> list[Fact]:
    ledger = LedgerWriter(folder / "ledger.jsonl", clock)
    began = clock.stamp()
    rows = [(f"o{n}", n * 7 - 20, START.wall - timedelta(days=n)) for n in range(6)]
    witness = write_rows(folder / "witness.jsonl", [("orders", rows)])
    events: list[Fact] = [
        WorkloadStarted(pid=4711, users=2, rate=50.0),
        WitnessTaken(
            service="shop-db",
            file="witness.jsonl",
            sha256=witness.sha256,
            content=witness.content,
            before=began,
            after=clock.stamp(),
        ),
    ]
    seq = ledger.sent("user-1", [Write("orders", "new", "insert")])
    ledger.acked(seq, "user-1", [Write("orders", "new", "insert", 99)])
    ledger.sent("user-2", [Write("orders", "o1", "delete")])
    ledger.close()
    decided = ActionDecided(action=Action(number=1, surface="http", verb="request", harm=True))
    outcome = Outcome(
        status="done",
        detail="gone — für immer",
        touched=(Resource(service="railway", kind="volume", name="data"),),
        began=clock.stamp(),
        ended=clock.stamp(),
    )
    calls_for = expected(read_witness(folder / "witness.jsonl"), read_ledger(folder / "ledger.jsonl"))
    differing = write_differences(folder / "recovered.jsonl", [("orders", rows[:-1])], calls_for)
    stopped = WorkloadStopped(
        file="ledger.jsonl", sha256=digest_file(folder / "ledger.jsonl"), entries=3, exit_code=0
    )
    verified = ContentVerified(
        service="shop-db",
        content=differing.content,
        file="recovered.jsonl",
        sha256=differing.sha256,
        rows=differing.rows,
    )
    return [*events, decided, ActionEnded(number=1, outcome=outcome), stopped, verified]
