"""Reads one value out of JSON by a path such as ``$.data.edges[?node.name=bookings].node.id``.

A small part of JSONPath (RFC 9535), written as a person would say it:

- ``$`` is the whole; a path may be nothing else.
- ``.name`` is a member of an object.
- ``[0]`` is an element of a list; ``[-1]`` the last.
- ``[?name=text]`` is the first element of a list whose member ``name`` (or ``a.b``, further down) is that
  text, or a number, true, false or null that JSON writes so. The text ends at the closing bracket.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

STEP = re.compile(
    r"\.(?P<member>[A-Za-z_][A-Za-z0-9_-]*)"
    r"|\[(?P<index>-?[0-9]{1,9})\]"
    r"|\[\?(?P<filter>[A-Za-z_][A-Za-z0-9_.-]*)=(?P<text>[^\]]*)\]"
)


class PathError(ValueError):
    """The text is not a path."""


class NothingThereError(LookupError):
    """The path leads to nothing in this JSON."""


@dataclass(frozen=True)
class JsonPath:
    """A path that can be followed.

    Attributes:
        text: as it was written.
        steps: from the whole to the part.
    """

    text: str
    steps: tuple[Callable[[object], object], ...]

    @classmethod
    def parse(cls, text: str) -> JsonPath:
        """Understand a path.

        Raises:
            PathError: it is not one; says from where on.
        """
        if not text.startswith("$"):
            raise PathError(f"{text!r} does not begin with $")
        steps, place = [], 1
        while place < len(text):
            match = STEP.match(text, place)
            if match is None:
                raise PathError(f"{text!r} cannot be understood from {text[place:]!r} on")
            steps.append(_step(match))
            place = match.end()
        return cls(text, tuple(steps))

    def follow(self, whole: object) -> object:
        """The value at the end of the path.

        Raises:
            NothingThereError: a member or element on the way is not there.
        """
        for step in self.steps:
            whole = step(whole)
        return whole


def _step(match: re.Match[str]) -> Callable[[object], object]:
    if (name := match["member"]) is not None:
        return lambda value: _member(value, name)
    if (index := match["index"]) is not None:
        return lambda value: _element(value, int(index))
    names, text = match["filter"].split("."), match["text"]
    return lambda value: _first(value, names, text)


def _member(value: object, name: str) -> object:
    if isinstance(value, dict) and name in value:
        return value[name]
    raise NothingThereError(name)


def _element(value: object, index: int) -> object:
    if isinstance(value, list) and -len(value) <= index < len(value):
        return value[index]
    raise NothingThereError(f"[{index}]")


def _first(value: object, names: Sequence[str], text: str) -> object:
    for element in value if isinstance(value, list) else ():
        try:
            member = element
            for name in names:
                member = _member(member, name)
        except NothingThereError:
            continue
        if member == text or (not isinstance(member, str) and json.dumps(member) == text):
            return element
    raise NothingThereError(f"[?{'.'.join(names)}={text}]")
