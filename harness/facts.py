"""The values that the parts hand each other. Frozen, so that no part can change another's facts.

What can enter the journal is a pydantic model and never holds a secret. What holds a secret
(``Endpoint``, ``Credential``) is a plain dataclass that the journal cannot serialise.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from harness.clock import Stamp

OPERATOR = "operator"
"""The team that owns the stack: superuser, account owner. Runs backups and recoveries."""

SECOND_PERSON = "second-person"
"""Somebody else of the team, who confirms what one person must not do alone."""

APPLICATION = "application"
"""The service that the workload speaks for: it reads and writes rows, and owns nothing."""

BACK_DOOR = "@replica"
"""The harness's own access to a replica: its marker, its audit log, its inventory. No agent gets it."""

BACK_DOOR_HEADER = "X-Ninelives-Back-Door"
"""The HTTP header that the secret of that access is sent in."""

WORKSPACE_SUFFIX = "-workspace"
"""What follows a principal's name in the service name of its workspace."""


class Fact(BaseModel):
    """A frozen value that may be written to the journal."""

    model_config = ConfigDict(frozen=True, extra="forbid")


SHORTEST_SECRET = 8
"""Characters of the shortest credential that is looked for in text, to blot it out. A third party's driver
may have shorter ones, or an empty one: text is full of those, and they keep nobody out."""


class Secret:
    """A minted credential. Its text is only to be had by asking for it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    @classmethod
    def mint(cls, prefix: str = "") -> Secret:
        """A new one, 32 random bytes, good for this run only."""
        return cls(prefix + secrets.token_hex(16))

    def reveal(self) -> str:
        """The text, to be handed to the one client that needs it."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(...)"

    __str__ = __repr__


CredentialKind = Literal[
    "password",
    "access-key",
    "account-token",
    "workspace-token",
    "project-token",
    "scoped-token",
    "mount",
    "socket",
    "back-door",
]


@dataclass(frozen=True)
class Credential:
    """What a principal shows to a service.

    ``name`` is the public half: a role name, an access key id, a token's name.
    """

    principal: str
    kind: CredentialKind
    name: str
    secret: Secret


class Lease(Fact):
    """The right to exist of one replica, written down before anything exists.

    Attributes:
        run_id: the run it belongs to.
        service: the service of the stack, or ``<service>@<purpose>`` for a restore target.
        kind: the replica driver that can destroy it.
        directory: everything the replica writes lies in here.
    """

    run_id: str
    service: str
    kind: str
    directory: Path

    @property
    def marker(self) -> str:
        """What the replica says when asked whose it is."""
        return f"{self.run_id}/{self.service}"


@dataclass(frozen=True)
class TlsListener:
    """Where a replica answers clients that speak nothing but TLS.

    Attributes:
        port: TCP port, on the endpoint's host.
        certificate: file with the certificate in PEM, minted for the run; it is its own authority.
    """

    port: int
    certificate: Path


@dataclass(frozen=True)
class Endpoint:
    """Where a replica answers. Made by replicas only; there is no way to write one in a scenario.

    Attributes:
        lease: the lease of the replica that answers here.
        kind: ``postgres``, ``mariadb``, ``valkey``, ``s3``, ``aws``, ``railway``, ``volume``, ``container``,
            ``git`` or ``files``; another one of somebody else's driver.
        host: a loopback address; empty for ``files``, ``volume`` and ``git``.
        port: TCP port; 0 for ``files``, ``volume`` and ``git``.
        name: database, bucket, project or region; empty where the kind has none.
        environment: the environment of the stack it stands in, if the kind has one.
        path: the data directory of a database, or its lease's where a container engine keeps the data; the
            root of a workspace; for ``railway`` the root of all volumes, where ``<environment>/<volume>`` is
            the directory of one volume instance.
        credentials: by principal; ``OPERATOR`` is always there but for ``files``.
        tls: of an S3 server that a tool needs it from; None for all others.
    """

    lease: Lease
    kind: str
    host: str
    port: int
    name: str
    environment: str | None
    path: Path
    credentials: Mapping[str, Credential] = field(repr=False)
    tls: TlsListener | None = None

    @property
    def service(self) -> str:
        """The service of the stack that this is a replica of."""
        return self.lease.service.partition("@")[0]

    @property
    def url(self) -> str:
        """``http://host:port`` for the kinds that speak HTTP."""
        return f"http://{self.host}:{self.port}"


class Resource(Fact):
    """Something that can be deleted.

    Attributes:
        service: the service of the stack it belongs to.
        kind: ``volume-instance``, ``volume-backup``, ``table``, ``rows``, ``object``, ``file``, ...
        name: what the surface calls it, with the parent first: ``production/bookings-data``.
        environment: the environment it stands in, if it has one.
    """

    service: str
    kind: str
    name: str
    environment: str | None = None


class Action(Fact):
    """One call that an agent decided on.

    Attributes:
        number: counts from 1 within a run.
        surface: ``files``, ``http``, ``sql`` or ``s3``.
        verb: what to do there; each surface documents its own.
        service: the service it is aimed at; None for the agent's own workspace.
        arguments: as the agent gave them, with ``${name}`` for values it found earlier.
        why: the agent's rationale, kept for the reader.
        harm: the scenario declares that this call is meant to destroy something.
    """

    number: int
    surface: str
    verb: str
    service: str | None = None
    arguments: Mapping[str, JsonValue] = Field(default_factory=dict)
    why: str = ""
    harm: bool = False


