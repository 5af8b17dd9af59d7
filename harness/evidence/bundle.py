"""Signing a run folder, which is a bundle from then on."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError
from securesystemslib.signer import CryptoSigner

import harness
from harness.errors import HarnessError, RequestError
from harness.evidence.canonical import canonical
from harness.evidence.envelopes import seal
from harness.evidence.manifest import (
    FIGURES_FILE,
    RESULT_FILE,
    Manifest,
    RunPart,
    ToolPart,
    enrolled_as,
    journal_lines,
    list_files,
    replicas,
    scenario_part,
    started,
    tool_digest,
)
from harness.evidence.statements import (
    FIGURES,
    TEST_RESULT,
    Digest,
    Resource,
    Statement,
    figures,
    test_result,
)
from harness.journal.history import SCENARIO_FILE
from harness.journal.record import RunRecord
from harness.journal.roll import MANIFEST_FILE, read_roll
from harness.journal.writer import JOURNAL_FILE, is_written
from harness.scenario.load import restore_scenario
from harness.scenario.models import LoadedScenario

Judge = Callable[[Path], RunRecord]
VERDICTS_FILE = "verdicts.json"


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    objective: str
    value: str


class _ToldAll(BaseModel):
    """What a report tells of verdicts; the rest of it follows from the same record."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    value: str
    verdicts: tuple[_Told, ...]


def sign_run(
    folder: Path, signer: CryptoSigner, operator: str, judge: Judge, url: str | None = None
) -> Manifest:
    """Add the manifest and two signed statements about it to a run folder.

    Args:
        folder: of a run that is over, however it ended.
        signer: see ``read_signer``.
        operator: who signs, in their own words.
        judge: from a run folder to its verdicts.
        url: of the job that played the run.

    Raises:
        RequestError: it is signed already, still goes on, has no number, or has a report that does not
            follow from it.
        HarnessError: it cannot be read, or nothing can be written into it.
    """
    if (folder / MANIFEST_FILE).exists():
        raise RequestError(
            f"{folder} is signed already",
            hint=f"check it with `ninelives verify`; to sign it anew, remove its {MANIFEST_FILE}",
        )
    if is_written(folder):
        raise RequestError(f"the run in {folder} is still being played", hint="sign it when it is over")
    scenario, record = read_run(folder, judge)
    wrong = unlike_verdicts(folder, record)
    if wrong:
        raise RequestError(
            f"{folder}: {wrong}", hint="write the reports again with `ninelives report`, then sign"
        )
    manifest = describe(folder, operator, scenario, record)
    data = canonical(manifest)
    subject = (Resource(name=MANIFEST_FILE, digest=Digest(sha256=sha256(data).hexdigest())),)
    result, measured = test_result(scenario, record, manifest, url), figures(scenario, record, manifest)
    sealed = {
        RESULT_FILE: seal(Statement(subject=subject, predicate_type=TEST_RESULT, predicate=result), signer),
        FIGURES_FILE: seal(Statement(subject=subject, predicate_type=FIGURES, predicate=measured), signer),
        MANIFEST_FILE: data,  # last: a folder with a manifest is a signed one
    }
    try:
        for name, content in sealed.items():
            (folder / name).write_bytes(content)
    except OSError as error:
        raise HarnessError(
            f"cannot write into {folder}: {error}",
            hint=f"free some space; remove {MANIFEST_FILE} there, if it is, and sign again",
        ) from error
    return manifest


def describe(folder: Path, operator: str, scenario: LoadedScenario, record: RunRecord | None) -> Manifest:
    """The manifest of a run folder as it is now.

    Raises:
        RequestError: the run has no number, or something in the folder is no ordinary file.
        JournalError: a file cannot be read.
    """
    history = record.history if record else None
    enrolled, begun = enrolled_as(folder, record), started(history)
    given, _ = read_roll(folder.resolve().parent)
    same_roll = [line.number for line in given if line.roll == enrolled.roll]
    return Manifest(
        operator=operator,
        run=RunPart(
            number=enrolled.number,
            known=max([enrolled.number, *same_roll]),
            enrolled=enrolled,
            journal_lines=journal_lines(folder),
        ),
        tool=ToolPart(
            played=begun.version if begun else "", signed=harness.__version__, sha256=tool_digest()
        ),
        scenario=scenario_part(folder, scenario),
        replicas=replicas(history),
        files=list_files(folder),
    )


def read_run(folder: Path, judge: Judge) -> tuple[LoadedScenario, RunRecord | None]:
    """A run's scenario and its record; no record when the run died before it had a journal.

    Raises:
        HarnessError: it is no run folder, or cannot be read.
    """
    if (folder / JOURNAL_FILE).exists() or not (folder / SCENARIO_FILE).exists():
        record = judge(folder)
        return record.scenario, record
    return restore_scenario((folder / SCENARIO_FILE).read_text(encoding="utf-8")), None


def unlike_verdicts(folder: Path, record: RunRecord | None) -> str | None:
    """What verdicts.json of a run folder says that does not follow from its journal; None when nothing."""
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
    follows = {verdict.objective: str(verdict.value) for verdict in record.verdicts} if record else {}
    for entry in told.verdicts:
        if follows.get(entry.objective) != entry.value:
            return (
                f"{VERDICTS_FILE}: says that {entry.objective} is {entry.value}; "
                f"from the journal follows that it is {follows.get(entry.objective, 'not judged')}"
            )
    left_out = follows.keys() - {entry.objective for entry in told.verdicts}
    if left_out:
        return f"{VERDICTS_FILE}: leaves out {', '.join(sorted(left_out))}"
    whole = record.value if record else "undecided"
    return None if told.value == whole else f"{VERDICTS_FILE}: says {told.value} of the run, which is {whole}"
