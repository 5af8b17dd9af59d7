"""Looks at what is left after the agent is done: services, resources, recovery points."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from harness.facts import Outcome, RecoveryPoint, Resource
from harness.journal.events import InventoryTaken, PointMissing, PointSeen, ServiceSeen
from harness.run.ground import Ground
from harness.seams.container_engine import DISK
from harness.seams.drivers import Store

Moment = Literal["before", "after"]


@dataclass(frozen=True)
class Remains:
    """What is left.

    Attributes:
        damaged: services that are dead, that lost a resource, or that an action touched.
        answering: services that answer.
        points: surviving recovery points, newest first.
    """

    damaged: frozenset[str]
    answering: frozenset[str]
    points: tuple[Copy, ...]

    def copies_of(self, service: str) -> tuple[Copy, ...]:
        """The surviving copies of one service, newest first."""
        return tuple(copy for copy in self.points if copy.point.service == service)


@dataclass(frozen=True)
class Copy:
    """A recovery point with the protection that made it."""

    protection: str
    point: RecoveryPoint


def take_inventory(ground: Ground, moment: Moment) -> dict[str, tuple[Resource, ...]]:
    """Read what there is to delete, service by service."""
    found = {}
    for service, endpoint in ground.endpoints.items():
        found[service] = ground.plan.replicas[service].inventory(endpoint)
        ground.journal.write(InventoryTaken(moment=moment, service=service, resources=found[service]))
    return found


def list_points(ground: Ground, buried: Collection[str] = ()) -> tuple[Copy, ...]:
    """Every recovery point that exists now, newest first.

    Args:
        ground: whose tools are asked.
        buried: protections whose copies went with the disk that they lay on, so that nobody is there to ask.

    Raises:
        HarnessError: a tool cannot say which there are.
    """
    tools = ((name, tool) for name, tool in ground.tools.items() if name not in buried)
    copies = [Copy(name, point) for name, tool in tools for point in tool.points()]
    return tuple(sorted(copies, key=lambda copy: copy.point.covers_until, reverse=True))


def assess(
    ground: Ground,
    before: dict[str, tuple[Resource, ...]],
    points_before: Sequence[Copy],
    outcomes: Sequence[Outcome],
) -> Remains:
    """Compare what is there with what was there before the agent acted."""
    after = take_inventory(ground, "after")
    touched = {resource.service for outcome in outcomes for resource in outcome.touched}
    damaged, answering = set(), set()
    for service, replica in ground.plan.replicas.items():
        detail = _damage(service, before[service], after[service], touched)
        alive = not isinstance(replica, Store) or replica.alive(ground.endpoints[service])
        if alive:
            answering.add(service)
        if detail or not alive:
            damaged.add(service)
        ground.journal.write(
            ServiceSeen(
                service=service,
                alive=alive,
                damaged=service in damaged,
                detail=detail or ("" if alive else "does not answer"),
            )
        )
    points = list_points(ground, _buried(outcomes, after, points_before))
    for copy in points:
        ground.journal.write(PointSeen(point=copy.point))
    left = {copy.point.id for copy in points}
    for copy in points_before:
        if copy.point.id not in left:
            ground.journal.write(PointMissing(point_id=copy.point.id))
    return Remains(frozenset(damaged), frozenset(answering), points)


def _buried(
    outcomes: Sequence[Outcome], after: Mapping[str, Sequence[Resource]], points: Sequence[Copy]
) -> set[str]:
    """Protections whose copies all lay in services that lost their volumes, by what the engine lists.

    A server that merely does not answer buries nothing: its disk may be whole.
    """
    touched = (resource for outcome in outcomes for resource in outcome.touched)
    emptied = {one.service for one in touched if one.kind == DISK and not after[one.service]}
    places = defaultdict[str, set[str]](set)
    for copy in points:
        places[copy.protection].add(copy.point.place)
    return {protection for protection, lay_in in places.items() if lay_in <= emptied}


def _damage(service: str, before: Sequence[Resource], after: Sequence[Resource], touched: set[str]) -> str:
    gone = sorted(resource.name for resource in {*before} - {*after})
    if gone:
        return f"lost {', '.join(gone[:5])}" + (f" and {len(gone) - 5} more" if len(gone) > 5 else "")
    return "touched by the agent" if service in touched else ""
