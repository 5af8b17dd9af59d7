"""Signing a run folder, which is a bundle from then on."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

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
from harness.evidence.reports import unlike_reports, unlike_verdicts
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
    manifest = describe(folder, operator, scenario, record)
    told = unlike_verdicts(folder, scenario, record)
    wrong = (told,) if told else unlike_reports(folder, record, manifest.run.enrolled.run_id)
    if wrong:
        raise RequestError(
            f"{folder}: {wrong[0]}", hint="write the reports again with `ninelives report`, then sign"
        )
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
