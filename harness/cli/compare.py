"""``ninelives compare``: what differs between two runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.archives import following, with_history
from harness.cli.exits import Exit, exit_of_value
from harness.cli.folding import tell_lines

if TYPE_CHECKING:
    # Only what is installed with the extra has it.
    from harness.archive.database import Archive
    from harness.archive.kept import Kept

INDENT = " " * 6


@click.command("compare")
@click.argument("before")
@click.argument("after")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document, and nothing else.")
@with_history
def command(before: str, after: str, as_json: bool, reports: Path, database: str | None) -> Exit:
    """Tell which verdicts turned and which figures moved from the run BEFORE to the run AFTER.

    A run is named as `ninelives history` names it, by number or id, or the beginning of one; `latest` is the
    newest. The folder of a run will do too.

    Exit code: 1 when an objective is breached that was not, 2 when one is no longer decided or AFTER did not
    end or cannot be trusted, else 0; 3 and 4 as for `ninelives run`.
    """
    from harness.archive.comparison import compare
    from harness.archive.words import comparison_text

    with following(reports, database) as (archive, _):
        compared = compare(_run(archive, before), _run(archive, after))
    if as_json:
        click.echo(compared.model_dump_json())
    else:
        tell_lines(comparison_text(compared), rest=INDENT)
    return exit_of_value(compared.value)


def _run(archive: Archive, name: str) -> Kept:
    from harness.archive.kept import read_run

    return read_run(Path(name)) if Path(name).is_dir() else archive.find(name)
