"""A judged run on the terminal."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from harness.journal.record import RunRecord
from harness.render.html import FILE
from harness.render.json import verdicts_file
from harness.render.text import summarise


def show(record: RunRecord, folder: Path, *, as_json: bool) -> None:
    """Print the summary of a run, or its verdicts as one line of JSON.

    Args:
        record: the run.
        folder: its run folder.
        as_json: for machines.
    """
    if as_json:
        click.echo(verdicts_file(record).model_dump_json(by_alias=True))
        return
    console = Console(highlight=False, soft_wrap=True)
    width = min(console.width, 100)
    console.print(summarise(record, report=shortest(folder / FILE), width=width), end="")


def shortest(path: Path) -> Path:
    """The path as one would type it here."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
