"""``ninelives explore``: what can a principal break, if it tries whatever it comes upon."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click

from harness.cli.exits import Exit
from harness.cli.loading import named_guards
from harness.cli.places import with_place
from harness.clock import SystemClock
from harness.errors import RequestError
from harness.run.place import Place, in_memory
from harness.run.sweep import sweep
from harness.search.exploration import Budget, Statistics
from harness.search.explore import Wish, explore
from harness.search.explored import Explored

EXITS = {"held": Exit.AS_EXPECTED, "breached": Exit.BREACHED, "undecided": Exit.UNDECIDED}
UNITS = {"s": 1, "m": 60, "h": 3600}
EVERY_SECONDS = 5.0


@click.command("explore")
@click.argument("stack", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--principal", required=True, help="Who acts.")
@click.option("--guards", metavar="NAMES", help="Guards to switch on, as `a,b`; or `none`.")
@click.option(
    "--budget", default="5m", show_default=True, help="A time such as 10m, or a number of sequences."
)
@click.option(
    "--depth", type=click.IntRange(min=1, max=50), default=10, show_default=True, help="Calls at most."
)
@click.option(
    "--days",
    type=click.IntRange(min=0, max=30),
    default=0,
    show_default=True,
    help="Days that may pass unnoticed, in which backups go on and old ones end.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="The same one makes the same choices.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document, and nothing else.")
@with_place
def command(
    stack: Path,
    principal: str,
    guards: str | None,
    budget: str,
    depth: int,
    days: int,
    seed: int,
    as_json: bool,
    place: Place,
) -> Exit:
    """Let a principal of STACK try sequences of calls until an objective is broken, or the budget is spent.

    STACK is a stack file with a scenario beside it, or a scenario, whose past the stack is given. What is
    found is shortened, saved beside it as a scenario, and confirmed by a run of that.

    Exit code: 0 nothing was found, 1 an objective can be broken, 2 undecided (nothing landed and nothing was
    refused, or no run confirms what was found), 3 and 4 as for `ninelives run`, 130 interrupted.
    """
    sweep(place)
    sweep(in_memory(place))
    named = named_guards(guards)
    wish = Wish(stack, principal, named, replace(_budget(budget, depth), days=days), seed)
    explored, folder = explore(wish, place, Progress(quiet=as_json))
    if as_json:
        click.echo(explored.model_dump_json())
    else:
        click.echo("\n".join((*describe(explored), f"report: {folder}")))
    return Exit.INTERRUPTED if explored.interrupted else EXITS[explored.value]


def describe(explored: Explored) -> Iterator[str]:
    """The result for people: what was found, and how hard it was looked for."""
    yield f"{explored.scenario} as {explored.principal}: {explored.value.upper()}, {explored.why}"
    for number, move in enumerate(explored.moves, start=1):
        yield f"  {number}. {move}"
    for breach in explored.breaches:
        yield f"  {breach.objective}: {breach.why}"
    if explored.file:
        yield f"  saved as {explored.file}" + (f", confirmed by {explored.run}" if explored.run else "")
    rate = explored.sequences / explored.seconds * 60 if explored.seconds else 0.0
    yield (
        f"  {explored.sequences:,} sequences ({rate:,.0f} a minute), {explored.actions:,} calls, the deepest"
        f" {explored.deepest}, {explored.states} states, seed {explored.seed}"
    )
    split = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in explored.split.items())
    yield f"  {split}; the stack was made again {explored.rebuilt} times"
    width = max((len(one.move) for one in explored.tried), default=0)
    yield f"  {'move':<{width}}  done refused failed"
    for one in explored.tried:
        yield f"  {one.move:<{width}}  {one.done:>4} {one.refused:>7} {one.failed:>6}"
    for operation in explored.never:
        yield f"  never tried: {operation}"


class Progress:
    """A line every few seconds, on standard error.

    Args:
        quiet: none at all.
    """

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._clock = SystemClock()
        self._began = self._told = self._clock.stamp()

    def __call__(self, told: Statistics) -> None:
        now = self._clock.stamp()
        if self._quiet or now.since(self._told) < EVERY_SECONDS:
            return
        self._told = now
        rate = told.sequences / now.since(self._began)
        click.echo(
            f"{told.sequences:,} sequences, {rate:.1f}/s, {len(told.states)} states, deepest {told.deepest}",
            err=True,
        )


def _budget(text: str, depth: int) -> Budget:
    match = re.fullmatch(r"(\d+)([smh]?)", text)
    if match is None or int(match[1]) == 0:
        raise RequestError(
            f"{text!r} is no budget", hint="write a time such as 90s, 10m, 1h, or a number of sequences"
        )
    amount = int(match[1])
    if match[2]:
        return Budget(seconds=float(amount * UNITS[match[2]]), depth=depth)
    return Budget(sequences=amount, depth=depth)
