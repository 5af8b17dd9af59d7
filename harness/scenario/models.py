"""What a user writes: a stack, and scenarios over it. There is no field for a URL, a DSN or a credential.

Every model forbids unknown keys. ``harness.scenario.load`` turns pydantic's complaints into
``file:line:column`` with a hint; ``harness.scenario.schema`` turns these models into a JSON Schema.
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_args

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
    ValidationInfo,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from harness.facts import Fact

SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
DURATION = r"^([0-9]{1,12}(\.[0-9]{1,6})?(ms|s|m|h|d|w))+$"
RATE = r"^[0-9]{1,9}(\.[0-9]{1,6})?/(s|m)$"
NAME = r"^[a-z][a-z0-9-]{0,62}$"
IDENTIFIER = r"^[a-z_][a-z0-9_]{0,62}$"
RELATIVE_PATH = r"^(\./)?\.?[^./][^/]*(/\.?[^./][^/]*)*/?$"
FILE_NAME = r"^\.?[^./][^/]*$"
VOLUME = r"^[a-z][a-z0-9-]{0,62}/[a-z][a-z0-9-]{0,62}$"
BUCKET = r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$"
TOOL = r"^[a-z][a-z0-9_-]{0,62}$"
INNER_PATH = r"^(/[^/]+)+$"
HTTP_PATH = r"^/[!-~]*$"
VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"
IMAGE = r"^[a-z0-9][A-Za-z0-9._:/@-]*$"
PASSING = "time.pass"
"""The one step that is no call: time passes, in which schedules run and retention ends what is over."""

CALL = r"^[a-z0-9][a-z0-9-]*\.[a-z][a-z0-9-]*$"
REGION = r"^[a-z]{2}(-[a-z]+)+-[0-9]$"
AWS_CALL = r"^[a-z0-9-]+\.[A-Z][A-Za-z0-9]+$"
SCENARIO_ID = r"^[a-z0-9][a-z0-9-]*(/[a-z0-9][a-z0-9-]*)*$"

LONGEST = timedelta(days=36500)


def parse_duration(value: Any) -> timedelta:
    """Turn ``15m``, ``90d`` or ``1h30m`` into a timedelta, to the millisecond.

    Raises:
        ValueError: the text is not a chain of number and unit (ms, s, m, h, d, w), or more than a century.
    """
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str) or not re.fullmatch(DURATION, value):
        raise PydanticCustomError("duration", "a duration such as 30s, 15m, 36h or 90d")
    parts = re.findall(r"([0-9.]+)(ms|s|m|h|d|w)", value)
    seconds = sum(float(number) * SECONDS[unit] for number, unit in parts)
    if seconds > LONGEST.total_seconds():
        raise PydanticCustomError("duration", "a duration of at most 100 years")
    return timedelta(milliseconds=round(seconds * 1000))


def parse_period(value: Any) -> timedelta:
    """Turn text into a timedelta above zero.

    Raises:
        ValueError: as ``parse_duration``, or it is zero.
    """
    period = parse_duration(value)
    if period <= timedelta(0):
        raise PydanticCustomError("duration", "a duration above zero such as 30s, 15m, 36h or 90d")
    return period


def format_duration(value: timedelta) -> str:
    """The shortest text that ``parse_duration`` reads back: ``1d12h``, ``15m``, ``0s``."""
    milliseconds = round(value.total_seconds() * 1000)
    text = ""
    for unit in ("d", "h", "m", "s", "ms"):
        count, milliseconds = divmod(milliseconds, round(SECONDS[unit] * 1000))
        text += f"{count}{unit}" if count else ""
    return text or "0s"


def parse_rate(value: Any) -> float:
    """Turn ``50/s`` or ``600/m`` into events per second, to the millionth.

    Raises:
        ValueError: the text is not a number above zero, a slash and ``s`` or ``m``.
    """
    match = re.fullmatch(RATE, value) if isinstance(value, str) else None
    rate = round(float(match[0][:-2]) / SECONDS[match[2]], 6) if match else 0.0
    if rate <= 0:
        raise PydanticCustomError("rate", "a rate above zero such as 50/s or 600/m")
    return rate


def _read_rate(value: Any, info: ValidationInfo) -> float:
    """Python code may give the number itself; a file may not."""
    return value if isinstance(value, float) and info.mode == "python" else parse_rate(value)


def format_rate(rate: float) -> str:
    """Text that ``parse_rate`` reads back, to the millionth: ``50/s``."""
    return f"{rate:.6f}".rstrip("0").rstrip(".") + "/s"


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": DURATION, "examples": ["15m", "90d"]}),
]
Period = Annotated[
    timedelta,
    BeforeValidator(parse_period),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": DURATION, "examples": ["15m", "90d"]}),
]
Rate = Annotated[
    float,
    BeforeValidator(_read_rate),
    PlainSerializer(format_rate, return_type=str),
    WithJsonSchema({"type": "string", "pattern": RATE, "examples": ["50/s"]}),
]
Name = Annotated[str, StringConstraints(pattern=NAME)]
Identifier = Annotated[str, StringConstraints(pattern=IDENTIFIER)]
RelativePath = Annotated[str, StringConstraints(pattern=RELATIVE_PATH, max_length=255)]
Image = Annotated[str, StringConstraints(pattern=IMAGE, max_length=255)]
InnerPath = Annotated[str, StringConstraints(pattern=INNER_PATH, max_length=255)]
HttpPath = Annotated[str, StringConstraints(pattern=HTTP_PATH, max_length=255)]
Variable = Annotated[str, StringConstraints(pattern=VARIABLE)]
Port = Annotated[int, Field(ge=1, le=65535)]
FileName = Annotated[str, StringConstraints(pattern=FILE_NAME, max_length=255)]
Text = Annotated[str, StringConstraints(min_length=1)]
Command = Annotated[tuple[Text, ...], Field(min_length=1)]
Day = date
S3_TELLS = timedelta(seconds=1)
"""S3 dates what is put in whole seconds, so a copy cannot be ended more finely."""

VerdictValue = Literal["held", "breached", "undecided"]


class Model(BaseModel):
    """A part of a file. Frozen; unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


