"""``ninelives guards``: which guard would have saved you, and is each one needed."""

from __future__ import annotations

import os
from pathlib import Path

import click
from rich.console import Console

from harness.cli.exits import Exit
from harness.cli.loading import load_all
from harness.cli.places import with_place, with_provider
from harness.clock import SystemClock
from harness.errors import HarnessError
from harness.journal.matrix import GuardMatrix, Trial
from harness.render.guards import PAGE_FILE, matrix_text, write_matrix
from harness.run.place import Place, name_run
from harness.run.sweep import sweep
from harness.scenario.discover import find_scenarios
from harness.seams.lookup import Provider
from harness.search.guards import try_guards
from harness.search.side_by_side import Order, SideBySide

MOST_RUNS = 40
EXITS = {"held": Exit.AS_EXPECTED, "breached": Exit.BREACHED, "undecided": Exit.UNDECIDED}


@click.command("guards")
@click.argument("scenario", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document, and nothing else.")
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=lambda: os.cpu_count() or 1,
    help="Runs at a time.  [default: one for each processor]",
)
@click.option(
    "--most",
    type=click.IntRange(min=1),
    default=MOST_RUNS,
    show_default=True,
    help="Runs in all; none, each alone, all but each, and all are played in any case.",
)
@with_provider
@with_place
def command(scenario: Path, as_json: bool, jobs: int, most: int, provider: Provider, place: Place) -> Exit:
    """Play SCENARIO with no guard, with each alone, with all but each, with all, and with sets in between.

    Exit code: 0 when everything holds with every guard on, 1 when something is breached even then, 2 when
    that is undecided, 3 and 4 as for `ninelives run`, 130 interrupted (what was found so far is printed).
    """
    (loaded,) = load_all(find_scenarios((scenario,)))
    sweep(place)
    progress = Progress(quiet=as_json)
    player = SideBySide(place, provider, jobs, progress.begin)
    matrix = try_guards(scenario, player.play, most, progress.end)
    folder = place.reports / name_run(f"{loaded.id}-guards", SystemClock().stamp().wall)
    try:
        write_matrix(matrix, folder)
    except OSError as error:
        raise HarnessError(
            f"cannot write into {folder}: {error}", hint="free some space, or choose another with --reports"
        ) from error
    _show(matrix, folder, as_json=as_json)
    return Exit.INTERRUPTED if matrix.interrupted else EXITS[matrix.value]


def _show(matrix: GuardMatrix, folder: Path, *, as_json: bool) -> None:
    if as_json:
        click.echo(matrix.model_dump_json())
        return
    width = Console(highlight=False).width
    click.echo(matrix_text(matrix, width), nl=False)
    click.echo(f"\nreport: {folder / PAGE_FILE}")


class Progress:
    """A line as each run begins and ends, on standard error."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet

    def begin(self, order: Order) -> None:
        """A run begins."""
        self._say(f"playing  {_named(order.guards)}")

    def end(self, trial: Trial) -> None:
        """A run has ended."""
        self._say(f"{trial.value:<9}{_named(trial.guards)}")

    def _say(self, line: str) -> None:
        if not self._quiet:
            click.echo(line, err=True)


def _named(guards: tuple[str, ...]) -> str:
    return " + ".join(guards) or "no guard"
