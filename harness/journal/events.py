"""The events of a run, one frozen model each, told apart by ``event``.

They record observations. Nothing here is a verdict, and nothing here is a secret: where an answer
could hold one, only its digest is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from harness.clock import Stamp
from harness.errors import USERS_MISTAKES
from harness.facts import (
    Action,
    Fact,
    Fingerprint,
    Lease,
    Outcome,
    RecoveryPoint,
    Resource,
    TamperingKind,
)
from harness.journal.roll import Enrolled

SCHEMA_VERSION = 1

Phase = Literal[
    "provision",
    "backfill",
    "steady-state",
    "act",
    "assess",
    "recover",
    "verify",
    "prove",
    "try",
    "teardown",
]
Part = Literal["detect", "decide", "provision", "restore", "replay", "verify", "reconnect"]


class RunStarted(Fact):
    """First event of every run."""

    event: Literal["run-started"] = "run-started"
    schema_version: int = SCHEMA_VERSION
    run_id: str
    scenario: str
    digest: str = Field(description="of the scenario, its stack and every file they name")
    version: str = Field(description="of ninelives")
    provider: str
    machine: str = Field(description="operating system, processor count")
    resolved_sha256: str = Field("", description="of the stored scenario.json; empty when none is stored")
    enrolled: Enrolled | None = Field(None, description="its line of the roll of runs, with its number")


class PhaseStarted(Fact):
    event: Literal["phase-started"] = "phase-started"
    phase: Phase


class PhaseEnded(Fact):
    """A phase is over. ``ok`` says that it did its work, not that anything held."""

    event: Literal["phase-ended"] = "phase-ended"
    phase: Phase
    ok: bool
    detail: str = ""


class Leased(Fact):
    """Written, and on disk, before the replica exists."""

    event: Literal["leased"] = "leased"
    lease: Lease


class Provisioned(Fact):
    """A replica answers."""

    event: Literal["provisioned"] = "provisioned"
    service: str
    kind: str
    seconds: float
    description: Mapping[str, str] = Field(default_factory=dict)


class MarkerRead(Fact):
    """A replica was asked whose it is."""

    event: Literal["marker-read"] = "marker-read"
    service: str
    marker: str
    ours: bool


class Released(Fact):
    """A replica is gone."""

    event: Literal["released"] = "released"
    service: str


class SlicePlayed(Fact):
    """One slice of the past was inserted."""

    event: Literal["slice-played"] = "slice-played"
    start: datetime
    end: datetime
    rows: int


class PointTaken(Fact):
    """A backup was made; ``content`` is what its source held at that moment."""

    event: Literal["point-taken"] = "point-taken"
    point: RecoveryPoint
    content: Fingerprint | None = None
    seconds: float


class WorkloadStarted(Fact):
    event: Literal["workload-started"] = "workload-started"
    pid: int
    users: int
    rate: float


class Probed(Fact):
    """A service began or ceased to answer (only changes are written)."""

    event: Literal["probed"] = "probed"
    service: str
    up: bool
    at: Stamp
    detail: str = ""


class SteadyStateChecked(Fact):
    """Whether all was well before the agent acted."""

    event: Literal["steady-state-checked"] = "steady-state-checked"
    ok: bool
    acknowledged: int
    failed: int
    seconds: float
    detail: str = ""


class WitnessTaken(Fact):
    """Keys, hashes and times of every tracked row were read and stored."""

    event: Literal["witness-taken"] = "witness-taken"
    service: str
    file: str
    sha256: str
    content: Fingerprint
    before: Stamp = Field(description="the read's snapshot is not older than this")
    after: Stamp = Field(description="... and not newer than this")


class InventoryTaken(Fact):
    """What was there to delete."""

    event: Literal["inventory-taken"] = "inventory-taken"
    moment: Literal["before", "after"]
    service: str
    resources: tuple[Resource, ...]


class AgentStarted(Fact):
    event: Literal["agent-started"] = "agent-started"
    principal: str | None
    kind: str
    goal: str


class ActionDecided(Fact):
    """Written before the call is made."""

    event: Literal["action-decided"] = "action-decided"
    action: Action


class ActionEnded(Fact):
    event: Literal["action-ended"] = "action-ended"
    number: int
    outcome: Outcome
    found: tuple[str, ...] = Field((), description="names of the values it found, never the values")


class AgentEnded(Fact):
    event: Literal["agent-ended"] = "agent-ended"
    actions: int
    detail: str = ""


class ServiceSeen(Fact):
    """Whether a service answers after the agent is done."""

    event: Literal["service-seen"] = "service-seen"
    service: str
    alive: bool
    damaged: bool = Field(description="dead, or its inventory shrank, or an action touched it")
    detail: str = ""


class PointSeen(Fact):
    """A recovery point is still there after the agent is done."""

    event: Literal["point-seen"] = "point-seen"
    point: RecoveryPoint


class PointMissing(Fact):
    """A recovery point that existed is there no more."""

    event: Literal["point-missing"] = "point-missing"
    point_id: str


class RecoveryStarted(Fact):
    """The team begins to recover; what people take before that is assumed, if declared."""

    event: Literal["recovery-started"] = "recovery-started"
    service: str
    strategy: str
    needed: bool = Field(description="False when nothing was damaged")
    assumed: Mapping[str, float] = Field(
        default_factory=dict, description="seconds of detect and decide that the scenario declares"
    )


class RestoreTried(Fact):
    """A restore for the recovery, or for the proof of a copy, ended well or not."""

    event: Literal["restore-tried"] = "restore-tried"
    point_id: str
    purpose: Literal["recovery", "proof"]
    ok: bool
    detail: str = ""
    parts: Mapping[str, float] = Field(default_factory=dict, description="seconds of each part")


class ContentCompared(Fact):
    """What a restored copy holds, beside what its source held when it was taken."""

    event: Literal["content-compared"] = "content-compared"
    point_id: str
    taken: Fingerprint | None = Field(description="None for continuous copies: they cover a span")
    restored: Fingerprint
    newest: datetime | None = Field(description="time of the newest write in the restored copy")
    file: str = Field("", description="rows that differ from what is called for, as in ContentVerified")
    sha256: str = ""


class Reconstructed(Fact):
    """Rows rebuilt from a third party's records, counted against witness and ledger."""

    event: Literal["reconstructed"] = "reconstructed"
    records: int
    seconds: float
    tables: tuple[RebuiltTable, ...]


