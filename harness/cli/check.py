"""``ninelives check``: prove that scenarios prove something."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.exits import Exit
from harness.cli.loading import load_all
from harness.cli.places import with_place, with_provider
from harness.run.place import Place
from harness.run.sweep import sweep
from harness.scenario.discover import find_scenarios
from harness.seams.lookup import Provider
from harness.search.check import Checked, check
from harness.search.side_by_side import SideBySide, processors


@click.command("check")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=processors,
    help="Runs at a time.  [default: one for each processor]",
)
@with_provider
@with_place
def command(paths: tuple[Path, ...], jobs: int, provider: Provider, place: Place) -> Exit:
    """Prove the scenarios below PATHS (default: scenarios/).

    With an idle agent every objective holds; with all guards off some breach, and none is beyond
    failing; as written every verdict is as expected.

    Exit code: 0 when every scenario proves itself, 1 when one does not, 3 and 4 as for `ninelives run`,
    130 interrupted (what was proved so far has been printed).
    """
    files = find_scenarios(paths or (Path("scenarios"),))
    load_all(files)
    sweep(place)
    player = SideBySide(place, provider, jobs, lambda order: click.echo(f"playing  {order.name}", err=True))
    ok = True
    for checked in check(files, place.reports, player.play):
        click.echo(describe(checked))
        ok = ok and checked.ok
    return Exit.AS_EXPECTED if ok else Exit.BREACHED


def describe(checked: Checked) -> str:
    """A line for the scenario, and one for each proof."""
    lines = [f"{checked.scenario.id}: {'proved' if checked.ok else 'NOT PROVED'}"]
    for proof in checked.proofs:
        verdicts = ", ".join(f"{v.objective} {v.value}" for v in proof.outcome.verdicts)
        lines.append(f"  {proof.name:<10} {'ok' if not proof.complaints else 'no'}  {verdicts}")
        lines.extend(f"             {complaint}" for complaint in proof.complaints)
    return "\n".join(lines)
