"""manifest.json: everything that a run folder holds, by digest, and whose run it was."""

from __future__ import annotations

import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from stat import S_ISREG
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from harness.errors import JournalError, RequestError
from harness.evidence.canonical import canonical
from harness.journal.events import Provisioned, RunStarted
from harness.journal.history import SCENARIO_FILE, History
from harness.journal.record import RunRecord
from harness.journal.roll import MANIFEST_FILE, Enrolled, read_roll
from harness.journal.witness import digest_file
from harness.journal.writer import JOURNAL_FILE
from harness.scenario.models import LoadedScenario

RESULT_FILE = "test-result.dsse.json"
FIGURES_FILE = "figures.dsse.json"
SIGNED_FILES = frozenset({MANIFEST_FILE, RESULT_FILE, FIGURES_FILE})
"""What signing adds to a run folder."""


class Part(BaseModel):
    """A part of what is signed. Frozen; unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, ser_json_inf_nan="strings")


class RunPart(Part):
    """Which run it was."""

    number: int
    known: int = Field(description="runs that had a number when this one was signed")
    enrolled: Enrolled = Field(description="its line of the roll of runs")
    journal_lines: int


class ToolPart(Part):
    """What played the run, and what signed it."""

    played: str = Field(description="version of ninelives, of the run; empty when there is no journal")
    signed: str = Field(description="version of ninelives, of whoever signed")
    sha256: str = Field(description="over the program files of the one that signed")


class ScenarioPart(Part):
    """What was played."""

    id: str
    sha256: str = Field(description="over scenario, stack and every file they name")
    resolved_sha256: str = Field(description="of scenario.json")


class ReplicaPart(Part):
    """One service that was made for the run."""

    service: str
    kind: str
    sha256: str = Field(description="over what it said of itself, such as versions and images")


class FilePart(Part):
    """One file of the run folder."""

    path: str = Field(description="in the run folder, with / between the parts")
    bytes: int
    sha256: str


class Manifest(Part):
    """The whole file."""

    schema_: Literal[1] = Field(1, alias="schema")
    operator: str = Field(description="who signed, in their own words")
    run: RunPart
    tool: ToolPart
    scenario: ScenarioPart
    replicas: tuple[ReplicaPart, ...]
    files: tuple[FilePart, ...]


def tool_digest() -> str:
    """SHA-256, in hex, over names and contents of what this ninelives consists of."""
    root = Path(__file__).parent.parent
    whole = sha256()
    for path in sorted(root.rglob("*")):
        if path.is_dir() or path.parent.name == "__pycache__":
            continue
        whole.update(f"{path.relative_to(root).as_posix()}\0{digest_file(path)}\n".encode())
    return whole.hexdigest()


def list_files(folder: Path) -> tuple[FilePart, ...]:
    """Every file of a run folder but what signing adds, in order, with its digest.

    Raises:
        RequestError: something in it is no file, or cannot be read.
    """
    return tuple(_file_part(folder, name) for name in names_in(folder) if name not in SIGNED_FILES)


def names_in(folder: Path) -> tuple[str, ...]:
    """The paths of everything in a folder that is no folder itself, links among them.

    Raises:
        RequestError: a folder in it cannot be read.
    """
    try:
        return tuple(sorted(_names(folder, folder)))
    except OSError as error:
        raise RequestError(
            f"cannot look into {error.filename}: {error.strerror}",
            hint="check the permissions of the run folder",
        ) from error


def is_plain(path: Path) -> bool:
    """Whether it is an ordinary file: links lead elsewhere, and of a pipe one could read for ever."""
    try:
        return S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def _names(folder: Path, root: Path) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _names(Path(entry.path), root)
            else:
                yield Path(entry.path).relative_to(root).as_posix()


def _file_part(folder: Path, name: str) -> FilePart:
    path = folder / name
    if not is_plain(path):
        raise RequestError(
            f"{path} is no ordinary file, so nothing can vouch for what it holds",
            hint="remove it from the run folder",
        )
    try:
        return FilePart(path=name, bytes=path.stat().st_size, sha256=digest_file(path))
    except (OSError, JournalError) as error:
        raise RequestError(
            f"cannot read {path}: {error}", hint="check the permissions of the run folder"
        ) from error


def started(history: History | None) -> RunStarted | None:
    """The first event of a run, if there is a journal that begins with one."""
    entry = history.first(RunStarted) if history is not None else None
    return entry.body if entry else None


def enrolled_as(folder: Path, record: RunRecord | None) -> Enrolled:
    """The number of a run: its journal has it, or, if it died before it had one, the roll beside its folder.

    Raises:
        RequestError: it has none.
        JournalError: the roll cannot be read.
    """
    begun = started(record.history if record else None)
    if begun is not None and begun.enrolled is not None:
        return begun.enrolled
    place = folder.resolve()
    for line in read_roll(place.parent)[0]:
        if begun is None and line.run_id == place.name:
            return line
    raise RequestError(
        f"the run in {folder} has no number: it was played before runs were numbered, or is no run",
        hint="play the scenario again; a run is numbered when it begins",
    )


def replicas(history: History | None) -> tuple[ReplicaPart, ...]:
    """The services that came up in a run, in order."""
    return tuple(
        ReplicaPart(
            service=entry.body.service,
            kind=entry.body.kind,
            sha256=sha256(canonical(dict(entry.body.description))).hexdigest(),
        )
        for entry in (history.of(Provisioned) if history else ())
    )


def scenario_part(folder: Path, scenario: LoadedScenario) -> ScenarioPart:
    """What was played, by digests.

    Raises:
        JournalError: its file cannot be read.
    """
    return ScenarioPart(
        id=scenario.id, sha256=scenario.digest, resolved_sha256=digest_file(folder / SCENARIO_FILE)
    )


def journal_lines(folder: Path) -> int:
    """Lines of the journal; 0 when there is none."""
    try:
        return (folder / JOURNAL_FILE).read_bytes().count(b"\n")
    except FileNotFoundError:
        return 0
