"""The answer of a search on the terminal."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from harness.cli.summary import shortest
from harness.journal.answer import Result
from harness.render.answers import text_of
from harness.render.html import FILE

WIDEST = 110
"""Columns of what a search says, on a wide terminal."""


def show_answer(result: Result, folder: Path, *, as_json: bool, problem: str | None = None) -> None:
    """Print what a search found, or its result as one line of JSON.

    Args:
        result: what it found.
        folder: that has it.
        as_json: for machines.
        problem: why it cannot be trusted; then nothing else is told.
    """
    if as_json:
        click.echo(result.model_dump_json())
        return
    told = f"UNDECIDED: {problem}\n" if problem else text_of(result, min(Console().width, WIDEST))
    click.echo(f"{told}\nreport: {shortest(folder / FILE)}")