# --- services ---------------------------------------------------------------------------------------


class TrackedTable(Model):
    """A table whose every row is compared after a recovery."""

    key: Identifier = Field(description="its primary key column")
    time: Identifier | None = Field(
        None,
        description="the column with the time of a row's last write (timestamptz); without it the age of a "
        "loss is told from the workload's writes alone",
    )


class Data(Model):
    """What a database holds before the drill begins: a backup file of yours."""

    dump: RelativePath = Field(
        description="what pg_dump wrote: custom, directory, tar or plain format, plain also gzipped"
    )


class MariadbData(Model):
    """What a MariaDB holds before the drill begins: a backup file of yours."""

    dump: RelativePath = Field(description="what mysqldump or mariadb-dump wrote, also gzipped")


class ValkeyData(Model):
    """What a Valkey holds before the drill begins: a backup file of yours."""

    dump: RelativePath = Field(description="an RDB file")


class VolumeData(Model):
    """What a volume holds before the drill begins: files of yours."""

    tree: RelativePath = Field(description="a folder; what is in it is copied")


class S3Data(Model):
    """What a bucket holds before the drill begins: files of yours."""

    tree: RelativePath = Field(description="a folder; each file in it becomes an object, named by its path")


class PostgresService(Model):
    """A PostgreSQL database."""

    kind: Literal["postgres"] = Field(description="a PostgreSQL database")
    environment: Name | None = Field(None, description="the environment that it stands in")
    volume: Annotated[str, StringConstraints(pattern=VOLUME)] | None = Field(
        None,
        description="what its data lies on: `<railway service>/<volume>`, `<aws service>/<RDS instance>` or "
        "`<volume service>/<folder>`",
    )
    schema_: RelativePath | None = Field(None, alias="schema", description="SQL file that creates it")
    data: Data | None = Field(None, description="a backup file that it comes from, in place of a schema")
    tables: dict[Identifier, TrackedTable] = Field(
        default_factory=dict, description="tables whose content is compared after a recovery"
    )
    fsync: bool = Field(True, description="durability of commits; reports state it")
    log_statement: Literal["none", "ddl", "mod", "all"] = Field(
        "none", description="which statements its log keeps, each with who ran it and when"
    )
    image: Image | None = Field(
        None,
        description="what --provider docker runs it in: any tag that keeps the official image's contract",
    )
    driver: Name | None = Field(
        None, description="a driver that is not built in, found by its entry point, which brings it up"
    )
    settings: dict[str, JsonValue] = Field(default_factory=dict, description="what that driver asks for")


class MariadbService(Model):
    """A MariaDB database, embedded on the MariaDB of this machine; MySQL's SQL and clients fit."""

    kind: Literal["mariadb"] = Field(description="a MariaDB database")
    environment: Name | None = Field(None, description="the environment that it stands in")
    schema_: RelativePath | None = Field(None, alias="schema", description="SQL file that creates it")
    data: MariadbData | None = Field(
        None, description="a backup file that it comes from, in place of a schema"
    )
    tables: dict[Identifier, TrackedTable] = Field(
        default_factory=dict, description="tables whose content is compared after a recovery"
    )
    image: Image | None = Field(
        None, description="what --provider docker runs it in: any tag with the official image's programs"
    )


class RailwayService(Model):
    """The Railway control plane with one project."""

    kind: Literal["railway"] = Field(description="the Railway control plane")
    profile: Literal["legacy", "current"] = Field(
        "current", description="legacy: deletes are immediate (until April 2026); current: soft for 48 h"
    )
    project: Name = Field(description="the project's name")
    environments: Annotated[tuple[Name, ...], Field(min_length=1)] = Field(
        description="the project's environments"
    )
    plan: Literal["free", "hobby", "pro"] = Field("pro", description="decides the rate limits")
    confirmations: Literal["none", "anyone", "second-person"] = Field(
        "none",
        description="who has to confirm a deletion: anyone, or not the one who asked for it; hypothetical",
    )


class ItemService(Model):
    """What services have in common that hold items: keys with a content that nobody looks into."""

    noun: ClassVar[str] = "item"
    """What one of them is called in sentences."""

    environment: Name | None = Field(None, description="the environment that it stands in")
    collections: Annotated[tuple[Identifier, ...], Field(max_length=100)] = Field(
        (), description="what its items lie in; their content is compared after a recovery"
    )


class VolumeService(ItemService):
    """A tree of files, as a volume of a server or a container has it."""

    noun: ClassVar[str] = "file"

    kind: Literal["volume"] = Field(description="a tree of files; its collections are folders")
    data: VolumeData | None = Field(None, description="files of yours that it begins with")


class GitService(ItemService):
    """A git remote: a bare repository that is pushed to."""

    kind: Literal["git"] = Field(description="a git remote; its collections are branches, their items files")
    deny_force: bool = Field(False, description="pushes that would drop commits are refused")
    deny_deletes: bool = Field(False, description="pushes that would delete a branch or a tag are refused")


class RdsSettings(Model):
    """What is set on an RDS instance."""

    deletion_protection: bool = Field(
        False, description="DeleteDBInstance is refused until it is switched off"
    )
    backup_retention: Annotated[int, Field(ge=0, le=35)] = Field(
        7, description="days that automated snapshots are kept; 0 switches them off"
    )


class AwsCall(Model):
    """A call that the owner of the account has made before the drill begins."""

    call: Annotated[str, StringConstraints(pattern=AWS_CALL)] = Field(
        description="`<service>.<Operation>`, such as ec2.CreateVpc"
    )
    with_: dict[str, JsonValue] = Field(
        default_factory=dict, alias="with", description="its parameters, under the names of the API"
    )


class Lock(Model):
    """Object Lock for every object that a protection writes, or that anybody puts into a bucket."""

    mode: Literal["compliance", "governance"] = Field(
        description="compliance: nobody can delete; governance: who may bypass it can"
    )
    for_: Period = Field(alias="for", description="how long from the moment of writing")


