"""The blast radius of a stack: every destructive call that a principal can come to make, made for real.

A principal looks at everything that its credentials, and those that it finds on the way, let it see. Then
each call that destroys something, or takes a guard away, is made once; what is left is looked at; and the
stack is reset before the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from harness.clock import SystemClock
from harness.errors import RequestError, StackLostError
from harness.facts import Outcome, Resource
from harness.journal.radius import FILE, LOST, BlastRadius, Deed, Extent, grown
from harness.journal.rebuilds import counted
from harness.run.place import Place, in_memory
from harness.scenario.models import Isolation, Stack
from harness.seams.lookup import lookup
from harness.search.arena import Arena
from harness.search.chosen import chosen, refuse_stranger
from harness.search.exploration import ACTING, LOOKING, Trial
from harness.search.kinds import kind_of
from harness.search.moves import Move, untried
from harness.search.recording import Recording, Searched
from harness.search.remains import CopyLeft, Remains, strayed

Listener = Callable[[Deed], None]

CONTENT = frozenset({"rows", "key", "file", "branch", "tag", "ref"})
"""Kinds of what can be touched and nobody could set again. Not all of it is listed in inventories."""


@dataclass(frozen=True)
class RadiusWish:
    """What ``blast-radius`` is asked for.

    Attributes:
        file: a scenario, or a stack with a scenario beside it.
        principals: whose reach is wanted; everybody's if nothing is said.
        guards: to switch on instead of the scenario's own; None for those.
        before: the radius that it may not grow beyond; None when nothing may be unrecoverable.
    """

    file: Path
    principals: tuple[str, ...] = ()
    guards: tuple[str, ...] | None = None
    before: BlastRadius | None = None


def measure_radius(wish: RadiusWish, place: Place, tell: Listener = lambda _: None) -> Searched[BlastRadius]:
    """Bring a stack up, try everything, and keep what came of it.

    Args:
        wish: of what, and whose.
        place: where to write and work; in memory unless somebody has chosen where.
        tell: is shown each deed.

    Raises:
        HarnessError: the stack does not come up, or something cannot be written.
        ScenarioError: the files cannot be used.
        RequestError: the stack has no such principal.
    """
    loaded = chosen(wish.file, wish.guards)
    for principal in wish.principals:
        refuse_stranger(loaded.stack, principal)
    clock = SystemClock()
    radius = before = BlastRadius(stack=str(wish.file), guards=loaded.scenario.guards, interrupted=True)
    with Recording(loaded, "blast-radius", place, clock) as record:
        try:
            with (
                suppress(KeyboardInterrupt),
                Arena(loaded, in_memory(place), record.folder.name, record.journal, clock) as stack,
            ):
                radius = blast_radius(stack, str(wish.file), wish.principals, tell)
        except Exception:
            if radius is not before:
                # Something of the stack could not be removed, which is no reason to lose what was found.
                record.keep(radius)
            raise
        if wish.before is not None:
            radius = radius.model_copy(update={"growth": grown(wish.before, radius)})
        return record.keep(radius)


def read_baseline(file: Path) -> BlastRadius:
    """A blast radius that was written before.

    Raises:
        RequestError: it is none.
    """
    try:
        return BlastRadius.model_validate_json(file.read_bytes())
    except (OSError, ValidationError) as error:
        first = str(error).partition("\n")[0]
        raise RequestError(
            f"{file} is no blast radius: {first}", hint=f"name a {FILE} of `ninelives blast-radius`"
        ) from None


def blast_radius(
    arena: Arena, stack_file: str, principals: tuple[str, ...] = (), tell: Listener = lambda _: None
) -> BlastRadius:
    """Try everything.

    Args:
        arena: of the stack.
        stack_file: its name, for the record.
        principals: whose reach is wanted; everybody's if nothing is said.
        tell: is shown each deed.

    Returns:
        What came of it; when somebody interrupted it, or the stack could be used no more, what had been
        tried until then.
    """
    stack = arena.loaded.stack
    deeds: list[Deed] = []
    silent: list[str] = []
    interrupted, stopped = False, ""
    try:
        for principal in principals or tuple(stack.principals):
            before = len(deeds)
            for deed in _tried(arena, principal):
                deeds.append(deed)
                tell(deed)
            if len(deeds) == before:
                silent.append(principal)
    except KeyboardInterrupt:
        interrupted = True
    except StackLostError as error:
        stopped = error.message
    return BlastRadius(
        stack=stack_file,
        guards=arena.loaded.scenario.guards,
        deeds=tuple(deeds),
        silent=tuple(silent),
        left_out=_left_out(arena, deeds),
        interrupted=interrupted,
        stopped=stopped,
        rebuilds=counted(arena.rebuilds),
    )


def _tried(arena: Arena, principal: str) -> Iterator[Deed]:
    """Every call of one principal, each from the beginning."""
    scout, whole = _scout(arena, principal), arena.look([])
    built = arena.rebuilt
    for then in [move for moves in scout.knowledge.choices(*ACTING) for move in moves]:
        if arena.rebuilt != built:
            # Another stack has other identifiers and secrets.
            scout, whole, built = _scout(arena, principal), arena.look([]), arena.rebuilt
        every = (move for moves in scout.knowledge.choices(*ACTING) for move in moves)
        move = next((move for move in every if move.name == then.name), None)
        if move is None:
            yield _unmade(arena, principal, then)
            continue
        outcome = scout.make(move)
        # Told before the reset, which may be what ends it all.
        yield _deed(arena, principal, move, outcome, whole)
        arena.reset()


def _scout(arena: Arena, principal: str) -> Trial:
    """Look at everything there is to see; every credential on the way is used to see more."""
    scout = Trial(arena, principal, arena.loaded.objectives)
    while looks := scout.knowledge.choices(*LOOKING):
        for move in (move for moves in looks for move in moves):
            scout.make(move)
    return scout


def _deed(arena: Arena, principal: str, move: Move, outcome: Outcome, whole: Remains) -> Deed:
    """What a call came to; asked before the stack is reset."""
    left = arena.look([outcome])
    stack = arena.loaded.stack
    damage = _damage(arena, whole, left)
    undone = [_undo(name, _back(arena, name, left)[0]) for name in damage.recoverable]
    extent = _extent(outcome, left, damage, strayed(_bounds(stack, principal), stack, left))
    if extent == "lost" and not damage.unrecoverable:
        # What is gone has no content that could be compared, so nobody has tried what its surface lists.
        listed = _listed_undo(move)
        undone += [f"not tried: {listed}"] if listed else []
    return _named(stack, principal, move, extent).model_copy(
        update={
            "said": "" if outcome.status == "done" else outcome.detail,
            "undo": "; ".join(undone),
            "copies_lost": len(damage.copies),
            "unrecoverable": damage.unrecoverable if extent in LOST else (),
        }
    )


def _unmade(arena: Arena, principal: str, move: Move) -> Deed:
    """Of a call that could be made before the stack was made again, and cannot be found since."""
    deed = _named(arena.loaded.stack, principal, move, "failed")
    return deed.model_copy(update={"said": "not made: it was not found again after the stack was made anew"})


def _named(stack: Stack, principal: str, move: Move, extent: Extent) -> Deed:
    """Who made which call, and how far it came."""
    owner = move.key.owner if move.key else principal
    found = stack.principals[owner].found_in if owner != principal and owner in stack.principals else None
    return Deed(
        principal=principal,
        owner=owner,
        found_in=str(found or ""),
        service=move.step.on or f"{principal}'s workspace",
        name=move.name.removesuffix(f" on {move.step.on} as {owner}"),
        operation=move.operation,
        extent=extent,
    )


def _listed_undo(move: Move) -> str:
    """What takes a call back, as its surface says; empty when nothing does, or not everywhere the same."""
    listed = lookup("surfaces", move.step.do.partition(".")[0]).destructive
    undos = {one.undo for one in listed if move.operation in one.names}
    return undos.pop() if len(undos) == 1 else ""


@dataclass(frozen=True)
class _Damage:
    """What is not as it was.

    Attributes:
        recoverable, unrecoverable: services with another content than before, by whether a copy that counts
            is left. One without backups has none.
        copies: that counted, and do not any more.
        gone: whatever else is not there any more, and comes back with none of ``recoverable``.
        matters: whether any of it is what the drill is about or the stack has backups for: that matters
            whoever may touch it.
    """

    recoverable: tuple[str, ...]
    unrecoverable: tuple[str, ...]
    copies: tuple[CopyLeft, ...]
    gone: tuple[Resource, ...]
    matters: bool

    @property
    def any(self) -> bool:
        return bool(self.recoverable or self.unrecoverable or self.copies or self.gone)

    @property
    def mends(self) -> bool:
        """Whether all of it comes back. A copy of what comes back is not missed: another can be taken."""
        return not (
            self.unrecoverable
            or self.gone
            or any(copy.point.service not in self.recoverable for copy in self.copies)
        )


def _damage(arena: Arena, whole: Remains, left: Remains) -> _Damage:
    stack = arena.loaded.stack
    matter = {protection.of for protection in stack.protections.values()}
    matter.add(arena.loaded.scenario.recover.service)
    hurt = tuple(one.service for one in left.services if one.state != "intact")
    recoverable = tuple(name for name in hurt if _back(arena, name, left))
    counted = {copy.point.id for copy in left.copies if copy.standing == "sufficient"}
    copies = (copy for copy in whole.copies if copy.standing == "sufficient")
    lost = tuple(copy for copy in copies if copy.point.id not in counted)
    compared = {one.service for one in left.services}
    unseen = tuple(
        one
        for one in left.touched
        if one.kind in CONTENT and one.service in stack.services and one.service not in compared
    )
    return _Damage(
        recoverable=recoverable,
        unrecoverable=tuple(name for name in hurt if name not in recoverable),
        copies=lost,
        gone=tuple(
            one
            for one in dict.fromkeys((*arena.gone(left.touched), *unseen))
            if not any(_comes_with(one, name, stack, whole) for name in recoverable)
        ),
        matters=bool(lost or matter.intersection(hurt)),
    )


def _comes_with(gone: Resource, service: str, stack: Stack, whole: Remains) -> bool:
    """Whether something is back, or missed no more, when the content of a service is."""
    if gone.service == service:
        return True
    plane, _, volume = (getattr(stack.services[service], "volume", None) or "").partition("/")
    environment = getattr(stack.services[service], "environment", None)
    if gone.service != plane or (gone.environment or environment) != environment:
        return False
    copies = {copy.point.id.rpartition("/")[2] for copy in whole.copies if copy.point.service == service}
    parts = gone.name.removeprefix(f"{environment}/").split("/")
    return parts[0] == volume or parts[-1] in {service, *copies}


def _extent(outcome: Outcome, left: Remains, damage: _Damage, outside: tuple[Resource, ...]) -> Extent:
    if outcome.status != "done" and not left.touched:
        return "refused" if outcome.status == "refused" else "failed"
    if not (left.touched or damage.any):
        return "nothing"
    if not (outside or damage.matters):
        return "contained"
    if damage.unrecoverable:
        along = any(copy.point.service in damage.unrecoverable for copy in damage.copies)
        return "lost with its backups" if along else "lost"
    # What has a content comes back from a copy; a setting can be set again, and what is only going to be
    # deleted is still there. Anything else that is gone is gone.
    return "reversible" if damage.mends else "lost"


def _back(arena: Arena, service: str, left: Remains) -> tuple[CopyLeft, ...]:
    """The copies that would bring a service back, young enough for its objectives."""
    asked = arena.loaded.objectives.backup_survival
    target = arena.loaded.scenario.recover.service
    return left.sufficient(service, asked.max_age if asked is not None and service == target else None)


def _undo(service: str, copy: CopyLeft) -> str:
    if copy.point.kind == "undo":
        return f"its owner takes the deletion of {service} back"
    return f"{service} from {copy.point.protection} in {copy.point.place}"


def _bounds(stack: Stack, principal: str) -> Isolation:
    """The environments in which a principal's own grants stand; one that is for everything bounds nothing."""
    grants = stack.principals[principal].grants.items()
    places = (
        getattr(grant, "environment", None) or getattr(stack.services[service], "environment", None)
        for service, grant in grants
    )
    return Isolation(principal=principal, may_touch=tuple(dict.fromkeys(filter(None, places))))


def _left_out(arena: Arena, deeds: list[Deed]) -> dict[str, tuple[str, ...]]:
    """What surfaces list and nobody tried, and services that nobody knows how to call."""
    stack = arena.loaded.stack
    missing: dict[str, tuple[str, ...]] = {
        f"{name} ({service.kind})": ("no call of this kind of service is known here",)
        for name, service in stack.services.items()
        if kind_of(service.kind) is None
    }
    for name, service in stack.services.items():
        kind = kind_of(service.kind)
        tried = {deed.operation for deed in deeds if deed.service == name}
        left = untried(lookup("surfaces", kind.surface), tried) if kind is not None else ()
        if left:
            missing[f"{name} ({service.kind})"] = left
    return missing
