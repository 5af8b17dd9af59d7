"""``ninelives check``: prove that scenarios prove something."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.exits import Exit
from harness.cli.loading import load_all
from harness.cli.places import with_place, with_provider
from harness.cli.progress import follow
from harness.run.drill import Drilled, drill
from harness.run.place import Place
from harness.run.sweep import sweep
from harness.scenario.discover import find_scenarios
from harness.scenario.models import LoadedScenario
from harness.seams.lookup import Provider
from harness.search.check import Checked, Checker


@click.command("check")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@with_provider
@with_place
def command(paths: tuple[Path, ...], provider: Provider, place: Place) -> Exit:
    """Prove the scenarios below PATHS (default: scenarios/).

    With an idle agent every objective holds; with all guards off some breach, and none is beyond
    failing; as written every verdict is as expected.

    Exit code: 0 when every scenario proves itself, 1 when one does not, 3 and 4 as for `ninelives run`.
    """
    files = find_scenarios(paths or (Path("scenarios"),))
    load_all(files)

    def play(scenario: LoadedScenario, proofs: str) -> Drilled:
        with follow(scenario, proofs) as listener:
            return drill(scenario, place, (listener,), provider)

    sweep(place)
    checker = Checker(play)
    ok = True
    for file in files:
        checked = checker.check(file)
        click.echo(describe(checked))
        ok = ok and checked.ok
    return Exit.AS_EXPECTED if ok else Exit.BREACHED


def describe(checked: Checked) -> str:
    """A line for the scenario, and one for each proof."""
    lines = [f"{checked.scenario.id}: {'proved' if checked.ok else 'NOT PROVED'}"]
    for proof in checked.proofs:
        verdicts = ", ".join(f"{v.objective} {v.value}" for v in proof.drilled.record.verdicts)
        lines.append(f"  {proof.name:<10} {'ok' if not proof.complaints else 'no'}  {verdicts}")
        lines.extend(f"             {complaint}" for complaint in proof.complaints)
    return "\n".join(lines)
