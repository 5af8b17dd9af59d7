"""The workload's child process and the prober, as one thing that is there or is not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from harness.clock import Clock, Stamp
from harness.errors import ScenarioFileError, WorkloadError
from harness.interrupts import deferred_interrupts
from harness.journal.events import WorkloadStarted, WorkloadStopped
from harness.journal.ledger import read_ledger
from harness.journal.witness import digest_file
from harness.run.backfill import tracked
from harness.run.ground import Ground
from harness.run.logs import keep_logs
from harness.run.prober import Prober
from harness.scenario.models import S3Service
from harness.workload.process import Workload

LEDGER = "ledger.jsonl"
PATIENCE = 30.0
"""Seconds that the workload gets to acknowledge a write: its start, or a reconnect."""

SILENCE = 5.0
"""Seconds without an answer of the service after which no write can be expected."""


@dataclass
class Traffic:
    """What the outside world does with the service while the drill goes on.

    Attributes:
        workload: the child process.
        prober: asks for answers.
        ledger: the file with every write.
        clock: where time comes from.
        stopped: the workload has ended and its ledger is sealed.
    """

    workload: Workload
    prober: Prober
    ledger: Path
    clock: Clock
    stopped: bool = False

    def wait_for_first_acknowledgement(self) -> Stamp:
        """Wait until a write is acknowledged from now on.

        Returns:
            When it was, as the child stamped it.

        Raises:
            WorkloadError: the child died, none came within ``PATIENCE`` seconds, or the service has not
                answered for ``SILENCE`` seconds.
        """
        began = answering = self.clock.stamp()
        while self.clock.stamp().since(began) < PATIENCE and self.clock.stamp().since(answering) < SILENCE:
            acknowledged = read_ledger(self.ledger).first_acknowledged_since(began.mono)
            if acknowledged is not None:
                now = self.clock.stamp()
                return Stamp(mono=acknowledged, wall=now.wall - timedelta(seconds=now.mono - acknowledged))
            if not self.workload.alive():
                break
            if self.prober.up is not False:
                answering = self.clock.stamp()
            self.clock.sleep(0.02)
        raise WorkloadError(
            self.complaint() or f"the workload has no write acknowledged{self._last_words()}",
            hint="run the drill again; if it stays so, look at the locustfile",
        )

    def complaint(self) -> str:
        """What is wrong right now; empty when all is well."""
        if not self.workload.alive():
            return f"the workload died{self._last_words()}"
        return "" if self.prober.up else "the service does not answer"

    def raised(self) -> str:
        """The last exception of the locustfile, and where it came from; empty when there was none."""
        mistake = self.workload.mistake()
        return f"{mistake.where}: the locustfile raised {mistake.what}" if mistake else ""

    def check_locustfile(self) -> None:
        """While nobody does any harm, an exception of the locustfile is its own mistake.

        Once the agent has begun it may be what the agent did that the file does not bear. Then the run is
        undecided, and goes on so that its record is whole.

        Raises:
            ScenarioFileError: it has raised.
        """
        raised = self.raised()
        if raised:
            raise ScenarioFileError(
                raised,
                hint="mend it: users must bear refused writes, lost answers and rows that are not there",
            )

    def _last_words(self) -> str:
        words = self.workload.last_words()
        return f"; its last words: {words}" if words else ""


@contextmanager
def traffic(ground: Ground) -> Iterator[Traffic]:
    """Start the child early, since it needs a second to load; it sends nothing before it is told to.

    Raises:
        ProvisionError: it does not start.
    """
    wanted = ground.plan.loaded.scenario.workload
    endpoint = ground.endpoints[wanted.service]
    stores = [
        ground.endpoints[name]
        for name, service in ground.plan.loaded.stack.services.items()
        if isinstance(service, S3Service)
    ]
    workload = Workload(
        sandbox=ground.sandbox,
        locustfile=ground.plan.loaded.folder / wanted.locustfile,
        endpoint=endpoint,
        stores=stores,
        keys={table: key for table, (key, _) in tracked(ground, wanted.service).items()},
        ledger=ground.journal.folder / LEDGER,
        users=wanted.users,
        rate=wanted.rate,
    )
    prober = Prober(ground.plan.store(wanted.service), endpoint, ground.journal, ground.clock)
    workload.start()
    world = Traffic(workload, prober, ground.journal.folder / LEDGER, ground.clock)
    try:
        yield world
    finally:
        with deferred_interrupts():
            prober.stop()
            stop(ground, world)


def stop(ground: Ground, traffic: Traffic) -> None:
    """End the workload; its ledger is complete from then on. Idempotent.

    When its locustfile has raised, what it and the servers have logged is kept.
    """
    if traffic.stopped:
        return
    traffic.stopped = True
    exit_code, raised = traffic.workload.stop(), traffic.raised()
    clean = ground.redactor().clean_log
    if raised:
        keep_logs(ground.sandbox.root, ground.journal.folder, clean)
    ground.journal.write(
        WorkloadStopped(
            file=LEDGER,
            sha256=digest_file(traffic.ledger),
            entries=len(read_ledger(traffic.ledger)),
            exit_code=exit_code,
            raised=clean(raised),
        )
    )


def go(ground: Ground, traffic: Traffic) -> None:
    """Let the workload send, and ask from now on whether the service answers.

    Not earlier: while a backup of the past is taken a volume may stand still for as long as the copy takes.
    That is no outage of the present, and must not look like one.
    """
    wanted = ground.plan.loaded.scenario.workload
    traffic.prober.start()
    traffic.workload.go()
    ground.journal.write(WorkloadStarted(pid=traffic.workload.pid, users=wanted.users, rate=wanted.rate))
