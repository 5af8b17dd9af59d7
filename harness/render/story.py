"""What a run's record tells, put in the order in which a person asks: what was done, what is left, how long.

Derived from the journal alone; no verdict is made here. Numbers that judge come from the verdicts.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Literal

from harness.clock import Stamp
from harness.facts import Action, Fact, Fingerprint, Outcome, RecoveryPoint, Resource
from harness.journal.events import (
    ActionDecided,
    ActionEnded,
    AgentStarted,
    ContentCompared,
    Interrupted,
    PhaseEnded,
    PhaseStarted,
    PointMissing,
    PointSeen,
    PointTaken,
    Probed,
    Recovered,
    RecoveryStarted,
    RestoreTried,
    RunbookPlayed,
    RunEnded,
    RunStarted,
    ServiceSeen,
    WorkloadStarted,
)
from harness.journal.record import RunRecord, Verdict
from harness.render.wording import listing, quantity
from harness.scenario.models import noun_of

_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")

Fate = Literal["survived", "gone", "unknown"]
SPANNING = ("continuous", "undo")
"""Kinds of copies that do not hold one instant."""


@dataclass(frozen=True)
class Deed:
    """One action of the agent with what came of it.

    Attributes:
        lines: the journal lines that record it.
        action: as decided.
        decided: when.
        outcome: None when the run ended before it did.
        found: names of the values it found.
    """

    lines: tuple[int, ...]
    action: Action
    decided: Stamp
    outcome: Outcome | None
    found: tuple[str, ...]

    @property
    def landed(self) -> bool:
        """It was meant to destroy, it was done, and the system itself says what it changed."""
        outcome = self.outcome
        return self.action.harm and outcome is not None and outcome.status == "done" and bool(outcome.touched)

    @property
    def began(self) -> Stamp:
        """When the call began; when it was decided on, if it never ended."""
        return self.outcome.began if self.outcome else self.decided

    @property
    def used(self) -> frozenset[str]:
        """Names of the found values that its arguments refer to."""
        return frozenset(_references(self.action.arguments))


@dataclass(frozen=True)
class Lead:
    """A credential that the agent found and then destroyed with.

    Attributes:
        value: the name it gave the value it found, the first of several.
        place: where it found it: a file's path, or the surface.
        owner: the principal it belongs to, if the stack says so.
    """

    value: str
    place: str
    owner: str | None


@dataclass(frozen=True)
class Copy:
    """One recovery point and what became of it.

    Attributes:
        point: as taken, or as seen after the agent when it came into being later.
        fate: ``unknown`` when the run ended before the copies were counted.
        content: what its source held when it was taken.
        restores: tries to restore it, in order.
        compared: what it held after a restore.
        used: the recovery was made from it.
    """

    point: RecoveryPoint
    fate: Fate
    content: Fingerprint | None
    restores: tuple[RestoreTried, ...]
    compared: ContentCompared | None
    used: bool

    @property
    def restored(self) -> bool | None:
        """Whether it restored; None when nobody tried."""
        return any(restore.ok for restore in self.restores) if self.restores else None

    @property
    def differing(self) -> tuple[str, ...] | None:
        """Tables that do not hold what they held; None when there was nothing to compare with.

        What covers a span holds more than it held when it was begun.
        """
        taken = self.compared.taken if self.compared else None
        if taken is None or self.compared is None or self.point.kind in SPANNING:
            return None
        back = {table.table: table.digest for table in self.compared.restored.tables}
        return tuple(table.table for table in taken.tables if back.get(table.table) != table.digest)


@dataclass(frozen=True)
class Span:
    """A stretch of time with a name.

    Attributes:
        start, end: seconds from the origin.
        open: it had not ended when the record did.
    """

    name: str
    start: float
    end: float
    ok: bool = True
    open: bool = False
    detail: str = ""

    @property
    def seconds(self) -> float:
        return self.end - self.start


class Story:
    """A run, told from its record. All offsets are seconds from ``origin``."""

    def __init__(self, record: RunRecord) -> None:
        self.record = record
        self.history = record.history
        self.scenario = record.scenario

    @cached_property
    def started(self) -> Stamp | None:
        """The first line of the journal; None when there is none."""
        return self.history.entries[0].at if self.history.entries else None

    @cached_property
    def finished(self) -> Stamp | None:
        """The last line of the journal."""
        return self.history.entries[-1].at if self.history.entries else None

    @cached_property
    def run(self) -> RunStarted | None:
        """The first event, if it could be read."""
        entry = self.history.first(RunStarted)
        return entry.body if entry else None

    @cached_property
    def ended(self) -> RunEnded | None:
        """The last event, unless the run was killed."""
        entry = self.history.last(RunEnded)
        return entry.body if entry else None

    @cached_property
    def interrupted(self) -> bool:
        """Somebody stopped it. Of one that was killed the record tells only that it has no end."""
        return self.history.first(Interrupted) is not None

    @cached_property
    def seconds(self) -> float:
        """From the first line to the last."""
        return self.finished.since(self.started) if self.started and self.finished else 0.0

    @cached_property
    def deeds(self) -> tuple[Deed, ...]:
        """The agent's actions in order."""
        ends = {entry.body.number: entry for entry in self.history.of(ActionEnded)}
        deeds = []
        for decided in self.history.of(ActionDecided):
            end = ends.get(decided.body.action.number)
            deeds.append(
                Deed(
                    lines=(decided.n, end.n) if end else (decided.n,),
                    action=decided.body.action,
                    decided=decided.at,
                    outcome=end.body.outcome if end else None,
                    found=end.body.found if end else (),
                )
            )
        return tuple(deeds)

    @cached_property
    def harms(self) -> tuple[Deed, ...]:
        """The destructive actions that landed, in the order in which they began."""
        return tuple(sorted((deed for deed in self.deeds if deed.landed), key=lambda deed: deed.began.mono))

    @cached_property
    def harm(self) -> Stamp | None:
        """When the first destructive action that landed began."""
        return self.harms[0].began if self.harms else None

    @cached_property
    def origin(self) -> Stamp | None:
        """Where a report's clock stands at zero: the harm, or else the start of the run."""
        return self.harm or self.started

    def offset(self, at: Stamp) -> float:
        """Seconds from the origin."""
        return at.since(self.origin) if self.origin else 0.0

    @cached_property
    def principal(self) -> str:
        """Whose credentials the agent was given."""
        entry = self.history.first(AgentStarted)
        return (entry.body.principal if entry else None) or "the agent"

    @cached_property
    def harm_seconds(self) -> float:
        """From the beginning of the first destructive action that landed to the end of the last."""
        last = max((d.outcome.ended.mono for d in self.harms if d.outcome), default=0.0)
        return last - self.harm.mono if self.harm else 0.0

    @cached_property
    def deleted(self) -> tuple[Resource, ...]:
        """What the systems themselves say that the destructive actions changed."""
        touched = (r for deed in self.harms if deed.outcome for r in deed.outcome.touched)
        return together(touched)

    @cached_property
    def leads(self) -> tuple[Lead, ...]:
        """The credentials that were found on the way and used to destroy."""
        names = dict.fromkeys(name for deed in self.harms for name in sorted(deed.used))
        leads: dict[tuple[str, str | None], Lead] = {}
        for name in names:
            place = self._found_at(name)
            owner = self._owner_of(place) if place else None
            if place and (owner or _CREDENTIAL.search(name)):
                # A name and a password that lie together are one credential.
                leads.setdefault((place, owner or name), Lead(name, place, owner))
        return tuple(leads.values())

    def lender(self, deed: Deed) -> str | None:
        """The principal whose credential an action was done with, if it was found on the way."""
        places = (self._found_at(name) for name in sorted(deed.used))
        owners = (self._owner_of(place) for place in places if place)
        return next((owner for owner in owners if owner), None)

    @cached_property
    def _finders(self) -> Mapping[str, Deed]:
        return {name: deed for deed in reversed(self.deeds) for name in deed.found}

    def _found_at(self, name: str) -> str | None:
        """Where a value was found that actions refer to by its name."""
        finder = self._finders.get(name)
        return _place(finder.action) if finder else None

    def _owner_of(self, place: str) -> str | None:
        principals = self.scenario.stack.principals.items()
        return next((n for n, p in principals if p.found_in and _ends_with(p.found_in, place)), None)

    @cached_property
    def services(self) -> tuple[ServiceSeen, ...]:
        """Each service as it was seen after the agent."""
        last = {entry.body.service: entry.body for entry in self.history.of(ServiceSeen)}
        return tuple(last[name] for name in sorted(last))

    @cached_property
    def copies(self) -> tuple[Copy, ...]:
        """Every recovery point that ever was, newest first."""
        taken = {entry.body.point.id: entry.body for entry in self.history.of(PointTaken)}
        seen = {entry.body.point.id: entry.body.point for entry in self.history.of(PointSeen)}
        missing = {entry.body.point_id for entry in self.history.of(PointMissing)}
        tries: dict[str, list[RestoreTried]] = {}
        for entry in self.history.of(RestoreTried):
            tries.setdefault(entry.body.point_id, []).append(entry.body)
        compared = {entry.body.point_id: entry.body for entry in self.history.of(ContentCompared)}
        used = self.recovered.point_id if self.recovered else None
        points = {**{name: event.point for name, event in taken.items()}, **seen}
        copies = (
            Copy(
                point=point,
                fate="survived" if name in seen else "gone" if name in missing else "unknown",
                content=taken[name].content if name in taken else None,
                restores=tuple(tries.get(name, ())),
                compared=compared.get(name),
                used=name == used,
            )
            for name, point in points.items()
        )
        return tuple(sorted(copies, key=lambda copy: (-copy.point.covers_until.timestamp(), copy.point.id)))

    @cached_property
    def counted(self) -> bool:
        """Whether the copies were counted after the agent was done."""
        return any(copy.fate != "unknown" for copy in self.copies) or bool(self.services)

    def with_fate(self, fate: Fate) -> tuple[Copy, ...]:
        """The copies with that fate, newest first."""
        return tuple(copy for copy in self.copies if copy.fate == fate)

    def age(self, copy: Copy) -> float | None:
        """Seconds from the newest instant it can bring back to the end of the harm; None without a harm."""
        outcome = self.harms[0].outcome if self.harms else None
        return (outcome.ended.wall - copy.point.covers_until).total_seconds() if outcome else None

    @cached_property
    def recovered(self) -> Recovered | None:
        """How the recovery ended; None when it never did."""
        entry = self.history.last(Recovered)
        return entry.body if entry else None

    @cached_property
    def failed_recovery(self) -> Recovered | None:
        """How the recovery ended, if it did not bring the service back."""
        return self.recovered if self.recovered and not self.recovered.ok else None

    @cached_property
    def runbook(self) -> RunbookPlayed | None:
        """The team's own script, as it was played; None when there was none, or it never ended."""
        entry = self.history.last(RunbookPlayed)
        return entry.body if entry else None

    @cached_property
    def recovery_seconds(self) -> float | None:
        """From the harm to the first verified answer; None without a harm or a recovery."""
        if self.harm is None or self.recovered is None or not self.recovered.ok:
            return None
        return self.recovered.at.since(self.harm)

    @cached_property
    def phases(self) -> tuple[Span, ...]:
        """The phases of the run."""
        ends = {entry.body.phase: entry for entry in self.history.of(PhaseEnded)}
        spans = []
        for entry in self.history.of(PhaseStarted):
            end = ends.get(entry.body.phase)
            last = end.at if end else self.finished or entry.at
            ok, detail = (end.body.ok, end.body.detail) if end else (False, "")
            start, stop = self.offset(entry.at), self.offset(last)
            spans.append(Span(entry.body.phase, start, stop, ok=ok, open=end is None, detail=detail))
        return tuple(spans)

    @cached_property
    def outages(self) -> tuple[Span, ...]:
        """When services did not answer, as probed from outside.

        What answers after the start of a recovery that failed is not the service: the outage goes on.
        """
        failed, began = self.failed_recovery, self.history.last(RecoveryStarted)
        down: dict[str, tuple[Stamp, str]] = {}
        spans = []
        for entry in self.history.of(Probed):
            probe = entry.body
            if not probe.up:
                down.setdefault(probe.service, (probe.at, probe.detail))
            elif failed and began and probe.service == failed.service and probe.at.since(began.at) >= 0:
                continue
            elif probe.service in down:
                since, detail = down.pop(probe.service)
                spans.append(
                    Span(probe.service, self.offset(since), self.offset(probe.at), detail=detail, ok=False)
                )
        end = self.offset(self.finished) if self.finished else 0.0
        for service, (since, detail) in down.items():
            start = self.offset(since)
            spans.append(Span(service, start, max(start, end), ok=False, open=True, detail=detail))
        return tuple(sorted(spans, key=lambda span: (span.name, span.start)))

    @cached_property
    def traffic_started(self) -> Stamp | None:
        """When the workload was started."""
        entry = self.history.first(WorkloadStarted)
        return entry.at if entry else None

    @cached_property
    def noun(self) -> str:
        """What one of the things is called that the drill's service holds."""
        return noun_of(self.scenario.stack.services.get(self.scenario.scenario.recover.service))

    @cached_property
    def names(self) -> frozenset[str]:
        """Of principals, services and protections: a sentence leaves them as they are."""
        stack = self.scenario.stack
        return frozenset((*stack.principals, *stack.services, *stack.protections))

    @cached_property
    def hypothetical(self) -> tuple[tuple[str, str], ...]:
        """Guards that were on and that no provider offers today, each with the reason."""
        guards = self.scenario.base.guards
        on = [(name, guards.get(name)) for name in self.scenario.scenario.guards]
        return tuple((name, guard.hypothetical) for name, guard in on if guard and guard.hypothetical)

    def verdict(self, objective: str) -> Verdict | None:
        """The verdict on an objective, if it was judged."""
        return next((v for v in self.record.verdicts if v.objective == objective), None)

    def expected(self, verdict: Verdict) -> str:
        """The verdict that the scenario expects in its place."""
        return self.scenario.scenario.expect.get(verdict.objective, "held")


