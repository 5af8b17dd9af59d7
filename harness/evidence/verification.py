"""Verifying bundles: with public keys alone, offline, each mismatch by its name.

Three steps, each of which rests on the one before. Who signed, and is it this manifest that they signed?
Is every file as the manifest has it, and is there no other? Do the signed verdicts follow from the journal?
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath

from pydantic import ValidationError
from securesystemslib.signer import SSlibKey

from harness.errors import HarnessError
from harness.evidence.bundle import Judge, read_run
from harness.evidence.envelopes import MismatchError, open_sealed
from harness.evidence.manifest import (
    FIGURES_FILE,
    RESULT_FILE,
    SIGNED_FILES,
    FilePart,
    Manifest,
    ScenarioPart,
    is_plain,
    names_in,
    replicas,
    scenario_part,
    started,
    tool_digest,
)
from harness.evidence.reports import unlike_reports, unlike_verdicts
from harness.evidence.statements import (
    FIGURES,
    TEST_RESULT,
    Figures,
    P,
    Statement,
    TestResult,
    figures,
    test_result,
)
from harness.journal.events import RunStarted
from harness.journal.history import problem_of, read_lines
from harness.journal.record import RunRecord
from harness.journal.roll import MANIFEST_FILE
from harness.journal.witness import digest_file
from harness.journal.writer import JOURNAL_FILE


@dataclass(frozen=True)
class Checked:
    """What verifying one bundle came to.

    Attributes:
        folder: of the bundle.
        manifest: as it lies there; None when it cannot be read. Signed only if nothing mismatches.
        signed_by: the fingerprint of the key; empty when no envelope could be opened.
        mismatches: what does not match, a line each; none when all does.
        record: the run, judged again; None when it was not, because of a mismatch, or has no journal.
        drawn: its reports were drawn again and compared; they are not when another ninelives has signed.
    """

    folder: Path
    manifest: Manifest | None
    signed_by: str
    mismatches: tuple[str, ...]
    record: RunRecord | None = None
    drawn: bool = False


def verify_bundle(folder: Path, keys: tuple[SSlibKey, ...], judge: Judge) -> Checked:
    """Verify one signed run folder. Nothing is written, nobody is asked.

    Args:
        folder: the bundle.
        keys: any of them may have signed.
        judge: from a run folder to its verdicts.
    """
    data = _read(folder / MANIFEST_FILE)
    if data is None:
        return Checked(folder, None, "", (f"{MANIFEST_FILE}: is missing, so the run is not signed",))
    seals = _Seals(folder, keys, sha256(data).hexdigest())
    result = seals.open(RESULT_FILE, TEST_RESULT, Statement[TestResult])
    measured = seals.open(FIGURES_FILE, FIGURES, Statement[Figures])
    try:
        manifest = Manifest.model_validate_json(data)
    except ValidationError:
        seals.mismatches.append(f"{MANIFEST_FILE}: cannot be read: it was changed")
        return Checked(folder, None, seals.signed_by, tuple(seals.mismatches))
    mismatches = [*seals.mismatches, *_unlike_files(folder, manifest)]
    if mismatches or result is None or measured is None:
        return Checked(folder, manifest, seals.signed_by, tuple(mismatches))
    try:
        wrong, record = _judged_again(folder, manifest, result, measured, judge)
    except HarnessError as error:
        return Checked(folder, manifest, seals.signed_by, (f"cannot be judged: {error.message}",))
    return Checked(folder, manifest, seals.signed_by, wrong, record, _can_draw_again(manifest))


class _Seals:
    """Opens the envelopes of one bundle and keeps what does not match."""

    def __init__(self, folder: Path, keys: tuple[SSlibKey, ...], digest: str) -> None:
        self.mismatches: list[str] = []
        self.signed_by = ""
        self._folder, self._keys, self._digest = folder, keys, digest

    def open(self, name: str, predicate: str, model: type[Statement[P]]) -> P | None:
        """The predicate of a statement about this very manifest."""
        try:
            statement, signed_by = open_sealed(self._folder / name, self._keys, model)
        except MismatchError as error:
            self.mismatches.append(str(error))
            return None
        if self.signed_by not in ("", signed_by):
            self.mismatches.append(f"{name}: signed with another key than {RESULT_FILE}")
        self.signed_by = signed_by
        about = [(resource.name, resource.digest.sha256) for resource in statement.subject]
        if statement.predicate_type != predicate:
            self.mismatches.append(
                f"{name}: is a statement of type {statement.predicate_type}, not {predicate}"
            )
        if about != [(MANIFEST_FILE, self._digest)]:
            self.mismatches.append(
                f"{MANIFEST_FILE}: is not what {name} was signed for: one of them was changed or swapped"
            )
        return statement.predicate


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes() if is_plain(path) else None
    except OSError:
        return None


def _unlike_files(folder: Path, manifest: Manifest) -> Iterator[str]:
    """Each file that is not as the manifest has it."""
    known = {part.sha256: part.path for part in manifest.files}
    for part in manifest.files:
        wrong = _unlike_file(folder, part, known)
        if wrong and part.path == JOURNAL_FILE:
            wrong = f"{wrong}; {_unlike_journal(folder, manifest)}"
        if wrong:
            yield f"{part.path}: {wrong}"
    listed = SIGNED_FILES | {part.path for part in manifest.files}
    try:
        names = names_in(folder)
    except HarnessError as error:
        yield error.message
        return
    for name in names:
        if name not in listed:
            yield f"{name}: is in the folder, but not in the manifest: it was added"


def _unlike_file(folder: Path, part: FilePart, known: dict[str, str]) -> str | None:
    pure = PurePosixPath(part.path)
    if pure.is_absolute() or ".." in pure.parts:
        return "leads out of the folder, and was not looked at"
    path = folder / part.path
    if not os.path.lexists(path):
        return "is missing"
    if not is_plain(path):
        return "is no ordinary file any more"
    try:
        found, size = digest_file(path), path.stat().st_size
    except (HarnessError, OSError):
        return "cannot be read"
    if (found, size) == (part.sha256, part.bytes):
        return None
    if found in known:
        return f"was swapped: it has the content of {known[found]}"
    return (
        f"was changed: {part.bytes} bytes with SHA-256 {part.sha256[:16]}... were signed, "
        f"there are {size} with {found[:16]}..."
    )


def _unlike_journal(folder: Path, manifest: Manifest) -> str:
    """Where a journal is not the one that was signed. Its own chain tells the line, if it was not mended."""
    data = _read(folder / JOURNAL_FILE) or b""
    entries, problem = read_lines(data)
    first = entries[0].body if entries else None
    if isinstance(first, RunStarted) and first.run_id != manifest.run.enrolled.run_id:
        return f"it is the journal of another run, {first.run_id}"
    problem = problem or problem_of(entries)
    lines = data.count(b"\n")
    count = f"{manifest.run.journal_lines} lines were signed, there are {lines}"
    return f"{problem} ({count})" if problem else f"its chain was made anew after the change ({count})"


def _judged_again(
    folder: Path, manifest: Manifest, result: TestResult, measured: Figures, judge: Judge
) -> tuple[tuple[str, ...], RunRecord | None]:
    """What of the signed statements does not follow from the record, and the record."""
    scenario, record = read_run(folder, judge)
    told = unlike_verdicts(folder, scenario, record)
    wrong = (
        *_unlike_manifest(manifest, scenario_part(folder, scenario), record),
        *_unlike_figures(measured, figures(scenario, record, manifest)),
        *_unlike_result(result, test_result(scenario, record, manifest, result.url)),
        *((told,) if told else ()),
        *(unlike_reports(folder, record, manifest.run.enrolled.run_id) if _can_draw_again(manifest) else ()),
    )
    return wrong, record


def _can_draw_again(manifest: Manifest) -> bool:
    """Whether this very ninelives has signed it, and so made sure of its reports: others may write others."""
    return manifest.tool.sha256 == tool_digest()


def _unlike_manifest(manifest: Manifest, scenario: ScenarioPart, record: RunRecord | None) -> Iterator[str]:
    history = record.history if record else None
    begun = started(history)
    if manifest.scenario != scenario:
        yield f"{MANIFEST_FILE}: tells of another scenario than the one in the folder, {scenario.id}"
    if manifest.replicas != replicas(history):
        yield f"{MANIFEST_FILE}: tells of other replicas than {JOURNAL_FILE}"
    if manifest.run.number != manifest.run.enrolled.number:
        line = manifest.run.enrolled.number
        yield f"{MANIFEST_FILE}: says run {manifest.run.number}, its line of the roll {line}"
    if begun is not None and begun.enrolled != manifest.run.enrolled:
        number = begun.enrolled.number if begun.enrolled else "none"
        yield f"{MANIFEST_FILE}: says run {manifest.run.number}, {JOURNAL_FILE} has another line: {number}"
    if begun is not None and begun.run_id != manifest.run.enrolled.run_id:
        yield f"{JOURNAL_FILE}: is of the run {begun.run_id}, not of {manifest.run.enrolled.run_id}"


def _unlike_figures(signed: Figures, follows: Figures) -> Iterator[str]:
    """Verdicts and figures that do not follow. Sentences are not compared: versions may differ in them."""
    there = {verdict.objective: verdict for verdict in follows.verdicts}
    for said in signed.verdicts:
        found = there.pop(said.objective, None)
        what = f"{FIGURES_FILE}: {said.objective} was signed as"
        if found is None:
            yield f"{what} {said.value}, and is no objective of the run"
        elif (said.value, said.expected) != (found.value, found.expected):
            yield (
                f"{what} {said.value} (expected {said.expected}); "
                f"from the journal follows {found.value} (expected {found.expected})"
            )
        elif (said.figures, said.evidence) != (found.figures, found.evidence):
            yield f"{FIGURES_FILE}: figures or evidence of {said.objective} do not follow from the journal"
    for left_out in there.values():
        yield f"{FIGURES_FILE}: leaves out {left_out.objective}, which is {left_out.value}"
    for name in ("run", "number", "started", "value", "as_expected", "whole"):
        said_of, found_of = getattr(signed, name), getattr(follows, name)
        if said_of != found_of:
            yield f"{FIGURES_FILE}: {name} was signed as {said_of}; from the journal follows {found_of}"


def _unlike_result(signed: TestResult, follows: TestResult) -> Iterator[str]:
    for name in ("result", "configuration", "passed", "warned", "failed"):
        if getattr(signed, name) != getattr(follows, name):
            yield f"{RESULT_FILE}: what it says under {name} does not follow from the journal"
