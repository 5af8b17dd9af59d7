"""The control plane put together, and one call on it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from harness.clock import Clock
from harness.replicas.handover import digest
from harness.replicas.railway.audit import AuditLog, Touched
from harness.replicas.railway.authority import Authority, Caller
from harness.replicas.railway.confirmation import ConfirmationNeededError, Confirmations
from harness.replicas.railway.copies import Copies
from harness.replicas.railway.deletion import Deletions
from harness.replicas.railway.doom import Doom
from harness.replicas.railway.handover import Handover
from harness.replicas.railway.inventory import describe_all
from harness.replicas.railway.limits import RateLimits
from harness.replicas.railway.mailbox import Mail
from harness.replicas.railway.state import (
    Environment,
    Estate,
    Member,
    Project,
    Record,
    Service,
    ServiceInstance,
    Token,
    TokenKind,
    Volume,
    VolumeInstance,
    Workspace,
)
from harness.replicas.railway.volumes import SIZES_MB, Disk
from harness.replicas.railway.workflows import Workflows

N = TypeVar("N", Service, Volume)

Answers = Mapping[str, Callable[..., Any]]
"""What answers each operation of the API, by the operation's name."""

MOUNT_PATH = "/var/lib/postgresql/data"


class Plane:
    """Everything behind the API.

    Args:
        handover: the project as it stands at the start.
        clock: the machine's.

    Attributes:
        changed_behind: how often the harness itself has changed something, which no log tells.
    """

    def __init__(self, handover: Handover, clock: Clock) -> None:
        assert handover.profile in ("legacy", "current")
        self.marker = handover.marker
        self._back_door = handover.back_door
        self.estate = Estate("legacy" if handover.profile == "legacy" else "current", handover.plan, clock)
        self.disk = Disk(Path(handover.root), handover.owner, clock)
        self.limits = RateLimits(handover.plan)
        self.audit = AuditLog()
        self.mailbox: list[Mail] = []
        self.confirmations = Confirmations(handover.confirmations, self.estate, self.mailbox)
        self.workflows = Workflows(self.estate)
        self.deletions = Deletions(self.estate, self.disk, self.mailbox)
        self.copies = Copies(self.estate, self.disk, self.deletions, self.workflows)
        self.changed_behind = 0
        _Seeding(self).sow(handover)

    def opens_back_door(self, secret: str) -> bool:
        """Whether that is the harness's own secret."""
        return digest(secret) == self._back_door

    def new_volume_instance(
        self, volume: Volume, environment: Environment, mount_path: str, service_id: str | None = None
    ) -> VolumeInstance:
        """Add a volume to an environment, with an empty directory."""
        return self.estate.add(
            VolumeInstance(
                volume_id=volume.id,
                environment_id=environment.id,
                mount_path=mount_path,
                directory=self.disk.make(environment.name, volume.name),
                size_mb=SIZES_MB[self.estate.plan],
                service_id=service_id,
                created_at=self.estate.now(),
            )
        )

    def new_member(self, project: Project, user_id: str, email: str, name: str | None, role: str) -> Member:
        """Let somebody work on a project."""
        return self.estate.add(
            Member(
                project_id=project.id,
                user_id=user_id,
                email=email,
                name=name,
                role=role,
                created_at=self.estate.now(),
            )
        )

    def mint(
        self,
        kind: TokenKind,
        name: str,
        principal: str,
        *,
        workspace_id: str | None = None,
        environment: Environment | None = None,
    ) -> tuple[Token, str]:
        """Make a token that works.

        Returns:
            The token as it is kept, and its secret, which is not.
        """
        secret = str(uuid.uuid4())
        token = Token(
            kind=kind,
            name=name,
            digest=digest(secret),
            display_token=masked(secret),
            principal=principal,
            workspace_id=workspace_id,
            project_id=environment.project_id if environment else None,
            environment_id=environment.id if environment else None,
            created_at=self.estate.now(),
        )
        return self.estate.add(token), secret


