"""What a user writes: a stack, and scenarios over it. There is no field for a URL, a DSN or a credential.

Every model forbids unknown keys. ``harness.scenario.load`` turns pydantic's complaints into
``file:line:column`` with a hint; ``harness.scenario.schema`` turns these models into a JSON Schema.
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    JsonValue,
    PlainSerializer,
    PrivateAttr,
    StringConstraints,
    Tag,
    WithJsonSchema,
)

DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
RATE = re.compile(r"(\d+(?:\.\d+)?)/(s|m)")


def parse_duration(value: Any) -> timedelta:
    """Turn ``15m``, ``90d`` or ``1h30m`` into a timedelta.

    Raises:
        ValueError: the text is not a chain of number and unit (ms, s, m, h, d, w).
    """
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str) or not re.fullmatch(rf"(?:{DURATION.pattern})+", value):
        raise ValueError("expected a duration such as 30s, 15m, 36h or 90d")
    return timedelta(seconds=sum(float(n) * SECONDS[unit] for n, unit in DURATION.findall(value)))


def format_duration(value: timedelta) -> str:
    """The shortest text that ``parse_duration`` reads back: ``1d12h``, ``15m``, ``0s``."""
    milliseconds = round(value.total_seconds() * 1000)
    text = ""
    for unit in ("d", "h", "m", "s", "ms"):
        count, milliseconds = divmod(milliseconds, round(SECONDS[unit] * 1000))
        text += f"{count}{unit}" if count else ""
    return text or "0s"


def parse_rate(value: Any) -> float:
    """Turn ``50/s`` or ``600/m`` into events per second.

    Raises:
        ValueError: the text is not a number, a slash and ``s`` or ``m``.
    """
    if isinstance(value, float):
        return value
    match = RATE.fullmatch(value) if isinstance(value, str) else None
    if match is None or float(match[1]) <= 0:
        raise ValueError("expected a rate above zero such as 50/s or 600/m")
    return float(match[1]) / SECONDS[match[2]]


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema(
        {"type": "string", "pattern": r"^(\d+(\.\d+)?(ms|s|m|h|d|w))+$", "examples": ["15m", "90d"]}
    ),
]
Rate = Annotated[
    float,
    BeforeValidator(parse_rate),
    PlainSerializer(lambda rate: f"{rate:g}/s", return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)?/(s|m)$", "examples": ["50/s"]}),
]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,62}$")]
Identifier = Annotated[str, StringConstraints(pattern=r"^[a-z_][a-z0-9_]{0,62}$")]
RELATIVE_PATH = r"^\.?[^./][^/]*(/\.?[^./][^/]*)*/?$"
RelativePath = Annotated[str, StringConstraints(pattern=RELATIVE_PATH, max_length=255)]
VerdictValue = Literal["held", "breached", "undecided"]


class Model(BaseModel):
    """A part of a file. Frozen; unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


# --- services ---------------------------------------------------------------------------------------


class TrackedTable(Model):
    """A table whose every row is compared after a recovery."""

    key: Identifier = Field(description="its primary key column")
    time: Identifier = Field(description="the column with the time of a row's last write (timestamptz)")


class PostgresService(Model):
    """A PostgreSQL database."""

    kind: Literal["postgres"]
    environment: Name | None = None
    volume: str | None = Field(None, description="<railway service>/<volume> that its data lies on")
    schema_: RelativePath | None = Field(None, alias="schema", description="SQL file that creates it")
    tables: dict[Identifier, TrackedTable] = Field(
        default_factory=dict, description="tables whose content is compared after a recovery"
    )
    fsync: bool = Field(True, description="durability of commits; reports state it")


class S3Service(Model):
    """An S3 bucket on a server of its own."""

    kind: Literal["s3"]
    environment: Name | None = None
    bucket: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]
    versioning: bool = True
    object_lock: bool = Field(True, description="objects can be locked; implies versioning")


class RailwayService(Model):
    """The Railway control plane with one project."""

    kind: Literal["railway"]
    profile: Literal["legacy", "current"] = Field(
        "current", description="legacy: deletes are immediate (until April 2026); current: soft for 48 h"
    )
    project: Name
    environments: Annotated[tuple[Name, ...], Field(min_length=1)]
    plan: Literal["free", "hobby", "pro"] = Field("pro", description="decides the rate limits")


class OtherService(Model):
    """A service of a driver that is not built in, found by its entry point."""

    kind: str
    environment: Name | None = None
    settings: dict[str, JsonValue] = Field(default_factory=dict)


def _tag(key: str, *known: str) -> Discriminator:
    def pick(value: Any) -> str:
        name = value.get(key) if isinstance(value, dict) else getattr(value, key, None)
        return name if name in known else "other"

    return Discriminator(pick)


Service = Annotated[
    Annotated[PostgresService, Tag("postgres")]
    | Annotated[S3Service, Tag("s3")]
    | Annotated[RailwayService, Tag("railway")]
    | Annotated[OtherService, Tag("other")],
    _tag("kind", "postgres", "s3", "railway"),
]


