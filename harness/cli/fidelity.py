"""``ninelives fidelity``: a stack against what was exported from production."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.exits import Exit
from harness.errors import RequestError, ScenarioError
from harness.render.fidelity import fidelity_text
from harness.run.loading import known_drivers, load
from harness.scenario.discover import is_scenario
from harness.scenario.fidelity import compare
from harness.scenario.models import Fidelity, Stack
from harness.scenario.stack_file import read_stack


@click.command("fidelity")
@click.argument("path", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--from",
    "production",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file that says what production has.  [default: the one that the stack names as `production`]",
)
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def command(path: Path, production: Path | None, as_json: bool) -> Exit:
    """Set a stack against what was exported from production: same, different, not supplied.

    PATH is a scenario, whose guards are on then, or a stack without any. Production itself is not asked.

    Exit code: 0 when nothing that was supplied differs, 1 when something does, 3 for a mistake in a file.
    """
    stack = load(path).stack if is_scenario(path) else _stack(path)
    fidelity = compare(stack, production or _named(stack, path), known_drivers())
    _show(fidelity, as_json=as_json)
    return Exit.BREACHED if fidelity.of("different") else Exit.AS_EXPECTED


def _stack(path: Path) -> Stack:
    read = read_stack(path, known_drivers())
    if read.problems or read.base is None:
        raise ScenarioError(read.problems)
    return read.base


def _named(stack: Stack, path: Path) -> Path:
    if stack.production is None:
        raise RequestError(
            f"nothing says what production has: the stack of {path} names no such file",
            hint="give it with --from, or name it in the stack as `production`; see docs/fidelity.md",
        )
    return path.parent / stack.production


def _show(fidelity: Fidelity, *, as_json: bool) -> None:
    if as_json:
        click.echo(fidelity.model_dump_json(indent=2))
        return
    for line in fidelity_text(fidelity):
        click.echo(line)
