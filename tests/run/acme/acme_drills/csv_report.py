"""verdicts.csv: one line for each objective."""

from __future__ import annotations

import csv
from pathlib import Path

from harness.journal.record import RunRecord


class CsvReporter:
    """Writes verdicts.csv."""

    def render(self, record: RunRecord, out: Path) -> Path:
        """Write it into the folder ``out`` and return its path."""
        path = out / "verdicts.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows((each.objective, each.value) for each in record.verdicts)
        return path
