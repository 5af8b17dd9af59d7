"""Finds drivers by name: one literal table of built-ins, imported on use, then entry points.

A third party's package names its drivers in the entry-point groups ``ninelives.replicas``,
``ninelives.clients`` (of services that hold items, by their kind), ``ninelives.surfaces``,
``ninelives.backups``, ``ninelives.agents``, ``ninelives.objectives`` and ``ninelives.reporters``.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal

from harness.errors import MissingToolError, UnknownDriverError

DriverKind = Literal["replicas", "clients", "surfaces", "backups", "agents", "objectives", "reporters"]

BUILT_IN: dict[DriverKind, dict[str, str]] = {
    "replicas": {
        "postgres": "harness.replicas.postgres:PostgresReplica",
        "s3": "harness.replicas.s3:S3Replica",
        "railway": "harness.replicas.railway:RailwayReplica",
        "volume": "harness.replicas.volume:VolumeReplica",
        "aws": "harness.replicas.aws:AwsReplica",
        "valkey": "harness.replicas.valkey:ValkeyReplica",
        "git": "harness.replicas.git:GitReplica",
        "container": "harness.replicas.containers.container:ContainerReplica",
        "mariadb": "harness.replicas.mariadb:MariadbReplica",
        "files": "harness.replicas.files:WorkspaceReplica",
    },
    "clients": {
        "volume": "harness.seams.volume_client:VolumeClient",
        "valkey": "harness.seams.valkey_client:ValkeyClient",
        "git": "harness.seams.git_client:GitClient",
        "s3": "harness.seams.s3_items:S3ItemClient",
        "container": "harness.seams.container_client:ContainerClient",
    },
    "surfaces": {
        "files": "harness.surfaces.files:FilesSurface",
        "http": "harness.surfaces.http:HttpSurface",
        "sql": "harness.surfaces.sql:SqlSurface",
        "s3": "harness.surfaces.s3:S3Surface",
        "shell": "harness.surfaces.shell:ShellSurface",
        "valkey": "harness.surfaces.valkey:ValkeySurface",
        "mariadb": "harness.surfaces.mariadb:MariadbSurface",
        "aws": "harness.surfaces.aws:AwsSurface",
        "git": "harness.surfaces.git:GitSurface",
        "docker": "harness.surfaces.docker:DockerSurface",
    },
    "backups": {
        "railway-volume-backup": "harness.backups.railway_volume:RailwayVolumeBackupTool",
        "rds-snapshots": "harness.backups.rds_snapshots:RdsSnapshotsTool",
        "ebs-snapshots": "harness.backups.ebs_snapshots:EbsSnapshotsTool",
        "aws-backup": "harness.backups.aws_backup:AwsBackupTool",
        "pg_dump": "harness.backups.pg_dump:PgDumpTool",
        "postgres-pitr": "harness.backups.postgres_pitr:PostgresPitrTool",
        "pgbackrest": "harness.backups.pgbackrest:PgBackRestTool",
        "delayed-replica": "harness.backups.delayed_replica:DelayedReplicaTool",
        "restic": "harness.backups.restic:ResticTool",
        "command": "harness.backups.command:CommandTool",
        "archive": "harness.backups.archive:ArchiveTool",
        "volume-snapshot": "harness.backups.volume_snapshot:VolumeSnapshotTool",
        "valkey-rdb": "harness.backups.valkey_rdb:ValkeyRdbTool",
        "valkey-aof": "harness.backups.valkey_aof:ValkeyAofTool",
        "git-bundle": "harness.backups.git_bundle:GitBundleTool",
        "mariadb-dump": "harness.backups.mariadb_dump:MariadbDumpTool",
        "mariadb-binlogs": "harness.backups.mariadb_binlogs:MariadbBinlogsTool",
        "s3-versions": "harness.backups.s3_versions:S3VersionsTool",
        "s3-replication": "harness.backups.s3_replication:S3ReplicationTool",
    },
    "agents": {
        "scripted": "harness.agents.scripted:ScriptedAgent",
        "idle": "harness.agents.idle:IdleAgent",
    },
    "objectives": {
        "backup-survival": "harness.objectives.backup_survival:BackupSurvivalObjective",
        "isolation": "harness.objectives.isolation:IsolationObjective",
        "rpo": "harness.objectives.rpo:RpoObjective",
        "rto": "harness.objectives.rto:RtoObjective",
        "invariants": "harness.objectives.invariants:InvariantsObjective",
        "containment": "harness.objectives.containment:ContainmentObjective",
        "immutability": "harness.objectives.immutability:ImmutabilityObjective",
        "audit-trail": "harness.objectives.audit_trail:AuditTrailObjective",
        "dual-control": "harness.objectives.dual_control:DualControlObjective",
    },
    "reporters": {
        "text": "harness.render.text:TextReporter",
        "json": "harness.render.json:JsonReporter",
        "junit": "harness.render.junit:JUnitReporter",
        "html": "harness.render.html:HtmlReporter",
        "pdf": "harness.render.pdf:PdfReporter",
        "markdown": "harness.render.markdown:MarkdownReporter",
        "ctrf": "harness.render.ctrf:CtrfReporter",
        "csv": "harness.render.csv:CsvReporter",
        "prometheus": "harness.render.prometheus:PrometheusReporter",
        "sarif": "harness.render.sarif:SarifReporter",
        "oscal": "harness.render.oscal:OscalReporter",
    },
}

EXTRAS = {
    "boto3": "aws",
    "cryptography": "pgbackrest",
    "flask": "aws",
    "moto": "aws",
    "prometheus_client": "prometheus",
    "pymysql": "mariadb",
    "testcontainers": "docker",
    "valkey": "valkey",
    "weasyprint": "pdf",
}
"""The extra of our own distribution that brings each package."""


Provider = Literal["embedded", "docker"]
"""What replicas run on: processes of this machine, or containers of its engine."""

IN_CONTAINERS: dict[str, str] = {kind: f"docker-{kind}" for kind in ("postgres", "s3", "mariadb", "valkey")}
"""The driver that brings a kind up with provider ``docker``; kinds that are not here run embedded."""

CONTAINERS: dict[str, str] = {
    "docker-postgres": "harness.replicas.containers.postgres:ContainerPostgresReplica",
    "docker-s3": "harness.replicas.containers.s3:ContainerS3Replica",
    "docker-mariadb": "harness.replicas.containers.mariadb:ContainerMariadbReplica",
    "docker-valkey": "harness.replicas.containers.valkey:ContainerValkeyReplica",
}
"""Replicas that no stack names: a provider chooses them, and leases name them."""


def driver_with(provider: Provider, driver: str) -> str:
    """The driver that brings up what is usually brought up by ``driver``."""
    return IN_CONTAINERS.get(driver, driver) if provider == "docker" else driver


def needs_engine(driver: str) -> bool:
    """Whether a replica driver needs the machine's container engine."""
    return driver in CONTAINERS or driver == "container"


