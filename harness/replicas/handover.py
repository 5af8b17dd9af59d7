"""What the harness hands a process of its own when it starts it: a file that is read once and removed."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

FILE = "handover.json"


def digest(secret: str) -> str:
    """What a process keeps of a secret: its SHA-256, in hex."""
    return hashlib.sha256(secret.encode()).hexdigest()


def hand_over(values: DataclassInstance, directory: Path) -> Path:
    """Write it where only our own account can read it."""
    path = directory / FILE
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(file, "w") as handle:
        json.dump(asdict(values), handle)
    return path


def take_over(path: Path) -> dict[str, Any]:
    """Read it and remove it; lists stand for tuples."""
    values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    path.unlink()
    return values