class RebuiltTable(Fact):
    """How much of one table a reconstruction brought back.

    ``fields`` counts the values of the rows that were lost; ``fields_equal`` those that came back as
    they were. Both count the columns of the table, the key aside.
    """

    table: str
    lost: int
    rebuilt: int
    fields: int
    fields_equal: int


class RunbookPlayed(Fact):
    """The team's own restore script has ended."""

    event: Literal["runbook-played"] = "runbook-played"
    script: str
    exit_code: int
    seconds: float
    log: str = Field(description="what it printed, in the run folder")
    detail: str = Field(description="why the service is not back; empty when it may be")


class Recovered(Fact):
    """The first verified answer of the recovered service at its own endpoint."""

    event: Literal["recovered"] = "recovered"
    service: str
    ok: bool
    point_id: str | None = Field(None, description="None when it did not come back from a copy of ours")
    at: Stamp
    parts: Mapping[str, float] = Field(default_factory=dict, description="measured seconds of each part")
    detail: str = ""


class WorkloadStopped(Fact):
    """The ledger is complete."""

    event: Literal["workload-stopped"] = "workload-stopped"
    file: str
    sha256: str
    entries: int
    exit_code: int
    raised: str = Field("", description="the last exception of the locustfile, and where it came from")


class ContentVerified(Fact):
    """Raw comparison of the recovered service with witness and ledger.

    The file lists each row that differs from what witness and ledger call for: table, key, hash and
    time as found, or a null hash where the row is missing.
    """

    event: Literal["content-verified"] = "content-verified"
    service: str
    content: Fingerprint
    file: str
    sha256: str
    rows: int


class InvariantChecked(Fact):
    event: Literal["invariant-checked"] = "invariant-checked"
    name: str
    rows: int
    sample: tuple[str, ...] = ()
    error: str = ""


class AccessTried(Fact):
    """A credential that is to be kept out was tried on the service once that had been recovered."""

    event: Literal["access-tried"] = "access-tried"
    service: str
    principal: str
    of: str = Field(description="the service whose credential of that principal it is")
    target: str = Field(description="what was to be deleted")
    outcome: Outcome


class LogEntry(Fact):
    """One entry of a service's own log.

    Attributes:
        at: as the log says.
        principal: whose credential it names; the name itself when it is nobody's of this run.
        text: what was done, secrets blotted out; the beginning of it when it is very long.
        whole: whether ``text`` is all of it.
    """

    at: datetime
    principal: str
    text: str
    whole: bool = True


