"""``ninelives blast-radius``: what each principal of a stack can destroy, with what it can come to hold."""

from __future__ import annotations

from pathlib import Path

import click
from pydantic import ValidationError
from rich.console import Console

from harness.cli.exits import Exit
from harness.cli.loading import named_guards
from harness.cli.places import with_place
from harness.clock import SystemClock
from harness.errors import HarnessError, RequestError
from harness.journal.radius import BlastRadius, Deed, grown
from harness.journal.writer import Journal
from harness.render.radius import (
    JSON_FILE,
    PAGE_FILE,
    by_whom,
    growth_markdown,
    growth_text,
    radius_text,
    write_radius,
)
from harness.run.place import Place, in_memory, name_run, run_folder
from harness.run.sweep import sweep
from harness.scenario.models import LoadedScenario
from harness.search.arena import arena
from harness.search.explore import chosen
from harness.search.radius import blast_radius


@click.command("blast-radius")
@click.argument("stack", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--principal", "principals", multiple=True, help="Whose reach; everybody's if nothing is said.")
@click.option("--guards", metavar="NAMES", help="Guards to switch on, as `a,b`; or `none`.")
@click.option(
    "--baseline",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A radius.json of before: exit with 1 if any call reaches further now.",
)
@click.option(
    "--markdown",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where to write what has grown, as a comment on a pull request.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document, and nothing else.")
@with_place
def command(
    stack: Path,
    principals: tuple[str, ...],
    guards: str | None,
    baseline: Path | None,
    markdown: Path | None,
    as_json: bool,
    place: Place,
) -> Exit:
    """Make every destructive call that a principal of STACK can come to make, each from the same beginning.

    STACK is a stack file with a scenario beside it, or a scenario, whose past the stack is given.

    Exit code: with --baseline 0 when nothing reaches further than before and 1 when something does; without
    it 0 when no single call makes anything unrecoverable and 1 when one does. 2 when no call came through and
    none was refused, 3 and 4 as for `ninelives run`, 130 interrupted.
    """
    before = None if baseline is None else read_baseline(baseline)
    named = named_guards(guards)
    loaded = chosen(stack, named)
    _refuse_strangers(loaded, principals)
    sweep(place)
    sweep(in_memory(place))
    radius, folder = _measure(loaded, stack, principals, place, quiet=as_json)
    _show(radius, folder, as_json=as_json)
    code = Exit.BREACHED if radius.kill_set else Exit.AS_EXPECTED
    if before is not None:
        growth = grown(before, radius)
        if not as_json:
            click.echo("\n" + growth_text(growth, before, radius, _width()), nl=False)
        if markdown is not None:
            _write(markdown, growth_markdown(growth, before, radius))
        code = Exit.BREACHED if growth else Exit.AS_EXPECTED
    if radius.interrupted:
        return Exit.INTERRUPTED
    return code if radius.decided else Exit.UNDECIDED


def read_baseline(file: Path) -> BlastRadius:
    """A blast radius that was written before.

    Raises:
        RequestError: it is none.
    """
    try:
        return BlastRadius.model_validate_json(file.read_bytes())
    except (OSError, ValidationError) as error:
        first = str(error).partition("\n")[0]
        raise RequestError(
            f"{file} is no blast radius: {first}", hint=f"name a {JSON_FILE} of `ninelives blast-radius`"
        ) from None


def _refuse_strangers(loaded: LoadedScenario, principals: tuple[str, ...]) -> None:
    there = loaded.stack.principals
    for name in principals:
        if name not in there:
            raise RequestError(
                f"the stack has no principal {name!r}", hint=f"there are: {', '.join(there) or 'none'}"
            )


def _measure(
    loaded: LoadedScenario, stack: Path, principals: tuple[str, ...], place: Place, *, quiet: bool
) -> tuple[BlastRadius, Path]:
    def tell(deed: Deed) -> None:
        if not quiet:
            click.echo(f"{deed.extent:<22}{by_whom(deed)}: {deed.name} on {deed.service}", err=True)

    clock = SystemClock()
    name = name_run(f"{loaded.id}-blast-radius", clock.stamp().wall)
    folder = run_folder(place, name, loaded.model_dump_json(by_alias=True))
    with (
        Journal(folder, clock) as journal,
        arena(loaded, in_memory(place), name, journal, clock) as made,
    ):
        radius = blast_radius(made, str(stack), principals, tell)
    try:
        write_radius(radius, folder)
    except OSError as error:
        raise HarnessError(
            f"cannot write into {folder}: {error}", hint="free some space, or choose another with --reports"
        ) from error
    return radius, folder


def _show(radius: BlastRadius, folder: Path, *, as_json: bool) -> None:
    if as_json:
        click.echo(radius.model_dump_json())
        return
    click.echo(radius_text(radius, _width()), nl=False)
    click.echo(f"\nreport: {folder / PAGE_FILE}")


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise HarnessError(f"cannot write {file}: {error}", hint="choose another place") from error


def _width() -> int:
    return min(Console().width, 110)
