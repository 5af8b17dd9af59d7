"""What the harness hands the control plane when it starts it: a file that is read once and removed.

No token is in it, only their digests.
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
    """What the control plane keeps of a secret: its SHA-256, in hex."""
    return hashlib.sha256(secret.encode()).hexdigest()


@dataclass(frozen=True)
class TokenSeed:
    """A token that exists from the start."""

    principal: str
    kind: str
    name: str
    digest: str
    display: str
    environment: str | None = None
    allow: tuple[str, ...] = ()


@dataclass(frozen=True)
class Mount:
    """A service with a volume, in one environment."""

    service: str
    environment: str
    volume: str


@dataclass(frozen=True)
class Handover:
    """The project as it stands when the control plane starts.

    Attributes:
        marker: of the lease.
        back_door: digest of the secret that opens the back door.
        root: directory of all volumes.
        owner: user and group id that volumes belong to; None for our own.
    """

    marker: str
    profile: str
    plan: str
    project: str
    environments: tuple[str, ...]
    mounts: tuple[Mount, ...]
    tokens: tuple[TokenSeed, ...]
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
        values["environments"] = tuple(values["environments"])
        values["mounts"] = tuple(Mount(**mount) for mount in values["mounts"])
        values["tokens"] = tuple(
            TokenSeed(**{**token, "allow": tuple(token["allow"])}) for token in values["tokens"]
        )
        values["owner"] = tuple(values["owner"]) if values["owner"] else None
        return cls(**values)
