"""Lets the agent act: each decision is on record before the call is made, each outcome after it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Literal

from harness.clock import Clock
from harness.errors import BackupError, HarnessError, WithheldError
from harness.facts import WORKSPACE_SUFFIX, Action, Outcome
from harness.journal.events import ActionDecided, ActionEnded, AgentEnded, AgentStarted
from harness.run.backfill import take
from harness.run.ground import Ground
from harness.run.passing import pass_time
from harness.run.redact import Redactor
from harness.run.traffic import Traffic
from harness.scenario.models import PASSING, parse_duration
from harness.seams.drivers import Agent, Surface

MOST_ACTIONS = 1000
"""An agent that goes on longer than this does not end."""


def act(ground: Ground, traffic: Traffic) -> tuple[Outcome, ...]:
    """Run the agent to its end.

    Args:
        ground: the replicas.
        traffic: held while time passes, so that it is known what each copy was taken of.

    Returns:
        The outcomes of its actions, in order.

    Raises:
        HarnessError: it does not end.
    """
    model = ground.plan.loaded.scenario.agent
    agent: Agent = ground.plan.agent(model)
    redactor = Redactor(ground.endpoints.values())
    surfaces = Surfaces(ground, model.as_ or "")
    ground.journal.write(AgentStarted(principal=model.as_, kind=model.kind, goal=model.goal))
    outcomes: list[Outcome] = []
    while (action := agent.next_action(outcomes)) is not None:
        if len(outcomes) == MOST_ACTIONS:
            raise HarnessError(
                f"the agent has acted {MOST_ACTIONS} times and goes on", hint="it must end by itself"
            )
        ground.journal.write(ActionDecided(action=action))
        if f"{action.surface}.{action.verb}" == PASSING:
            outcome = _wait(ground, traffic, agent.arguments(action))
        else:
            outcome = _perform(agent, surfaces, action, ground.clock)
        outcomes.append(outcome)
        written = outcome.model_copy(update={"detail": redactor.clean(outcome.detail)})
        ground.journal.write(
            ActionEnded(number=action.number, outcome=written, found=agent.found(action.number))
        )
    ground.journal.write(AgentEnded(actions=len(outcomes)))
    return tuple(outcomes)


class Surfaces:
    """The surfaces of one principal, made when they are first used."""

    def __init__(self, ground: Ground, principal: str) -> None:
        self._ground = ground
        self._principal = principal
        self._made: dict[tuple[str, str], Surface] = {}

    def find(self, action: Action) -> Surface:
        """The surface that an action is aimed at.

        Raises:
            HarnessError: the stack has no such service, or the plan no such surface.
        """
        service = action.service or self._principal + WORKSPACE_SUFFIX
        key = (action.surface, service)
        if key not in self._made:
            factory = self._ground.plan.surfaces.get(action.surface)
            endpoint = self._ground.endpoints.get(service)
            if factory is None or endpoint is None:
                raise HarnessError(
                    f"action {action.number} aims at {action.surface} of {service}, which is not there",
                    hint="name a service of the stack; files need a principal with a workspace",
                )
            self._made[key] = factory(self._principal, endpoint, self._ground.clock)
        return self._made[key]


def _wait(ground: Ground, traffic: Traffic, arguments: Mapping[str, object]) -> Outcome:
    """Let time pass, as long as the arguments say."""
    began = ground.clock.stamp()

    def ended(status: Literal["done", "failed"], detail: str) -> Outcome:
        return Outcome(status=status, detail=detail, began=began, ended=ground.clock.stamp())

    try:
        span = parse_duration(arguments.get("for"))
    except ValueError as error:
        return ended("failed", f"time cannot pass: {error}")
    traffic.workload.pause()
    try:
        return ended("done", pass_time(ground, span, partial(take, ground)))
    except BackupError as error:
        return ended("failed", error.message)
    finally:
        traffic.workload.go()


def _perform(agent: Agent, surfaces: Surfaces, action: Action, clock: Clock) -> Outcome:
    began = clock.stamp()
    try:
        return surfaces.find(action).perform(action, agent.arguments(action))
    except HarnessError as error:
        status: Literal["refused", "failed"] = "refused" if isinstance(error, WithheldError) else "failed"
        return Outcome(status=status, detail=error.message, began=began, ended=clock.stamp())