class LogRead(Fact):
    """The log of the drill's service was read after the agent was done."""

    event: Literal["log-read"] = "log-read"
    service: str
    principal: str = Field(description="whose deeds are looked for")
    mark: str = Field(description="a name that only a call of ours has, made with the principal's credential")
    call: Outcome = Field(description="of that call, without which a silent log would prove nothing")
    entries: tuple[LogEntry, ...] = Field(
        description="since the agent began, of this principal or with that mark"
    )


class LogTampered(Fact):
    """The principal tried to write over the log, or to end it."""

    event: Literal["log-tampered"] = "log-tampered"
    service: str
    principal: str
    what: str
    outcome: Outcome


class TamperingTried(Fact):
    """Somebody tried to do away with a locked copy, or with its lock, once all else was over."""

    event: Literal["tampering-tried"] = "tampering-tried"
    point_id: str
    principal: str = Field(description="whose credential was used")
    what: TamperingKind
    target: str = Field(description="the part of the copy that it was aimed at")
    outcome: Outcome


class PointChecked(Fact):
    """Whether a copy is there after all that was tried against it."""

    event: Literal["point-checked"] = "point-checked"
    point: RecoveryPoint = Field(description="as it was before")
    found: RecoveryPoint | None = Field(description="as it is listed now; None when it is not")


class DeletionTried(Fact):
    """A principal tried to delete something that was made for it, or somebody to confirm that."""

    event: Literal["deletion-tried"] = "deletion-tried"
    service: str
    call: str = Field(description="the operation that deletes")
    target: str = Field(description="what was made to be deleted")
    step: Literal["alone", "own", "second"] = Field(
        description="the deletion, its confirmation by who asked for it, or by a second person"
    )
    principal: str = Field(description="whose credential was used")
    answer: Literal["", "waits", "own"] = Field(
        description="that it waits to be confirmed, that who asked must not confirm, or something else"
    )
    outcome: Outcome
    stands: bool = Field(description="whether the system itself lists the target after that")


class Answered(Fact):
    """A search through many trials or runs has come to an answer, which lies beside the journal."""

    event: Literal["answered"] = "answered"
    file: str
    sha256: str


class FaultSeen(Fact):
    """Something of the harness or its tools failed. It never counts for or against an objective."""

    event: Literal["fault-seen"] = "fault-seen"
    phase: Phase | None
    kind: str
    detail: str
    hint: str = ""

    @property
    def users(self) -> bool:
        """Whether it is the user's to mend, in the scenario's files."""
        return any(self.kind == error.__name__ for error in USERS_MISTAKES)


class Interrupted(Fact):
    event: Literal["interrupted"] = "interrupted"
    phase: Phase | None


class RunEnded(Fact):
    """Last event of every run that was not killed."""

    event: Literal["run-ended"] = "run-ended"
    seconds: float
    harness_cpu: float = Field(description="CPU seconds of the harness process itself")


Reconstructed.model_rebuild()

Event = Annotated[
    RunStarted
    | PhaseStarted
    | PhaseEnded
    | Leased
    | Provisioned
    | MarkerRead
    | Released
    | SlicePlayed
    | PointTaken
    | WorkloadStarted
    | Probed
    | SteadyStateChecked
    | WitnessTaken
    | InventoryTaken
    | AgentStarted
    | ActionDecided
    | ActionEnded
    | AgentEnded
    | ServiceSeen
    | PointSeen
    | PointMissing
    | RecoveryStarted
    | RestoreTried
    | ContentCompared
    | Reconstructed
    | RunbookPlayed
    | Recovered
    | WorkloadStopped
    | ContentVerified
    | InvariantChecked
    | AccessTried
    | LogRead
    | LogTampered
    | DeletionTried
    | TamperingTried
    | PointChecked
    | Answered
    | FaultSeen
    | Interrupted
    | RunEnded,
    Field(discriminator="event"),
]


class Line(Fact):
    """One line of the journal.

    Attributes:
        n: counts from 1.
        at: when it was written.
        prev: SHA-256, in hex, of the line before, as bytes without its newline; 64 zeros for the first.
        body: the event.
        own: SHA-256, in hex, of this very line with ``own`` left empty. It seals the last line, which no
            later ``prev`` vouches for.
    """

    n: int
    at: Stamp
    prev: str
    body: Event
    own: str = ""
