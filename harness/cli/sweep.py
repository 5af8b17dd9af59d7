"""``ninelives sweep``: remove what killed runs left behind."""

from __future__ import annotations

import click

from harness.cli.exits import Exit
from harness.cli.places import with_place
from harness.run.place import Place
from harness.run.sweep import sweep


@click.command("sweep")
@with_place
def command(place: Place) -> Exit:
    """Stop every process and remove every file of runs that were killed. Runs that are alive stay."""
    swept = sweep(place)
    for run in swept:
        click.echo(f"{run.run_id}: removed, {run.leases} leases")
    if not swept:
        click.echo("nothing to sweep")
    return Exit.AS_EXPECTED
