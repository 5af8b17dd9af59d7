"""The options that say where runs go; their defaults may stand in the environment."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from harness.errors import RequestError
from harness.journal.history import LATEST
from harness.journal.roll import read_roll
from harness.scenario.problems import nearest
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
        run: its path; or, in the folder of all runs, its name, how that begins, or its number.
        reports: that folder.

    Raises:
        RequestError: it is none of these, or may be several.
        JournalError: the roll, which has the numbers, cannot be read.
    """
    for folder in (run, reports / run):
        if folder.is_dir():
            return folder
    name, names = str(run), _names_in(reports)
    if name.isascii() and name.isdigit():
        found = [line.run_id for line in read_roll(reports)[0] if str(line.number) == name]
        found = [each for each in found if each in names]
    else:
        found = [each for each in names if each.startswith(name)]
    if len(found) > 1:
        raise RequestError(f"{run} may be {found[0]} or {found[1]}", hint="write its name in full")
    if not found:
        none = f"{reports} has no run: play one with `ninelives run`, or name their folder with --reports"
        hint = nearest(name, (LATEST, *names) if names else (), none)
        raise RequestError(f"there is no run folder {run}, nor {reports / run}", hint=hint)
    return reports / found[0]


def _names_in(reports: Path) -> list[str]:
    """Of the run folders there, the oldest first: a name begins with the time."""
    there = reports.iterdir() if reports.is_dir() else ()
    return sorted(path.name for path in there if path.is_dir() and not path.is_symlink())


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
