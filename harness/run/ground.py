"""What the steps of a run share: the plan, the endpoints that exist, and the way to the journal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from harness.backups.object_store import ObjectStore
from harness.clock import Clock
from harness.errors import HarnessError, NotOursError, ScenarioError
from harness.facts import Endpoint, Fingerprint, Lease
from harness.journal.events import (
    FaultSeen,
    Interrupted,
    Leased,
    MarkerRead,
    Phase,
    PhaseEnded,
    PhaseStarted,
    Released,
)
from harness.journal.writer import Journal
from harness.replicas.leases import stop_run
from harness.run.faults import in_plain_words
from harness.run.logs import keep_logs, where_kept
from harness.run.place import note_lease
from harness.run.plan import Plan
from harness.run.redact import Redactor
from harness.sandbox import Sandbox
from harness.scenario.models import CommandBackup
from harness.seams.drivers import BackupTool, Setting

LONGEST_DETAIL = 500
"""Characters that are kept of what an exception says that was not made for a reader."""

Fields = Mapping[str, Sequence[int]]
"""For each row's key, the hash of each of its other columns, in the order of their names."""


@dataclass
class Ground:
    """The replicas of one run.

    Attributes:
        plan: what to do.
        sandbox: where to do it.
        journal: where to write it down.
        clock: where time comes from.
        endpoints: by service; filled while provisioning, changed when a service is recovered.
        leases: of every replica that is or may be there.
        tools: the backup tool of each protection, once its source is there.
        taken: what the source held when each recovery point was taken, by the point's id.
        present: up to which the past was played, in scenario time; None before it was.
        passed: how much time the scenario has let pass since.
        fields: hashes of every field just before the harm, by table and key; for a reconstruction.
        told: what went wrong and is in the journal.
    """

    plan: Plan
    sandbox: Sandbox
    journal: Journal
    clock: Clock
    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    leases: list[Lease] = field(default_factory=list)
    tools: dict[str, BackupTool] = field(default_factory=dict)
    taken: dict[str, Fingerprint] = field(default_factory=dict)
    present: datetime | None = None
    passed: timedelta = timedelta(0)
    fields: dict[str, Fields] = field(default_factory=dict)
    told: list[BaseException] = field(default_factory=list)

    def setting(self) -> Setting:
        """What a replica is given when it is provisioned now."""
        assumed = self.plan.loaded.scenario.recover.assume
        return Setting(
            stack=self.plan.loaded.stack,
            folder=self.plan.loaded.folder,
            sandbox=self.sandbox,
            clock=self.clock,
            peers=dict(self.endpoints),
            assumed=sum((time for _, time in assumed if time is not None), timedelta(0)),
        )

    def lease(self, service: str, purpose: str = "") -> Lease:
        """Write a lease down, in the journal and where ``sweep`` looks, before anything of it exists."""
        name = f"{service}@{purpose}" if purpose else service
        lease = Lease(
            run_id=self.sandbox.run_id,
            service=name,
            kind=self.plan.drivers[service],
            directory=self.sandbox.root / name,
        )
        note_lease(self.sandbox, lease)
        self.journal.write(Leased(lease=lease))
        self.journal.sync()
        self.leases.append(lease)
        lease.directory.mkdir()
        lease.directory.chmod(0o711)
        return lease

    def release_all(self) -> None:
        """Destroy every replica of the run, the newest first, and say so. One that fails stops no other.

        Their processes go before them, all at once: each would look through those that the others still have.
        But those in containers are their engine's to end.
        """
        if not self.leases:
            return
        with ExitStack() as each:
            while self.leases:
                each.callback(self._release, self.leases.pop(0))
            if not self.plan.runs_containers:
                each.callback(stop_run, self.sandbox.run_id, self.sandbox.root)

    def check_marker(self, service: str) -> None:
        """Ask a replica whose it is.

        Raises:
            NotOursError: it is not this run's.
        """
        endpoint = self.endpoints[service]
        marker = self.plan.replicas[service].read_marker(endpoint)
        ours = marker == endpoint.lease.marker
        self.journal.write(MarkerRead(service=service, marker=marker, ours=ours))
        if not ours:
            raise NotOursError(
                f"{service} answers with the marker {marker!r}, not {endpoint.lease.marker!r}",
                hint="something else took over its address; nothing was sent to it; run the drill again",
            )

    def store(self, service: str) -> ObjectStore:
        """The operator's view of an S3 service."""
        return ObjectStore(self.endpoints[service])

    def keep_script_logs(self) -> None:
        """Keep with the run what the team's own backup scripts have printed."""
        clean = self.redactor().clean_log
        for name, protection in self.plan.loaded.stack.protections.items():
            if isinstance(protection, CommandBackup):
                keep_logs(self.sandbox.root, self.journal.folder, clean, f"{protection.of}/{name}")

    def redactor(self) -> Redactor:
        """Knows the credentials of every replica that is there by now."""
        return Redactor(self.endpoints.values())

    def _release(self, lease: Lease) -> None:
        self.plan.replicas[lease.service.partition("@")[0]].destroy(lease)
        self.journal.write(Released(service=lease.service))


def tell(journal: Journal, phase: Phase | None, error: BaseException, redactor: Redactor) -> None:
    """Write down what went wrong, without a credential, whatever it was and wherever it came from."""
    if isinstance(error, KeyboardInterrupt):
        journal.write(Interrupted(phase=phase))
        return
    if isinstance(error, ScenarioError):
        places = (f"{p.file}:{p.line}:{p.column}: {p.key}: {p.message}" for p in error.problems)
        detail, hint = "; ".join(places), error.problems[0].hint
    elif isinstance(error, HarnessError):
        detail, hint = error.message, error.hint
    else:
        detail, hint = str(error), ""
    detail, hint = redactor.clean_log(detail), redactor.clean_log(hint)
    if not isinstance(error, HarnessError):
        detail = detail[:LONGEST_DETAIL]
    journal.write(FaultSeen(phase=phase, kind=type(error).__name__, detail=detail, hint=hint))


@contextmanager
def phase(ground: Ground, name: Phase) -> Iterator[None]:
    """One phase of the run: bracketed in the journal, on disk when it ends, however it ends."""
    ground.journal.write(PhaseStarted(phase=name))
    ok = False
    try:
        with told(ground, name):
            yield
        ok = True
    finally:
        ground.journal.write(PhaseEnded(phase=name, ok=ok))
        ground.journal.sync()


@contextmanager
def told(ground: Ground, phase: Phase | None = None) -> Iterator[None]:
    """Whatever ends the block is in the journal, in plain words, and the servers' logs are kept."""
    try:
        yield
    except BaseException as caught:
        if caught in ground.told:
            raise
        error = in_plain_words(caught)
        _keep_logs(ground, error)
        ground.told.append(error)
        tell(ground.journal, phase, error, ground.redactor())
        if error is caught:
            raise
        raise error from caught


def _keep_logs(ground: Ground, error: BaseException) -> None:
    """Keep what the servers said of a fault, and have its message and hint name the place where that is."""
    if not isinstance(error, Exception):
        return  # somebody stopped the run; nothing has to be looked into
    redactor = ground.redactor()
    root, folder = ground.sandbox.root, ground.journal.folder
    keep_logs(root, folder, redactor.clean_log)
    if isinstance(error, HarnessError):
        error.message = redactor.clean_log(where_kept(error.message, root, folder))
        error.hint = redactor.clean_log(where_kept(error.hint, root, folder))
