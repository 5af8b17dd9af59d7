"""``ninelives report``: write a stored run's reports again."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.exits import Exit
from harness.run.drill import REPORTS, render
from harness.run.judge import judge_run
from harness.seams.lookup import names


@click.command("report")
@click.argument("run", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--format",
    "formats",
    multiple=True,
    type=click.Choice(names("reporters")),
    help="Which; several may be given.  [default: all that a run writes]",
)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Where to.  [default: RUN]")
def command(run: Path, formats: tuple[str, ...], out: Path | None) -> Exit:
    """Write reports of the stored run in the folder RUN, from its files alone."""
    record = judge_run(run)
    for path in render(record, out or run, formats or REPORTS):
        click.echo(path)
    return Exit.AS_EXPECTED