class S3Service(ItemService):
    """An S3 bucket on a server of its own."""

    noun: ClassVar[str] = "object"

    kind: Literal["s3"] = Field(description="an S3 bucket; its collections are prefixes that end in a slash")
    bucket: Annotated[str, StringConstraints(pattern=BUCKET)] = Field(description="the bucket's name")
    data: S3Data | None = Field(None, description="files of yours that it begins with")
    versioning: bool = Field(True, description="overwritten and deleted objects are kept as versions")
    object_lock: bool = Field(True, description="objects can be locked; needs versioning")
    lock: Lock | None = Field(
        None, description="Object Lock for every version that anybody puts, for whole days; needs object_lock"
    )


class VaultSettings(Model):
    """A vault of AWS Backup."""

    lock: Lock | None = Field(
        None, description="Vault Lock, past its cooling-off: nothing in it can be deleted within that time"
    )


class AwsService(Model):
    """An AWS account: its control plane, with RDS instances that are real databases."""

    kind: Literal["aws"] = Field(description="an AWS account")
    environments: tuple[Name, ...] = Field(
        (), description="the environments that the tag `environment` of what is in it may name"
    )
    region: Annotated[str, StringConstraints(pattern=REGION)] = Field("us-east-1", description="its region")
    databases: dict[Name, RdsSettings] = Field(
        default_factory=dict, description="settings of RDS instances, by identifier"
    )
    volumes: tuple[Name, ...] = Field(
        (), description="which of the names that databases lie on are EBS volumes, not RDS instances"
    )
    vaults: dict[Name, VaultSettings] = Field(default_factory=dict, description="vaults of AWS Backup")
    setup: dict[Name, AwsCall] = Field(
        default_factory=dict, description="what else is there: calls that the owner has made, in order"
    )


class ValkeyService(ItemService):
    """A Valkey server; speaks the protocol of Redis."""

    noun: ClassVar[str] = "key"

    kind: Literal["valkey"] = Field(description="a Valkey server; its collections are prefixes of keys")
    data: ValkeyData | None = Field(None, description="a backup file that it begins with")
    auth: bool = Field(True, description="off: whoever connects may do everything, as on an open server")
    persistence: Literal["aof", "none"] = Field(
        "aof", description="aof: a write counts when it is in the append-only file on the disk"
    )
    denied: Annotated[tuple[Identifier, ...], Field(max_length=50)] = Field(
        (), description="commands that nobody may use but the operator: [flushall, flushdb, config]"
    )
    image: Image | None = Field(
        None, description="what --provider docker runs it in: any tag with the official image's server"
    )


class WaitFor(Model):
    """What shows that a container is ready; one of the four."""

    log: Text | None = Field(None, description="a regular expression that is found in what it prints")
    listens: Port | None = Field(None, description="a port of its own that accepts connections")
    http: HttpPath | None = Field(None, description="a path that its first port answers, with 200 to 399")
    command: Command | None = Field(None, description="a program in it, with arguments, that ends well")
    timeout: Period = Field(timedelta(seconds=60), description="how long that may take")


class ContainerService(ItemService):
    """Anything that runs in a container: any image, on this machine's engine."""

    kind: Literal["container"] = Field(description="any image, in a container")
    image: Image = Field(description="the image; fetched if it is not on this machine")
    command: tuple[str, ...] = Field((), description="what runs, in place of the image's own command")
    variables: dict[Variable, str] = Field(default_factory=dict, description="variables of its environment")
    ports: tuple[Port, ...] = Field((), description="ports of its own that are published on loopback")
    volumes: dict[Name, InnerPath] = Field(default_factory=dict, description="by name, the path inside")
    wait: WaitFor | None = Field(
        None, description="what shows that it is ready; its first port, if it is left out"
    )
    seed: Command | None = Field(None, description="a program in it, run once it is ready: its first content")
    probe: Command | None = Field(None, description="a program in it that ends well as long as it serves")
    content: Command | None = Field(
        None,
        description="a program in it that prints what it holds: the same as long as that is the same",
    )
    items: Command | None = Field(
        None,
        description="a program in it that lists $COLLECTION: lines with SHA-256 and key of each item, "
        "and if they have times, lines with time (seconds since 1970) and key",
    )
    put: Command | None = Field(
        None, description="a program in it that writes its input as $KEY into $COLLECTION, dated $AT"
    )
    get: Command | None = Field(
        None, description="a program in it that prints $KEY of $COLLECTION; exit code 1 when there is none"
    )
    delete: Command | None = Field(
        None, description="a program in it that removes $KEY of $COLLECTION; exit code 1 when there is none"
    )


class OtherService(Model):
    """A service of a driver that is not built in, found by its entry point."""

    kind: Name = Field(description="the driver's name")
    environment: Name | None = Field(None, description="the environment that it stands in")
    settings: dict[str, JsonValue] = Field(default_factory=dict, description="what the driver asks for")


class Choice:
    """Picks the model of a mapping by the name under one of its keys; ``other`` for every other name.

    Attributes:
        key: the key that names the driver: ``kind`` or ``tool``.
        driver: which drivers the names are of, as ``harness.seams.lookup`` calls them.
        noun: what the names are of, for messages.
        built_in: the names that have a model of their own.
    """

    def __init__(self, key: str, driver: str, noun: str, *built_in: str) -> None:
        self.key, self.driver, self.noun, self.built_in = key, driver, noun, built_in
        self.__name__ = f"{noun} by {key}"  # pydantic asks every discriminator for it

    def __call__(self, value: Any) -> str:
        name = value.get(self.key) if isinstance(value, dict) else getattr(value, self.key, None)
        return name if name in self.built_in else "other"


Service = Annotated[
    Annotated[PostgresService, Tag("postgres")]
    | Annotated[MariadbService, Tag("mariadb")]
    | Annotated[S3Service, Tag("s3")]
    | Annotated[RailwayService, Tag("railway")]
    | Annotated[VolumeService, Tag("volume")]
    | Annotated[GitService, Tag("git")]
    | Annotated[AwsService, Tag("aws")]
    | Annotated[ValkeyService, Tag("valkey")]
    | Annotated[ContainerService, Tag("container")]
    | Annotated[OtherService, Tag("other")],
    Discriminator(
        Choice(
            "kind",
            "replicas",
            "kind of service",
            "postgres",
            "mariadb",
            "s3",
            "railway",
            "aws",
            "volume",
            "valkey",
            "git",
            "container",
        )
    ),
]


