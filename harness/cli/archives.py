"""What the verbs of the history share: where it is, and having it follow the run folders."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.extras import needs
from harness.cli.places import with_reports
from harness.errors import RequestError
from harness.render.wording import clean

if TYPE_CHECKING:
    # Only what is installed with the extra has it.
    from harness.archive.database import Archive

needs_history = needs("the history of runs", "history", "sqlalchemy", "alembic")


with_database = click.option(
    "--database",
    envvar="NINELIVES_DATABASE",
    help="URL of a team's PostgreSQL database; better set as NINELIVES_DATABASE, where no list of "
    "processes shows it.  [default: history.sqlite beside the run folders]",
)


def with_history(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options ``--reports`` and ``--database``, as ``reports`` and ``database``."""

    @with_reports
    @with_database
    @wraps(command)
    def with_options(**options: Any) -> Any:
        return needs_history(command)(**options)

    return with_options


@contextmanager
def following(
    reports: Path, database: str | None, *, anew: bool = False
) -> Iterator[tuple[Archive, str | None]]:
    """The history with every run of a folder of reports in it, and what is wrong with the roll, if anything.

    Args:
        reports: the folder of all runs; of a team's history it need not be there.
        database: URL of a team's.
        anew: record every run again.

    Raises:
        RequestError: there is no such folder, or the URL is none.
        HistoryError: the history cannot be used.
    """
    database = database or None  # what a CI system makes of a secret that is not set
    there = reports.is_dir()
    if not there and database is None:
        raise RequestError(
            f"there is no folder {reports}, so no run is recorded",
            hint="play a run with `ninelives run`, or name the folder of reports with --reports",
        )
    with _opened(reports, database, anew=anew) as (archive, from_the_beginning):
        problem = None
        if there:
            problem = _record(archive, reports, anew=from_the_beginning)
        yield archive, problem


@contextmanager
def _opened(reports: Path, database: str | None, *, anew: bool) -> Iterator[tuple[Archive, bool]]:
    """The history, and whether every run is still to be recorded."""
    from harness.archive.database import opened
    from harness.archive.file import opened_file, set_aside, turn

    if database is not None:
        with opened(database) as archive:
            yield archive, anew
        return
    with turn(reports, alone=anew) as was_made:
        if anew and was_made:
            click.echo("another process has just made the history anew", err=True)
        elif anew and (aside := set_aside(reports)) is not None:
            click.echo(f"the history that was there is now {aside}", err=True)
        with opened_file(reports) as archive:
            yield archive, anew and not was_made


def _record(archive: Archive, reports: Path, *, anew: bool) -> str | None:
    from harness.archive.recording import record, record_anew

    problem = record_anew(archive, reports) if anew else record(archive, reports)
    if problem is not None:
        click.echo(clean(f"note: {problem}; runs after it are not recorded"), err=True)
    return problem
