"""``ninelives history``: the runs that are recorded."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from harness.cli.archives import following, with_history
from harness.cli.exits import Exit


@click.command("history")
@click.argument("scenario", required=False)
@click.option("--last", type=click.IntRange(1, 100_000), default=20, show_default=True, help="How many.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document a line and run.")
@click.option("--rebuild", is_flag=True, help="Make the history anew from the run folders first.")
@with_history
def command(
    scenario: str | None, last: int, as_json: bool, rebuild: bool, reports: Path, database: str | None
) -> Exit:
    """List the runs of SCENARIO, or of all, the newest first.

    What was run since the last time is recorded before. Nothing stands in the history alone: --rebuild makes
    it anew, of every run folder, when its file is spoilt or gone. The one that was there is moved aside.

    Exit code: 0 whatever the verdicts are; 3 and 4 as for `ninelives run`.
    """
    from harness.archive.words import history_text

    with following(reports, database, anew=rebuild) as (archive, _):
        runs = archive.newest(last, scenario)
        count = archive.count(scenario)
    if as_json:
        for run in runs:
            click.echo(run.model_dump_json())
    else:
        console = Console()
        click.echo(history_text(runs, count, console.width if console.is_terminal else None))
    return Exit.AS_EXPECTED