def data_of(service: Service | None) -> tuple[str, str] | None:
    """The key under ``data`` and the file or folder that a service begins with; None when it begins empty."""
    if isinstance(service, PostgresService | MariadbService | ValkeyService) and service.data is not None:
        return "dump", service.data.dump
    if isinstance(service, VolumeService | S3Service) and service.data is not None:
        return "tree", service.data.tree
    return None


def tracked_of(service: Service | None) -> dict[str, tuple[str, str | None]]:
    """Key and time column of each tracked table of a service; collections have no columns."""
    if isinstance(service, PostgresService | MariadbService):
        return {table: (columns.key, columns.time) for table, columns in service.tables.items()}
    if isinstance(service, ItemService):
        return dict.fromkeys(service.collections, ("", ""))
    return {}


def begins_filled(service: Service | None) -> bool:
    """Whether a service holds something before any past is played: a backup file, or what its seed makes."""
    seeded = isinstance(service, ContainerService) and service.seed is not None
    return seeded or data_of(service) is not None


def noun_of(service: Service | None) -> str:
    """What one of the things is called that are compared after a recovery: ``row``, ``file``, ..."""
    return service.noun if isinstance(service, ItemService) else "row"


def driver_of(service: Service) -> str:
    """The name of the driver that brings a service up."""
    driver = service.driver if isinstance(service, PostgresService) else None
    return driver or service.kind


# --- principals -------------------------------------------------------------------------------------


class TokenGrant(Model):
    """A token of a control plane.

    ``scoped`` can do the operations in ``allow`` and nothing else. Railway offers no such token: a
    guard that uses it is hypothetical.
    """

    token: Literal["account", "workspace", "project", "scoped"] = Field(description="what the token reaches")
    environment: Name | None = Field(
        None, description="project tokens reach one environment; the others take none"
    )
    allow: tuple[Text, ...] = Field((), description="operations that a scoped token may call")


class Statement(Model):
    """A statement of an IAM policy, in IAM's own words."""

    sid: str | None = Field(None, alias="Sid", description="a name for people")
    effect: Literal["Allow", "Deny"] = Field(alias="Effect", description="a deny wins over every allow")
    action: Text | tuple[Text, ...] | None = Field(None, alias="Action", description="such as rds:Describe*")
    not_action: Text | tuple[Text, ...] | None = Field(
        None, alias="NotAction", description="every action but these"
    )
    resource: Text | tuple[Text, ...] = Field("*", alias="Resource", description="ARNs, with * and ?")
    condition: dict[Text, dict[Text, JsonValue]] = Field(
        default_factory=dict, alias="Condition", description="operator, key, value or values"
    )


class PolicyGrant(Model):
    """An access key of an AWS account, with the IAM policy that says what it may do."""

    policy: Annotated[tuple[Statement, ...], Field(min_length=1)] = Field(
        description="the statements of the policy; what none allows is denied"
    )


Role = Literal["owner", "writer", "reader", "admin"]


def _shape_of_grant(value: Any) -> str:
    if isinstance(value, PolicyGrant) or (isinstance(value, dict) and "policy" in value):
        return "policy"
    return "token" if isinstance(value, dict | TokenGrant) else "role"


Grant = Annotated[
    Annotated[Role, Tag("role")]
    | Annotated[TokenGrant, Tag("token")]
    | Annotated[PolicyGrant, Tag("policy")],
    Discriminator(_shape_of_grant),
]
"""Postgres: owner, writer, reader. S3: admin, writer (may delete), reader. Railway: token. AWS: policy."""


class Principal(Model):
    """An identity and what it may do. Its credentials are minted by the replicas."""

    grants: dict[Name, Grant] = Field(
        default_factory=dict,
        description="by service: owner, writer or reader of a postgres; admin, writer or reader of an s3; "
        "{token: ...} of a railway; {policy: [...]} of an aws",
    )
    workspace: RelativePath | None = Field(None, description="folder that becomes its files")
    found_in: RelativePath | None = Field(
        None, description="file in which its credential lies about; proves how it can be found"
    )


# --- protections ------------------------------------------------------------------------------------


class ProtectionModel(Model):
    """What protections have in common."""

    @property
    def lag(self) -> timedelta:
        """How long, at most, until what was written is in the copy."""
        return timedelta(0)


class RailwayVolumeBackup(ProtectionModel):
    """Railway's own volume backups. Kept 6 days (daily), 1 month (weekly), 3 months (monthly)."""

    tool: Literal["railway-volume-backup"] = Field(description="Railway's own volume backups")
    of: Name = Field(description="the postgres service whose volume is backed up")
    schedule: Annotated[tuple[Literal["daily", "weekly", "monthly"], ...], Field(min_length=1)] = Field(
        description="the schedules that are switched on"
    )


class RdsSnapshots(ProtectionModel):
    """Snapshots of an RDS instance: automated ones go with it, manual ones stay."""

    tool: Literal["rds-snapshots"] = Field(description="snapshots of an RDS instance")
    of: Name = Field(description="the postgres service that lies on the instance")
    kind: Literal["automated", "manual"] = Field(
        "automated", description="automated: daily, kept as long as the instance says; manual: every, keep"
    )
    every: Period = Field(timedelta(days=7), description="time from one manual snapshot to the next")
    keep: Annotated[int, Field(ge=1)] = Field(4, description="how many manual snapshots are kept")


class EbsSnapshots(ProtectionModel):
    """Snapshots of the EBS volume that a database lies on; they outlive it."""

    tool: Literal["ebs-snapshots"] = Field(description="snapshots of an EBS volume")
    of: Name = Field(description="the postgres service that lies on the volume")
    every: Period = Field(timedelta(days=1), description="time from one snapshot to the next")
    keep: Annotated[int, Field(ge=1)] = Field(7, description="how many are kept")


