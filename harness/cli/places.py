"""Where runs go, from options, environment and defaults: the one reader of the environment."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click
from platformdirs import user_cache_path

from harness.run.place import Place

F = TypeVar("F", bound=Callable[..., object])

ROOT_CACHE = Path("/var/cache/ninelives")
"""Root's own cache may lie in a home that the unprivileged account cannot enter."""


def place_options(command: F) -> F:
    """The options ``--reports`` and ``--work``."""
    for option in (
        click.option(
            "--work",
            type=click.Path(path_type=Path, file_okay=False),
            envvar="NINELIVES_WORK",
            help="Where replicas live while a run lasts.  [default: a folder of yours in the temporary one]",
        ),
        click.option(
            "--reports",
            type=click.Path(path_type=Path, file_okay=False),
            envvar="NINELIVES_REPORTS",
            default=Path("reports"),
            show_default=True,
            help="Where run folders go.",
        ),
    ):
        command = option(command)
    return command


def find_place(reports: Path, work: Path | None) -> Place:
    """Fill in the defaults.

    Args:
        reports: as given.
        work: as given, or None.
    """
    cache = ROOT_CACHE if os.geteuid() == 0 else user_cache_path("ninelives")
    if override := os.environ.get("NINELIVES_CACHE"):
        cache = Path(override)
    default = Path(tempfile.gettempdir()) / f"ninelives-{os.geteuid()}"
    return Place(reports=reports.absolute(), work=(work or default).absolute(), cache=cache.absolute())
