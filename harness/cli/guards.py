"""``ninelives guards``: which guard would have saved you, and is each one needed."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.answer import show_answer
from harness.cli.exits import Exit, exit_of_answer
from harness.cli.loading import load_all
from harness.cli.places import with_place, with_provider
from harness.journal.matrix import Trial
from harness.run.place import Place
from harness.run.sweep import sweep
from harness.scenario.discover import find_scenarios
from harness.seams.lookup import Provider
from harness.search.guards import MOST_RUNS, NO_GUARD, GuardWish, seek_guards
from harness.search.side_by_side import Order, processors


@click.command("guards")
@click.argument("scenario", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document, and nothing else.")
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=processors,
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
    load_all(find_scenarios((scenario,)))
    sweep(place)
    progress = Progress(quiet=as_json)
    wish = GuardWish(scenario, provider, jobs, most)
    searched = seek_guards(wish, place, progress.begin, progress.end)
    show_answer(searched.result, searched.folder, as_json=as_json)
    return exit_of_answer(searched.answer)


class Progress:
    """A line as each run begins and ends, on standard error."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet

    def begin(self, order: Order) -> None:
        """A run begins."""
        self._say(f"playing  {order.name}")

    def end(self, trial: Trial) -> None:
        """A run has ended."""
        self._say(f"{trial.value:<9}{' + '.join(trial.guards) or NO_GUARD}")

    def _say(self, line: str) -> None:
        if not self._quiet:
            click.echo(line, err=True)