class AwsBackup(ProtectionModel):
    """AWS Backup: recovery points in a vault, which outlive what they are copies of."""

    tool: Literal["aws-backup"] = Field(description="recovery points of AWS Backup")
    of: Name = Field(description="the postgres service that lies in an aws service")
    to: Name | None = Field(None, description="the aws service with the vault; without it, the same account")
    vault: Name = Field(description="the vault's name")
    every: Period = Field(timedelta(days=1), description="time from one recovery point to the next")
    keep: Annotated[int, Field(ge=1)] = Field(35, description="how many are kept")


class Dumps(ProtectionModel):
    """What tools have in common that put whole copies into an S3 service."""

    tool: str = Field(description="the tool's name")
    of: Name = Field(description="the service that is dumped")
    to: Name = Field(description="the s3 service that the dumps go to")
    every: Period = Field(description="time from one dump to the next")
    keep: Annotated[int, Field(ge=1)] = Field(description="how many dumps are kept")
    lock: Lock | None = Field(None, description="Object Lock for every dump")


class PgDump(Dumps):
    """``pg_dump`` in custom format to an S3 service."""

    tool: Literal["pg_dump"] = Field(description="logical dumps")
    of: Name = Field(description="the postgres service that is dumped")


class Archive(Dumps):
    """A ``tar.gz`` of a volume to an S3 service."""

    tool: Literal["archive"] = Field(description="compressed archives of all files")
    of: Name = Field(description="the volume that is archived")


class ValkeyRdb(Dumps):
    """RDB dumps of a Valkey server to an S3 service."""

    tool: Literal["valkey-rdb"] = Field(description="RDB dumps")
    of: Name = Field(description="the valkey service that is dumped")


class ValkeyAof(ProtectionModel):
    """The append-only file of a Valkey server, on its own disk: restore to the second before the harm."""

    tool: Literal["valkey-aof"] = Field(description="the append-only file")
    of: Name = Field(description="the valkey service, with `persistence: aof`")


class GitBundle(Dumps):
    """A ``git bundle`` of all branches and tags to an S3 service."""

    tool: Literal["git-bundle"] = Field(description="bundles of a repository")
    of: Name = Field(description="the git service that is bundled")


class MariadbDump(Dumps):
    """``mariadb-dump`` to an S3 service."""

    tool: Literal["mariadb-dump"] = Field(description="logical dumps")
    of: Name = Field(description="the mariadb service that is dumped")


class MariadbBinlogs(Dumps):
    """``mariadb-dump`` to an S3 service, and the binary logs on the server's own disk from each dump on."""

    tool: Literal["mariadb-binlogs"] = Field(description="logical dumps, and the binary logs that follow")
    of: Name = Field(description="the mariadb service that is dumped")


class VolumeSnapshot(ProtectionModel):
    """Snapshots of a volume on the disk that it lies on itself, or copies on another volume."""

    tool: Literal["volume-snapshot"] = Field(description="file-system snapshots")
    of: Name = Field(description="the volume")
    to: Name | None = Field(None, description="another volume; without it they share the volume's fate")
    every: Period = Field(description="time from one snapshot to the next")
    keep: Annotated[int, Field(ge=1)] = Field(description="how many are kept")


class S3Versions(ProtectionModel):
    """The versions that a bucket keeps itself: each object as it stood before the second of the harm."""

    tool: Literal["s3-versions"] = Field(description="the versions that a bucket keeps")
    of: Name = Field(description="the s3 service, with `versioning` on")

    @property
    def lag(self) -> timedelta:
        return S3_TELLS


class S3Replication(ProtectionModel):
    """A continuous copy of a bucket's objects in the bucket of another S3 service, with keys of its own."""

    tool: Literal["s3-replication"] = Field(description="a continuous copy in another bucket")
    of: Name = Field(description="the s3 service that is copied, with `versioning` on")
    to: Name = Field(description="the s3 service that the copies lie in, with `versioning` on")
    deletes: bool = Field(
        False, description="deletions without a version hide the copy too; versions are never deleted"
    )
    delay: Duration = Field(timedelta(0), description="how long an object waits before it is copied")
    lock: Lock | None = Field(None, description="Object Lock for every copy")

    @property
    def lag(self) -> timedelta:
        return self.delay + S3_TELLS


class PostgresPitr(ProtectionModel):
    """Base backups and a continuous WAL archive in an S3 service: restore to any instant."""

    tool: Literal["postgres-pitr"] = Field(description="base backups and WAL")
    of: Name = Field(description="the postgres service that is archived")
    to: Name = Field(description="the s3 service that the archive lies in")
    base_every: Period = Field(timedelta(days=7), description="time from one base backup to the next")
    keep: Annotated[int, Field(ge=1)] = Field(2, description="how many base backups are kept")
    ship_every: Period = Field(timedelta(seconds=1), description="longest wait before WAL is shipped")
    lock: Lock | None = Field(None, description="Object Lock for every object of the archive")

    @property
    def lag(self) -> timedelta:
        return self.ship_every


class PgBackRest(ProtectionModel):
    """A pgBackRest repository: full and partial backups, and the log between them, to any instant."""

    tool: Literal["pgbackrest"] = Field(description="a pgBackRest repository")
    of: Name = Field(description="the postgres service that is backed up")
    to: Name = Field(description="the s3 or volume service that the repository lies on")
    full_every: Period = Field(timedelta(days=7), description="time from one full backup to the next")
    keep: Annotated[int, Field(ge=1)] = Field(
        2, description="how many full backups are kept, with what builds on them and the log since"
    )
    differential_every: Period | None = Field(
        None, description="time between backups of what differs from the full one; none without it"
    )
    incremental_every: Period | None = Field(
        None, description="time between backups of what differs from the one before; none without it"
    )
    archive_timeout: Period = Field(
        timedelta(minutes=1), description="longest wait before log that was written is archived"
    )
    lock: Lock | None = Field(None, description="Object Lock for every object of the repository")

    @property
    def lag(self) -> timedelta:
        return self.archive_timeout


