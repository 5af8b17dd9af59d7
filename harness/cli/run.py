"""``ninelives run``: drill scenarios."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.exits import Exit, exit_of, exit_of_error, explain, worst
from harness.cli.loading import load_all, named_guards
from harness.cli.places import with_place, with_provider
from harness.cli.summary import show
from harness.run.drill import Drilled, drill
from harness.run.logs import FOLDER as LOGS
from harness.run.place import Place
from harness.run.sweep import sweep
from harness.scenario.discover import find_scenarios
from harness.scenario.models import LoadedScenario
from harness.seams.lookup import Provider


@click.command("run")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document a run, and nothing else.")
@click.option("--quiet", "-q", is_flag=True, help="No progress, only the summaries.")
@click.option(
    "--guards",
    metavar="NAMES",
    help="Guards to switch on instead of the scenario's own, as `a,b`; or `none`. Everything must hold then.",
)
@click.option(
    "--idle",
    is_flag=True,
    help="Let an agent that does nothing act instead of the scenario's own. Everything must hold then.",
)
@with_provider
@with_place
def command(
    paths: tuple[Path, ...],
    as_json: bool,
    quiet: bool,
    guards: str | None,
    idle: bool,
    provider: Provider,
    place: Place,
) -> Exit:
    """Drill scenarios against disposable replicas of their stack.

    PATHS are scenario files, or folders that are searched for some (default: scenarios/).

    Exit code: 0 as expected, 1 breached or not as expected, 2 undecided, 3 usage or bad scenario,
    4 fault of the harness, 130 interrupted.
    """
    loaded = load_all(find_scenarios(paths or (Path("scenarios"),)), named_guards(guards), idle=idle)
    for swept in sweep(place):
        click.echo(f"removed what the killed run {swept.run_id} had left", err=True)
    if len(loaded) > 1 and not (as_json or quiet):
        click.echo(f"{len(loaded)} scenarios, one after the other", err=True)
    codes: list[Exit] = []
    for scenario in loaded:
        drilled = _drill(scenario, place, provider, progress=not (as_json or quiet))
        if codes and not as_json:
            click.echo()
        show(drilled.record, drilled.folder, as_json=as_json)
        if drilled.fault is not None:
            click.echo(_explain(drilled.fault, drilled.folder), err=True)
        codes.append(exit_of(drilled.record, drilled.fault))
        if codes[-1] is Exit.INTERRUPTED:
            break
    return worst(codes)


def _drill(scenario: LoadedScenario, place: Place, provider: Provider, *, progress: bool) -> Drilled:
    if not progress:
        return drill(scenario, place, provider=provider)
    from harness.cli.progress import follow

    with follow(scenario) as listener:
        return drill(scenario, place, (listener,), provider)


def _explain(fault: BaseException, folder: Path) -> str:
    if isinstance(fault, KeyboardInterrupt):
        return "interrupted; everything has been torn down"
    told, logs = f"error: {explain(fault)}", folder / LOGS
    if exit_of_error(fault) is Exit.FAULT and logs.is_dir() and str(logs) not in told:
        told += f"\n  logs: {logs}"
    return told
