"""What the harness hands the control plane when it starts it: a file that is read once and removed.

Secret keys are in it, since a signature can only be checked by who knows them.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

FILE = "handover.json"


def digest(secret: str) -> str:
    """SHA-256 of a secret, in hex."""
    return hashlib.sha256(secret.encode()).hexdigest()


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

    def write(self, directory: Path) -> Path:
        """Write it where only our own account can read it."""
        path = directory / FILE
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(file, "w") as handle:
            json.dump(asdict(self), handle)
        return path

    @classmethod
    def take(cls, path: Path) -> Handover:
        """Read it and remove it."""
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        path.unlink()
        values["users"] = tuple(UserSeed(**user) for user in values["users"])
        values["databases"] = tuple(DatabaseSeed(**database) for database in values["databases"])
        values["volumes"] = tuple(VolumeSeed(**volume) for volume in values["volumes"])
        values["vaults"] = tuple(VaultSeed(**vault) for vault in values["vaults"])
        values["owner"] = tuple(values["owner"]) if values["owner"] else None
        return cls(**values)