class DelayedReplica(ProtectionModel):
    """A standby server that has everything at once and applies it only after a while."""

    tool: Literal["delayed-replica"] = Field(description="a standby that stays behind")
    of: Name = Field(description="the postgres service that it follows")
    delay: Period = Field(description="how far it stays behind; older harm is in it too")


class Restic(ProtectionModel):
    """``pg_dump`` into a restic repository in an S3 service."""

    tool: Literal["restic"] = Field(description="a restic repository")
    of: Name = Field(description="the postgres service that is dumped")
    to: Name = Field(description="the s3 service that the repository lies in")
    every: Period = Field(description="time from one snapshot to the next")
    keep: Annotated[int, Field(ge=1)] = Field(description="how many snapshots are kept")


class CommandBackup(ProtectionModel):
    """The team's own backup scripts, for a tool that the harness does not know."""

    tool: Literal["command"] = Field(description="scripts of your own")
    of: Name = Field(description="the service that is backed up, of kind postgres or container")
    to: Name = Field(description="the service that the backups go to")
    every: Period = Field(description="time from one backup to the next")
    keep: Annotated[int, Field(ge=1)] = Field(description="how many backups are kept")
    backup: RelativePath = Field(description="script that takes one, dated $NINELIVES_AT")
    list_: RelativePath = Field(alias="list", description="script that prints one JSON object a backup")
    restore: RelativePath = Field(description="script that restores $NINELIVES_ID into an empty server")
    timeout: Period = Field(
        timedelta(minutes=30), description="after this a script is killed, and has failed"
    )


class OtherProtection(ProtectionModel):
    """A protection of a tool that is not built in, found by its entry point."""

    tool: Annotated[str, StringConstraints(pattern=TOOL)] = Field(description="the tool's name")
    of: Name = Field(description="the service that is backed up")
    to: Name | None = Field(None, description="the service that the backups go to")
    ship_every: Duration = Field(
        timedelta(0), description="longest wait before what was written is in a continuous copy"
    )
    settings: dict[str, JsonValue] = Field(default_factory=dict, description="what the tool asks for")

    @property
    def lag(self) -> timedelta:
        return self.ship_every


Protection = Annotated[
    Annotated[RailwayVolumeBackup, Tag("railway-volume-backup")]
    | Annotated[RdsSnapshots, Tag("rds-snapshots")]
    | Annotated[EbsSnapshots, Tag("ebs-snapshots")]
    | Annotated[AwsBackup, Tag("aws-backup")]
    | Annotated[PgDump, Tag("pg_dump")]
    | Annotated[PostgresPitr, Tag("postgres-pitr")]
    | Annotated[PgBackRest, Tag("pgbackrest")]
    | Annotated[DelayedReplica, Tag("delayed-replica")]
    | Annotated[Restic, Tag("restic")]
    | Annotated[CommandBackup, Tag("command")]
    | Annotated[Archive, Tag("archive")]
    | Annotated[VolumeSnapshot, Tag("volume-snapshot")]
    | Annotated[ValkeyRdb, Tag("valkey-rdb")]
    | Annotated[ValkeyAof, Tag("valkey-aof")]
    | Annotated[GitBundle, Tag("git-bundle")]
    | Annotated[MariadbDump, Tag("mariadb-dump")]
    | Annotated[MariadbBinlogs, Tag("mariadb-binlogs")]
    | Annotated[S3Versions, Tag("s3-versions")]
    | Annotated[S3Replication, Tag("s3-replication")]
    | Annotated[OtherProtection, Tag("other")],
    Discriminator(
        Choice(
            "tool",
            "backups",
            "backup tool",
            "railway-volume-backup",
            "rds-snapshots",
            "ebs-snapshots",
            "aws-backup",
            "pg_dump",
            "postgres-pitr",
            "pgbackrest",
            "delayed-replica",
            "restic",
            "command",
            "archive",
            "volume-snapshot",
            "valkey-rdb",
            "valkey-aof",
            "git-bundle",
            "mariadb-dump",
            "mariadb-binlogs",
            "s3-versions",
            "s3-replication",
        )
    ),
]


# --- objectives -------------------------------------------------------------------------------------


class BackupSurvival(Model):
    """So many sufficient copies are left: they survived, restored, and hold what they held when taken."""

    copies: Annotated[int, Field(ge=1)] = Field(1, description="how many must be left")
    max_age: Period | None = Field(
        None, description="a copy older than this, at the time of the harm, does not count"
    )


class Isolation(Model):
    """A principal changed nothing outside the environments or services it may touch."""

    principal: Name = Field(description="whose reach is judged")
    may_touch: tuple[Name, ...] = Field(description="environments, or services that stand in none")
    after_restore: bool = Field(
        False, description="try its credentials on the service again once that has been recovered"
    )


class Immutability(Model):
    """So many copies are left that nobody can delete, overwrite or unlock, their owner included."""

    copies: Annotated[int, Field(ge=1)] = Field(1, description="how many must hold against everybody")
    for_: Period | None = Field(
        None, alias="for", description="from the harm on, a lock must last at least this long"
    )


class AuditTrail(Model):
    """A log tells what a principal destroyed, and when, and the principal can neither write nor end it."""

    principal: Name = Field(description="whose deeds must be on record")


Deletion = Literal[
    "volumeInstanceBackupDelete", "volumeDelete", "serviceDelete", "environmentDelete", "projectDelete"
]
"""Calls of a control plane that can be tried, what lies inside of something else first."""


class DualControl(Model):
    """A principal can delete nothing alone: a second person has to confirm it, and can."""

    principal: Name = Field(description="who tries to delete alone")
    service: Name = Field(description="the railway service that is asked")
    calls: Annotated[tuple[Deletion, ...], Field(min_length=1)] = Field(
        get_args(Deletion), description="the deletions that are tried"
    )


