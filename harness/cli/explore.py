"""``ninelives explore``: what can a principal break, if it tries whatever it comes upon."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import click

from harness.cli.answer import show_answer
from harness.cli.exits import Exit, exit_of_answer
from harness.cli.loading import named_guards
from harness.cli.places import with_place
from harness.clock import SystemClock
from harness.errors import RequestError
from harness.render.wording import plain, quantity
from harness.run.place import Place, in_memory
from harness.run.sweep import sweep
from harness.search.exploration import Budget, Statistics
from harness.search.explore import Wish, explore

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
    # Hypothesis keeps tables of its own, else in a folder of wherever somebody happens to be.
    os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", str(place.cache / "explored"))
    searched = explore(wish, place, Progress(quiet=as_json))
    show_answer(searched.result, searched.folder, as_json=as_json)
    return exit_of_answer(searched.answer)


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
        played, states = quantity(told.sequences, "sequence"), quantity(len(told.states), "state")
        click.echo(plain(f"{played}, {rate:.1f}/s, {states}, deepest {told.deepest}"), err=True)


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
