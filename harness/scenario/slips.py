"""The mistakes that models find in a file: where, in whose words, and how to read on past them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, JsonValue
from pydantic_core import ErrorDetails

from harness.scenario import models
from harness.scenario.models import Choice
from harness.scenario.positions import KeyPath, value_at
from harness.scenario.problems import Finding, Known, nearest, shown
from harness.scenario.shapes import Place, below, fields, inner, members, trace


@dataclass(frozen=True)
class Slip:
    """A mistake, and what to put there so that the rest of the file can be looked at.

    Attributes:
        finding: what is said of it.
        rename: the key that was probably meant.
        stand_in: a value that would do.
        telling: what else stands in the mapping depends on this value.
        leave_out: the key can be left out.
    """

    finding: Finding
    rename: str | None = None
    stand_in: JsonValue = None
    leave_out: bool = False
    telling: bool = False


# --- names of drivers -------------------------------------------------------------------------------


# --- names of drivers -------------------------------------------------------------------------------


def wrong_choices(
    shape: Any, value: JsonValue, path: KeyPath, known: Known
) -> Iterator[tuple[KeyPath, Slip]]:
    """Each mapping that names no driver that is known, by its path."""
    chooser, choices = members(shape)
    if isinstance(chooser, Choice):
        wrong = _wrong_choice(chooser, choices, value, path, known)
        if wrong:
            yield path, wrong
            return
    if choices:
        shape = choices[chooser(value)]
    if shape is Any:
        return
    if isinstance(value, dict):
        for key, child in value.items():
            yield from wrong_choices(below(shape, key), child, (*path, key), known)
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from wrong_choices(below(shape, index), child, (*path, index), known)


def _wrong_choice(
    choice: Choice, choices: Mapping[str, Any], value: JsonValue, path: KeyPath, known: Known
) -> Slip | None:
    names = known.of(choice.driver)
    place: KeyPath = (*path, choice.key)
    if not isinstance(value, dict):
        message = f"expected a mapping of keys to values, got {shown(value)}"
        return Slip(Finding(path, message, f"write {{{choice.key}: ...}}; {_listed(names)}"))
    if choice.key not in value:
        usual = {key for member in choices.values() for key in fields(inner(member)[0])}
        near = get_close_matches(choice.key, sorted(set(value) - usual), n=1)
        missing = Finding(place, "missing", _listed(names), of_key=True)
        return _unknown_key((*path, near[0]), [choice.key]) if near else Slip(missing)
    name = value[choice.key]
    if not isinstance(name, str):
        return Slip(Finding(place, f"expected a {choice.noun}, got {shown(name)}", _listed(names)))
    unknown = Finding(place, f"unknown {choice.noun} {name!r}", nearest(name, names))
    return None if name in names else Slip(unknown)


def _listed(names: tuple[str, ...]) -> str:
    return f"there are: {', '.join(sorted(names))}"


# --- pydantic's complaints --------------------------------------------------------------------------


def complaint(details: ErrorDetails, kind: type[BaseModel], tree: JsonValue) -> Slip:
    """One complaint of pydantic about a tree of plain values, in the words of the file."""
    place = trace(kind, details["loc"])
    if details["type"] == "extra_forbidden":
        return _unknown_key(place.path, fields(place.owner) if place.owner else ())
    if details["type"] == "missing":
        return Slip(Finding(place.path, "missing", _meaning(place), of_key=True))
    value: JsonValue = str(place.path[-1]) if place.of_key else value_at(tree, place.path)
    message = f"expected {_expected(details)}, got {shown(value)}"
    finding = Finding(place.path, message, _hint(details, value, place), of_key=place.of_key)
    if place.of_key:
        return Slip(finding)
    return Slip(
        finding,
        stand_in=_stand_in(details),
        leave_out=place.owner is not None,
        telling=details["type"] == "literal_error" and place.owner is not None,
    )


def _unknown_key(path: KeyPath, keys: Iterable[str]) -> Slip:
    key = str(path[-1])
    near = get_close_matches(key, sorted(keys), n=1)
    finding = Finding(path, f"unknown key {key!r}", nearest(key, keys), of_key=True)
    return Slip(finding, rename=near[0]) if near else Slip(finding, leave_out=True)


_STAND_INS: Mapping[str, JsonValue] = {
    "duration": "1m",
    "rate": "1/s",
    "int_type": 1,
    "greater_than_equal": 1,
    "less_than_equal": 1,
    "bool_type": True,
    "string_type": "x",
    "string_too_short": "x",
    "string_too_long": "x",
    "string_pattern_mismatch": "x",
    "date_type": "2000-01-01",
    "date_parsing": "2000-01-01",
}


def _stand_in(details: ErrorDetails) -> JsonValue:
    """A value that would do, mostly; where it does not, nothing more is found in this file."""
    if details["type"] == "literal_error":
        return _literals(details)[0]
    return _STAND_INS.get(details["type"])


def _literals(details: ErrorDetails) -> list[str]:
    return re.findall(r"'([^']*)'", details["ctx"]["expected"])


_PATTERNS = {
    models.NAME: "a name of lower-case letters, digits and dashes that begins with a letter",
    models.IDENTIFIER: "a name of lower-case letters, digits and underscores that begins with a letter",
    models.TOOL: "the name of a backup tool",
    models.RELATIVE_PATH: "a path inside the scenario's folder such as schema.sql",
    models.FILE_NAME: "the name of a file next to this one",
    models.VOLUME: "<service of kind railway, aws or volume>/<volume>",
    models.BUCKET: "the name of a bucket: 3 to 63 lower-case letters, digits, dots and dashes",
    models.CALL: "<surface>.<verb> such as files.read",
    models.AWS_CALL: "<service>.<Operation> such as ec2.CreateVpc",
    models.REGION: "the name of a region such as us-east-1",
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
    "too_short": "a list of at least {min_length}",
    "too_long": "at most {max_length} entries",
    "greater_than_equal": "a number of at least {ge}",
    "less_than_equal": "a number of at most {le}",
}


def _expected(details: ErrorDetails) -> str:
    context = details.get("ctx", {})
    if details["type"] == "string_pattern_mismatch":
        return _PATTERNS.get(context["pattern"], f"text that matches {context['pattern']}")
    template = _EXPECTED.get(details["type"])
    return template.format(**context) if template else details["msg"]


def _hint(details: ErrorDetails, value: JsonValue, place: Place) -> str:
    """What to do, from the most to the least particular."""
    if not place.path:
        return "keys such as services: or stack: begin at the left edge; see docs/scenarios.md"
    if value is None:
        return f"write a value, or leave the key out; {_meaning(place)}"
    return _hint_for_sort(details, value) or _meaning(place)


def _hint_for_sort(details: ErrorDetails, value: JsonValue) -> str | None:
    sort = details["type"]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if sort == "duration" and not (isinstance(value, str) and re.fullmatch(models.DURATION, value)):
        units = "numbers with ms, s, m, h, d or w right behind them: 90s, 1h30m"
        return f"write {value}m (or {value}s, {value}h, {value}d)" if number else f"write {units}"
    if sort == "rate":
        return f"write {value}/s" if number else "write a number, a slash and s or m"
    if sort == "string_type" and not isinstance(value, dict | list):
        return f'put it in quotes: "{json.dumps(value)}"'
    return _hint_for_text(sort, details, value) if isinstance(value, str) else None


def _hint_for_text(sort: str, details: ErrorDetails, value: str) -> str | None:
    if sort == "literal_error" and get_close_matches(value, _literals(details)):
        return nearest(value, _literals(details))
    if sort == "string_pattern_mismatch":
        return _respelt(details["ctx"]["pattern"], value)
    return {
        "bool_type": "write true or false; in YAML 1.2 yes, no, on and off are plain text",
        "int_type": "write digits only, without quotes and separators",
        "tuple_type": f"write [{value}]",
    }.get(sort)


def _respelt(pattern: str, value: str) -> str | None:
    """How to write what does not fit a pattern, where that can be told."""
    if pattern == models.RELATIVE_PATH:
        return "paths start at the scenario's folder and stay in it"
    joint = {models.NAME: "-", models.IDENTIFIER: "_"}.get(pattern)
    if joint is None:
        return None
    respelt = re.sub(r"[^a-z0-9]+", joint, value.lower()).strip("-_")
    return f"write {respelt}" if re.fullmatch(pattern, respelt) else None


def _meaning(place: Place) -> str:
    if place.field is None or place.field.description is None:
        return "`ninelives schema` prints what may stand here"
    return f"{place.key}: {place.field.description}"
