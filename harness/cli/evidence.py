"""What the verbs of evidence share: the packages that they need."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from harness.errors import MissingToolError

PACKAGES = ("cryptography", "rfc8785", "securesystemslib")


def needs_evidence(command: Callable[..., Any]) -> Callable[..., Any]:
    """Let a command say which package it lacks, and where that comes from."""

    @wraps(command)
    def with_packages(*args: Any, **options: Any) -> Any:
        try:
            return command(*args, **options)
        except ModuleNotFoundError as error:
            package = (error.name or "").partition(".")[0]
            if package not in PACKAGES:
                raise
            raise MissingToolError(
                f"signed evidence needs the package {package}, which is not installed",
                hint="pip install 'ninelives[evidence]'",
            ) from error

    return with_packages