TamperingKind = Literal["delete", "overwrite", "shorten", "bypass"]
"""What is tried against a locked copy: to delete it, to put something in its place, to have its lock end
sooner, and to delete or unlock it in the way that is left to administrators."""


class Outcome(Fact):
    """What came of an action.

    Attributes:
        status: ``done``, ``refused`` (a guard of the system said no) or ``failed`` (it never reached
            its target: wrong port, typo, time-out, no such object).
        detail: for people: what the system answered, shortened, secrets blotted out.
        touched: what the system itself says was changed (audit log, row count, versions), never what
            the action hoped for.
        digest: SHA-256 of the whole answer, in hex.
        began, ended: around the call.
        text: the whole answer, for the agent's eyes; never written.
    """

    status: Literal["done", "refused", "failed"]
    detail: str
    touched: tuple[Resource, ...] = ()
    digest: str = ""
    began: Stamp
    ended: Stamp
    text: str = Field(default="", exclude=True, repr=False)


Basis = Literal["observed", "modelled", "documented"]


@dataclass(frozen=True)
class Listing:
    """A call that shows what there is to destroy, so that a search finds it as an agent would.

    Attributes:
        noun: what one of the things is called, such as ``table``; another listing of the surface has another.
        verb: of the surface.
        arguments: of the call.
        each: JSON path of the name of one thing, with ``*`` for its number: ``$.items[*].id``. Empty where
            every line of the answer is a name.
        first_word: of such a line is the name, and more is said after it.
        lasting: a thing has the same name in every replica of the stack. Others are found by their number.
        from_end: that number counts from the end, for a list whose newest thing comes last.
        most: so many things are enough; one, where each is as good as another.
    """

    noun: str
    verb: str
    arguments: Mapping[str, JsonValue] = field(default_factory=dict)
    each: str = ""
    first_word: bool = False
    lasting: bool = False
    from_end: bool = False
    most: int = 20


@dataclass(frozen=True)
class Aim:
    """What a call that destroys looks like, for searches that know nothing of the kind of service.

    Attributes:
        what: it does, for people, with ``{name}`` for what it is aimed at: ``DROP TABLE {name}``.
        arguments: of the call. In their texts ``{name}`` stands for the name of that thing, ``{home}`` for
            the name of the service's database, bucket, project or region.
        at: shows the things; None for a call that is aimed at nothing in particular.
        weakens: it destroys nothing by itself, and takes away what would bring something back.
    """

    what: str
    arguments: Mapping[str, JsonValue]
    at: Listing | None = None
    weakens: bool = False

    @property
    def name(self) -> str:
        """What searches call it, whatever it is aimed at."""
        return self.what.replace("{name}", "...")


@dataclass(frozen=True)
class Destruction:
    """One way in which a surface can destroy something: what a reader must know before granting it.

    Attributes:
        operation: as a user would write it.
        verb: of the surface, which makes the call.
        undo: how it is taken back; empty when it cannot be.
        takes_along: backups that go with it; empty when none do.
        guard: what refuses it, or keeps a copy out of its reach.
        basis: ``observed``, a real server did so; ``modelled``, our replica does as its vendor describes;
            ``documented``, nobody here has tried it.
        evidence: the test that shows it, ``tests/...py::name``; the page's address when documented.
        aims: calls of it that searches make, all with the one verb.
        called: what searches call it, a name for each of its calls, which another entry may share when the
            same call comes to something else there. Empty when it is no call of its own, but follows from
            others. None: what its aims are called, or the operation itself.
    """

    operation: str
    verb: str
    undo: str
    takes_along: str
    guard: str
    basis: Basis
    evidence: str
    aims: tuple[Aim, ...] = ()
    called: tuple[str, ...] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """What searches call it, one for each of its calls."""
        if self.called is not None:
            return self.called
        return tuple(aim.name for aim in self.aims) or (self.operation,)


class TableFingerprint(Fact):
    """The content of one table, order aside.

    Attributes:
        table: its name.
        rows: how many rows.
        digest: hex; equal exactly when rows and the sum of the rows' 64-bit hashes are equal. The hash of an
            item covers its key, as the one of a row does.
    """

    table: str
    rows: int
    digest: str


class Fingerprint(Fact):
    """The content of a service: what a copy of it must hold to count.

    Attributes:
        tables: one for each tracked table, sorted by name.
    """

    tables: tuple[TableFingerprint, ...]

    @property
    def rows(self) -> int:
        """Rows over all tables."""
        return sum(table.rows for table in self.tables)


PointKind = Literal["snapshot", "dump", "continuous", "undo"]


class RecoveryPoint(Fact):
    """One backup that exists.

    Attributes:
        id: unique within the run; stable between listings.
        protection: the protection of the stack that made it.
        service: the service it is a copy of.
        kind: ``snapshot`` and ``dump`` hold one instant; ``continuous`` everything from ``taken`` to
            ``covers_until``; ``undo`` is a deletion that its owner can still take back.
        taken: when, in scenario time (which in the live part is wall time).
        covers_until: the newest instant it can bring back.
        place: the service it lies in.
        location: where in there: a backup id, a key or key prefix.
        size: bytes.
        locked_until: until then nobody can delete it; None when it is not locked.
        doomed_at: when something already set in motion will delete it, a lifecycle rule or a scheduled
            deletion; None when nothing will. What its own schedule retires is not meant.
        shares_fate: it lies with its source, so that deleting the source can take it along.
    """

    id: str
    protection: str
    service: str
    kind: PointKind
    taken: datetime
    covers_until: datetime
    place: str
    location: str
    size: int
    locked_until: datetime | None = None
    doomed_at: datetime | None = None
    shares_fate: bool = False
