"""What a driver must be. Drivers of one kind never import each other; they meet here.

A driver says in its docstring what it raises. Capabilities are extra, small Protocols.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from subprocess import CompletedProcess
from typing import ClassVar, NamedTuple, Protocol, runtime_checkable

from pydantic import JsonValue

from harness.clock import Clock, Stamp
from harness.facts import (
    Action,
    Destruction,
    Endpoint,
    Fingerprint,
    Lease,
    Outcome,
    RecoveryPoint,
    Resource,
    TamperingKind,
)
from harness.journal.history import History
from harness.journal.record import RunRecord, Verdict
from harness.journal.witness import Lines
from harness.sandbox import Sandbox
from harness.scenario.models import Agent as AgentModel
from harness.scenario.models import LoadedScenario, Protection, Stack
from harness.seams.items import Item


@dataclass(frozen=True)
class Setting:
    """What a replica is provisioned into.

    Attributes:
        stack: the whole stack, guards applied.
        folder: where the stack's relative paths start.
        sandbox: how to start processes, and where to write.
        clock: where time comes from.
        peers: endpoints that exist already, by service.
        assumed: how long people take before a recovery begins. Nobody waits for it, so whatever would go on
            meanwhile has to be reckoned.
    """

    stack: Stack
    folder: Path
    sandbox: Sandbox
    clock: Clock
    peers: Mapping[str, Endpoint]
    assumed: timedelta = timedelta(0)


@runtime_checkable
class Replica(Protocol):
    """A disposable, real instance of a service."""

    def requires(self, stack: Stack, service: str) -> tuple[str, ...]:
        """The services that must be there first."""
        ...

    def provision(self, lease: Lease, setting: Setting) -> Endpoint:
        """Bring it up. Mints a credential for ``OPERATOR`` and for every principal with a grant."""
        ...

    def destroy(self, lease: Lease) -> None:
        """Leave no process and no file. Idempotent; works from the lease alone."""
        ...

    def read_marker(self, endpoint: Endpoint) -> str:
        """The marker of the lease, as the replica itself tells it."""
        ...

    def inventory(self, endpoint: Endpoint) -> tuple[Resource, ...]:
        """What can be deleted there, read by the operator. Empty when it does not answer."""
        ...

    def describe(self, endpoint: Endpoint) -> Mapping[str, str]:
        """Version, and the durability settings that a measured time depends on."""
        ...


class Memory(Protocol):
    """What one replica was like at one moment, and the way back to it, as often as it is wanted.

    It lies in the replica's lease, so that ``destroy`` takes it along.
    """

    def changed(self) -> bool:
        """Whether anything may be different from what it was, cheaply.

        True when that cannot be told, never False when something was changed. That the server has died
        counts as a change.
        """
        ...

    def reset(self) -> None:
        """Make everything as it was: content, settings, locks, credentials, at the same address.

        Whatever runs there is not asked. Services that it requires have been reset before.

        Raises:
            HarnessError: it cannot be brought back; the replica is of no use then.
        """
        ...


@runtime_checkable
class Resettable(Replica, Protocol):
    """A replica that can be brought back to what it was, which is faster than making another one."""

    def remember(self, endpoint: Endpoint, setting: Setting) -> Memory:
        """Keep what it is like now. Nobody else is at work on it meanwhile.

        Args:
            endpoint: from ``provision`` of this same instance of the driver.
            setting: as it was provisioned into.

        Raises:
            HarnessError: it cannot be kept.
        """
        ...


class Row(NamedTuple):
    """One row of a tracked table, or one item of a collection.

    Attributes:
        key: as text.
        hash: signed 64-bit hash of the whole row, the same on every server of that kind.
        time: of its last write; None when that is not known.
    """

    key: str
    hash: int
    time: datetime | None


class Vessel(Protocol):
    """A fresh replica, still empty, that a backup is restored into.

    Attributes:
        directory: where a physical restore puts its data; empty, and already handed to the account
            that the server runs as.
    """

    @property
    def lease(self) -> Lease: ...

    @property
    def directory(self) -> Path: ...

    def start(self, settings: Mapping[str, str] | None = None, *, timeout: float = 600.0) -> Endpoint:
        """Start a server on what lies in ``directory``; on a prepared, empty cluster if nothing does.

        Roles and passwords are those of the endpoint it stands in for.

        Args:
            settings: server settings on top of the usual ones.
            timeout: seconds until it must answer queries, replay included.

        Raises:
            RestoreError: the server does not start from what lies there.
        """
        ...

    def discard(self) -> None:
        """Stop it and remove everything. Idempotent."""
        ...


@runtime_checkable
class Following(Vessel, Protocol):
    """A vessel that can also hold a server that follows another one."""

    def follow(self, source: Endpoint, settings: Mapping[str, str], *, timeout: float = 600.0) -> Endpoint:
        """Start a standby on what lies in ``directory``, which is a base backup of ``source``.

        Args:
            source: the server that it receives its log from, as its operator.
            settings: server settings on top of the usual ones.
            timeout: seconds until it must answer queries.

        Raises:
            RestoreError: the server does not start from what lies there.
        """
        ...


@runtime_checkable
class EquippedVessel(Vessel, Protocol):
    """A vessel that brings programs of its own release along, which need not be the one of our wheel."""

    def release(self) -> int:
        """The major release of its server."""
        ...

    def call(self, command: Sequence[str | Path]) -> CompletedProcess[str]:
        """Run one of them to its end, where it sees the files of the lease.

        Raises:
            ProvisionError: it cannot be started.
        """
        ...


@runtime_checkable
class Store(Replica, Protocol):
    """A replica whose content can be compared and that backups can be restored into."""

    def probe(self, endpoint: Endpoint) -> None:
        """Ask it for an answer on a new connection, within a second; raises when there is none."""
        ...

    def alive(self, endpoint: Endpoint) -> bool:
        """Whether ``probe`` answers."""
        ...

    def fingerprint(self, endpoint: Endpoint, tables: Sequence[str]) -> Fingerprint:
        """The content of the tracked tables or collections, all of one instant."""
        ...

    def rows(self, endpoint: Endpoint, table: str, key: str, time: str | None) -> Iterator[Row]:
        """Every row of a tracked table, in key order; without times when no column has them.

        Collections have no columns, so both are empty.
        """
        ...

    def fence(self, endpoint: Endpoint) -> None:
        """Stop what is left of it, so that it acknowledges nothing more. Idempotent."""
        ...

    def vessel(self, lease: Lease, like: Endpoint, setting: Setting, *, replace: bool) -> Vessel:
        """A fresh replica for a restore.

        Args:
            lease: of the new replica.
            like: the endpoint whose database, roles and passwords it takes on.
            setting: as for ``provision``.
            replace: answer at ``like``'s own host and port, which must have been fenced.
        """
        ...


@runtime_checkable
class Dictating(Store, Protocol):
    """A store whose server puts its rows into the lines of a witness, which spares doing so one by one."""

    def lines(self, endpoint: Endpoint, table: str, key: str, time: str | None) -> Iterator[Lines]:
        """The same as ``rows``, as ``harness.journal.witness`` writes them down."""
        ...


@runtime_checkable
class DiskReader(Store, Protocol):
    """A store whose servers keep their files where only an engine can read them."""

    def read_disk(self, endpoint: Endpoint, pattern: str, into: Path, setting: Setting) -> None:
        """Copy what lies on a server's disk now, whether it runs or not; nothing if its disk is gone.

        Args:
            endpoint: of the server.
            pattern: of names in its data directory, with ``*``.
            into: where to; an empty directory inside the run's own.
            setting: of the run.

        Raises:
            ProvisionError: it cannot be read.
        """
        ...


@runtime_checkable
class Database(Store, Protocol):
    """A store that speaks SQL."""

    def execute(self, endpoint: Endpoint, script: str, values: Mapping[str, object]) -> None:
        """Run a SQL file as the operator; ``:name`` stands for a value, quoted as a literal."""
        ...

    def query(
        self, endpoint: Endpoint, statement: str, values: Mapping[str, object]
    ) -> Sequence[tuple[object, ...]]:
        """Rows of one statement, as the operator; ``:name`` as in ``execute``."""
        ...

    def columns(self, endpoint: Endpoint) -> Mapping[str, Sequence[str]]:
        """The columns of every table, in their order."""
        ...

    def tells_apart(self, endpoint: Endpoint, table: str, column: str) -> bool:
        """Whether every row of a table has a value in a column, and no other row has the same."""
        ...

    def newest(self, endpoint: Endpoint, table: str, time: str) -> datetime | None:
        """The newest time in a column; None when there is none."""
        ...


@dataclass(frozen=True)
class Logged:
    """One entry of a service's own log of what was done to it.

    Attributes:
        at: as the log says.
        name: the public half of the credential that did it: a role.
        text: what was done.
    """

    at: datetime
    name: str
    text: str


@runtime_checkable
class Logging(Database, Protocol):
    """A database that may keep a log of statements."""

    def statements(self, endpoint: Endpoint) -> tuple[Logged, ...]:
        """What its log holds now, oldest first; whether the server still runs does not matter.

        Raises:
            DatabaseError: there is no log that could be read.
        """
        ...

    def against_log(self, endpoint: Endpoint) -> Mapping[str, str]:
        """Statements with which somebody would write over the log or end it, by what each would do."""
        ...


@runtime_checkable
class ItemStore(Store, Protocol):
    """A store of items: keys with a content that nobody looks into, in named collections."""

    def fill(self, endpoint: Endpoint, items: Iterable[Item]) -> None:
        """Put items of the past there as the operator, dated as they say where the kind has dates.

        Raises:
            DatabaseError: it does not answer, or takes no more.
        """
        ...


@runtime_checkable
class Reopening(Store, Protocol):
    """A store that still serves what it held when it was fenced, to whoever restores from it."""

    def reopen(self, endpoint: Endpoint, setting: Setting) -> Endpoint:
        """Serve what a fenced one holds at an address that only the caller knows.

        Args:
            endpoint: the one that was fenced; one that was not is given back as it is.
            setting: as for ``provision``.

        Raises:
            DatabaseError: nothing is left of it.
            ProvisionError: it does not come up again.
        """
        ...


class Surface(Protocol):
    """An API through which a principal acts.

    Attributes:
        destructive: what can be destroyed through it, and what would prevent it; for people.
    """

    destructive: ClassVar[tuple[Destruction, ...]]

    def perform(self, action: Action, arguments: Mapping[str, object]) -> Outcome:
        """Make the call, with the principal's own credentials.

        Args:
            action: as it will stand in the journal.
            arguments: the action's arguments with the values found earlier put in.

        Returns:
            The outcome; a call that could not be made is ``failed``, never an exception.
        """
        ...


@runtime_checkable
class Lingering(Surface, Protocol):
    """A surface that can keep open what it has, for the many calls of a search."""

    def linger(self) -> None:
        """From now on, keep it from one call to the next, if it is in the way of no call."""
        ...

    def leave(self) -> None:
        """Close it. Idempotent."""
        ...


class SurfaceFactory(Protocol):
    """Makes the surface of one principal on one endpoint."""

    def __call__(self, principal: str, endpoint: Endpoint, clock: Clock) -> Surface: ...


class Agent(Protocol):
    """What decides the next action."""

    def next_action(self, outcomes: Sequence[Outcome]) -> Action | None:
        """The next action, or None when it is finished.

        Args:
            outcomes: of all its actions so far, in order.
        """
        ...

    def arguments(self, action: Action) -> Mapping[str, object]:
        """The action's arguments with found values put in; these are never written.

        Raises:
            WithheldError: a value that the action needs was withheld by a guard, which counts as a refusal.
            HarnessError: a value that the action needs was never found, which proves nothing.
        """
        ...

    def found(self, number: int) -> tuple[str, ...]:
        """Names of the values that the agent found in the outcome of that action."""
        ...


class AgentFactory(Protocol):
    """Makes an agent from what the scenario says of it."""

    def __call__(self, model: AgentModel) -> Agent: ...


@dataclass(frozen=True)
class Due:
    """A recovery point that retention would still keep, to be taken when the backfill passes it."""

    at: datetime
    label: str


class BackupTool(Protocol):
    """A backup mechanism of the stack, at work for one protection."""

    def due(self, now: datetime, span: timedelta) -> tuple[Due, ...]:
        """The points of the last ``span`` that retention has kept until ``now``, oldest first."""
        ...

    def take(self, due: Due) -> RecoveryPoint:
        """Take one, dated ``due.at``.

        Raises:
            BackupError: it was not written, or cannot be read back.
        """
        ...

    def start(self) -> None:
        """Begin what runs all the time (shipping WAL); nothing for the others."""
        ...

    def stop(self) -> None:
        """End it. Idempotent."""
        ...

    def points(self) -> tuple[RecoveryPoint, ...]:
        """What exists now, read from where it lies, newest ``covers_until`` first."""
        ...

    def restore(self, point: RecoveryPoint, into: Vessel, mark: PartTimer) -> Endpoint:
        """Bring a point back into an empty replica, and start it.

        Args:
            point: from ``points``.
            into: where to.
            mark: call ``mark("provision")``, ``mark("restore")``, ``mark("replay")`` as each part begins.

        Raises:
            RestoreError: truncated, empty, missing, locked away, or not accepted by the server.
        """
        ...


@runtime_checkable
class PointInTime(BackupTool, Protocol):
    """A tool that can stop a restore at any instant that its point covers."""

    def restore_to(
        self, point: RecoveryPoint, into: Vessel, mark: PartTimer, until: datetime | None
    ) -> Endpoint:
        """As ``restore``, but nothing that was committed after ``until``: what came then is undone.

        Args:
            point, into, mark: as for ``restore``.
            until: wall time of the live part; None, or an instant after the last commit, for all there is.
        """
        ...


@dataclass(frozen=True)
class Tampering:
    """One call with which somebody would do away with a copy, or with what protects it.

    Attributes:
        what: it would do.
        target: the part of the copy that it is aimed at.
        surface, verb, arguments: the call.
    """

    what: TamperingKind
    target: str
    surface: str
    verb: str
    arguments: Mapping[str, JsonValue]


@runtime_checkable
class Tamperable(BackupTool, Protocol):
    """A tool that knows how somebody would destroy its copies where they lie."""

    def tamperings(self, point: RecoveryPoint) -> tuple[Tampering, ...]:
        """The calls to make in ``point.place``, part by part; those that destroy come last of each part.

        Args:
            point: from ``points``, locked.

        Raises:
            BackupError, RestoreError: what the copy consists of cannot be listed, or is not whole.
        """
        ...


@dataclass(frozen=True)
class Request:
    """A call on a surface.

    Attributes:
        surface, verb, arguments: the call.
    """

    surface: str
    verb: str
    arguments: Mapping[str, JsonValue]


@dataclass(frozen=True)
class Decoy:
    """Something that was made to be deleted.

    Attributes:
        call: the operation that deletes it.
        resource: as the inventory lists it, while it is there.
        deletion: the call.
    """

    call: str
    resource: Resource
    deletion: Request


@runtime_checkable
class Confirming(Protocol):
    """A replica on which deletions may have to be confirmed."""

    def inventory(self, endpoint: Endpoint) -> tuple[Resource, ...]:
        """As of a ``Replica``."""
        ...

    def decoys(self, endpoint: Endpoint, calls: Sequence[str], clock: Clock) -> tuple[Decoy, ...]:
        """Make something to be deleted by each of the calls, as the owner; what lies inside comes first.

        Args:
            endpoint: of the replica.
            calls: names of operations.
            clock: for waiting.

        Raises:
            ProvisionError: the service does not answer, or does not make it.
        """
        ...

    def waiting(self, outcome: Outcome) -> str | None:
        """Under which id a call waits to be confirmed; None when it does not."""
        ...

    def is_own(self, outcome: Outcome) -> bool:
        """Whether a confirmation was refused because whoever gave it had asked for the deletion."""
        ...

    def confirmation(self, id: str) -> Request:
        """The call that confirms what waits under an id."""
        ...


@runtime_checkable
class Rotating(BackupTool, Protocol):
    """A tool whose schedule and retention can be played on, as time passes."""

    def coming(self, present: datetime, since: datetime, until: datetime) -> tuple[Due, ...]:
        """The points that its schedule takes after ``since``, and not after ``until``, oldest first.

        Args:
            present: up to which the past was played; the first one comes one interval after it.
            since, until: later than that, or that itself.
        """
        ...

    def expire(self, now: datetime, *, taken: bool) -> None:
        """Remove for good what retention does not keep any longer, as far as no lock forbids it.

        Args:
            now: the date that it is, in scenario time.
            taken: a point has just been added. A tool that keeps so many removes none without one; one that
                keeps each for a time removes what is over all the same.

        Raises:
            BackupError: it cannot be seen what there is.
        """
        ...


class PartTimer(Protocol):
    """Told when the next part of a recovery begins."""

    def __call__(self, part: str) -> None: ...


class BackupFactory(Protocol):
    """Makes the tool of one protection."""

    def __call__(
        self,
        name: str,
        protection: Protection,
        source: Endpoint,
        store: Store,
        setting: Setting,
    ) -> BackupTool: ...


class Objective(Protocol):
    """Judges one objective from what was recorded. Pure."""

    def judge(self, scenario: LoadedScenario, history: History) -> Verdict: ...

    def tightest(self, scenario: LoadedScenario) -> LoadedScenario | None:
        """The same scenario with this objective's target so tight that only a perfect run meets it.

        ``ninelives check`` judges a run a second time with it: an objective that still holds cannot fail.
        None when no target makes the objective tighter.
        """
        ...


class Reporter(Protocol):
    """Writes one report of a run. Pure but for the file it writes.

    One with an attribute ``files``, names or patterns of what it writes, gives the same bytes for the same
    record: ``sign`` and ``verify`` write these again and compare them.
    """

    def render(self, record: RunRecord, out: Path) -> Path:
        """Write it into the folder ``out`` and return the file's path."""
        ...


__all__ = [
    "Agent",
    "AgentFactory",
    "BackupFactory",
    "BackupTool",
    "Database",
    "Due",
    "EquippedVessel",
    "Following",
    "ItemStore",
    "Lingering",
    "Logged",
    "Logging",
    "Memory",
    "Objective",
    "PartTimer",
    "PointInTime",
    "Reopening",
    "Replica",
    "Reporter",
    "Resettable",
    "Rotating",
    "Row",
    "Setting",
    "Stamp",
    "Store",
    "Surface",
    "SurfaceFactory",
    "Tamperable",
    "Tampering",
    "Vessel",
]
