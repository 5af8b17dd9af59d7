"""Tries to do away with locked copies, once nobody needs them, and looks whether they are still there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.facts import OPERATOR, Action
from harness.journal.events import PointChecked, TamperingTried
from harness.run.assess import Copy, Remains, list_points
from harness.run.ground import Ground
from harness.scenario.models import Immutability
from harness.seams.drivers import Surface, Tamperable, Tampering
from harness.seams.lookup import lookup

MOST_COPIES = 8
"""The newest are tried, more only if more are asked for."""

MOST_PARTS = 8
"""Of a copy of more parts so many are tried, from the first to the last; that each is locked is on record."""


def tamper(ground: Ground, remains: Remains, asked: Immutability) -> None:
    """Try what would destroy locked copies of the drill's service, as the agent's principal and as the
    operator, who may do everything.

    Args:
        ground: the run, in which nothing is to be restored any more.
        remains: what the agent has left.
        asked: how many copies must hold.

    Raises:
        BackupError, RestoreError: what a copy consists of cannot be listed.
        NotOursError: something else took over the address of the place where it lies.
    """
    tried = [
        copy
        for copy in remains.copies_of(ground.plan.target)
        if copy.point.locked_until is not None and isinstance(ground.tools[copy.protection], Tamperable)
    ][: max(MOST_COPIES, asked.copies)]
    redactor = ground.redactor()
    for place in sorted({copy.point.place for copy in tried}):
        ground.check_marker(place)
    for copy in tried:
        for event in _tries(ground, copy):
            cleaned = event.outcome.model_copy(update={"detail": redactor.clean(event.outcome.detail)})
            ground.journal.write(event.model_copy(update={"outcome": cleaned}))
    if tried:
        left = {copy.point.id: copy.point for copy in list_points(ground)}
        for copy in tried:
            ground.journal.write(PointChecked(point=copy.point, found=left.get(copy.point.id)))


def _tries(ground: Ground, copy: Copy) -> Iterator[TamperingTried]:
    tool, place = ground.tools[copy.protection], copy.point.place
    assert isinstance(tool, Tamperable), "the others are left out"
    tamperings = _sampled(tool.tamperings(copy.point))
    for principal in _principals(ground, place):
        surfaces: dict[str, Surface] = {}
        for number, call in enumerate(tamperings, start=1):
            if call.surface not in surfaces:
                factory = lookup("surfaces", call.surface)
                surfaces[call.surface] = factory(principal, ground.endpoints[place], ground.clock)
            action = Action(number=number, surface=call.surface, verb=call.verb, service=place)
            yield TamperingTried(
                point_id=copy.point.id,
                principal=principal,
                what=call.what,
                target=call.target,
                outcome=surfaces[call.surface].perform(action, call.arguments),
            )


def _principals(ground: Ground, place: str) -> tuple[str, ...]:
    """Who tries: the agent's principal, if it has a credential there, and the operator.

    Without a credential it would be turned away at the door, and no lock would be put to the test.
    """
    known = ground.endpoints[place].credentials
    agents = ground.plan.loaded.scenario.agent.as_
    return tuple(dict.fromkeys(name for name in (agents, OPERATOR) if name is not None and name in known))


def _sampled(tamperings: Sequence[Tampering]) -> tuple[Tampering, ...]:
    """Those aimed at a few of the parts, evenly spread."""
    parts = list(dict.fromkeys(call.target for call in tamperings))
    if len(parts) > MOST_PARTS:
        step = (len(parts) - 1) / (MOST_PARTS - 1)
        parts = [parts[round(number * step)] for number in range(MOST_PARTS)]
    return tuple(call for call in tamperings if call.target in parts)
