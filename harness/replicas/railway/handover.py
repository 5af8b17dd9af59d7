"""What the harness hands the control plane when it starts it: a file that is read once and removed.

No token is in it, only their digests.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness.replicas.handover import take_over

Rule = Literal["none", "anyone", "second-person"]
"""Who has to confirm a deletion."""


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
        confirmations: who has to confirm a deletion.
        root: directory of all volumes.
        owner: user and group id that volumes belong to; None for our own.
    """

    marker: str
    profile: str
    plan: str
    confirmations: Rule
    project: str
    environments: tuple[str, ...]
    mounts: tuple[Mount, ...]
    tokens: tuple[TokenSeed, ...]
    back_door: str
    root: str
    owner: tuple[int, int] | None

    @classmethod
    def take(cls, path: Path) -> Handover:
        """Read it and remove it."""
        values = take_over(path)
        values["environments"] = tuple(values["environments"])
        values["mounts"] = tuple(Mount(**mount) for mount in values["mounts"])
        values["tokens"] = tuple(
            TokenSeed(**{**token, "allow": tuple(token["allow"])}) for token in values["tokens"]
        )
        values["owner"] = tuple(values["owner"]) if values["owner"] else None
        return cls(**values)