# --- principals -------------------------------------------------------------------------------------


class TokenGrant(Model):
    """A token of a control plane.

    ``scoped`` can do the operations in ``allow`` and nothing else. Railway offers no such token: a
    guard that uses it is hypothetical.
    """

    token: Literal["account", "workspace", "project", "scoped"]
    environment: Name | None = Field(None, description="project tokens reach one environment")
    allow: tuple[str, ...] = Field((), description="operations that a scoped token may call")


Grant = Literal["owner", "writer", "reader", "admin"] | TokenGrant
"""Postgres: owner, writer, reader. S3: admin, writer (may delete), reader. Railway: a token."""


class Principal(Model):
    """An identity and what it may do. Its credentials are minted by the replicas."""

    grants: dict[Name, Grant] = Field(default_factory=dict)
    workspace: RelativePath | None = Field(None, description="folder that becomes its files")
    found_in: RelativePath | None = Field(
        None, description="file in which its credential lies about; proves how it can be found"
    )


# --- protections ------------------------------------------------------------------------------------


class Lock(Model):
    """Object Lock for every object that a protection writes."""

    mode: Literal["compliance", "governance"]
    for_: Duration = Field(alias="for")


class RailwayVolumeBackup(Model):
    """Railway's own volume backups. Kept 6 days (daily), 1 month (weekly), 3 months (monthly)."""

    tool: Literal["railway-volume-backup"]
    of: Name
    schedule: Annotated[tuple[Literal["daily", "weekly", "monthly"], ...], Field(min_length=1)]


class PgDump(Model):
    """``pg_dump`` in custom format to an S3 service."""

    tool: Literal["pg_dump"]
    of: Name
    to: Name
    every: Duration
    keep: Annotated[int, Field(ge=1)]
    lock: Lock | None = None


class PostgresPitr(Model):
    """Base backups and a continuous WAL archive in an S3 service: restore to any instant."""

    tool: Literal["postgres-pitr"]
    of: Name
    to: Name
    base_every: Duration = timedelta(days=7)
    keep: Annotated[int, Field(ge=1)] = 2
    ship_every: Duration = Field(timedelta(seconds=1), description="longest wait before WAL is shipped")
    lock: Lock | None = None


class OtherProtection(Model):
    """A protection of a tool that is not built in, found by its entry point."""

    tool: str
    of: Name
    to: Name | None = None
    settings: dict[str, JsonValue] = Field(default_factory=dict)


Protection = Annotated[
    Annotated[RailwayVolumeBackup, Tag("railway-volume-backup")]
    | Annotated[PgDump, Tag("pg_dump")]
    | Annotated[PostgresPitr, Tag("postgres-pitr")]
    | Annotated[OtherProtection, Tag("other")],
    _tag("tool", "railway-volume-backup", "pg_dump", "postgres-pitr"),
]


# --- objectives -------------------------------------------------------------------------------------


class BackupSurvival(Model):
    """So many sufficient copies are left: they survived, restored, and hold what they held when taken."""

    copies: Annotated[int, Field(ge=1)] = 1
    max_age: Duration | None = Field(
        None, description="a copy older than this, at the time of the harm, does not count"
    )


class Isolation(Model):
    """A principal changed nothing outside the environments or services it may touch."""

    principal: Name
    may_touch: tuple[Name, ...] = Field(description="environments, or services that stand in none")


class Objectives(Model):
    """What must hold. Each one that is named is judged."""

    backup_survival: BackupSurvival | None = Field(None, alias="backup-survival")
    isolation: Isolation | None = None
    rpo: Duration | None = Field(None, description="at most this much acknowledged work may be lost")
    rto: Duration | None = Field(None, description="from the harm to the first verified answer")
    invariants: dict[Name, str] | None = Field(
        None, description="SQL that must return no rows after the recovery; or a .sql file"
    )
    containment: Duration | None = Field(
        None, description="from the first destructive action to the last one that landed"
    )
    other: dict[str, JsonValue] = Field(
        default_factory=dict, description="objectives of drivers that are not built in"
    )


# --- the scenario -----------------------------------------------------------------------------------


class Guard(Model):
    """A safeguard that can be switched on: a JSON merge patch (RFC 7396) over the stack."""

    why: str
    patch: dict[str, JsonValue]
    hypothetical: str | None = Field(
        None, description="why no provider offers it today; reports repeat it next to every result"
    )


class Stack(Model):
    """The services, the principals with their grants, and the protections, as a user's system has them."""

    services: dict[Name, Service]
    principals: dict[Name, Principal] = Field(default_factory=dict)
    protections: dict[Name, Protection] = Field(default_factory=dict)
    guards: dict[Name, Guard] = Field(default_factory=dict)
    objectives: Objectives = Field(default_factory=Objectives)


class Incident(Model):
    """The real event behind a scenario, and how well it is known."""

    date: date
    grade: Literal["A", "B", "C"] = Field(
        description="A: the owner's or vendor's own account; B: consistent secondary reports; C: one report"
    )
    sources: Annotated[tuple[str, ...], Field(min_length=1)]
    models: str = Field(description="what of it the scenario plays")
    leaves_out: str = Field(description="what it does not")


