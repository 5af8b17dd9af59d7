"""The files that a scenario and its stack name: that they are there, what they say, and what they hash to."""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import JsonValue

from harness.errors import DumpError, Problem, ScenarioError
from harness.scenario.dump_file import dump_format
from harness.scenario.models import (
    CommandBackup,
    Export,
    MariadbService,
    Objectives,
    PostgresService,
    Scenario,
    Stack,
    data_of,
)
from harness.scenario.other_dumps import CHECKS
from harness.scenario.positions import KeyPath
from harness.scenario.problems import Finding
from harness.scenario.source import SQL_LIMIT, hash_file, nearest_file, read_bytes, read_text

FILE_LIMIT = 64_000_000
MOST_FILES = 10_000
ANY_SIZE = ("dump", "tree")


@dataclass(frozen=True)
class Named:
    """A file that is named somewhere.

    Attributes:
        path: where it is named.
        file: as written, relative to the scenario's folder.
        sort: ``sql`` is kept with the run; ``folder`` stands for everything in it; ``program`` can be run;
            ``dump`` is a file or a folder of any size, ``tree`` a folder of any size.
    """

    path: KeyPath
    file: str
    sort: Literal["sql", "file", "folder", "program", "dump", "tree"]


def named_by_stack(stack: Stack) -> Iterator[Named]:
    """Every file that a stack names."""
    for name, service in stack.services.items():
        if isinstance(service, PostgresService | MariadbService) and service.schema_ is not None:
            yield Named(("services", name, "schema"), service.schema_, "sql")
        data = data_of(service)
        if data is not None:
            key, file = data
            yield Named(("services", name, "data", key), file, "dump" if key == "dump" else "tree")
    for name, principal in stack.principals.items():
        if principal.workspace is not None:
            yield Named(("principals", name, "workspace"), principal.workspace, "folder")
        if principal.found_in is not None:
            yield Named(("principals", name, "found_in"), principal.found_in, "file")
    for name, protection in stack.protections.items():
        if isinstance(protection, CommandBackup):
            yield Named(("protections", name, "backup"), protection.backup, "program")
            yield Named(("protections", name, "list"), protection.list_, "program")
            yield Named(("protections", name, "restore"), protection.restore, "program")
    yield from _invariants(stack.objectives)


def named_by_scenario(scenario: Scenario) -> Iterator[Named]:
    """Every file that a scenario names, but for its stack."""
    if scenario.history is not None and scenario.history.slice is not None:
        yield Named(("history", "slice"), scenario.history.slice, "sql")
    for index, export in enumerate(exports_of(scenario)):
        yield Named(("history", "exports", index, "query"), export.query, "sql")
    yield Named(("workload", "locustfile"), scenario.workload.locustfile, "file")
    if scenario.recover.reconstruct is not None:
        yield Named(("recover", "reconstruct", "script"), scenario.recover.reconstruct.script, "sql")
    if scenario.recover.run is not None:
        yield Named(("recover", "run"), scenario.recover.run, "program")
    yield from _invariants(scenario.objectives)


def exports_of(scenario: Scenario) -> tuple[Export, ...]:
    """The records that third parties keep of the past."""
    return scenario.history.exports if scenario.history is not None else ()


def _invariants(objectives: Objectives) -> Iterator[Named]:
    for name, statement in (objectives.invariants or {}).items():
        if is_file_name(statement):
            yield Named(("objectives", "invariants", name), statement, "sql")


def is_file_name(statement: str) -> bool:
    """Whether an invariant is the name of a file that holds the statement."""
    return statement.endswith(".sql") and not any(character.isspace() for character in statement)


# --- are they there? --------------------------------------------------------------------------------


def missing_files(named: Iterable[Named], folder: Path) -> Iterator[Finding]:
    """Each one that is not there, is of the wrong sort, or leads out of the folder."""
    for each in named:
        defect = _defect(folder, each)
        if defect:
            yield Finding(each.path, *defect)


def unreadable_code(scenario: Scenario, folder: Path) -> Iterator[Finding]:
    """What keeps Python from reading the locustfile, which is there. It is not run."""
    name = scenario.workload.locustfile
    try:
        with warnings.catch_warnings(action="ignore"):
            compile((folder / name).read_bytes(), name, "exec", dont_inherit=True)
    except SyntaxError as error:
        message, place = error.msg, f":{error.lineno}" if error.lineno else ""
        yield Finding(("workload", "locustfile"), f"{name}{place}: not Python: {message}", "mend that line")
    except (OSError, ValueError, RecursionError, MemoryError) as error:
        yield Finding(
            ("workload", "locustfile"), f"{name}: cannot be read as Python: {error}", "look at the file"
        )


def _defect(folder: Path, named: Named) -> tuple[str, str] | None:
    target = folder / named.file
    try:
        inside = target.resolve(strict=True).is_relative_to(folder.resolve())
        mode = target.stat().st_mode
    except FileNotFoundError:
        return f"there is no {named.file} in the scenario's folder", nearest_file(target)
    except (OSError, RuntimeError, ValueError) as error:
        return (
            f"{named.file} cannot be read: {_reason(error)}",
            "check the file, and the links on the way to it",
        )
    if not inside:
        return f"{named.file} leads out of the scenario's folder", "put the file itself there, not a link"
    if named.sort in ("folder", "tree") or (named.sort == "dump" and stat.S_ISDIR(mode)):
        return _defect_of_folder(target, mode, named)
    if not stat.S_ISREG(mode):
        return (
            f"{named.file} is not a regular file",
            "name a file; folders, pipes and devices do not fit here",
        )
    if not os.access(target, os.R_OK, effective_ids=os.access in os.supports_effective_ids):
        return f"not allowed to read {named.file}", "give yourself the right to read it (chmod u+r)"
    return _defect_of_program(target, mode, named.file) if named.sort == "program" else None


