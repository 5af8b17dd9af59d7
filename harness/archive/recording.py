"""From the roll and the run folders into the history: what is new since it was last asked."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from itertools import islice
from pathlib import Path

from harness.archive.database import BEGINNING, Archive, Reached
from harness.archive.kept import Kept, read_run
from harness.errors import RequestError
from harness.journal.roll import Enrolled, first_of_roll, has_line, read_on, read_roll
from harness.render.json import FILE as VERDICTS_FILE

AT_ONCE = 500
"""Runs in one transaction: others want to write too, and what was done is done when somebody stops it."""

Known = Callable[[str, Collection[str]], frozenset[str]]
"""Tells which runs of a roll, by its name, need not be looked at."""


def record(archive: Archive, reports: Path) -> str | None:
    """Record the runs of a folder of reports that are not recorded yet, or had not ended.

    Folders are read before anything is locked, so a process that does the same at once waits for nothing but
    the writing. Both record the same.

    Args:
        archive: the history.
        reports: the folder of all runs, with their roll.

    Returns:
        What is wrong with the roll, if something is: runs after that line are not recorded.

    Raises:
        JournalError: the roll cannot be read.
        HistoryError: the history cannot be written.
    """
    first = first_of_roll(reports)
    if first is None:
        return read_roll(reports)[1]
    archive.keep(_closed_since(archive, reports, first.roll))
    return _follow(archive, reports, _start(archive, reports, first.roll), archive.known)


def record_anew(archive: Archive, reports: Path) -> str | None:
    """Record every run of a folder of reports again, those too that are not on its roll.

    Args, Returns, Raises: as for ``record``.
    """
    problem = _follow(archive, reports, BEGINNING, lambda *_: frozenset())
    runs = _not_on_the_roll(reports)
    while batch := tuple(islice(runs, AT_ONCE)):
        archive.keep(batch)
    return problem


def _start(archive: Archive, reports: Path, roll: str) -> Reached:
    """Where to read on: at the beginning, if the folder has another copy of the roll than was read."""
    reached = archive.reached(roll)
    if reached.last is None or has_line(reports, reached.last, reached.position):
        return reached
    return BEGINNING


def _follow(archive: Archive, reports: Path, reached: Reached, known: Known) -> str | None:
    """Record the runs of a roll from there, and return what is wrong with the line that they end at."""
    while (stretch := read_on(reports, reached.position, reached.last, AT_ONCE)).lines:
        last = stretch.lines[-1]
        have = known(last.roll, [line.run_id for line in stretch.lines])
        new = [read_run(reports / line.run_id, line) for line in stretch.lines if line.run_id not in have]
        after = Reached(stretch.end, last)
        archive.advance(last.roll, reached, new, after)
        reached = after
    return stretch.problem


def _closed_since(archive: Archive, reports: Path, roll: str) -> Iterator[Kept]:
    for run in archive.unclosed(roll):
        if run.number is not None and (reports / run.run_id / VERDICTS_FILE).is_file():
            line = Enrolled(
                roll=roll,
                number=run.number,
                run_id=run.run_id,
                scenario=run.scenario,
                at=run.started,
                prev="",
            )
            found = read_run(reports / run.run_id, line)
            if found != run:
                yield found


def _not_on_the_roll(reports: Path) -> Iterator[Kept]:
    listed = {line.run_id for line in read_roll(reports)[0]}
    for path in sorted(reports.glob(f"*/{VERDICTS_FILE}")):
        folder = path.parent
        if folder.name not in listed and not folder.is_symlink():
            try:
                yield read_run(folder)
            except RequestError:
                continue  # of a search, or of nothing that is known here
