"""``ninelives list``: what there is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click
from rich.console import Console

from harness.cli.exits import Exit
from harness.cli.folding import tell
from harness.cli.loading import load_all
from harness.scenario.discover import find_scenarios
from harness.seams.lookup import BUILT_IN, names


@click.command("list")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option("--drivers", is_flag=True, help="List drivers by kind instead.")
def command(paths: tuple[Path, ...], drivers: bool) -> Exit:
    """List the scenarios below PATHS (default: scenarios/) with their guards and what they expect."""
    console = Console(highlight=False)
    if drivers:
        for kind in BUILT_IN:
            tell(console, f"{kind}: {', '.join(sorted(names(kind)))}", styled=kind, style="bold", rest="  ")
        return Exit.AS_EXPECTED
    for loaded in load_all(find_scenarios(paths or (Path("scenarios"),))):
        scenario = loaded.scenario
        tell(console, scenario.id, styled=scenario.id, style="bold")
        tell(console, scenario.title, first="  ", rest="  ")
        guards = ", ".join(scenario.guards) or "none"
        tell(console, f"guards: {guards}; {_expected(scenario.expect)}", first="  ", rest="  ")
    return Exit.AS_EXPECTED


def _expected(expect: Mapping[str, str]) -> str:
    breached = [name for name, value in expect.items() if value == "breached"]
    return f"expected to breach: {', '.join(breached)}" if breached else "every objective is expected to hold"
