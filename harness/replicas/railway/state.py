"""What the control plane knows: plain records in tables, in memory, gone with the process.

A record that is ``buried`` has been deleted but can still be brought back; it answers to nobody but a
volume instance, which tells that its deletion is pending.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal, TypeVar
from uuid import uuid4

from harness.clock import Clock
from harness.replicas.copying import FileState

Profile = Literal["legacy", "current"]
TokenKind = Literal["account", "workspace", "project", "scoped"]
ScheduleKind = Literal["DAILY", "WEEKLY", "MONTHLY"]
VolumeState = Literal[
    "DELETED", "DELETING", "ERROR", "MIGRATING", "MIGRATION_PENDING", "READY", "RESTORING", "UPDATING"
]


def new_id() -> str:
    """An id in the form Railway's have."""
    return str(uuid4())


@dataclass(kw_only=True)
class Record:
    """One object of the API.

    Attributes:
        id: a UUID.
        created_at: when it was made; for a backup, the instant that it holds.
        updated_at: when it was last changed.
        deleted_at: when a deletion that waits becomes final.
        buried: it is deleted, and waits for that.
    """

    id: str = field(default_factory=new_id)
    created_at: datetime
    updated_at: datetime | None = None
    deleted_at: datetime | None = None
    buried: bool = False

    def __post_init__(self) -> None:
        self.updated_at = self.updated_at or self.created_at


@dataclass(kw_only=True)
class User(Record):
    """The owner of the account. There is one."""

    email: str
    name: str
    username: str
    agreed_fair_use: bool = True
    has_2_fa: bool = False
    has_passkeys: bool = False
    is_admin: bool = False
    is_conductor: bool = False
    is_verified: bool = True


@dataclass(kw_only=True)
class Workspace(Record):
    name: str
    has_2_fa_enforcement: bool = False
    has_guardrails_access: bool = False
    has_saml: bool = False
    adoption_history: tuple[object, ...] = ()
    referred_users: tuple[object, ...] = ()


@dataclass(kw_only=True)
class Project(Record):
    workspace_id: str | None
    name: str
    description: str | None = None
    base_environment_id: str | None = None
    bot_pr_environments: bool = False
    focused_pr_environments: bool = False
    is_public: bool = False
    is_temp_project: bool = False
    pr_deploys: bool = False
    feature_flags: set[str] = field(default_factory=set)


@dataclass(kw_only=True)
class Member(Record):
    """Somebody who may work on a project."""

    project_id: str
    user_id: str
    email: str
    name: str | None
    role: str


@dataclass(kw_only=True)
class Invitation(Record):
    project_id: str
    email: str
    role: str
    expires_at: datetime


@dataclass(kw_only=True)
class InviteCode(Record):
    project_id: str
    code: str
    role: str


@dataclass(kw_only=True)
class Transfer(Record):
    """A project that its owner offered to a member."""

    project_id: str
    member_id: str


@dataclass(kw_only=True)
class Environment(Record):
    project_id: str
    name: str
    is_ephemeral: bool = False
    source_environment_id: str | None = None
    base_environment_override_id: str | None = None
    variables: dict[str, str] = field(default_factory=dict)
    can_access: bool = True


@dataclass(kw_only=True)
class Patch(Record):
    """A set of changes to an environment. ``patch`` is shaped as Railway's EnvironmentConfig."""

    environment_id: str
    patch: dict[str, Any]
    status: Literal["STAGED", "COMMITTED"] = "STAGED"
    message: str | None = None
    applied_at: datetime | None = None


@dataclass(kw_only=True)
class Service(Record):
    project_id: str
    name: str
    icon: str | None = None
    upstream_url: str | None = None
    feature_flags: set[str] = field(default_factory=set)
    has_hidden_registry_credentials_from_template: bool = False


@dataclass(kw_only=True)
class ServiceInstance(Record):
    """A service in one environment, with its settings there."""

    service_id: str
    environment_id: str
    image: str | None = None
    repo: str | None = None
    variables: dict[str, str] = field(default_factory=dict)
    limits: dict[str, float] = field(default_factory=dict)
    is_updatable: bool = False
    builder: str = "RAILPACK"
    build_command: str | None = None
    cron_schedule: str | None = None
    dockerfile_path: str | None = None
    draining_seconds: int | None = None
    healthcheck_path: str | None = None
    healthcheck_timeout: int | None = None
    ipv_6_egress_enabled: bool | None = None
    multi_region_config: object = None
    nixpacks_plan: object = None
    num_replicas: int | None = 1
    overlap_seconds: int | None = None
    pre_deploy_command: list[str] | None = None
    railway_config_file: str | None = None
    region: str | None = None
    restart_policy_max_retries: int = 10
    restart_policy_type: str = "ON_FAILURE"
    root_directory: str | None = None
    sleep_application: bool | None = False
    start_command: str | None = None
    watch_patterns: list[str] = field(default_factory=list)


@dataclass(kw_only=True)
class Deployment(Record):
    project_id: str
    environment_id: str
    service_id: str
    status: str = "SUCCESS"
    can_redeploy: bool = True
    can_rollback: bool = False
    deployment_stopped: bool = False
    suggest_add_service_domain: bool = False


@dataclass(kw_only=True)
class CustomDomain(Record):
    project_id: str
    environment_id: str
    service_id: str
    domain: str
    target_port: int | None = None
    sync_status: str = "ACTIVE"


@dataclass(kw_only=True)
class ServiceDomain(Record):
    project_id: str
    environment_id: str
    service_id: str
    domain: str
    suffix: str
    target_port: int | None = None
    sync_status: str = "ACTIVE"


