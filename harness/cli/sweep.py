"""``ninelives sweep``: remove what killed runs left behind."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.exits import Exit
from harness.cli.places import find_place, place_options
from harness.run.sweep import sweep


@click.command("sweep")
@place_options
def command(reports: Path, work: Path | None) -> Exit:
    """Stop every process and remove every file of runs that were killed. Runs that are alive stay."""
    swept = sweep(find_place(reports, work))
    for run in swept:
        click.echo(f"{run.run_id}: removed, {run.leases} leases")
    if not swept:
        click.echo("nothing to sweep")
    return Exit.AS_EXPECTED
