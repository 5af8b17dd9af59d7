"""YAML with positions: the plain values of a file, and the line and column of each key and value.

The file is read as events, so that a bomb or a deep nest is refused before it is built. What is read is
the part of YAML 1.2 that says what it shows:

- a plain word is ``null``, ``true``, ``false``, a JSON number or text; ``on``, ``yes``, ``1:30``, ``0777``
  and ``2026-04-24`` are text, as written;
- no anchors and aliases, tags, merge keys, second documents, repeated keys or keys that are not text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NoReturn, TypeAlias

import yaml
from pydantic import JsonValue
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
    StreamStartEvent,
)
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.scanner import Scanner

from harness.errors import Problem, ScenarioError
from harness.scenario.source import UNFIT

KeyPath: TypeAlias = tuple[str | int, ...]
"""Where a value stands: keys of mappings, and indices of lists from 0."""

DEEPEST = 32
MOST_VALUES = 20_000
LARGEST = 2**63

NULL = frozenset({"", "~", "null", "Null", "NULL"})
TRUE = frozenset({"true", "True", "TRUE"})
FALSE = frozenset({"false", "False", "FALSE"})
INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


@dataclass(frozen=True, order=True)
class Mark:
    """Line and column, from 1; ``file`` only where it is another than the document's own."""

    line: int
    column: int
    file: str = ""


START = Mark(1, 1)


@dataclass(frozen=True)
class Document:
    """One YAML file.

    Attributes:
        file: as messages name it.
        value: its content; what could not be read is None.
        keys: where each key, and each item of a list, begins.
        values: where each value begins.
        problems: what is wrong with it as YAML.
        broken: values that were not read as written; what is said of them would mislead.
    """

    file: str
    value: JsonValue
    keys: Mapping[KeyPath, Mark]
    values: Mapping[KeyPath, Mark]
    problems: tuple[Problem, ...] = ()
    broken: frozenset[KeyPath] = frozenset()

    def mark(self, path: KeyPath, *, of_key: bool = False) -> Mark:
        """Where a value, or its key, begins; where it is missing, the key that should hold it."""
        if path in self.values:
            return self.keys.get(path, self.values[path]) if of_key else self.values[path]
        return self.mark(path[:-1], of_key=True) if path else START

    def is_broken(self, path: KeyPath) -> bool:
        """Whether the value, or one that it lies in, was not read as written."""
        return any(path[:length] in self.broken for length in range(len(path) + 1))


def dotted(path: KeyPath) -> str:
    """A path as people write it: ``agent.steps[2].on``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return shortened(text.removeprefix("."))


def shortened(text: str, limit: int = 300) -> str:
    """Text for a message; of one that nobody would read to its end, the beginning and the end."""
    return text if len(text) <= limit else f"{text[: limit // 2]}...{text[-limit // 4 :]}"


def value_at(tree: JsonValue, path: KeyPath) -> JsonValue:
    """The value at a path; None when there is none."""
    for part in path:
        if isinstance(tree, dict) and isinstance(part, str):
            tree = tree.get(part)
        elif isinstance(tree, list) and isinstance(part, int) and part < len(tree):
            tree = tree[part]
        else:
            return None
    return tree


def parse(text: str, file: str) -> Document:
    """Read one YAML document. Never raises: what is wrong stands in ``problems``."""
    return _Builder(file, _Events(text)).document()


class _Events(Reader, Scanner, Parser):
    """PyYAML's event stream, without its constructor and resolver."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)


