"""``ninelives report``: write a stored run's reports again."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.exits import Exit
from harness.cli.places import find_run, with_reports
from harness.errors import RequestError
from harness.journal.roll import MANIFEST_FILE
from harness.run.drill import REPORTS, render
from harness.run.judge import judge_run
from harness.seams.lookup import names
from harness.search.recording import render_again, stored_result


@click.command("report")
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "formats",
    multiple=True,
    type=click.Choice(names("reporters")),
    help="Which; several may be given.  [default: all that a run writes]",
)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Where to.  [default: RUN]")
@with_reports
def command(run: Path, formats: tuple[str, ...], out: Path | None, reports: Path) -> Exit:
    """Write reports of a stored run, from its files alone.

    RUN is its folder, or its name in the folder of reports, such as `latest`.
    """
    folder = find_run(run, reports)
    if out is None and (folder / MANIFEST_FILE).exists():
        raise RequestError(
            f"{folder} is signed, and whatever is written into it breaks that",
            hint="have the reports written elsewhere with --out",
        )
    stored = stored_result(folder)
    written = (
        render(judge_run(folder), out or folder, formats or REPORTS)
        if stored is None
        else render_again(stored, folder, out or folder, formats or REPORTS)
    )
    for path in written:
        click.echo(path)
    return Exit.AS_EXPECTED
