"""What verbs share that need packages which not everybody installs."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from harness.seams.lookup import missing_package


def needs(what: str, extra: str, *packages: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Let a command say which package it lacks, and where that comes from.

    Args:
        what: that needs them.
        extra: of this project, which brings them.
        packages: as they are imported.
    """

    def wrapped(command: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(command)
        def with_packages(*args: Any, **options: Any) -> Any:
            try:
                return command(*args, **options)
            except ModuleNotFoundError as error:
                raise missing_package(error, what, dict.fromkeys(packages, extra)) from error

        return with_packages

    return wrapped
