"""``ninelives blast-radius``: what each principal of a stack can destroy, with what it can come to hold."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from harness.cli.answer import show_answer
from harness.cli.exits import Exit, exit_of_answer
from harness.cli.loading import named_guards
from harness.cli.places import with_place
from harness.errors import HarnessError
from harness.journal.radius import Deed
from harness.render.radius import by_whom, growth_markdown, growth_text
from harness.render.wording import clean
from harness.run.place import Place, in_memory
from harness.run.sweep import sweep
from harness.search.radius import RadiusWish, measure_radius, read_baseline


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
    it 0 when no single call makes a service unrecoverable and 1 when one does. 2 when no call did anything
    and none was refused, 3 and 4 as for `ninelives run`, 130 interrupted.
    """
    before = None if baseline is None else read_baseline(baseline)
    wish = RadiusWish(stack, principals, named_guards(guards), before)
    sweep(place)
    sweep(in_memory(place))

    def tell(deed: Deed) -> None:
        if not as_json:
            told = clean(f"{by_whom(deed)}: {deed.name} on {deed.service}")
            click.echo(f"{deed.extent:<22}{told}", err=True)

    searched = measure_radius(wish, place, tell)
    radius = searched.result
    show_answer(radius, searched.folder, as_json=as_json)
    if before is not None and radius.growth is not None:
        if not as_json:
            click.echo("\n" + growth_text(radius.growth, before, radius, Console().width), nl=False)
        if markdown is not None:
            _write(markdown, growth_markdown(radius.growth, before, radius))
    return exit_of_answer(searched.answer)


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise HarnessError(f"cannot write {file}: {error}", hint="choose another place") from error