@dataclass
class _Builder:
    file: str
    events: _Events
    keys: dict[KeyPath, Mark] = field(default_factory=dict)
    values: dict[KeyPath, Mark] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    broken: set[KeyPath] = field(default_factory=set)
    count: int = 0

    def document(self) -> Document:
        try:
            value = self._stream()
        except ScenarioError as error:
            self.problems += error.problems
            self.broken.add(())
            value = None
        return Document(
            self.file, value, self.keys, self.values, tuple(self.problems), frozenset(self.broken)
        )

    def _stream(self) -> JsonValue:
        event = self._next()
        while isinstance(event, StreamStartEvent | DocumentStartEvent):
            event = self._next()
        if isinstance(event, StreamEndEvent):
            hint = "see docs/scenarios.md for scenarios and stacks, docs/history.md for policies"
            self._stop(START, "the file is empty", hint)
        value = self._node(event, ())
        self._next()
        following = self._next()
        if isinstance(following, DocumentStartEvent):
            self._stop(
                _mark(following),
                "a second document begins here",
                "one file holds one document: delete the line '---' or split the file",
            )
        return value

    def _next(self) -> Event:
        try:
            event: Event = self.events.get_event()  # type: ignore[no-untyped-call]
        except yaml.MarkedYAMLError as error:
            self._stop(*_syntax(error))
        except (yaml.YAMLError, ValueError, OverflowError):
            # PyYAML lets a few conversions fail unguarded, such as "\UFFFFFFFF".
            mark = self.events.get_mark()
            here = Mark(mark.line + 1, mark.column + 1)
            self._stop(here, "not YAML: this stands for no character or number", "write it without an escape")
        return event

    def _node(self, event: Event, path: KeyPath) -> JsonValue:
        self.values[path] = _mark(event)
        self.keys.setdefault(path, _mark(event))
        self._count(event, path)
        if isinstance(event, AliasEvent):
            self._object(
                event, path, f"the alias *{event.anchor} stands for something written elsewhere", _PLAIN
            )
            return None
        if isinstance(event, NodeEvent) and event.anchor is not None:
            self._object(
                event, path, f"the anchor &{event.anchor} lets aliases multiply what is here", _PLAIN
            )
        if isinstance(event, ScalarEvent | MappingStartEvent | SequenceStartEvent) and event.tag is not None:
            self._object(event, path, f"the tag {_shown(event.tag)} gives this a type of its own", _UNTAGGED)
        if isinstance(event, MappingStartEvent):
            return self._mapping(path)
        if isinstance(event, SequenceStartEvent):
            return self._sequence(path)
        return self._scalar(event, path) if isinstance(event, ScalarEvent) else None

    def _mapping(self, path: KeyPath) -> dict[str, JsonValue]:
        mapping: dict[str, JsonValue] = {}
        while not isinstance(event := self._next(), MappingEndEvent):
            key = self._key(event, path)
            if key is None:
                self._skip(self._next())
            elif key in mapping:
                first = self.keys[(*path, key)]
                self._object(
                    event,
                    (*path, key),
                    f"the key stands here twice; first at {first.line}:{first.column}",
                    "keep one of the two",
                )
                self._skip(self._next())
            else:
                self.keys[(*path, key)] = _mark(event)
                mapping[key] = self._node(self._next(), (*path, key))
        return mapping

    def _key(self, event: Event, path: KeyPath) -> str | None:
        """The text of a key, or None if it is not to be used."""
        self._count(event, path)
        if not isinstance(event, ScalarEvent):
            self._object(event, path, "a key that is not text", "write a name, a colon and the value")
            if not isinstance(event, AliasEvent):
                self._skip(event)
            return None
        text: str = event.value
        if event.anchor is not None or event.tag is not None:
            self._object(event, path, f"the key {_shown(text)} has an anchor or a tag", _UNTAGGED)
            return None
        if text == "<<" and event.style is None:
            self._object(event, path, "a merge key copies what is written elsewhere", _PLAIN)
            return None
        if event.style is None and not isinstance(_resolved(text), str):
            self._object(event, path, f"the key {_shown(text)} is not text", f'put it in quotes: "{text}"')
            return None
        if UNFIT.search(text):
            self._object(event, path, "a key with a character that cannot be seen", _VISIBLE)
            return None
        return text

    def _sequence(self, path: KeyPath) -> list[JsonValue]:
        items: list[JsonValue] = []
        while not isinstance(event := self._next(), SequenceEndEvent):
            items.append(self._node(event, (*path, len(items))))
        return items

    def _scalar(self, event: ScalarEvent, path: KeyPath) -> JsonValue:
        text: str = event.value
        if UNFIT.search(text):
            self._object(event, path, "text with an escaped character that cannot be seen", _VISIBLE)
            return None
        if event.style is not None or event.tag is not None:
            return text
        value = _resolved(text)
        if isinstance(value, _NotANumber):
            self._object(event, path, f"{_shown(text)} is no number that can be used", value.hint)
            return None
        return value

    def _skip(self, event: Event) -> None:
        """Read past a node that is not used."""
        depth = 0
        while True:
            self._count(event, ())
            if isinstance(event, MappingStartEvent | SequenceStartEvent):
                depth += 1
            elif isinstance(event, MappingEndEvent | SequenceEndEvent):
                depth -= 1
            if depth == 0:
                return
            event = self._next()

    def _count(self, event: Event, path: KeyPath) -> None:
        self.count += 1
        if self.count > MOST_VALUES:
            self._stop(_mark(event), f"more than {MOST_VALUES} values", "nobody can review that")
        if len(path) > DEEPEST:
            self._stop(_mark(event), f"nested deeper than {DEEPEST} levels", "no key lies that deep")

    def _object(self, event: Event, path: KeyPath, message: str, hint: str) -> None:
        mark = _mark(event)
        self.problems.append(Problem(self.file, mark.line, mark.column, dotted(path), message, hint))
        self.broken.add(path)

    def _stop(self, mark: Mark, message: str, hint: str) -> NoReturn:
        raise ScenarioError((Problem(self.file, mark.line, mark.column, "", message, hint),))


