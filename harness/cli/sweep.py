"""``ninelives sweep``: remove what killed runs left behind."""

from __future__ import annotations

import click

from harness.cli.exits import Exit
from harness.cli.places import with_place
from harness.run.place import Place, in_memory
from harness.run.sweep import sweep_all, sweep_engine


@click.command("sweep")
@with_place
def command(place: Place) -> Exit:
    """Stop every process and remove every file of runs that were killed. Runs that are alive stay.

    Exit code: 0 nothing is left, 4 something could not be removed.
    """
    places = dict.fromkeys((place, in_memory(place)))
    swept = (*(run for each in places for run in sweep_all(each)), *sweep_engine(place))
    for run in swept:
        if not run.leftovers:
            click.echo(f"{run.run_id}: removed, {run.leases} leases")
        for leftover in run.leftovers:
            click.echo(f"error: {run.run_id}: {leftover}", err=True)
    if not swept:
        click.echo("nothing to sweep")
    return Exit.FAULT if any(run.leftovers for run in swept) else Exit.AS_EXPECTED
