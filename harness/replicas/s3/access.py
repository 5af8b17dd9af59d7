"""Who may do what: one pair of keys for each principal, and the file that tells the server about them."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from harness.facts import BACK_DOOR, Credential, Secret
from harness.replicas.grants import grants_on
from harness.scenario.models import Stack

S3Grant = Literal["admin", "writer", "reader"]

ACTIONS: dict[S3Grant, tuple[str, ...]] = {
    "admin": ("Admin", "Read", "Write", "List", "Tagging"),
    "writer": ("Read", "Write", "List", "Tagging"),
    "reader": ("Read", "List"),
}
"""What a grant means to SeaweedFS. ``Write`` deletes too; only ``Admin`` may lock objects or lift a lock."""


def grants(stack: Stack, service: str) -> dict[str, S3Grant]:
    """As ``grants_on`` says; the operator may do everything, the application reads and writes."""
    return grants_on(stack, service, ACTIONS, operator="admin", application="writer")


def mint(granted: Mapping[str, S3Grant]) -> dict[str, Credential]:
    """A pair of keys for each of them, and one for the back door."""
    keys = {name: _pair(name) for name in granted}
    door = _pair(BACK_DOOR)
    return {**keys, BACK_DOOR: Credential(BACK_DOOR, "back-door", door.name, door.secret)}


def write_identities(
    path: Path, bucket: str, granted: Mapping[str, S3Grant], credentials: Mapping[str, Credential]
) -> None:
    """Write the server's list of identities, readable by its owner only.

    Everyone is limited to ``bucket`` but the back door, which reaches every bucket.
    """
    identities = [
        _identity(credentials[name], [f"{action}:{bucket}" for action in ACTIONS[grant]])
        for name, grant in granted.items()
    ]
    identities.append(_identity(credentials[BACK_DOOR], list(ACTIONS["admin"])))
    path.touch(mode=0o600)
    path.write_text(json.dumps({"identities": identities}), encoding="utf-8")


def _pair(principal: str) -> Credential:
    return Credential(principal, "access-key", f"NL{secrets.token_hex(9).upper()}", Secret.mint())


def _identity(credential: Credential, actions: list[str]) -> dict[str, object]:
    keys = {"accessKey": credential.name, "secretKey": credential.secret.reveal()}
    return {"name": credential.principal, "credentials": [keys], "actions": actions}