_PLAIN = "write it out here: reviewers must see what is there, and nested aliases can grow without bound"
_UNTAGGED = "leave it out: the kind of a value follows from where it stands"
_VISIBLE = "leave it out: reviewers must see everything that a file says"


@dataclass(frozen=True)
class _NotANumber:
    hint: str


def _resolved(text: str) -> JsonValue | _NotANumber:
    """What a plain word stands for."""
    if text in NULL:
        return None
    if text in TRUE or text in FALSE:
        return text in TRUE
    if INTEGER.fullmatch(text):
        return int(text) if len(text) <= 20 and abs(int(text)) < LARGEST else _NotANumber("it is too large")
    if DECIMAL.fullmatch(text):
        number = float(text)
        return number if abs(number) < float("inf") else _NotANumber("it is too large")
    if NOT_FINITE.fullmatch(text):
        return _NotANumber("write a finite number, or put the text in quotes")
    return text


def _mark(event: Event) -> Mark:
    start = event.start_mark
    return Mark(start.line + 1, start.column + 1) if start else START


def _shown(text: str) -> str:
    return repr(shortened(text, 40))


_SYNTAX_HINTS = {
    "mapping values are not allowed": "a ': ' inside plain text begins a mapping; put the text in quotes",
    "could not find expected ':'": "a key needs a colon and a space after it",
    "expected <block end>": "check the indentation: what belongs together begins in the same column",
    "expected ',' or ']'": "close the list with ']', or put a comma between its items",
    "expected ',' or '}'": "close the mapping with '}', or put a comma between its keys",
    "cannot start any token": "put text that begins with this character in quotes",
    "unexpected end of stream": "a quote or a bracket is opened and not closed",
    "unknown escape character": "in double quotes a backslash is an escape; use single quotes",
}


def _syntax(error: yaml.MarkedYAMLError) -> tuple[Mark, str, str]:
    problem = error.problem or "it cannot be read"
    at = error.problem_mark or error.context_mark
    mark = Mark(at.line + 1, at.column + 1) if at else START
    if "'\\t'" in problem:
        return mark, "a tab where YAML allows only spaces", "indent with spaces, and separate with spaces"
    since = ""
    if error.context and error.context_mark and error.context_mark is not at:
        since = f", {error.context} begun at {error.context_mark.line + 1}:{error.context_mark.column + 1}"
    hint = next(
        (hint for part, hint in _SYNTAX_HINTS.items() if part in problem), "check the lines above too"
    )
    return mark, f"not YAML: {problem}{since}", hint