@dataclass(kw_only=True)
class PrivateNetwork(Record):
    project_id: str
    environment_id: str
    name: str
    dns_name: str
    network_id: int
    tags: list[str]

    @property
    def public_id(self) -> str:
        return self.id


@dataclass(kw_only=True)
class Bucket(Record):
    project_id: str
    name: str


@dataclass(kw_only=True)
class Volume(Record):
    """Belongs to a project; what it holds is in its instances."""

    project_id: str
    name: str


@dataclass(kw_only=True)
class VolumeInstance(Record):
    """A volume in one environment.

    Attributes:
        directory: what is mounted.
        size_mb: what the plan allows, in millions of bytes.
        restored_from, restored_by: the backup and the workflow that it came from.
    """

    volume_id: str
    environment_id: str
    mount_path: str
    directory: Path
    size_mb: int
    service_id: str | None = None
    region: str = "us-west2"
    state: VolumeState = "READY"
    restored_from: str | None = None
    restored_by: str | None = None

    @property
    def external_id(self) -> str:
        return f"vol_{self.id}"

    @property
    def is_pending_deletion(self) -> bool:
        return self.buried


@dataclass(kw_only=True)
class Schedule(Record):
    """One kind of backups that is taken regularly."""

    volume_instance_id: str
    kind: ScheduleKind


@dataclass(kw_only=True)
class Backup(Record):
    """A copy of a volume instance, in a directory of its own."""

    volume_instance_id: str
    name: str | None
    directory: Path
    files: frozenset[FileState]
    changed_bytes: int
    volume_instance_size_mb: int
    expires_at: datetime | None = None
    creator_id: str | None = None
    schedule_id: str | None = None

    @property
    def external_id(self) -> str:
        return f"snap_{self.id}"

    @property
    def referenced_mb(self) -> int:
        return _millions(sum(file.size for file in self.files))

    @property
    def used_mb(self) -> int:
        return _millions(self.changed_bytes)


@dataclass(kw_only=True)
class Token(Record):
    """A token, without its secret.

    Attributes:
        digest: SHA-256 of the secret, in hex.
        display_token: what listings show of it.
        principal: whose calls are recorded under it.
        allow: operations that a scoped token may call.
    """

    kind: TokenKind
    name: str
    digest: str
    display_token: str
    principal: str
    workspace_id: str | None = None
    project_id: str | None = None
    environment_id: str | None = None
    allow: frozenset[str] = frozenset()


@dataclass(kw_only=True)
class Workflow(Record):
    status: Literal["Running", "Complete", "Error"] = "Running"
    error: str | None = None


def _millions(size: int) -> int:
    return -(-size // 1_000_000)


R = TypeVar("R", bound=Record)
Captured = tuple[dict[type[Record], dict[str, Record]], User]
"""Every record by kind and id, and the owner of the account."""


class Estate:
    """All records of the control plane, and its time.

    Args:
        profile: before or after April 2026.
        plan: ``free``, ``hobby`` or ``pro``.
        clock: the machine's.
    """

    def __init__(self, profile: Profile, plan: str, clock: Clock) -> None:
        self.profile = profile
        self.plan = plan
        self._clock = clock
        self._ahead = timedelta()
        self._tables: dict[type[Record], dict[str, Record]] = {}
        self.user = self.add(
            User(created_at=self.now(), email="owner@example.com", name="Owner", username="owner")
        )

    def now(self) -> datetime:
        """The date, in UTC."""
        return self._clock.stamp().wall + self._ahead

    def advance(self, by: timedelta) -> None:
        """Let time pass that does not pass."""
        self._ahead += by

    def set_now(self, now: datetime) -> None:
        """Have another date from now on."""
        self._ahead = now - self._clock.stamp().wall

    def capture(self) -> Captured:
        """All records, to be kept as they are by whoever makes a copy of them."""
        return self._tables, self.user

    def recall(self, captured: Captured, now: datetime) -> None:
        """Have those records and that date, and nothing else."""
        self._tables, self.user = captured
        self.set_now(now)

    def add(self, record: R) -> R:
        """Keep a new record."""
        self._tables.setdefault(type(record), {})[record.id] = record
        return record

    def drop(self, record: Record) -> None:
        """Forget a record."""
        self._tables[type(record)].pop(record.id, None)

    def find(self, kind: type[R], id: str, *, buried: bool = False) -> R | None:
        """The record with that id, if there is one and it is not buried, or may be."""
        record = self._tables.get(kind, {}).get(id)
        if not isinstance(record, kind) or (record.buried and not buried):
            return None
        return record

    def get(self, kind: type[R], id: str) -> R:
        """The record that another one names; buried or not."""
        record = self._tables[kind][id]
        assert isinstance(record, kind)
        return record

    def every(self, kind: type[R], /, *, buried: bool = False, **match: object) -> tuple[R, ...]:
        """Records whose attributes have these values, oldest entry first.

        Args:
            kind: of record.
            buried: those that are buried, too.
            match: attributes and their values.
        """
        return tuple(
            record
            for record in self._tables.get(kind, {}).values()
            if isinstance(record, kind)
            and (buried or not record.buried)
            and all(getattr(record, key) == value for key, value in match.items())
        )

    def volume_name(self, instance: VolumeInstance) -> str:
        """``<environment>/<volume>``, which people and recovery points call it by."""
        volume = self.get(Volume, instance.volume_id)
        return f"{self.environment_name(instance.environment_id)}/{volume.name}"

    def environment_name(self, environment_id: str) -> str:
        """What an environment is called."""
        return self.get(Environment, environment_id).name
