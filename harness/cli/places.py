"""The options that say where runs go; their defaults may stand in the environment."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from harness.run.place import Place, usual_place

FOLDER = click.Path(path_type=Path, file_okay=False)


def with_place(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options ``--reports``, ``--work`` and ``--cache``, and the argument ``place``."""

    @click.option(
        "--reports",
        type=FOLDER,
        envvar="NINELIVES_REPORTS",
        default=Path("reports"),
        show_default=True,
        help="Where run folders go.",
    )
    @click.option(
        "--work",
        type=FOLDER,
        envvar="NINELIVES_WORK",
        help="Where replicas live while a run lasts.  [default: below the temporary folder]",
    )
    @click.option(
        "--cache",
        type=FOLDER,
        envvar="NINELIVES_CACHE",
        help="Where prepared servers are kept.  [default: your cache folder]",
    )
    @wraps(command)
    def with_options(*, reports: Path, work: Path | None, cache: Path | None, **rest: Any) -> Any:
        place: Place = usual_place(reports, work, cache)
        return command(place=place, **rest)

    return with_options
