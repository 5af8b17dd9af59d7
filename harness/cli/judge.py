"""``ninelives judge``: judge a stored run again."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.exits import Exit, exit_of
from harness.cli.summary import show
from harness.run.judge import judge_run


@click.command("judge")
@click.argument("run", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print the verdicts as JSON.")
def command(run: Path, as_json: bool) -> Exit:
    """Judge the stored run in the folder RUN again, from its files alone. Writes nothing.

    Exit code: as for `ninelives run`.
    """
    record = judge_run(run)
    show(record, run, as_json=as_json)
    return exit_of(record)
