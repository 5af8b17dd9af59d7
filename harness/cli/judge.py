"""``ninelives judge``: judge a stored run again."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.exits import Exit, exit_of
from harness.cli.places import find_run, with_reports
from harness.cli.summary import show
from harness.run.judge import judge_run


@click.command("judge")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the verdicts as JSON.")
@with_reports
def command(run: Path, as_json: bool, reports: Path) -> Exit:
    """Judge a stored run again, from its files alone. Writes nothing.

    RUN is its folder, or its name in the folder of reports, such as `latest`.

    Exit code: as for `ninelives run`.
    """
    folder = find_run(run, reports)
    record = judge_run(folder)
    show(record, folder, as_json=as_json)
    return exit_of(record)