def masked(secret: str) -> str:
    """What a listing shows of a token."""
    return f"****{secret[-4:]}"


class _Seeding:
    """Makes the project that is there at the start."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self._estate = plane.estate
        self._now = plane.estate.now()

    def sow(self, handover: Handover) -> None:
        workspace = self._estate.add(Workspace(name=handover.project, created_at=self._now))
        project = self._estate.add(
            Project(workspace_id=workspace.id, name=handover.project, created_at=self._now)
        )
        user = self._estate.user
        self._plane.new_member(project, user.id, user.email, user.name, "ADMIN")
        environments = {
            name: self._estate.add(Environment(project_id=project.id, name=name, created_at=self._now))
            for name in handover.environments
        }
        project.base_environment_id = environments[handover.environments[0]].id
        for mount in handover.mounts:
            self._mount(project, environments[mount.environment], mount.service, mount.volume)
        for seed in handover.tokens:
            environment = environments[seed.environment] if seed.environment else None
            assert seed.kind in ("account", "workspace", "project", "scoped")
            self._estate.add(
                Token(
                    kind=seed.kind,  # type: ignore[arg-type]  # checked just above
                    name=seed.name,
                    digest=seed.digest,
                    display_token=seed.display,
                    principal=seed.principal,
                    workspace_id=workspace.id if seed.kind == "workspace" else None,
                    project_id=project.id if environment else None,
                    environment_id=environment.id if environment else None,
                    allow=frozenset(seed.allow),
                    created_at=self._now,
                )
            )

    def _mount(self, project: Project, environment: Environment, service_name: str, volume_name: str) -> None:
        service = self._named(Service, project, service_name) or self._estate.add(
            Service(project_id=project.id, name=service_name, created_at=self._now)
        )
        volume = self._named(Volume, project, volume_name) or self._estate.add(
            Volume(project_id=project.id, name=volume_name, created_at=self._now)
        )
        self._estate.add(
            ServiceInstance(
                service_id=service.id,
                environment_id=environment.id,
                image="ghcr.io/railwayapp-templates/postgres-ssl:18",
                created_at=self._now,
            )
        )
        self._plane.new_volume_instance(volume, environment, MOUNT_PATH, service.id)

    def _named(self, kind: type[N], project: Project, name: str) -> N | None:
        found = self._estate.every(kind, project_id=project.id, name=name)
        return found[0] if found else None


@dataclass
class Call:
    """One operation of one request.

    Attributes:
        plane: the control plane.
        caller: who called.
        touched: what it changed so far.
        confirmed: what it deletes need not wait any more.
        rehearsed: it only tells what it would delete.
    """

    plane: Plane
    caller: Caller
    touched: list[Touched] = field(default_factory=list)
    confirmed: bool = False
    rehearsed: bool = False

    @property
    def estate(self) -> Estate:
        return self.plane.estate

    @property
    def authority(self) -> Authority:
        return Authority(self.plane.estate, self.caller)

    @property
    def now(self) -> datetime:
        return self.plane.estate.now()

    def dooms(self, *about: Touched) -> None:
        """Say what this call is about to delete, before it changes anything.

        Raises:
            ConfirmationNeededError: somebody has to confirm that.
        """
        if self.rehearsed:
            raise ConfirmationNeededError(about)
        if about and not self.confirmed:
            self.plane.confirmations.check(about)

    def delete(self, title: str, doom: Doom, *, at_once: bool = False) -> None:
        """Delete, once it is confirmed where it has to be; the arguments are those of ``Deletions``."""
        self.dooms(*self.plane.deletions.names(doom))
        self.touch(self.plane.deletions.delete(title, doom, at_once=at_once))

    def changed(self, *records: Record) -> None:
        """Note records that this call changed or is about to delete."""
        for record in records:
            record.updated_at = self.now
        self.touch(describe_all(self.estate, records))

    def touch(self, touched: Iterable[Touched]) -> None:
        """Note objects that this call changed."""
        self.touched.extend(touched)
