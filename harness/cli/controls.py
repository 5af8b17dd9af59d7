"""``ninelives controls``: what runs say of the controls that auditors ask about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from harness.cli.archives import following, needs_history, with_database
from harness.cli.exits import Exit
from harness.cli.places import find_run, with_reports
from harness.clock import SystemClock
from harness.controls.catalogue import Framework, frameworks
from harness.errors import RequestError
from harness.journal.claims import Check, claims, is_supposed
from harness.journal.record import RunRecord
from harness.render.controls import claims_json, claims_markdown, claims_text
from harness.run.judge import judge_begun
from harness.search.recording import stored_result


@click.command("controls")
@click.argument("runs", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--framework",
    "named",
    multiple=True,
    type=click.Choice(tuple(frameworks())),
    help="Which; several may be given.  [default: all]",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(("text", "markdown", "json")),
    default="text",
    show_default=True,
    help="How it is written.",
)
@click.option(
    "--policy",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Tell of the history too: whether restoring was tested in time, and failures were tested again, by "
    "the periods of that policy.",
)
@with_reports
@with_database
def command(
    runs: tuple[Path, ...],
    named: tuple[str, ...],
    form: str,
    policy: Path | None,
    reports: Path,
    database: str | None,
) -> Exit:
    """Tell what RUNS say of controls: supports, contradicts, or not tested.

    RUNS are folders of runs; or, in the folder of reports, names, numbers or `latest`. Without any, the
    catalogue is told. Every run that is named counts, the failed and the interrupted ones too; searches, and
    runs of what a scenario does not say (`--idle`, `--guards`), are left out.
    """
    listed: tuple[Framework, ...] = tuple(frameworks()[name] for name in named or frameworks())
    beside = () if policy is None else _over_many(policy, reports, database)
    said = claims(_records(find_run(run, reports) for run in runs), listed, beside)
    match form:
        case "json":
            click.echo(claims_json(said))
        case "markdown":
            click.echo("\n".join(claims_markdown(said, listed)))
        case _:
            click.echo("\n".join(claims_text(said, listed)))
    return Exit.AS_EXPECTED


@needs_history
def _over_many(policy: Path, reports: Path, database: str | None) -> tuple[Check, ...]:
    """What the history shows that no run can, by the periods of a policy."""
    from harness.archive.gate import observed
    from harness.archive.policy import read_policy

    asked = read_policy(policy)
    with following(reports, database) as (archive, problem):
        if problem is not None:
            hint = "bring runs.jsonl back from a copy"
            raise RequestError(f"the history is not whole: {problem}", hint=hint)
        return observed(asked, archive, SystemClock().stamp().wall)


def _records(folders: Iterable[Path]) -> Iterator[RunRecord]:
    """The runs that are evidence; of each other folder it is said that it is none."""
    for folder in folders:
        if stored_result(folder) is not None:
            click.echo(f"left out {folder}: it is of a search", err=True)
            continue
        record = judge_begun(folder)
        if is_supposed(record):
            click.echo(f"left out {folder}: it shows what would be, not what is", err=True)
            continue
        yield record
