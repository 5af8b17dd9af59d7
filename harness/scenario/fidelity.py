"""How faithful a stack is: what it says, against what was exported from production.

A file of production names settings of the stack, each by its path there, and where its value in production
is found: at a place in an exported file, or as somebody states it. Nothing is asked of production itself.

Two values are the same when they make the same stack: ``7d`` is ``168h``, and a setting that is left out is
its default.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from harness.errors import ScenarioError
from harness.scenario.building import build
from harness.scenario.files import FILE_LIMIT, Named, missing_files
from harness.scenario.json_path import JsonPath, NothingThereError, PathError
from harness.scenario.models import Fidelity, Production, Setting, Stack, Supplied
from harness.scenario.positions import KeyPath, dotted, parse, value_at
from harness.scenario.problems import Finding, Known, nearest, shown
from harness.scenario.sheet import Sheet, read_sheet
from harness.scenario.source import read_text

PARTS = ("services", "principals", "protections")
OF_THE_REPLICA = frozenset(
    {"collections", "data", "driver", "found_in", "fsync", "image", "kind", "schema", "settings", "tables"}
    | {"tool", "workspace"}
)
"""Keys that say how the replica is made, or what a thing is: nobody exports them."""

NOTHING = "nothing"


def compare(stack: Stack, path: Path, known: Known) -> Fidelity:
    """Set a stack against a file of production.

    Args:
        stack: with the guards that are on.
        path: of the file; what it names lies in its folder.
        known: the drivers that there are.

    Raises:
        ScenarioError: with every problem of the file and of the exports that it names.
    """
    sheet = read_sheet(path, Production, known)
    if sheet.problems or sheet.built.model is None:
        raise ScenarioError(sheet.problems)
    replica = _Replica(stack, known)
    exports = _Exports(path.parent)
    problems = sheet.at(_findings(sheet.built.model, replica, exports))
    if problems:
        raise ScenarioError(problems)
    return _compared(sheet, sheet.built.model, replica, exports)


def _compared(
    sheet: Sheet[Production], production: Production, replica: _Replica, exports: _Exports
) -> Fidelity:
    supplied = tuple(
        replica.against(name, each, exports.value(each)) for name, each in production.settings.items()
    )
    told = [replica.paths[each.name] for each in supplied]
    rest = tuple(
        Setting(name=dotted(path), fate="not supplied", here=shown(value_at(replica.tree, path)))
        for path in replica.written
        if not any(path[: len(above)] == above for above in told)
    )
    return Fidelity(
        file=Path(sheet.document.file).name,
        taken=production.taken,
        exports=dict(sorted(exports.digests.items())),
        settings=(*supplied, *rest),
    )


# --- what is wrong with it --------------------------------------------------------------------------


def _findings(production: Production, replica: _Replica, exports: _Exports) -> Iterator[Finding]:
    for name, supplied in production.settings.items():
        path: KeyPath = ("settings", name)
        if name not in replica.paths:
            hint = nearest(name, replica.paths)
            yield Finding(path, f"the stack has no setting {name!r}", hint, of_key=True)
        yield from _of_supplied(supplied, path, exports)


def _of_supplied(supplied: Supplied, path: KeyPath, exports: _Exports) -> Iterator[Finding]:
    if supplied.is_stated == (supplied.file is not None):
        message = "says it twice" if supplied.is_stated else "says no value"
        yield Finding(path, message, "write either `file` and `at`, or `value`")
        return
    if supplied.is_stated:
        return
    if supplied.at is None:
        yield Finding(path, f"does not say where in {supplied.file}", "write `at`, such as `$.Rules[0].Days`")
        return
    try:
        JsonPath.parse(supplied.at)
    except PathError as error:
        yield Finding((*path, "at"), str(error), "a path is written as $.Rules[0].Days or $[?Id=daily].Days")
        return
    yield from exports.findings(supplied, (*path, "file"))


class _Exports:
    """The exported files of one folder, each read once.

    Attributes:
        digests: SHA-256, in hex, of each that was read, by its name.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[str, JsonValue] = {}
        self.digests: dict[str, str] = {}

    def findings(self, supplied: Supplied, path: KeyPath) -> Iterator[Finding]:
        """What is wrong with the export that a value is to come from."""
        assert supplied.file is not None
        wrong = tuple(missing_files([Named(path, supplied.file, "file")], self._folder))
        yield from wrong
        if wrong:
            return
        try:
            self._whole(supplied.file)
        except ScenarioError as error:
            first = error.problems[0]
            message = f"{supplied.file}:{first.line}:{first.column}: {first.message}"
            yield Finding(path, message, first.hint)

    def value(self, supplied: Supplied) -> JsonValue:
        """What production has there; None when it has nothing."""
        if supplied.file is None or supplied.at is None:
            return supplied.value
        try:
            found = JsonPath.parse(supplied.at).follow(self._whole(supplied.file))
        except NothingThereError:
            return None
        value: JsonValue = json.loads(json.dumps(found))
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return f"{value}{supplied.unit}" if supplied.unit is not None and is_number else value

    def _whole(self, name: str) -> JsonValue:
        if name not in self._read:
            text = read_text(self._folder / name, FILE_LIMIT)
            self._read[name] = _content(text, name)
            self.digests[name] = hashlib.sha256(text.encode()).hexdigest()
        return self._read[name]


