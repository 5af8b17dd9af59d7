"""Gets the service back: restores what survived, newest first, at the service's own address."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from harness.errors import WorkloadError
from harness.facts import Endpoint, Outcome
from harness.journal.events import Recovered, RecoveryStarted, WitnessTaken
from harness.run.assess import Copy, Remains
from harness.run.compare import unreadable
from harness.run.ground import Ground
from harness.run.reconstruct import reconstruct
from harness.run.restore import Stopwatch, restore, vessel
from harness.run.runbook import play_runbook
from harness.run.traffic import Traffic
from harness.scenario.models import PostgresService

PATIENCE = timedelta(minutes=30)
"""With a runbook for which the scenario names no time."""


@dataclass(frozen=True)
class Recovery:
    """What came of it.

    Attributes:
        serves: the service was never damaged, or it came back.
        copy: the copy that it came back from.
    """

    serves: bool
    copy: Copy | None = None


def recover(
    ground: Ground, traffic: Traffic, remains: Remains, outcomes: Sequence[Outcome], witness: WitnessTaken
) -> Recovery:
    """Recover the drill's service, if it is damaged, even if it looks hopeless."""
    service, recipe = ground.plan.target, ground.plan.loaded.scenario.recover
    needed = service in remains.damaged
    assumed = {part: time.total_seconds() for part, time in recipe.assume if time is not None}
    ground.journal.write(
        RecoveryStarted(service=service, strategy=recipe.strategy, needed=needed, assumed=assumed)
    )
    if not needed:
        return Recovery(serves=True)
    watch = Stopwatch(ground.clock)
    watch("provision")
    traffic.workload.pause()
    if recipe.strategy == "runbook":
        ground.plan.store(service).fence(ground.endpoints[service])
        return _play_runbook(ground, traffic, watch)
    endpoint, copy = _left(ground, remains), None
    if endpoint is not None and recipe.reconstruct is None:
        return _let_back_in(ground, traffic, endpoint, watch, "nothing is left to restore from")
    if endpoint is None:
        ground.plan.store(service).fence(ground.endpoints[service])
        restored = _restore_newest(ground, remains, watch, just_before_harm(service, outcomes), witness)
        endpoint, copy = restored or (None, None)
    if recipe.reconstruct is not None:
        endpoint = endpoint or _empty(ground, watch)
        damage = reconstruct(ground, endpoint, recipe.reconstruct, watch)
        if damage:
            return _never_came_back(ground, ground.redactor().clean_log(damage))
    if endpoint is None:
        detail = "no recovery point is left" if not remains.points else "no recovery point could be restored"
        return _never_came_back(ground, detail)
    _put_to_work(ground, traffic, endpoint, copy, watch)
    return Recovery(serves=True, copy=copy)


def _play_runbook(ground: Ground, traffic: Traffic, watch: Stopwatch) -> Recovery:
    """Have the team's own script restore into an empty server at the service's address."""
    recipe = ground.plan.loaded.scenario.recover
    endpoint = vessel(ground, ground.plan.target, "recovery-runbook", replace=True).start()
    detail = play_runbook(ground, endpoint, recipe.run or "", recipe.timeout or PATIENCE, watch)
    if detail:
        return _never_came_back(ground, detail)
    return _let_back_in(ground, traffic, endpoint, watch, "the runbook ended well")


def _left(ground: Ground, remains: Remains) -> Endpoint | None:
    """The damaged service itself, when there is no copy of it and what it still has can be read."""
    service = ground.plan.target
    if remains.copies_of(service) or service not in remains.answering:
        return None
    endpoint = ground.endpoints[service]
    return None if unreadable(ground, endpoint) else endpoint


def _let_back_in(
    ground: Ground, traffic: Traffic, endpoint: Endpoint, watch: Stopwatch, why: str
) -> Recovery:
    """Put to work what no tool of ours has restored, and which may take no write for that reason."""
    try:
        _put_to_work(ground, traffic, endpoint, None, watch)
    except WorkloadError as error:
        if not traffic.workload.alive():
            raise
        return _never_came_back(ground, f"{why}, and the service takes no write: {error.message}")
    return Recovery(serves=True)


def _never_came_back(ground: Ground, detail: str) -> Recovery:
    ground.journal.write(
        Recovered(service=ground.plan.target, ok=False, at=ground.clock.stamp(), detail=detail)
    )
    return Recovery(serves=False)


def _restore_newest(
    ground: Ground, remains: Remains, watch: Stopwatch, until: datetime | None, witness: WitnessTaken
) -> tuple[Endpoint, Copy] | None:
    """Fall back from the newest copy to the next, until one restores."""
    for number, copy in enumerate(remains.copies_of(ground.plan.target), start=1):
        watch("provision")
        into = vessel(ground, ground.plan.target, f"recovery-{number}", replace=True)
        endpoint = restore(ground, copy, into, "recovery", watch, until, witness)
        if endpoint is not None:
            return endpoint, copy
    return None


def _empty(ground: Ground, watch: Stopwatch) -> Endpoint:
    """A fresh replica with the schema and nothing in it, for when no copy is left to build on."""
    service = ground.plan.target
    watch("provision")
    endpoint = vessel(ground, service, "recovery-empty", replace=True).start()
    model = ground.plan.loaded.stack.services[service]
    if isinstance(model, PostgresService) and model.schema_:
        ground.plan.database(service).execute(endpoint, ground.plan.loaded.files[model.schema_], {})
    return endpoint


def _put_to_work(
    ground: Ground, traffic: Traffic, endpoint: Endpoint, copy: Copy | None, watch: Stopwatch
) -> None:
    """Verify what answers, let the workload back in, and wait for its first acknowledged write.

    Raises:
        WorkloadError: there is none, and the locustfile has not raised.
    """
    service = ground.plan.target
    ground.endpoints[service] = endpoint
    watch("verify")
    ground.check_marker(service)
    watch("reconnect")
    try:
        traffic.workload.go()
        answered = traffic.wait_for_first_acknowledgement()
    except WorkloadError:
        raised = traffic.raised()
        if not raised:
            raise
        # Undecided, since its users write no more. What came back can still be compared.
        detail = f"no write of the workload was acknowledged; {ground.redactor().clean_log(raised)}"
        _never_came_back(ground, detail)
        return
    watch("", answered)
    ground.journal.write(
        Recovered(
            service=service,
            ok=True,
            point_id=copy.point.id if copy else None,
            at=answered,
            parts=watch.parts,
        )
    )


def just_before_harm(service: str, outcomes: Sequence[Outcome]) -> datetime | None:
    """The instant to which a continuous copy has to go back, when the harm itself is in it.

    A volume that is deleted leaves no trace in the WAL; rows that are deleted through SQL do.
    """
    for outcome in outcomes:
        if any(resource.service == service for resource in outcome.touched):
            return outcome.began.wall
    return None
