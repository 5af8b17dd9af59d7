"""A scenario that is like another: its file is a merge patch (RFC 7396) over the other's.

Positions stay true: what this file says stands where this file says it, the rest where the other does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from harness.errors import ScenarioError
from harness.scenario.building import build
from harness.scenario.models import Scenario
from harness.scenario.patch import merge_patch
from harness.scenario.positions import Document, KeyPath, Mark, parse
from harness.scenario.problems import Finding, Known, at_positions, removes_nothing
from harness.scenario.sheet import Sheet
from harness.scenario.source import nearest_file, read_text

LIKE = "like"


def read_scenario(path: Path, known: Known) -> Sheet[Scenario]:
    """Read a scenario file, and the one that it is like.

    Raises:
        ScenarioError: a file is no text that can be read, or the other scenario is not there; everything
            else stands in ``problems``.
    """
    document = parse(read_text(path), str(path))
    name = document.value.get(LIKE) if isinstance(document.value, dict) else None
    if isinstance(name, str) and not document.is_broken((LIKE,)):
        document = _over_other(document, path, name)
    return Sheet(document, build(Scenario, document.value, known))


def _over_other(document: Document, path: Path, name: str) -> Document:
    other = path.parent / name
    if other.parent != path.parent or not other.exists():
        raise _refusal(document, f"there is no file {name!r} next to this one", nearest_file(other))
    base = parse(read_text(other), str(other))
    if isinstance(base.value, dict) and LIKE in base.value:
        hint = f"name the scenario that {name} itself is like"
        raise _refusal(document, f"{name} is itself like another; one step is all there is", hint)
    vain = at_positions(removes_nothing(base.value, document.value), document) if base.value else ()
    return lay_over(base, replace(document, problems=(*document.problems, *vain)))


def lay_over(base: Document, top: Document) -> Document:
    """The document that results when ``top`` is a merge patch over ``base``.

    Positions of what ``top`` replaces or removes are its own.
    """
    return Document(
        file=top.file,
        value=merge_patch(base.value, top.value),
        keys={**_left(base.keys, base, top), **top.keys},
        values={**_left(base.values, base, top), **top.values},
        problems=(*base.problems, *top.problems),
        broken=frozenset({*(path for path in base.broken if not _replaced(path, top)), *top.broken}),
    )


def _left(marks: Mapping[KeyPath, Mark], base: Document, top: Document) -> dict[KeyPath, Mark]:
    return {path: replace(mark, file=base.file) for path, mark in marks.items() if not _replaced(path, top)}


def _replaced(path: KeyPath, top: Document) -> bool:
    """Whether the patch puts something else than a mapping at the place, or around it."""
    value = top.value
    for part in path:
        if not isinstance(value, dict):
            return True
        if not isinstance(part, str) or part not in value:
            return False
        value = value[part]
    return not isinstance(value, dict)


def _refusal(document: Document, message: str, hint: str) -> ScenarioError:
    found = at_positions([Finding((LIKE,), message, hint)], document)
    return ScenarioError((*document.problems, *found))
