"""figures.csv: a row a figure, for spreadsheets. A verdict without figures has a row of its own."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from harness.journal.record import RunRecord
from harness.render.story import Story
from harness.render.wording import line

FILE = "figures.csv"
COLUMNS = (
    *("run", "scenario", "started", "objective", "verdict", "expected"),
    *("figure", "value", "unit", "basis"),
)
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What makes a spreadsheet take a text for a formula, as the first character of a cell (CWE-1236)."""


class CsvReporter:
    """Writes figures.csv."""

    files = (FILE,)

    def render(self, record: RunRecord, out: Path) -> Path:
        """Write it into the folder ``out`` and return its path."""
        path = out / FILE
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows((COLUMNS, *_rows(Story(record))))
        return path


def _rows(story: Story) -> Iterator[tuple[str, ...]]:
    started = story.started.wall.isoformat(timespec="seconds") if story.started else ""
    head = (_text(story.record.run_id), _text(story.scenario.id), started)
    for verdict in story.record.verdicts:
        said = (*head, _text(verdict.objective), verdict.value, story.expected(verdict))
        if not verdict.figures:
            yield (*said, "", "", "", "")
        for figure in verdict.figures:
            yield (*said, _text(figure.name), repr(figure.value), figure.unit, figure.basis)


def _text(text: str) -> str:
    """One line of text that no spreadsheet calculates."""
    told = line(text)
    return f"'{told}" if told.startswith(FORMULA) else told
