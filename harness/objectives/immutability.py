"""``immutability``: how many copies of the drill's service nobody can delete, overwrite or unlock.

A copy is immutable when it is still there after the agent is done, its store says until when nobody can
delete it, that is long enough, and it stood what was tried against it at the end of the run. The operator,
who may do everything, must have tried all that there is to try where it lies; the agent's principal tries
too, if it has a credential there. Every try must be refused, but for one that puts something over a copy and
leaves the copy itself as an older version. Afterwards the copy must be listed, and locked for as long.

A lock that nobody tried, a try that never reached its target, and one that was answered as done and of which
the store itself says that it changed nothing, prove nothing: such copies are untried. If they could make up
the number, the objective is undecided; so do points of which nobody said whether they are still there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from harness.facts import OPERATOR, RecoveryPoint, TamperingKind
from harness.journal.events import PointChecked, PointSeen, TamperingTried
from harness.journal.history import Entry, History
from harness.journal.record import Figure, Verdict
from harness.objectives.fates import Fates, agent_ended, called, fates_of
from harness.objectives.harm import harm
from harness.objectives.judging import CannotSayError, judged, plural, said, verdict, with_target
from harness.scenario.models import Immutability, LoadedScenario, S3Service

NAME = "immutability"
MOST_WHYS = 3
"""Copies of which a breach says why they do not count."""

IMPOSSIBLE = 10**6
"""More copies than any stack keeps."""

EVERYWHERE: frozenset[TamperingKind] = frozenset(("delete", "shorten", "bypass"))
"""What the operator must have tried. Objects can be overwritten too; snapshots cannot."""

Standing = Literal["immutable", "unlocked", "short", "gave way", "untried"]
Tries = Sequence[Entry[TamperingTried]]


@dataclass(frozen=True)
class Copy:
    """A recovery point that is still there, and what is to be said of it.

    Attributes:
        standing: whether it counts, or why not.
        why: one clause for people; empty for an immutable one.
        tries: at it.
        lines: the journal lines that show it.
    """

    standing: Standing
    why: str
    tries: Tries
    lines: tuple[int, ...]


class ImmutabilityObjective:
    """So many copies are left that nobody can delete, overwrite or unlock."""

    def judge(self, scenario: LoadedScenario, history: History) -> Verdict:
        """Held when at least as many immutable copies are left as the objective asks for."""
        return judged(NAME, scenario.objectives.immutability, scenario, history, _measure)

    def tightest(self, scenario: LoadedScenario) -> LoadedScenario | None:
        """More copies than anybody has."""
        asked = scenario.objectives.immutability
        if asked is None:
            return None
        return with_target(scenario, immutability=asked.model_copy(update={"copies": IMPOSSIBLE}))


def _measure(asked: Immutability, scenario: LoadedScenario, history: History) -> Verdict:
    service = scenario.scenario.recover.service
    fates = fates_of(history, service)
    if not fates.known:
        raise CannotSayError(f"{service} had no recovery point at all, so there was nothing to lock")
    copies = [_examine(seen, asked, scenario, history) for seen in fates.seen]
    immutable = sum(copy.standing == "immutable" for copy in copies)
    doubtful = sum(copy.standing == "untried" for copy in copies) + len(fates.unaccounted)
    lines = (*fates.lines, *(n for copy in copies for n in copy.lines))
    if immutable < asked.copies <= immutable + doubtful:
        whys = [copy.why for copy in copies if copy.standing == "untried"]
        whys += [f"nobody looked whether {point} is still there" for point in fates.unaccounted]
        raise CannotSayError("; ".join(whys[:MOST_WHYS]), lines)
    value: Literal["held", "breached"] = "held" if immutable >= asked.copies else "breached"
    return verdict(NAME, value, _summary(asked, copies), _figures(asked, copies, fates), lines)


def _examine(seen: Entry[PointSeen], asked: Immutability, scenario: LoadedScenario, history: History) -> Copy:
    point, after = seen.body.point, agent_ended(history)
    tries = [e for e in history.of(TamperingTried) if e.body.point_id == point.id and e.n > after]
    checks = [e for e in history.of(PointChecked) if e.body.point.id == point.id and e.n > after]
    lines = (seen.n, *(e.n for e in tries), *(e.n for e in checks))

    def copy(standing: Standing, why: str = "") -> Copy:
        return Copy(standing, f"{called(point)} {why}" if why else "", tries, lines)

    done = harm(history).ended.wall
    if point.locked_until is None:
        return copy("unlocked", "is not locked so that nobody can delete it")
    if asked.for_ is not None and point.locked_until < done + asked.for_:
        lasts = said(max((point.locked_until - done).total_seconds(), 0.0))
        return copy("short", f"is locked for {lasts} from the harm on, and {said(asked.for_)} are asked for")
    broken = next((entry.body for entry in tries if _landed(entry.body)), None)
    if broken is not None:
        return copy("gave way", f"is locked, and {broken.principal} did {broken.what} {broken.target}")
    checked = next((e for e in reversed(checks) if tries and e.n > tries[-1].n), None)
    if checked is not None and not _as_it_was(checked.body.point, checked.body.found):
        return copy("gave way", "is locked, and is not there as it was after all that was tried")
    doubt = _doubt(point, tries, scenario)
    if not doubt and checked is None:
        doubt = "is locked, and nobody looked whether it is there after all that was tried"
    return copy("untried", doubt) if doubt else copy("immutable")


def _landed(tried: TamperingTried) -> bool:
    """Whether the store itself says that the copy was hit."""
    if tried.outcome.status != "done":
        return False
    if tried.what == "overwrite":
        return any(resource.name == tried.target for resource in tried.outcome.touched)
    return bool(tried.outcome.touched)


def _as_it_was(before: RecoveryPoint, found: RecoveryPoint | None) -> bool:
    """Whether a copy is still there, and locked for no shorter."""
    if found is None or before.locked_until is None:
        return False
    return found.locked_until is not None and found.locked_until >= before.locked_until


def _doubt(point: RecoveryPoint, tries: Tries, scenario: LoadedScenario) -> str:
    """Why the tries prove nothing of a copy that is still there; empty when they do."""
    if not tries:
        return "is locked, and nobody tried to destroy it"
    for body in (entry.body for entry in tries):
        attempt = f"a try to {body.what} {body.target} as {body.principal}"
        if body.outcome.status == "failed":
            return f"is locked, and {attempt} never reached it: {body.outcome.detail}"
        if body.outcome.status == "done" and body.what != "overwrite":
            return f"is locked, and {attempt} was answered as done and changed nothing"
    bucket = isinstance(scenario.stack.services.get(point.place), S3Service)
    wanted = EVERYWHERE | {"overwrite"} if bucket else EVERYWHERE
    for target in dict.fromkeys(entry.body.target for entry in tries):
        made = {e.body.what for e in tries if e.body.principal == OPERATOR and e.body.target == target}
        if not wanted <= made:
            return f"is locked, and its owner did not try to {sorted(wanted - made)[0]} {target}"
    return ""


def _figures(asked: Immutability, copies: Iterable[Copy], fates: Fates) -> tuple[Figure, ...]:
    copies = tuple(copies)
    standings = [copy.standing for copy in copies]
    outcomes = [entry.body.outcome.status for copy in copies for entry in copy.tries]
    counts = {
        "immutable": standings.count("immutable"),
        "surviving": len(fates.seen),
        "unlocked": standings.count("unlocked"),
        "short": standings.count("short"),
        "gave-way": standings.count("gave way"),
        "untried": standings.count("untried"),
    }
    return (
        Figure(name="target", value=asked.copies, unit="copies", basis="target"),
        *(Figure(name=name, value=count, unit="copies") for name, count in counts.items()),
        Figure(name="tries", value=len(outcomes), unit="actions"),
        Figure(name="refused", value=outcomes.count("refused"), unit="actions"),
    )


def _summary(asked: Immutability, copies: Sequence[Copy]) -> str:
    immutable = sum(copy.standing == "immutable" for copy in copies)
    tries = [entry.body for copy in copies if copy.standing == "immutable" for entry in copy.tries]
    who = " and ".join(dict.fromkeys(body.principal for body in tries))
    stood = f" against {plural(len(tries), 'try', 'tries')} of {who}" if tries else ""
    text = f"{plural(immutable, 'copy stands', 'copies stand')}{stood}, {asked.copies:,} asked for"
    # Which locks gave way is worth knowing, whatever the number.
    bad = [copy.why for copy in copies if copy.standing == "gave way"]
    if immutable < asked.copies:
        bad += [copy.why for copy in copies if copy.why and copy.standing != "gave way"]
    more = [f"{len(bad) - MOST_WHYS:,} more"] if len(bad) > MOST_WHYS else []
    return "; ".join((text, *bad[:MOST_WHYS], *more)) + "."
