"""Has a principal delete what was made for it, and confirm that itself; then a second person confirms it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from harness.facts import SECOND_PERSON, Action
from harness.journal.events import DeletionTried
from harness.run.ground import Ground
from harness.scenario.models import DualControl
from harness.seams.drivers import Confirming, Decoy, Request
from harness.seams.lookup import lookup

Step = Literal["alone", "own", "second"]


def delete_alone(ground: Ground, asked: DualControl) -> tuple[DeletionTried, ...]:
    """Try each deletion as the principal, and confirm it where it waits; stop where it took effect.

    What is deleted was made for that just before, so it does not matter what the agent has left.

    Args:
        ground: the run, in which nothing is to be restored any more.
        asked: who tries, where, and what.

    Returns:
        What was tried, which is in the journal too; nothing on a replica that can confirm nothing.

    Raises:
        ProvisionError: nothing could be made to be deleted.
        NotOursError: something else took over the address of the service.
    """
    replica, endpoint = ground.plan.replicas[asked.service], ground.endpoints[asked.service]
    if not isinstance(replica, Confirming):
        return ()
    ground.check_marker(asked.service)
    decoys = replica.decoys(endpoint, asked.calls, ground.clock)
    return tuple(tried for decoy in decoys for tried in _steps(ground, asked, replica, decoy))


def _steps(ground: Ground, asked: DualControl, replica: Confirming, decoy: Decoy) -> Iterator[DeletionTried]:
    alone = _try(ground, asked, replica, decoy, ("alone", asked.principal, decoy.deletion))
    yield alone
    id = replica.waiting(alone.outcome)
    if id is None:
        return
    confirmation = replica.confirmation(id)
    own = _try(ground, asked, replica, decoy, ("own", asked.principal, confirmation))
    yield own
    if own.stands and SECOND_PERSON in ground.endpoints[asked.service].credentials:
        yield _try(ground, asked, replica, decoy, ("second", SECOND_PERSON, confirmation))


def _try(
    ground: Ground, asked: DualControl, replica: Confirming, decoy: Decoy, made: tuple[Step, str, Request]
) -> DeletionTried:
    (step, principal, request), endpoint = made, ground.endpoints[asked.service]
    surface = lookup("surfaces", request.surface)(principal, endpoint, ground.clock)
    action = Action(number=1, surface=request.surface, verb=request.verb, service=asked.service)
    outcome = surface.perform(action, request.arguments)
    waits = "waits" if replica.waiting(outcome) is not None else ""
    tried = DeletionTried(
        service=asked.service,
        call=decoy.call,
        target=decoy.resource.name,
        step=step,
        principal=principal,
        answer="own" if replica.is_own(outcome) else waits,
        outcome=outcome.model_copy(update={"detail": ground.redactor().clean(outcome.detail)}),
        stands=decoy.resource in replica.inventory(endpoint),
    )
    ground.journal.write(tried)
    return tried
