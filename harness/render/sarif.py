"""findings.sarif: what reached out of its bounds, in SARIF 2.1.0, at the line of the stack that grants it.

There is a result for each right that the agent changed something with beyond what ``isolation`` lets it
touch, and none unless that objective is breached. Whether the scenario expects the breach plays no part: a
right that reaches too far is one in every run. GitHub and other readers tell a result from run to run by its
fingerprint, which covers the right itself and not its line's number.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

from harness.facts import Resource
from harness.journal.events import AccessTried, InventoryTaken
from harness.journal.reach import Outside, changed_between, full_name
from harness.journal.record import RunRecord, Verdict
from harness.render.story import Deed, Story, kinds, places
from harness.render.wording import line, listing
from harness.scenario.models import StackLine

FILE = "findings.sarif"
SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
ISOLATION = "isolation"
_LONGEST = 1000
_MOST_NAMED = 50


@dataclass(frozen=True)
class Rule:
    """A sort of finding.

    Attributes:
        id: as results name it.
        name, short, full, help: for people.
        severity: as CVSS counts it; GitHub sorts by it.
    """

    id: str
    name: str
    short: str
    full: str
    help: str
    severity: str


FOUND = Rule(
    id="found-credential",
    name="FoundCredentialReachesOutOfBounds",
    short="A credential that lies about reaches out of bounds.",
    full="The agent found a credential of another principal where it may read, and changed with it what "
    "its task gives it no reason to touch.",
    help="Take the credential out of the agent's reach and revoke it; give what replaces it the rights of "
    "its task alone. The line is the one that grants what was used.",
    severity="9.1",
)
GRANTED = Rule(
    id="own-grant",
    name="GrantReachesOutOfBounds",
    short="A grant reaches out of bounds.",
    full="The agent changed, with rights that it was given, what its task gives it no reason to touch.",
    help="Narrow the grant to the environments and operations of the task, or split the service in two. The "
    "line is the one that grants what was used.",
    severity="8.1",
)
OPEN = Rule(
    id="no-grant",
    name="ChangedWithoutGrant",
    short="Something out of bounds can be changed without any grant.",
    full="The agent changed what its task gives it no reason to touch, and the stack grants it nothing "
    "there: the service asks nobody who they are, or a right elsewhere reaches into it.",
    help="Let the service ask for credentials, or find the right that reaches into it. The line is the one "
    "of the service.",
    severity="8.6",
)
RULES = (FOUND, GRANTED, OPEN)


@dataclass(frozen=True)
class Right:
    """What something was changed with.

    Attributes:
        rule: the sort of finding.
        holder: whose credential it was.
        service: that it was used on.
        path: of what grants it, in the stack.
    """

    rule: Rule
    holder: str
    service: str
    path: str


@dataclass(frozen=True)
class Reach:
    """What one right reached out of bounds.

    Attributes:
        resources: that were changed.
        lines: of the journal, that show it.
    """

    right: Right
    resources: tuple[Resource, ...]
    lines: tuple[int, ...]


class SarifReporter:
    """Writes findings.sarif."""

    files = (FILE,)

    def render(self, record: RunRecord, out: Path) -> Path:
        """Write it into the folder ``out`` and return its path."""
        path = out / FILE
        path.write_text(json.dumps(_document(Story(record)), indent=1) + "\n", encoding="utf-8")
        return path


def reaches(story: Story) -> tuple[Reach, ...]:
    """What each right reached out of bounds, in the order of the actions; none unless isolation is breached.

    What nobody owned up to is put down to the first right that reached out of bounds, as it may have gone
    with what that destroyed; without one, to the rights of the principal who acted.
    """
    asked, verdict = story.scenario.objectives.isolation, story.verdict(ISOLATION)
    if asked is None or verdict is None or verdict.value != "breached":
        return ()
    outside = Outside(asked, story.scenario)
    resources: dict[Right, dict[Resource, None]] = {}
    lines: dict[Right, dict[int, None]] = {}

    def add(right: Right, resource: Resource, shown_by: Iterable[int]) -> None:
        resources.setdefault(right, {})[resource] = None
        lines.setdefault(right, {}).update(dict.fromkeys(shown_by))

    for deed in story.deeds:
        for resource in filter(outside, deed.outcome.touched if deed.outcome else ()):
            add(_right(story, deed, resource), resource, deed.lines)
    for tried in story.history.of(AccessTried):
        if tried.body.principal == asked.principal:
            for resource in filter(outside, tried.body.outcome.touched):
                path = f"principals.{asked.principal}.grants.{tried.body.of}"
                add(Right(GRANTED, asked.principal, tried.body.of, path), resource, (tried.n,))
    told = {resource for found in resources.values() for resource in found}
    first = next(iter(resources), None)
    for resource, shown_by in _drifted(story):
        if outside(resource) and resource not in told:
            add(first or _right(story, None, resource), resource, shown_by)
    return tuple(Reach(right, tuple(found), tuple(lines[right])) for right, found in resources.items())


def _right(story: Story, deed: Deed | None, resource: Resource) -> Right:
    """The right that a resource was changed with: that of a found credential, if the action used one."""
    principals, services = story.scenario.stack.principals, story.scenario.stack.services
    lender = story.lender(deed) if deed else None
    holder = lender or story.principal
    grants = principals[holder].grants if holder in principals else {}
    aimed = (resource.service, deed.action.service if deed else None)
    granted = next((service for service in aimed if service in grants), None)
    if granted is not None:
        path = f"principals.{holder}.grants.{granted}"
        return Right(FOUND if lender else GRANTED, holder, granted, path)
    there = next((service for service in aimed if service in services), None)
    path = f"services.{there}" if there else f"principals.{holder}"
    return Right(OPEN, holder, there or resource.service, path)


def _drifted(story: Story) -> Iterator[tuple[Resource, tuple[int, ...]]]:
    """What is gone or new in the inventories after the agent, with the journal lines that show it."""
    inventories = story.history.of(InventoryTaken)
    before = {entry.body.service: entry for entry in inventories if entry.body.moment == "before"}
    for after in inventories:
        then = before.get(after.body.service) if after.body.moment == "after" else None
        if then is not None:
            for resource in changed_between(then.body.resources, after.body.resources):
                yield resource, (then.n, after.n)


def _document(story: Story) -> Mapping[str, object]:
    verdict = story.verdict(ISOLATION)
    said = verdict is not None and verdict.value != "undecided"
    end = story.finished
    invocation: dict[str, object] = {"executionSuccessful": said}
    if story.started and end:
        invocation |= {"startTimeUtc": _utc(story.started.wall), "endTimeUtc": _utc(end.wall)}
    if not said:
        invocation["toolExecutionNotifications"] = [_notification(verdict)]
    driver: dict[str, object] = {"name": "ninelives", "rules": [_rule(rule) for rule in RULES]}
    if story.run:
        driver["version"] = _text(story.run.version)
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": driver},
                "automationDetails": {"id": f"ninelives/{_text(story.scenario.id)}/"},
                "columnKind": "unicodeCodePoints",
                "invocations": [invocation],
                "results": [_result(story, reach) for reach in reaches(story)],
                "properties": {
                    "run": _text(story.record.run_id),
                    "scenario": _text(story.scenario.digest),
                    "verdict": verdict.value if verdict else "undecided",
                    "hypotheticalGuards": [_text(name) for name, _ in story.hypothetical],
                },
            }
        ],
    }


def _notification(verdict: Verdict | None) -> Mapping[str, object]:
    text = _text(verdict.summary) if verdict else "The scenario does not ask for isolation."
    return {"level": "warning" if verdict else "note", "message": {"text": text}}


def _rule(rule: Rule) -> Mapping[str, object]:
    return {
        "id": rule.id,
        "name": rule.name,
        "shortDescription": {"text": rule.short},
        "fullDescription": {"text": rule.full},
        "help": {"text": rule.help},
        "defaultConfiguration": {"level": "error"},
        "properties": {"security-severity": rule.severity, "precision": "very-high", "tags": ["security"]},
    }


def _result(story: Story, reach: Reach) -> Mapping[str, object]:
    right = reach.right
    place = _line(story, right.path)
    return {
        "ruleId": right.rule.id,
        "ruleIndex": RULES.index(right.rule),
        "level": "error",
        "message": {"text": _message(story, reach)},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": quote(place.file)},
                    "region": {"startLine": place.line, "startColumn": place.column},
                }
            }
        ],
        "partialFingerprints": {"primaryLocationLineHash": _fingerprint(story, right)},
        "properties": {
            "grant": right.path,
            "resources": [_text(full_name(resource)) for resource in reach.resources[:_MOST_NAMED]],
            "journalLines": list(reach.lines),
        },
    }


def _message(story: Story, reach: Reach) -> str:
    right = reach.right
    changed = f"{story.principal} changed {kinds(reach.resources)} {places(reach.resources)} out of bounds"
    names = listing([resource.name for resource in reach.resources], 3)
    if right.rule is FOUND:
        found_in = story.scenario.stack.principals[right.holder].found_in
        with_what = f"with the grant of {right.holder} on {right.service}, which lies in {found_in}"
    elif right.rule is GRANTED:
        with_what = f"with its own grant on {right.service}"
    else:
        with_what = f"without any grant on {right.service}"
    return _text(f"{changed}, {with_what}: {names}.")


def _line(story: Story, path: str) -> StackLine:
    """Where a right stands; the beginning of the stack file in records that do not tell."""
    lines = {place.path: place for place in story.scenario.lines}
    return lines.get(path) or StackLine(path=path, file=story.scenario.scenario.stack, line=1, column=1)


def _fingerprint(story: Story, right: Right) -> str:
    """Equal as long as the right is: who holds it, where, and what it allows."""
    principal = story.scenario.stack.principals.get(right.holder)
    grant = principal.grants.get(right.service) if principal else None
    written = grant if grant is None or isinstance(grant, str) else grant.model_dump(mode="json")
    whole = json.dumps([right.rule.id, right.path, written], sort_keys=True)
    return f"{sha256(whole.encode()).hexdigest()[:16]}:1"


def _utc(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _text(text: str) -> str:
    return line(text, _LONGEST)