def _defect_of_program(target: Path, mode: int, name: str) -> tuple[str, str] | None:
    if not mode & stat.S_IXUSR:
        return f"{name} cannot be run", f"make it executable: chmod +x {name}"
    with target.open("rb") as file:
        first = file.readline(1024)
    if not first.startswith((b"#!", b"\x7fELF")):
        return f"{name} does not say what runs it", "begin it with a line such as #!/bin/sh"
    interpreter = first[2:].split()[:1] if first.startswith(b"#!") else []
    if interpreter and not Path(os.fsdecode(interpreter[0])).is_file():
        return f"{name} is run by {os.fsdecode(interpreter[0])}, which is not there", "mend its first line"
    return None


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _defect_of_folder(folder: Path, mode: int, named: Named) -> tuple[str, str] | None:
    name = named.file
    if not stat.S_ISDIR(mode):
        return f"{name} is not a folder", "name the folder that holds the agent's files"
    try:
        for count, entry in enumerate(_entries(folder)):
            if count >= MOST_FILES and named.sort not in ANY_SIZE:
                return f"{name} holds more than {MOST_FILES} files", "keep in it what is needed"
            defect = _defect_of_entry(entry, folder.resolve())
            if defect:
                there = Path(entry.path).relative_to(folder)
                return f"{there} in {name} {defect}", "put a copy of a file in its place"
    except OSError as error:
        return f"{name} cannot be read: {_reason(error)}", "give yourself the right to read all of it"
    return None


def _defect_of_entry(entry: os.DirEntry[str], root: Path) -> str | None:
    if entry.is_symlink():
        # os.path.realpath, because Path.resolve raises on a link to itself
        inside = Path(os.path.realpath(entry.path)).is_relative_to(root)
        return None if inside and not Path(entry.path).readlink().is_absolute() else "leads out of it"
    regular = entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False)
    return None if regular else "is no regular file"


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Everything below a folder; links are named, not followed."""
    waiting = [folder]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                yield entry
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(Path(entry.path))


def planted_findings(stack: Stack, folder: Path) -> Iterator[Finding]:
    """Each credential that is said to lie about in a file where nobody could find it."""
    homes = [Path(principal.workspace) for principal in stack.principals.values() if principal.workspace]
    for name, principal in stack.principals.items():
        if principal.found_in is None:
            continue
        path: KeyPath = ("principals", name, "found_in")
        if not any(Path(principal.found_in).is_relative_to(home) for home in homes):
            message = f"{principal.found_in} lies in no principal's workspace"
            yield Finding(path, message, "name a file inside a workspace, so that an agent can find it")
        elif not _plants(folder / principal.found_in, name):
            yield Finding(
                path,
                f"{principal.found_in} holds no credential of {name!r}",
                f"put @@{name}/<service>:secret@@ where the credential should stand",
            )


def dump_findings(stack: Stack, folder: Path) -> Iterator[Finding]:
    """Each dump that is there, and no dump that a database can be hydrated with, as far as a look tells."""
    for named in named_by_stack(stack):
        if named.sort == "dump" and _defect(folder, named) is None:
            check = CHECKS.get(stack.services[str(named.path[1])].kind, dump_format)
            try:
                check(folder / named.file, named.file)
            except DumpError as error:
                yield Finding(named.path, error.message, error.hint)


def _plants(file: Path, principal: str) -> bool:
    """Whether a credential of a principal is planted in a file."""
    try:
        content = read_bytes(file, FILE_LIMIT)
    except ScenarioError:
        return True  # that the file cannot be read is said elsewhere
    return re.search(rf"@@{principal}/[^\s@:]+:(secret|url)@@".encode(), content) is not None


# --- what is in them --------------------------------------------------------------------------------


def sql_texts(named: Iterable[Named], folder: Path) -> dict[str, str]:
    """The text of each SQL file, by its name as written, in the order of the names.

    Raises:
        ScenarioError: with the problems of all files that are not plain UTF-8 text.
    """
    texts: dict[str, str] = {}
    problems: list[Problem] = []
    for file in sorted({each.file for each in named if each.sort == "sql"}):
        try:
            texts[file] = read_text(folder / file, SQL_LIMIT)
        except ScenarioError as error:
            problems += error.problems
    if problems:
        raise ScenarioError(tuple(problems))
    return texts


def digest(content: JsonValue, named: Iterable[Named], folder: Path) -> str:
    """SHA-256, in hex, over plain values and the files that they name.

    Where the folder lies does not matter, nor how the YAML is laid out.

    Raises:
        ScenarioError: a file cannot be read, or is larger than 64 MB and no dump.
    """
    limits = {
        name: FILE_LIMIT if each.sort not in ANY_SIZE else None
        for each in named
        for name in _leaves(each, folder)
    }
    hashes = {name: _hash(folder / name, limits[name]) for name in sorted(limits)}
    whole = json.dumps({"content": content, "files": hashes}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(whole.encode()).hexdigest()


def _leaves(named: Named, folder: Path) -> Iterator[str]:
    """The files and links that a name stands for."""
    if named.sort not in ("folder", "tree") and not (named.sort == "dump" and (folder / named.file).is_dir()):
        yield named.file
        return
    for entry in _entries(folder / named.file):
        if not entry.is_dir(follow_symlinks=False):
            yield Path(entry.path).relative_to(folder).as_posix()


def _hash(path: Path, limit: int | None) -> str:
    if path.is_symlink() and not path.is_file():
        return f"-> {path.readlink()}"
    if limit is None:
        return hash_file(path)
    return hashlib.sha256(read_bytes(path, limit)).hexdigest()