class Export(Model):
    """Records that a third party gets as the history passes, and keeps."""

    query: RelativePath = Field(description="SQL file; one JSON value a row; given :from and :to")
    to: Name = Field(description="the S3 service that keeps them")
    prefix: str = "events/"


class PastHistory(Model):
    """The past that the backfill plays: data, and the recovery points that would exist today."""

    service: Name
    span: Duration
    rows: Annotated[int, Field(ge=1)] = Field(description="rows of the main table over the whole span")
    slice: RelativePath = Field(description="SQL file that inserts one slice, given :from, :to and :rows")
    exports: tuple[Export, ...] = ()


class Workload(Model):
    """Real traffic while the agent works, and after the recovery."""

    locustfile: RelativePath
    service: Name
    users: Annotated[int, Field(ge=1, le=1000)] = 10
    rate: Rate = Field(50.0, description="acknowledged writes a second, over all users")
    steady: Duration = Field(
        timedelta(seconds=2), description="how long all must be well before the agent acts"
    )


class Step(Model):
    """One call of a scripted agent."""

    do: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+\.[a-z-]+$")] = Field(
        description="<surface>.<verb>: files.read, http.request, sql.execute, s3.delete-object, ..."
    )
    on: Name | None = Field(None, description="the service; none for the agent's own files")
    with_: dict[str, JsonValue] = Field(
        default_factory=dict, alias="with", description="arguments; ${name} stands for a value found earlier"
    )
    save: dict[Identifier, str] = Field(
        default_factory=dict,
        description="values to keep: a regular expression with one group, or a path such as $.data.me.id",
    )
    why: str = Field("", description="the agent's rationale; kept in the journal")
    harm: bool = Field(False, description="this call is meant to destroy something")


class ScriptedAgent(Model):
    """Plays the steps as they are written. A step that is not done does not stop the next."""

    kind: Literal["scripted"]
    as_: Name = Field(alias="as")
    goal: str
    steps: Annotated[tuple[Step, ...], Field(min_length=1)]


class IdleAgent(Model):
    """Does nothing. With it, every objective must hold."""

    kind: Literal["idle"]
    as_: Name | None = Field(None, alias="as")
    goal: str = "nothing"


class OtherAgent(Model):
    """An agent of a driver that is not built in, found by its entry point."""

    kind: str
    as_: Name = Field(alias="as")
    goal: str
    settings: dict[str, JsonValue] = Field(default_factory=dict)


Agent = Annotated[
    Annotated[ScriptedAgent, Tag("scripted")]
    | Annotated[IdleAgent, Tag("idle")]
    | Annotated[OtherAgent, Tag("other")],
    _tag("kind", "scripted", "idle"),
]


class Assumed(Model):
    """Parts of the recovery time that people take. Not measured here, and marked so in every report."""

    detect: Duration | None = None
    decide: Duration | None = None


class Reconstruction(Model):
    """How to rebuild rows from records that a third party kept."""

    from_: Name = Field(alias="from", description="the S3 service with the records")
    prefix: str = "events/"
    script: RelativePath = Field(
        description="SQL file; the records are in the temporary table ninelives_events(body jsonb)"
    )


class Recover(Model):
    """How the team gets its service back."""

    strategy: Literal["newest-surviving", "reconstruct"] = "newest-surviving"
    service: Name
    assume: Assumed = Field(default_factory=Assumed)
    reconstruct: Reconstruction | None = None


class Scenario(Model):
    """One drill: a stack, an agent, a workload, how to recover, the objectives, the expected outcome."""

    id: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]*(/[a-z0-9][a-z0-9-]*)*$")]
    title: str
    incident: Incident | None = None
    stack: RelativePath = Field(description="the stack file, next to this one")
    guards: tuple[Name, ...] = Field((), description="the guards of the stack that are switched on")
    history: PastHistory
    workload: Workload
    agent: Agent
    recover: Recover
    objectives: Objectives = Field(default_factory=Objectives)
    controls: tuple[str, ...] = ()
    expect: dict[str, VerdictValue] = Field(
        default_factory=dict, description="the verdict each objective should get; without it, held"
    )


class LoadedScenario(BaseModel):
    """A scenario with its stack after the guards, ready to be planned.

    Attributes:
        scenario: as written.
        stack: as written, with the scenario's guards applied.
        base: the stack as written, with no guard.
        objectives: the stack's, tightened and added to by the scenario's.
        digest: SHA-256 over scenario, stack and every file they name, in hex.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    scenario: Scenario
    stack: Stack
    base: Stack
    objectives: Objectives
    digest: str
    _folder: Path = PrivateAttr(default=Path())
    _file: Path = PrivateAttr(default=Path())

    @property
    def id(self) -> str:
        return self.scenario.id

    @property
    def folder(self) -> Path:
        """Where the relative paths of the scenario start. Not part of the record."""
        return self._folder

    @property
    def file(self) -> Path:
        """The scenario file itself. Not part of the record."""
        return self._file
