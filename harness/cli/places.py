"""The options that say where runs go; their defaults may stand in the environment."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from harness.errors import RequestError
from harness.seams.lookup import Provider

if TYPE_CHECKING:
    # For types only: verbs that only read need nothing of it.
    from harness.run.place import Place

FOLDER = click.Path(path_type=Path, file_okay=False)


with_reports = click.option(
    "--reports",
    type=FOLDER,
    envvar="NINELIVES_REPORTS",
    default=Path("reports"),
    show_default=True,
    help="Where run folders are.",
)


with_provider = click.option(
    "--provider",
    type=click.Choice(get_args(Provider)),
    envvar="NINELIVES_PROVIDER",
    default="embedded",
    show_default=True,
    help="What replicas run on: processes of this machine, or containers of its engine.",
)


def find_run(run: Path, reports: Path) -> Path:
    """A stored run's folder.

    Args:
        run: its path, or its name in the folder of all of them.
        reports: that folder.

    Raises:
        RequestError: it is neither.
    """
    for folder in (run, reports / run):
        if folder.is_dir():
            return folder
    raise RequestError(
        f"there is no run folder {run}, nor {reports / run}",
        hint=f"name a run folder, or one in {reports}: its newest is `latest`",
    )


def with_place(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options ``--reports``, ``--work`` and ``--cache``, and the argument ``place``."""

    @with_reports
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
        from harness.run.place import usual_place

        place: Place = usual_place(reports, work, cache)
        return command(place=place, **rest)

    return with_options
