"""Loads scenarios with every driver that this installation has, third parties' too."""

from __future__ import annotations

from pathlib import Path

from harness.scenario.load import load_scenario
from harness.scenario.models import Agent, IdleAgent, LoadedScenario
from harness.scenario.problems import Known
from harness.seams.lookup import names

NO_GUARD = "none"
"""What the option ``--guards`` says when none is to be on."""


def load(path: Path, *, guards: tuple[str, ...] | None = None, agent: Agent | None = None) -> LoadedScenario:
    """Read a scenario and its stack; arguments and errors as for ``harness.scenario.load``."""
    return load_scenario(path, guards=guards, agent=agent, known=known_drivers())


def load_idle(path: Path, *, guards: tuple[str, ...] | None = None) -> LoadedScenario:
    """The same with an agent that does nothing: every objective must hold then."""
    principal = load(path, guards=guards).scenario.agent.as_
    return expecting_all_held(load(path, guards=guards, agent=IdleAgent(kind="idle", as_=principal)))


def expecting_all_held(loaded: LoadedScenario) -> LoadedScenario:
    """The same, of which every objective must hold.

    What a scenario expects is said of its own agent and its own guards; of others it says nothing.
    """
    played = loaded.scenario.model_copy(update={"expect": {}})
    return loaded.model_copy(update={"scenario": played})


def known_drivers() -> Known:
    """The names of all drivers, built in or found by their entry points."""
    return Known(
        replicas=names("replicas"),
        surfaces=names("surfaces"),
        backups=names("backups"),
        agents=names("agents"),
        objectives=names("objectives"),
    )
