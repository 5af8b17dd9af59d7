"""From the plain values of a file to its model, and from pydantic's complaints to findings.

Pydantic names places by its own means: the tags of unions stand between the keys. ``_trace`` follows
the models along such a place, so that a finding stands where the user wrote the value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import NoneType, UnionType
from typing import Annotated, Any, Generic, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, Discriminator, JsonValue, Tag, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from harness.scenario import models
from harness.scenario.models import Choice
from harness.scenario.positions import KeyPath
from harness.scenario.problems import Finding, Known, nearest, shown

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Built(Generic[M]):
    """What became of a file's content.

    Attributes:
        model: None when it cannot be made. If there are findings, it is made of what is left when
            misspelt keys are put right and bad values left out: good enough to look for more defects.
        tree: what the model was made of.
        findings: every defect.
        doubtful: places that are not as written; a defect found there later may be none.
    """

    model: M | None
    tree: JsonValue
    findings: tuple[Finding, ...] = ()
    doubtful: frozenset[KeyPath] = frozenset()

    def is_doubtful(self, path: KeyPath) -> bool:
        """Whether something at that place, or around it, is not as written."""
        return any(path[:length] in self.doubtful for length in range(len(path) + 1))


def build(kind: type[M], tree: JsonValue, known: Known) -> Built[M]:
    """Make a model of plain values; never raises."""
    model, findings = _attempt(kind, tree, known)
    mended = None if model is not None else _mend(tree, findings)
    if mended is None:
        return Built(model, tree, findings)
    second, more = _attempt(kind, mended.tree, known)
    genuine = tuple(finding for finding in more if not mended.is_doubtful(finding.path))
    return Built(second, mended.tree, (*findings, *genuine), mended.doubtful)


def _attempt(kind: type[M], tree: JsonValue, known: Known) -> tuple[M | None, tuple[Finding, ...]]:
    wrong = dict(_wrong_choices(kind, tree, (), known))
    try:
        # Through JSON, because only there a strict model takes lists for tuples and text for dates.
        model = kind.model_validate_json(json.dumps(tree), strict=True, by_alias=True, by_name=False)
    except ValidationError as error:
        details = [each for each in error.errors(include_url=False) if not _counts_bad_items(each)]
        complaints = [_complaint(each, kind, tree) for each in details]
        return None, (*wrong.values(), *_without_echoes(complaints, wrong))
    return (None, tuple(wrong.values())) if wrong else (model, ())


def _without_echoes(complaints: list[Finding], wrong: Mapping[KeyPath, Finding]) -> Iterator[Finding]:
    """The complaints that do not follow from another: a misspelt key also makes the right one missing."""
    meant = {(*finding.path[:-1], finding.meant) for finding in complaints if finding.meant}
    for finding in complaints:
        follows = any(finding.path[:length] in wrong for length in range(len(finding.path) + 1))
        if not follows and finding.path not in meant:
            yield finding


def _counts_bad_items(details: ErrorDetails) -> bool:
    """A list that is only too short because its items are wrong, which is said of the items."""
    if details["type"] != "too_short":
        return False
    return len(details["input"]) >= int(details["ctx"]["min_length"])


# --- a second look past the first mistakes ----------------------------------------------------------


def _mend(tree: JsonValue, findings: tuple[Finding, ...]) -> Built[Any] | None:
    """The tree with misspelt keys put right and bad values left out, or None where that is guesswork."""
    mended: JsonValue = json.loads(json.dumps(tree))
    doubtful: set[KeyPath] = set()
    for finding in findings:
        *above, last = finding.path or (0,)
        mapping = value_at(mended, tuple(above))
        if not isinstance(mapping, dict) or not isinstance(last, str):
            return None
        value = mapping.pop(last, None)
        if finding.meant:
            mapping.setdefault(finding.meant, value)
            doubtful.add((*above, finding.meant))
        elif not finding.of_key:
            doubtful.add(tuple(above))
    return None if () in doubtful else Built(None, mended, (), frozenset(doubtful))


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


# --- shapes: what the models say may stand at a place -----------------------------------------------


def _inner(shape: Any) -> tuple[Any, tuple[Any, ...]]:
    """A type without ``Annotated`` and ``| None``, and the metadata that was around it."""
    metadata: tuple[Any, ...] = ()
    while True:
        arguments = get_args(shape)
        if get_origin(shape) is Annotated:
            shape, metadata = arguments[0], (*metadata, *arguments[1:])
        elif get_origin(shape) in (Union, UnionType) and len(arguments) == 2 and arguments[1] is NoneType:
            shape = arguments[0]
        else:
            return shape, metadata


def _members(shape: Any) -> tuple[Any, dict[str, Any]]:
    """The function that tells the members of a tagged union apart, and the members by tag."""
    bare, metadata = _inner(shape)
    chooser = next((data.discriminator for data in metadata if isinstance(data, Discriminator)), None)
    if chooser is None:
        return None, {}
    tagged = {member: _inner(member)[1] for member in get_args(bare)}
    return chooser, {
        data.tag: member for member, found in tagged.items() for data in found if isinstance(data, Tag)
    }


def _fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The fields of a model by the key that stands in a file."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _shape(field: FieldInfo) -> Any:
    return Annotated[field.annotation, *field.metadata, None]


def _is_model(shape: Any) -> bool:
    return isinstance(shape, type) and issubclass(shape, BaseModel)


def _below(shape: Any, part: object) -> Any:
    """The shape of a child."""
    bare, _ = _inner(shape)
    if _is_model(bare):
        field = _fields(bare).get(str(part))
        return _shape(field) if field else Any
    arguments = get_args(bare)
    if get_origin(bare) is dict:
        return arguments[1]
    return arguments[0] if get_origin(bare) is tuple else Any


# --- names of drivers -------------------------------------------------------------------------------


def _wrong_choices(
    shape: Any, value: JsonValue, path: KeyPath, known: Known
) -> Iterator[tuple[KeyPath, Finding]]:
    """Each mapping that names no driver that is known, by its path."""
    chooser, members = _members(shape)
    if isinstance(chooser, Choice):
        wrong = _wrong_choice(chooser, members, value, path, known)
        if wrong:
            yield path, wrong
            return
    if members:
        shape = members[chooser(value)]
    if isinstance(value, dict):
        for key, child in value.items():
            yield from _wrong_choices(_below(shape, key), child, (*path, key), known)
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _wrong_choices(_below(shape, index), child, (*path, index), known)


def _wrong_choice(
    choice: Choice, members: Mapping[str, Any], value: JsonValue, path: KeyPath, known: Known
) -> Finding | None:
    names = known.of(choice.driver)
    if not isinstance(value, dict):
        return Finding(
            path,
            f"expected a mapping of keys to values, got {shown(value)}",
            f"write {{{choice.key}: ...}}; {_listed(names)}",
        )
    if choice.key not in value:
        usual = {key for member in members.values() for key in _fields(_inner(member)[0])}
        near = get_close_matches(choice.key, sorted(set(value) - usual), n=1)
        if near:
            return _unknown_key((*path, near[0]), [choice.key])
        return Finding((*path, choice.key), "missing", _listed(names), of_key=True)
    name = value[choice.key]
    if not isinstance(name, str):
        return Finding((*path, choice.key), f"expected a {choice.noun}, got {shown(name)}", _listed(names))
    if name in names:
        return None
    return Finding((*path, choice.key), f"unknown {choice.noun} {name!r}", nearest(name, names))


def _listed(names: tuple[str, ...]) -> str:
    return f"there are: {', '.join(sorted(names))}"


# --- pydantic's complaints --------------------------------------------------------------------------


@dataclass(frozen=True)
class _Place:
    """Where a complaint of pydantic belongs.

    Attributes:
        path: in the file.
        owner: the model whose key the last part of the path is.
        field: the innermost field around the place, with its key.
        shape: what may stand there.
        of_key: it is about a key of a mapping.
    """

    path: KeyPath
    owner: type[BaseModel] | None
    key: str
    field: FieldInfo | None
    shape: Any
    of_key: bool


def _trace(kind: type[BaseModel], location: tuple[int | str, ...]) -> _Place:
    shape: Any = kind
    container: Any = None
    path: KeyPath = ()
    owner: type[BaseModel] | None = None
    key, field = "", None
    for part in location:
        _, members = _members(shape)
        if part == "[key]" and get_origin(container) is dict:
            return _Place(path, None, key, field, container, of_key=True)
        if members:
            shape, container = members[str(part)], None
            continue
        container, _ = _inner(shape)
        owner = container if _is_model(container) else None
        if owner and part in _fields(owner):
            key, field = str(part), _fields(owner)[str(part)]
        shape = _below(shape, part)
        path = (*path, part)
    return _Place(path, owner, key, field, shape, of_key=False)


def _complaint(details: ErrorDetails, kind: type[BaseModel], tree: JsonValue) -> Finding:
    place = _trace(kind, details["loc"])
    if details["type"] == "extra_forbidden":
        return _unknown_key(place.path, _fields(place.owner) if place.owner else ())
    if details["type"] == "missing":
        return Finding(place.path, "missing", _meaning(place), of_key=True)
    value: JsonValue = str(place.path[-1]) if place.of_key else value_at(tree, place.path)
    return Finding(
        place.path,
        f"expected {_expected(details)}, got {shown(value)}",
        _hint(details, value, place),
        of_key=place.of_key,
    )


def _unknown_key(path: KeyPath, keys: Iterable[str]) -> Finding:
    key = str(path[-1])
    near = get_close_matches(key, sorted(keys), n=1)
    return Finding(
        path, f"unknown key {key!r}", nearest(key, keys), of_key=True, meant=near[0] if near else None
    )


_PATTERNS = {
    models.NAME: "a name of lower-case letters, digits and dashes that begins with a letter",
    models.IDENTIFIER: "a name of lower-case letters, digits and underscores that begins with a letter",
    models.TOOL: "the name of a backup tool",
    models.RELATIVE_PATH: "a path inside the scenario's folder such as schema.sql",
    models.FILE_NAME: "the name of a file next to this one",
    models.VOLUME: "<railway service>/<volume>",
    models.BUCKET: "the name of a bucket: 3 to 63 lower-case letters, digits, dots and dashes",
    models.CALL: "<surface>.<verb> such as files.read",
    models.SCENARIO_ID: "<folder>/<name> in lower-case letters, digits and dashes",
}

_EXPECTED = {
    "string_type": "text",
    "string_too_short": "text that is not empty",
    "string_too_long": "text of at most {max_length} characters",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
    "date_type": "a date such as 2026-04-24",
    "date_parsing": "a date such as 2026-04-24",
    "literal_error": "{expected}",
    "too_short": "at least {min_length} in the list",
    "greater_than_equal": "a number of at least {ge}",
    "less_than_equal": "a number of at most {le}",
}


def _expected(details: ErrorDetails) -> str:
    context = details.get("ctx", {})
    if details["type"] == "string_pattern_mismatch":
        return _PATTERNS.get(context["pattern"], f"text that matches {context['pattern']}")
    template = _EXPECTED.get(details["type"])
    return template.format(**context) if template else details["msg"]


def _hint(details: ErrorDetails, value: JsonValue, place: _Place) -> str:
    sort = details["type"]
    if value is None:
        return f"write a value, or leave the key out; {_meaning(place)}"
    if sort == "literal_error" and isinstance(value, str):
        choices = re.findall(r"'([^']*)'", details["ctx"]["expected"])
        if get_close_matches(value, choices):
            return nearest(value, choices)
    if sort in {"duration", "rate"}:
        return _measure(sort, value)
    if sort == "bool_type" and isinstance(value, str):
        return "write true or false; in YAML 1.2 yes, no, on and off are plain text"
    if sort == "string_type" and not isinstance(value, dict | list):
        return f'put it in quotes: "{json.dumps(value)}"'
    if sort == "int_type" and isinstance(value, str):
        return "write digits only, without quotes and separators"
    if sort == "tuple_type" and isinstance(value, str):
        return f"write [{value}]"
    if sort == "string_pattern_mismatch" and isinstance(value, str):
        return _respelt(details["ctx"]["pattern"], value) or _meaning(place)
    return _meaning(place)


def _respelt(pattern: str, value: str) -> str | None:
    """How to write what does not fit a pattern, where that can be told."""
    if pattern == models.RELATIVE_PATH:
        return "paths start at the scenario's folder and stay in it"
    joint = {models.NAME: "-", models.IDENTIFIER: "_"}.get(pattern)
    if joint is None:
        return None
    respelt = re.sub(r"[^a-z0-9]+", joint, value.lower()).strip("-_")
    return f"write {respelt}" if re.fullmatch(pattern, respelt) else None


def _measure(sort: str, value: JsonValue) -> str:
    """How to write a duration or rate that was written without its unit, or with a strange one."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"write {value}/s" if sort == "rate" else f"write {value}m for minutes; s, h and d work alike"
    if sort == "rate":
        return "write a number, a slash and s or m"
    return "write numbers with ms, s, m, h, d or w right behind them: 90s, 1h30m"


def _meaning(place: _Place) -> str:
    if place.field is None or place.field.description is None:
        return "`ninelives schema` prints what may stand here"
    return f"{place.key}: {place.field.description}"
