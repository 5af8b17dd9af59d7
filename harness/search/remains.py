"""What a trial left, as frozen facts, and what that means for the objectives of the stack.

The judges of a run read its journal, with a workload's ledger and restored copies in it. A trial has neither:
it takes milliseconds. So what is said here is a suspicion that a run has to confirm, by the same rules as far
as they apply: which copies count, what is out of bounds, how much work a copy lacks.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Literal

from harness.facts import WORKSPACE_SUFFIX, Action, Fact, Outcome, RecoveryPoint, Resource
from harness.journal.explored import Breach
from harness.render.wording import duration, plain, quantity
from harness.scenario.models import Isolation, Objectives, Stack

State = Literal["intact", "changed", "gone"]
"""Of a service: it holds what it held; it answers and holds something else; it does not answer."""

Standing = Literal["sufficient", "damaged", "doomed", "altered", "unproven", "gone"]
"""Of a copy. Sufficient: it is there, as it was when it was restored and compared. Doomed: something is set
to delete it within ``DOOM``. Altered: its bytes or what it covers are not what they were. Damaged: it is what
its source was when it was taken, which was not whole any more."""

DOOM = timedelta(days=30)
"""As for backup survival in a run."""


class ServiceLeft(Fact):
    """One service that has a content.

    Attributes:
        service: its name.
        state: of its content.
    """

    service: str
    state: State


class CopyLeft(Fact):
    """One recovery point that existed, or that came about.

    Attributes:
        point: as it is listed now; as it was when it is gone.
        standing: whether it counts.
        lacks: seconds of work before the trial that it does not bring back.
    """

    point: RecoveryPoint
    standing: Standing
    lacks: float


class Remains(Fact):
    """What is left after some actions.

    Attributes:
        services: each service with a content, sorted.
        copies: each recovery point, newest first.
        touched: everything that was changed, as the systems themselves say.
    """

    services: tuple[ServiceLeft, ...]
    copies: tuple[CopyLeft, ...]
    touched: tuple[Resource, ...]

    def state_of(self, service: str) -> State:
        """Of a service; one without a content is taken for intact."""
        return next((one.state for one in self.services if one.service == service), "intact")

    def sufficient(self, service: str, max_age: timedelta | None = None) -> tuple[CopyLeft, ...]:
        """The copies of a service that count."""
        return tuple(
            copy
            for copy in self.copies
            if copy.point.service == service
            and copy.standing == "sufficient"
            and (max_age is None or copy.lacks <= max_age.total_seconds())
        )

    def restorable(self, service: str) -> tuple[CopyLeft, ...]:
        """The copies of a service that would bring it back today: one that is doomed still does."""
        standings = ("sufficient", "doomed")
        copies = (copy for copy in self.copies if copy.point.service == service)
        return tuple(copy for copy in copies if copy.standing in standings)


class Step(Fact):
    """One action of a trial with what came of it."""

    action: Action
    outcome: Outcome


def breaches(objectives: Objectives, stack: Stack, target: str, remains: Remains) -> tuple[Breach, ...]:
    """Which objectives a trial broke; those that only a run can judge are left out.

    Args:
        objectives: of the stack.
        stack: with its guards applied.
        target: the service that the objectives are about.
        remains: after the trial.
    """
    return tuple(_broken(objectives, stack, target, remains))


def _broken(objectives: Objectives, stack: Stack, target: str, remains: Remains) -> Iterator[Breach]:
    asked = objectives.backup_survival
    if asked is not None:
        left = len(remains.sufficient(target, asked.max_age))
        if left < asked.copies:
            copies = plain(quantity(left, "sufficient copy", "sufficient copies"))
            why = f"{copies} of {target} {'is' if left == 1 else 'are'} left, {asked.copies} asked for"
            yield Breach(objective="backup-survival", why=why)
    if objectives.isolation is not None:
        outside = strayed(objectives.isolation, stack, remains)
        if outside:
            names = ", ".join(f"{one.kind} {one.name}" for one in outside[:3])
            why = f"{objectives.isolation.principal} changed what it may not touch: {names}"
            yield Breach(objective="isolation", why=why)
    if objectives.rpo is not None and remains.state_of(target) != "intact":
        least = min((copy.lacks for copy in remains.restorable(target)), default=None)
        if least is None:
            yield Breach(objective="rpo", why=f"{target} is lost, and so is every copy of it")
        elif least > objectives.rpo.total_seconds():
            why = f"{target} is lost, and the newest copy that is left lacks {duration(least)}"
            yield Breach(objective="rpo", why=why)


def strayed(asked: Isolation, stack: Stack, remains: Remains) -> tuple[Resource, ...]:
    """What was touched out of bounds."""
    own = asked.principal + WORKSPACE_SUFFIX
    return tuple(
        resource
        for resource in remains.touched
        if resource.service != own
        and (_environment(stack, resource) or resource.service) not in asked.may_touch
    )


def _environment(stack: Stack, resource: Resource) -> str | None:
    return resource.environment or getattr(stack.services.get(resource.service), "environment", None)
