"""What the harness hands the control plane when it starts it: a file that is read once and removed.

Secret keys are in it, since a signature can only be checked by who knows them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.replicas.handover import take_over


@dataclass(frozen=True)
class UserSeed:
    """An identity with an access key.

    Attributes:
        statements: of its policy, as JSON; None for the owner of the account, to whom no policy applies.
    """

    principal: str
    access_key: str
    secret: str
    statements: list[Any] | None


@dataclass(frozen=True)
class DatabaseSeed:
    """An RDS instance that a database of the stack lies on.

    Attributes:
        environment: that it stands in.
        settings: parameters of ``CreateDBInstance``.
    """

    identifier: str
    environment: str | None
    settings: dict[str, Any]


@dataclass(frozen=True)
class VolumeSeed:
    """An EBS volume that a database of the stack lies on, on a machine of its own."""

    name: str
    environment: str | None


@dataclass(frozen=True)
class VaultSeed:
    """A vault of AWS Backup.

    Attributes:
        mode: of its lock, whose cooling-off is over; None without one.
        days: that everything in it is kept, at least.
    """

    name: str
    mode: str | None
    days: int | None


@dataclass(frozen=True)
class Handover:
    """The account as it stands when the control plane starts.

    Attributes:
        marker: of the lease.
        account, region: of everything that is there at the start.
        back_door: digest of the secret that opens the back door.
        root: directory of everything that is real: databases, volumes and their copies.
        owner: user and group id that databases belong to; None for our own.
    """

    marker: str
    account: str
    region: str
    users: tuple[UserSeed, ...]
    databases: tuple[DatabaseSeed, ...]
    volumes: tuple[VolumeSeed, ...]
    vaults: tuple[VaultSeed, ...]
    back_door: str
    root: str
    owner: tuple[int, int] | None

    @classmethod
    def take(cls, path: Path) -> Handover:
        """Read it and remove it."""
        values = take_over(path)
        values["users"] = tuple(UserSeed(**user) for user in values["users"])
        values["databases"] = tuple(DatabaseSeed(**database) for database in values["databases"])
        values["volumes"] = tuple(VolumeSeed(**volume) for volume in values["volumes"])
        values["vaults"] = tuple(VaultSeed(**vault) for vault in values["vaults"])
        values["owner"] = tuple(values["owner"]) if values["owner"] else None
        return cls(**values)
