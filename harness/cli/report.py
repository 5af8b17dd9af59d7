"""``ninelives report``: write a stored run's reports again, or a site of many runs."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from harness.cli.exits import Exit
from harness.cli.places import find_run, with_reports
from harness.errors import RequestError
from harness.journal.roll import MANIFEST_FILE
from harness.journal.writer import JOURNAL_FILE
from harness.run.drill import REPORTS, render
from harness.run.judge import SCENARIO, judge_run
from harness.seams.lookup import names
from harness.search.recording import render_again, stored_result


@click.command("report")
@click.argument("runs", metavar="RUN...", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--format",
    "formats",
    multiple=True,
    type=click.Choice(names("reporters")),
    help="Which; several may be given.  [default: all that a run writes]",
)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Where to.  [default: RUN]")
@click.option(
    "--site",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write pages of many runs into that folder: an index, the history of each scenario, every run.",
)
@with_reports
def command(
    runs: tuple[Path, ...], formats: tuple[str, ...], out: Path | None, site: Path | None, reports: Path
) -> Exit:
    """Write reports of a stored run, from its files alone.

    RUN is its folder; or, in the folder of reports, its name, its number or `latest`. With
    --site several may be named; without any it takes all that are there.

    Exit code: 0 whatever the verdicts are, and when a site has runs that cannot be read; 3 and 4 as for
    `ninelives run`.
    """
    if site is not None:
        if formats or out:
            raise click.UsageError("--site writes pages into its folder: --format and --out are not for it")
        _publish(tuple(find_run(run, reports) for run in runs) or _all(reports), site)
        return Exit.AS_EXPECTED
    if len(runs) != 1:
        raise click.UsageError("name one run, such as `latest`; several go with --site DIR")
    _write(find_run(runs[0], reports), formats, out)
    return Exit.AS_EXPECTED


def _write(folder: Path, formats: tuple[str, ...], out: Path | None) -> None:
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


def _all(reports: Path) -> tuple[Path, ...]:
    """Every folder of a run, but for links to one."""
    folders = sorted(reports.iterdir()) if reports.is_dir() else []
    return tuple(
        folder
        for folder in folders
        if not folder.is_symlink() and any((folder / name).is_file() for name in (SCENARIO, JOURNAL_FILE))
    )


def _publish(folders: tuple[Path, ...], site: Path) -> None:
    from harness.archive.pages import INDEX
    from harness.archive.site import publish

    with click.progressbar(
        length=len(folders), label="runs read", file=sys.stderr, hidden=not sys.stderr.isatty()
    ) as bar:
        contents = publish(folders, site, lambda done, _: bar.update(done - bar.pos))
    for each in contents.unreadable:
        click.echo(f"left out: {each.name}: {each.why}", err=True)
    click.echo(site / INDEX)