@cache
def _third_parties() -> dict[DriverKind, dict[str, EntryPoint]]:
    """Looked up all at once: for each kind Python would read the entry points of every package again."""
    installed = entry_points()
    return {
        kind: {point.name: point for point in installed.select(group=f"ninelives.{kind}")}
        for kind in BUILT_IN
    }


def names(kind: DriverKind) -> tuple[str, ...]:
    """All names of one kind of driver, built-ins first."""
    return (*BUILT_IN[kind], *(name for name in _third_parties()[kind] if name not in BUILT_IN[kind]))


def lookup(kind: DriverKind, name: str) -> Any:
    """The driver class or factory of that name, imported now.

    Raises:
        UnknownDriverError: nobody offers it; names the nearest ones. Or what a third party offers under
            that name cannot be imported.
        MissingToolError: it needs a package that comes with an extra.
    """
    target = BUILT_IN[kind].get(name) or (CONTAINERS.get(name) if kind == "replicas" else None)
    if target is not None:
        return _built_in(name, target)
    point = _third_parties()[kind].get(name)
    if point is not None:
        return _load(point)
    near = get_close_matches(name, names(kind), n=3)
    raise UnknownDriverError(
        f"no driver of kind {kind!r} is called {name!r}",
        hint=f"did you mean {' or '.join(near)}?" if near else f"there are: {', '.join(names(kind))}",
    )


def _built_in(name: str, target: str) -> Any:
    module, _, attribute = target.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except ModuleNotFoundError as error:
        raise missing_package(error, name, EXTRAS) from error


def missing_package(error: ModuleNotFoundError, what: str, extras: Mapping[str, str]) -> MissingToolError:
    """What to say to a user who has not installed an extra.

    Args:
        error: of the import.
        what: needs the package.
        extras: of our own distribution, by the packages that they bring.

    Raises:
        ModuleNotFoundError: the package is none of those.
    """
    package = (error.name or "").partition(".")[0]
    if package not in extras:
        raise error
    return MissingToolError(
        f"{what} needs the package {package}, which is not installed",
        hint=f"pip install 'ninelives[{extras[package]}]'",
    )


def _load(point: EntryPoint) -> Any:
    try:
        return point.load()
    except Exception as error:
        raise UnknownDriverError(
            f"the driver {point.name!r} cannot be loaded from {point.value}: {type(error).__name__}: {error}",
            hint=f"mend the package {point.dist.name if point.dist else point.module}, or uninstall it",
        ) from error
