"""Whether the reports in a run folder follow from its journal: people read these, not the journal.

The verdicts, figures and evidence of verdicts.json are compared whoever wrote it. Whole files are compared by
drawing them again, which only the ninelives that drew them does to the byte. A PDF is left out, whose bytes
hang on the machine's fonts, and what a reporter writes that does not say which files these are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import BaseModel, ConfigDict, ValidationError

from harness.evidence.statements import FigurePart, verdict_part
from harness.journal.record import RunRecord
from harness.scenario.models import LoadedScenario
from harness.seams.drivers import Reporter
from harness.seams.lookup import lookup, names

VERDICTS_FILE = "verdicts.json"


class _ToldFigure(FigurePart):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    objective: str
    value: str
    expected: str
    figures: tuple[_ToldFigure, ...]
    evidence: tuple[int, ...]


class _ToldAll(BaseModel):
    """What verdicts.json tells of verdicts. Sentences are not compared: versions may differ in them."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    value: str
    verdicts: tuple[_Told, ...]


def unlike_verdicts(folder: Path, scenario: LoadedScenario, record: RunRecord | None) -> str | None:
    """What verdicts.json of a run folder says that does not follow from its journal; None when nothing.

    Args:
        folder: of the run.
        scenario: what was played.
        record: the judged run; None when it has no journal.
    """
    try:
        data = (folder / VERDICTS_FILE).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"{VERDICTS_FILE}: cannot be read: {error.strerror}"
    try:
        told = _ToldAll.model_validate_json(data)
    except ValidationError:
        return f"{VERDICTS_FILE}: is not what `ninelives report` writes"
    judged = record.verdicts if record else ()
    follows = {verdict.objective: verdict_part(scenario, verdict) for verdict in judged}
    for entry in told.verdicts:
        found = follows.pop(entry.objective, None)
        if found is None or found.value != entry.value:
            return (
                f"{VERDICTS_FILE}: says that {entry.objective} is {entry.value}; "
                f"from the journal follows that it is {found.value if found else 'not judged'}"
            )
        if found.expected != entry.expected:
            wrong = f"says that {entry.objective} was expected {entry.expected}, not {found.expected}"
            return f"{VERDICTS_FILE}: {wrong}"
        figures = tuple(_ToldFigure.model_validate(figure.model_dump()) for figure in found.figures)
        if (figures, found.evidence) != (entry.figures, entry.evidence):
            return f"{VERDICTS_FILE}: figures or evidence of {entry.objective} do not follow from the journal"
    if follows:
        return f"{VERDICTS_FILE}: leaves out {', '.join(sorted(follows))}"
    whole = record.value if record else "undecided"
    return None if told.value == whole else f"{VERDICTS_FILE}: says {told.value} of the run, which is {whole}"


def unlike_reports(folder: Path, record: RunRecord | None, run_id: str) -> tuple[str, ...]:
    """Each report of a run folder that is not what this ninelives writes of the run.

    Args:
        folder: of the run.
        record: the judged run; None when it has no journal, of which nothing can be written.
        run_id: the name that it was played with; the folder may have another by now.
    """
    with TemporaryDirectory(prefix="ninelives-reports-") as drawn:
        return tuple(
            f"{file}: is not what ninelives writes of this run"
            for name in names("reporters")
            for file in _unlike(folder, lookup("reporters", name), record, run_id, Path(drawn))
        )


def _unlike(
    folder: Path, reporter: type[Reporter], record: RunRecord | None, run_id: str, drawn: Path
) -> Iterator[str]:
    patterns: tuple[str, ...] = getattr(reporter, "files", ())
    there = sorted({path.name for pattern in patterns for path in folder.glob(pattern) if path.is_file()})
    if there and record is not None:
        reporter().render(replace(record, run_id=run_id), drawn)
    for file in there:
        again = drawn / file
        if not again.is_file() or again.read_bytes() != (folder / file).read_bytes():
            yield file