def _content(text: str, name: str) -> JsonValue:
    """Of JSON, or else of YAML.

    Raises:
        ScenarioError: it is neither.
    """
    try:
        content: JsonValue = json.loads(text)
    except ValueError:
        document = parse(text, name)
        if document.problems:
            raise ScenarioError(document.problems) from None
        return document.value
    return content


# --- what is the same -------------------------------------------------------------------------------


@dataclass
class _Replica:
    """A stack as plain values.

    Attributes:
        tree: with every default.
        paths: every setting, and every mapping of settings, by its path as people write it.
        written: the settings that its file, or a guard, says.
    """

    stack: Stack
    known: Known

    def __post_init__(self) -> None:
        self.tree: JsonValue = self.stack.model_dump(mode="json", by_alias=True, include=set(PARTS))
        said: JsonValue = self.stack.model_dump(
            mode="json", by_alias=True, include=set(PARTS), exclude_unset=True
        )
        self.paths: Mapping[str, KeyPath] = {dotted(path): path for path in _below(self.tree, ()) if path}
        self.written = tuple(
            path
            for path in _below(said, ())
            if len(path) > 1 and not _is_mapping(value_at(said, path)) and not OF_THE_REPLICA & {*path[2:]}
        )

    def against(self, name: str, supplied: Supplied, there: JsonValue) -> Setting:
        """One setting of the stack, against what production has."""
        path = self.paths[name]
        here = value_at(self.tree, path)
        understood = self._understood(path, there)
        return Setting(
            name=name,
            fate="same" if understood == here else "different",
            here=shown(here),
            there=shown(understood),
            source=f"{supplied.file} {supplied.at}" if supplied.file is not None else None,
        )

    def _understood(self, path: KeyPath, value: JsonValue) -> JsonValue:
        """The value as a stack that has it says it; as it is if none can have it."""
        # Providers print in capitals what stacks have in small letters, such as COMPLIANCE.
        for each in (value, value.lower() if isinstance(value, str) else value):
            built = build(Stack, _replaced(self.tree, path, each), self.known)
            if built.model is not None and not built.findings:
                return value_at(built.model.model_dump(mode="json", by_alias=True), path)
        return value


def _is_mapping(value: JsonValue) -> bool:
    return isinstance(value, dict) and bool(value)


def _below(tree: JsonValue, path: KeyPath) -> Iterator[KeyPath]:
    """The path of every mapping and of every value in it; a list is one value."""
    yield path
    for key, value in tree.items() if isinstance(tree, dict) else ():
        yield from _below(value, (*path, key))


def _replaced(tree: JsonValue, path: KeyPath, value: JsonValue) -> JsonValue:
    """The tree with another value at a path; without the key for None, so that its default stands there."""
    if not path:
        return value
    assert isinstance(tree, dict)
    key, rest = str(path[0]), path[1:]
    if not rest and value is None:
        return {name: each for name, each in tree.items() if name != key}
    return {**tree, key: _replaced(tree[key], rest, value)}