class Objectives(Model):
    """What must hold. Each one that is named is judged."""

    backup_survival: BackupSurvival | None = Field(
        None, alias="backup-survival", description="how many good copies must be left"
    )
    isolation: Isolation | None = Field(None, description="what a principal must not be able to change")
    rpo: Duration | None = Field(None, description="at most this much acknowledged work may be lost")
    rto: Duration | None = Field(None, description="from the harm to the first verified answer")
    invariants: dict[Name, Text] | None = Field(
        None, description="SQL that must return no rows after the recovery; or a .sql file"
    )
    containment: Duration | None = Field(
        None, description="from the first destructive action to the last one that landed"
    )
    immutability: Immutability | None = Field(
        None, description="how many copies nobody must be able to delete, overwrite or unlock"
    )
    audit_trail: AuditTrail | None = Field(
        None, alias="audit-trail", description="whose deeds a log must tell, out of their reach"
    )
    dual_control: DualControl | None = Field(
        None, alias="dual-control", description="who must not be able to delete anything alone"
    )
    other: dict[str, JsonValue] = Field(
        default_factory=dict, description="objectives of drivers that are not built in"
    )


# --- the scenario -----------------------------------------------------------------------------------


class Guard(Model):
    """A safeguard that can be switched on: a JSON merge patch (RFC 7396) over the stack."""

    why: Text = Field(description="what it is for, in one sentence")
    patch: dict[str, JsonValue] = Field(
        description="what it changes in services, principals and protections; null removes"
    )
    hypothetical: Text | None = Field(
        None, description="why no provider offers it today; reports repeat it next to every result"
    )


class Stack(Model):
    """The services, the principals with their grants, and the protections, as a user's system has them."""

    services: Annotated[dict[Name, Service], Field(max_length=200)] = Field(description="what runs")
    principals: Annotated[dict[Name, Principal], Field(max_length=200)] = Field(
        default_factory=dict, description="who may do what"
    )
    protections: Annotated[dict[Name, Protection], Field(max_length=200)] = Field(
        default_factory=dict, description="what is backed up, how"
    )
    guards: Annotated[dict[Name, Guard], Field(max_length=50)] = Field(
        default_factory=dict, description="safeguards that scenarios switch on by name"
    )
    objectives: Objectives = Field(
        default_factory=Objectives, description="what must hold in all scenarios over this stack"
    )
    production: FileName | None = Field(
        None, description="file that says what production has; each report sets the stack against it"
    )


class Supplied(Model):
    """What production has: at a place in a file that was exported from it, or as somebody states it."""

    file: RelativePath | None = Field(
        None, description="an export, as the provider's own command printed it: JSON or YAML"
    )
    at: Text | None = Field(None, description="where in it, such as `$.Rules[0].Days`")
    unit: Literal["ms", "s", "m", "h", "d", "w"] | None = Field(
        None, description="what a bare number there counts, if it is a duration"
    )
    value: JsonValue = Field(
        None, description="what it is, in place of a file; reports say that it is stated"
    )

    @property
    def is_stated(self) -> bool:
        """Whether somebody says it, null included."""
        return "value" in self.model_fields_set


class Production(Model):
    """What was exported from production, against which a stack is set."""

    taken: Day = Field(description="the day of the exports, in ISO form")
    settings: Annotated[dict[Text, Supplied], Field(min_length=1, max_length=1000)] = Field(
        description="by the path of the setting in the stack, such as `protections.offsite.lock.for`"
    )


class Incident(Model):
    """The real event behind a scenario, and how well it is known."""

    date: Day = Field(description="the day it happened, in ISO form")
    grade: Literal["A", "B", "C"] = Field(
        description="A: the owner's or vendor's own account; B: consistent secondary reports; C: one report"
    )
    sources: Annotated[tuple[Text, ...], Field(min_length=1)] = Field(description="where it is told")
    models: Text = Field(description="what of it the scenario plays")
    leaves_out: Text = Field(description="what it does not")


class Export(Model):
    """Records that a third party gets as the history passes, and keeps."""

    query: RelativePath = Field(description="SQL file; one JSON value a row; given :from and :to")
    to: Name = Field(description="the S3 service that keeps them")
    prefix: str = Field("events/", description="what their keys begin with")


class PastHistory(Model):
    """The past that the backfill plays: data, and the recovery points that would exist today.

    A service that holds items gets ``rows`` of them, made up, over all its collections in turn.
    """

    service: Name = Field(description="the service that it is played into")
    span: Period = Field(description="how far back it goes")
    rows: Annotated[int, Field(ge=0, le=100_000_000)] = Field(
        0, description="rows of the main table over the whole span; none, where a dump brings the data"
    )
    slice: RelativePath | None = Field(
        None, description="for SQL: the file that inserts one slice, given :from, :to, :rows and :now"
    )
    size: Annotated[int, Field(ge=1, le=1_000_000)] = Field(1000, description="for items: bytes of each")
    exports: tuple[Export, ...] = Field((), description="records that third parties keep")


class Workload(Model):
    """Real traffic while the agent works, and after the recovery."""

    locustfile: RelativePath = Field(description="Python file with the users' behaviour")
    service: Name = Field(description="the service that it writes to")
    users: Annotated[int, Field(ge=1, le=1000)] = Field(10, description="how many at once")
    rate: Rate = Field(50.0, description="acknowledged writes a second, over all users")
    steady: Duration = Field(
        timedelta(seconds=2), description="how long all must be well before the agent acts"
    )


class Step(Model):
    """One call of a scripted agent."""

    do: Annotated[str, StringConstraints(pattern=CALL)] = Field(
        description="`<surface>.<verb>`: files.read, http.request, sql.execute, s3.delete-object, ..."
    )
    on: Name | None = Field(None, description="the service; none for the agent's own files")
    with_: dict[str, JsonValue] = Field(
        default_factory=dict,
        alias="with",
        description="arguments; `${name}` stands for a value found earlier",
    )
    save: dict[Identifier, Text] = Field(
        default_factory=dict,
        description="values to keep: a regular expression with one group, or a path such as $.data.me.id",
    )
    why: str = Field("", description="the agent's rationale; kept in the journal")
    harm: bool = Field(False, description="this call is meant to destroy something")


class ScriptedAgent(Model):
    """Plays the steps as they are written. A step that is not done does not stop the next."""

    kind: Literal["scripted"] = Field(description="plays the steps below")
    as_: Name = Field(alias="as", description="the principal that it acts as")
    goal: Text = Field(description="what it was asked to do")
    steps: Annotated[tuple[Step, ...], Field(min_length=1)] = Field(description="its calls, in order")


