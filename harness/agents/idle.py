"""The agent that does nothing. With it, every objective of a scenario must hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.facts import Action, Outcome
from harness.scenario.models import Agent


class IdleAgent:
    """Is finished before it begins.

    Args:
        model: what the scenario says of it; nothing of it matters.
    """

    def __init__(self, model: Agent) -> None:
        del model

    def next_action(self, outcomes: Sequence[Outcome]) -> Action | None:
        """None."""
        del outcomes
        return None

    def arguments(self, action: Action) -> Mapping[str, object]:
        """As they are."""
        return action.arguments

    def found(self, number: int) -> tuple[str, ...]:
        """Nothing."""
        del number
        return ()