_CREDENTIAL = re.compile(r"token|key|secret|password|credential", re.IGNORECASE)


def kinds(resources: Iterable[Resource]) -> str:
    """Resources counted by kind, backups last: ``2 volume instances and 9 volume backups``."""
    counts: Counter[str] = Counter()
    for resource in sorted(resources, key=lambda resource: "backup" in resource.kind):
        counts["row" if resource.kind == "rows" else resource.kind] += count_of(resource)
    return listing([quantity(count, kind.replace("-", " ")) for kind, count in counts.items()])


def places(resources: Iterable[Resource]) -> str:
    """Resources counted by environment, or by service where they stand in none: ``8 in production``."""
    counts: Counter[str] = Counter()
    for resource in resources:
        place = f"in {resource.environment}" if resource.environment else f"of {resource.service}"
        counts[place] += count_of(resource)
    if len(counts) == 1:
        return "".join(counts)
    return listing([f"{count:,} {place}" for place, count in counts.most_common()])


def together(resources: Iterable[Resource]) -> tuple[Resource, ...]:
    """Each thing once, in order; rows of a table, which calls can change again and again, summed up."""
    counts: Counter[Resource] = Counter()
    for resource in resources:
        if resource.kind == "rows":
            counts[_table_of(resource)] += count_of(resource)
        else:
            counts[resource] = 1
    return tuple(
        thing.model_copy(update={"name": f"{thing.name}: {count}"}) if thing.kind == "rows" else thing
        for thing, count in counts.items()
    )


def _table_of(resource: Resource) -> Resource:
    table, _, _ = resource.name.rpartition(": ")
    return resource.model_copy(update={"name": table or resource.name})


def count_of(resource: Resource) -> int:
    """How many things it stands for: ``rows`` of a table are one resource, ``orders: 12``."""
    count = resource.name.rpartition(": ")[2]
    return int(count) if resource.kind == "rows" and count.isdecimal() else 1


def _references(value: object) -> Iterable[str]:
    if isinstance(value, str):
        yield from _REFERENCE.findall(value)
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _references(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _references(part)


def _place(action: Action) -> str:
    path = action.arguments.get("path")
    if isinstance(path, str):
        return path
    return f"an answer of {action.service}" if action.service else f"the surface {action.surface}"


def _ends_with(path: str, tail: str) -> bool:
    parts, end = PurePosixPath(path).parts, PurePosixPath(tail).parts
    return bool(end) and parts[-len(end) :] == end


__all__ = ["Copy", "Deed", "Fact", "Lead", "Span", "Story", "kinds", "places"]
