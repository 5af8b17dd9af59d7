"""``ninelives list``: what there is."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding

from harness.cli.exits import Exit
from harness.cli.loading import load_all
from harness.scenario.discover import find_scenarios
from harness.seams.lookup import BUILT_IN, names

INDENT = (0, 0, 0, 2)


@click.command("list")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option("--drivers", is_flag=True, help="List drivers by kind instead.")
def command(paths: tuple[Path, ...], drivers: bool) -> Exit:
    """List the scenarios below PATHS (default: scenarios/) with their guards and what they expect."""
    console = Console(highlight=False)
    if drivers:
        for kind in BUILT_IN:
            console.print(f"[bold]{kind}[/]: {', '.join(names(kind))}", soft_wrap=True)
        return Exit.AS_EXPECTED
    for loaded in load_all(find_scenarios(paths or (Path("scenarios"),))):
        scenario = loaded.scenario
        breached = [name for name, value in scenario.expect.items() if value == "breached"]
        console.print(f"[bold]{scenario.id}[/]")
        guards = ", ".join(scenario.guards) or "none"
        expected = f"expected to breach: {', '.join(breached)}" if breached else "all is expected to hold"
        for text in (scenario.title, f"guards: {guards}; {expected}"):
            console.print(Padding(escape(text), INDENT, expand=False))
    return Exit.AS_EXPECTED
