"""Whether the runs that are shown are all that there were."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from harness.evidence.verification import Checked
from harness.journal.roll import FIRST_PREV, MANIFEST_FILE, Enrolled, read_roll
from harness.journal.writer import is_written


def bundles_in(reports: Path) -> tuple[Path, ...]:
    """The run folders of a folder of reports, signed or not: each that the roll names, and each bundle.

    Raises:
        JournalError: the roll cannot be read.
    """
    named = {line.run_id for line in read_roll(reports)[0]}
    return tuple(
        sorted(
            path
            for path in reports.iterdir()
            if path.is_dir()
            and not path.is_symlink()
            and (path.name in named or (path / MANIFEST_FILE).exists())
        )
    )


def unsigned_in(reports: Path) -> tuple[Path, ...]:
    """The runs of a folder of reports that are over and not signed yet, in order of their names.

    Raises:
        JournalError: the roll, or a journal, cannot be read.
    """
    return tuple(
        path for path in bundles_in(reports) if not (path / MANIFEST_FILE).exists() and not is_written(path)
    )


def gaps(checked: Iterable[Checked], roll: tuple[Enrolled, ...] = (), since: int = 1) -> Iterator[str]:
    """What tells that runs were left out, or that the roll was written anew.

    Args:
        checked: every bundle that is shown. Of one with a mismatch not even the number is believed.
        roll: the roll itself, where it is shown too; else it ends with the newest run that a bundle knows of.
        since: the first number that is asked for.
    """
    shown: dict[str, dict[int, list[Checked]]] = {}
    known: dict[str, int] = {}
    for bundle in checked:
        if bundle.manifest is not None and not bundle.mismatches:
            run = bundle.manifest.run
            numbers = shown.setdefault(run.enrolled.roll, {})
            numbers.setdefault(run.enrolled.number, []).append(bundle)
            known[run.enrolled.roll] = max(known.get(run.enrolled.roll, 0), run.known)
    lines = {(line.roll, line.number): line for line in roll}
    for line in roll:
        shown.setdefault(line.roll, {})
        known[line.roll] = max(known.get(line.roll, 0), line.number)
    last = max(known.values(), default=0)
    if known and last < since:
        yield f"run {since}: is missing from the sequence, which ends with run {last}"
    for name, numbers in shown.items():
        yield from _missing(numbers, since, known[name], {n: at for (r, n), at in lines.items() if r == name})
        yield from _broken(numbers, {n: at for (r, n), at in lines.items() if r == name})


def _missing(
    shown: Mapping[int, list[Checked]], since: int, known: int, lines: Mapping[int, Enrolled]
) -> Iterator[str]:
    """A line for each run of the roll that is missing, and one for all between two that are known."""
    first = since
    for number in sorted(number for number in {*shown, *lines} if since <= number <= known):
        yield from _absent(first, number - 1)
        if number not in shown:
            yield f"run {number} ({lines[number].run_id}): is missing from the sequence"
        first = number + 1
    yield from _absent(first, known)


def _absent(first: int, last: int) -> Iterator[str]:
    if first == last:
        yield f"run {first}: is missing from the sequence"
    elif first < last:
        yield f"runs {first} to {last}: are missing from the sequence"


def _broken(shown: Mapping[int, list[Checked]], lines: Mapping[int, Enrolled]) -> Iterator[str]:
    """Where two runs have one number, or a line is not the one that the next was written after."""
    of: dict[int, Enrolled] = {}
    for number, bundles in sorted(shown.items()):
        several = [bundle.folder.name for bundle in bundles]
        if len(several) > 1:
            yield f"run {number}: {' and '.join(several)} have the same number"
        assert bundles[0].manifest is not None
        of[number] = bundles[0].manifest.run.enrolled
        if number in lines and lines[number] != of[number]:
            enrolled = lines[number].run_id
            yield f"run {number}: is {enrolled} on the roll, and {of[number].run_id} in its manifest"
    of = {**lines, **of}
    for number, line in sorted(of.items()):
        before = of[number - 1].digest if number - 1 in of else None
        if number == 1:
            before = FIRST_PREV
        if before is not None and line.prev != before:
            yield f"run {number}: does not follow run {number - 1}: the roll was written anew between them"
