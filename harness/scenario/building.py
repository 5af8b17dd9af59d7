"""From the plain values of a file to its model, and on past the first mistakes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import BaseModel, JsonValue, ValidationError
from pydantic_core import ErrorDetails

from harness.scenario.positions import KeyPath, value_at
from harness.scenario.problems import Finding, Known
from harness.scenario.slips import Slip, complaint, wrong_choices

M = TypeVar("M", bound=BaseModel)

MOST_SLIPS = 500
"""More mistakes of one file than this are not looked into; hostile files have many."""


@dataclass(frozen=True)
class Built(Generic[M]):
    """What became of a file's content.

    Attributes:
        model: None when it cannot be made. If there are findings, it is made of what is left when
            misspelt keys are put right and bad values replaced: good enough to look for more defects.
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
    model, slips = _attempt(kind, tree, known)
    findings = [slip.finding for slip in slips]
    if model is not None:
        return Built(model, tree)
    mended, doubtful = _mend(tree, slips)
    second, more = _attempt(kind, mended, known)
    again = Built(second, mended, (), doubtful)
    findings += [slip.finding for slip in more if not again.is_doubtful(slip.finding.path)]
    return Built(second, mended, tuple(dict.fromkeys(findings)), doubtful)


def _attempt(kind: type[M], tree: JsonValue, known: Known) -> tuple[M | None, tuple[Slip, ...]]:
    wrong = dict(wrong_choices(kind, tree, (), known))
    try:
        # Through JSON, because only there a strict model takes lists for tuples and text for dates.
        model = kind.model_validate_json(json.dumps(tree), strict=True, by_alias=True, by_name=False)
    except ValidationError as error:
        details = [
            each for each in error.errors(include_url=False)[:MOST_SLIPS] if not _counts_bad_items(each)
        ]
        complaints = [complaint(each, kind, tree) for each in details]
        return None, (*wrong.values(), *_without_echoes(complaints, wrong))
    return (None, tuple(wrong.values())) if wrong else (model, ())


def _without_echoes(complaints: Sequence[Slip], wrong: Mapping[KeyPath, Slip]) -> Iterator[Slip]:
    """The complaints that do not follow from another: a misspelt key also makes the right one missing."""
    meant = {(*slip.finding.path[:-1], slip.rename) for slip in complaints if slip.rename}
    for slip in complaints:
        path = slip.finding.path
        follows = any(path[:length] in wrong for length in range(len(path) + 1))
        if not follows and path not in meant:
            yield slip


def _counts_bad_items(details: ErrorDetails) -> bool:
    """A list that is only too short because its items are wrong, which is said of the items."""
    if details["type"] != "too_short":
        return False
    return len(details["input"]) >= int(details["ctx"]["min_length"])


def _mend(tree: JsonValue, slips: Sequence[Slip]) -> tuple[JsonValue, frozenset[KeyPath]]:
    """The tree with every slip mended that can be, and the places that are not as written any more."""
    mended: JsonValue = json.loads(json.dumps(tree))
    doubtful = {place for slip in slips for place in _mend_one(mended, slip)}
    return mended, frozenset(doubtful)


def _mend_one(tree: JsonValue, slip: Slip) -> Iterator[KeyPath]:
    above, last = slip.finding.path[:-1], slip.finding.path[-1] if slip.finding.path else ""
    mapping = value_at(tree, above)
    if not isinstance(mapping, dict) or not isinstance(last, str) or last not in mapping:
        return
    if slip.rename is not None:
        mapping.setdefault(slip.rename, mapping.pop(last))
        yield (*above, slip.rename)
    elif slip.stand_in is not None:
        mapping[last] = slip.stand_in
        yield above if slip.telling else slip.finding.path
    elif slip.leave_out and (above or slip.finding.of_key):
        del mapping[last]
        if not slip.finding.of_key:
            yield above