class IdleAgent(Model):
    """Does nothing. With it, every objective must hold."""

    kind: Literal["idle"] = Field(description="does nothing")
    as_: Name | None = Field(None, alias="as", description="the principal that it stands in for")
    goal: str = Field("nothing", description="what it was asked to do")


class OtherAgent(Model):
    """An agent of a driver that is not built in, found by its entry point."""

    kind: Name = Field(description="the driver's name")
    as_: Name = Field(alias="as", description="the principal that it acts as")
    goal: Text = Field(description="what it was asked to do")
    settings: dict[str, JsonValue] = Field(default_factory=dict, description="what the driver asks for")


Agent = Annotated[
    Annotated[ScriptedAgent, Tag("scripted")]
    | Annotated[IdleAgent, Tag("idle")]
    | Annotated[OtherAgent, Tag("other")],
    Discriminator(Choice("kind", "agents", "kind of agent", "scripted", "idle")),
]


class Assumed(Model):
    """Parts of the recovery time that people take. Not measured here, and marked so in every report."""

    detect: Duration | None = Field(None, description="until somebody notices")
    decide: Duration | None = Field(None, description="until somebody decides to restore")


class Reconstruction(Model):
    """How to rebuild rows from records that a third party kept."""

    from_: Name = Field(alias="from", description="the S3 service with the records")
    prefix: str = Field("events/", description="what their keys begin with")
    script: RelativePath = Field(
        description="SQL file; the records are in the temporary table ninelives_events(body jsonb)"
    )


class Recover(Model):
    """How the team gets its service back."""

    strategy: Literal["newest-surviving", "reconstruct", "runbook"] = Field(
        "newest-surviving",
        description="newest-surviving: restore the newest copy that is left; reconstruct: rebuild rows too; "
        "runbook: run the team's own script",
    )
    service: Name = Field(description="the service that must come back")
    assume: Assumed = Field(default_factory=Assumed, description="parts that people take")
    reconstruct: Reconstruction | None = Field(
        None, description="for the strategy reconstruct: from which records"
    )
    run: RelativePath | None = Field(
        None, description="for the strategy runbook: the script, an executable file in the scenario's folder"
    )
    timeout: Period | None = Field(
        None, description="for the strategy runbook: after this the script is killed; 30m without it"
    )


class Scenario(Model):
    """One drill: a stack, an agent, a workload, how to recover, the objectives, the expected outcome."""

    id: Annotated[str, StringConstraints(pattern=SCENARIO_ID)] = Field(
        description="`<folder>/<file name without .yaml>`"
    )
    title: Text = Field(description="what happens, in one line")
    like: FileName | None = Field(
        None, description="another scenario, next to this one, of which this file says only what differs"
    )
    incident: Incident | None = Field(None, description="the real event behind it")
    stack: FileName = Field(description="the stack file, next to this one")
    provider: Literal["embedded", "docker"] | None = Field(
        None, description="what it has to run on, whatever is asked for on the command line"
    )
    guards: tuple[Name, ...] = Field((), description="the guards of the stack that are switched on")
    history: PastHistory | None = Field(
        None, description="the past that is played first; can be left out when the data come from a dump"
    )
    workload: Workload = Field(description="the traffic")
    agent: Agent = Field(description="who does the damage, and how")
    recover: Recover = Field(description="how the service comes back")
    objectives: Objectives = Field(
        default_factory=Objectives, description="adds to the stack's, or tightens them"
    )
    controls: tuple[Text, ...] = Field(
        (),
        description="controls that it gives evidence for, as nist-800-53:CP-9(7); all of them without it",
    )
    expect: dict[str, VerdictValue] = Field(
        default_factory=dict, description="the verdict each objective should get; without it, held"
    )


class Setting(Fact):
    """One setting of a stack, and what production has.

    Attributes:
        name: its path in the stack.
        fate: whether they are the same.
        here: its value in the stack, as text.
        there: that of production, as text; None when it was not supplied.
        source: the export and the place in it; None when it is only stated, or not supplied.
    """

    name: str
    fate: Literal["same", "different", "not supplied"]
    here: str
    there: str | None = None
    source: str | None = None


class Fidelity(Fact):
    """How a stack compares with what was exported from production.

    Attributes:
        file: that says so.
        taken: the day of the exports.
        exports: SHA-256, in hex, of each export, by its name.
        settings: those that were supplied as the file has them, then those that were not.
    """

    file: str
    taken: Day
    exports: dict[str, str]
    settings: tuple[Setting, ...]

    def of(self, fate: Literal["same", "different", "not supplied"]) -> tuple[Setting, ...]:
        """The settings with that fate."""
        return tuple(each for each in self.settings if each.fate == fate)


class StackLine(Fact):
    """Where the stack file grants something, for what is found when it is played.

    Attributes:
        path: of a service, a principal or a grant: ``principals.<name>.grants.<service>``.
        file: from the top of the repository that holds it; without one, its name.
        line, column: from 1.
    """

    path: str
    file: str
    line: int
    column: int


class LoadedScenario(BaseModel):
    """A scenario with its stack after the guards, ready to be planned.

    Attributes:
        scenario: as written.
        stack: as written, with the scenario's guards applied.
        base: the stack as written, with no guard.
        objectives: the stack's, tightened and added to by the scenario's.
        digest: SHA-256 over scenario, stack and every file they name, in hex.
        files: the text of every SQL file that they name, by its path as written.
        fidelity: the stack against what was exported from production; None when nothing was.
        lines: where services, principals and grants stand in the stack file, with the guards.
        replaced: what of the scenario as written something else stands in for; such a run is no evidence of
            what the scenario describes.

    Two are equal only when their folders are: compare ``model_dump()`` to leave those aside.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    scenario: Scenario
    stack: Stack
    base: Stack
    objectives: Objectives
    digest: str
    files: dict[str, str] = Field(default_factory=dict)
    fidelity: Fidelity | None = None
    lines: tuple[StackLine, ...] = ()
    replaced: tuple[Literal["agent", "guards"], ...] = ()
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
