"""From a loaded scenario to resolved drivers. Touches nothing; may refuse."""

from __future__ import annotations

from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from harness.errors import RequestError
from harness.facts import WORKSPACE_SUFFIX
from harness.scenario.models import (
    PASSING,
    IdleAgent,
    ItemService,
    LoadedScenario,
    PostgresService,
    ScriptedAgent,
    driver_of,
)
from harness.scenario.tightening import names_in_force
from harness.seams.drivers import (
    AgentFactory,
    BackupFactory,
    Database,
    ItemStore,
    Objective,
    Replica,
    Store,
    SurfaceFactory,
)
from harness.seams.lookup import Provider, driver_with, lookup, names, needs_engine


@dataclass(frozen=True)
class Plan:
    """A scenario with its drivers.

    Attributes:
        loaded: the scenario.
        provider: what replicas run on, where their kind leaves a choice.
        drivers: name of the driver of each service, and of each principal's workspace.
        replicas: the drivers themselves.
        requires: for each of those, what must be there first.
        backups: factory of the tool of each protection.
        surfaces: factory of each surface that the agent may use.
        agent: factory of the agent.
        objectives: each objective that is to be judged, in the order of the file.
    """

    loaded: LoadedScenario
    provider: Provider
    drivers: dict[str, str]
    replicas: dict[str, Replica]
    requires: dict[str, tuple[str, ...]]
    backups: dict[str, BackupFactory]
    surfaces: dict[str, SurfaceFactory]
    agent: AgentFactory
    objectives: tuple[tuple[str, Objective], ...]

    def store(self, service: str) -> Store:
        """The driver of a service whose content can be compared.

        Raises:
            RequestError: its content cannot.
        """
        replica = self.replicas[service]
        if not isinstance(replica, Store):
            raise RequestError(
                f"service {service!r} has no content that could be compared",
                hint="name one of kind postgres, or one with collections",
            )
        return replica

    def database(self, service: str) -> Database:
        """The driver of a service that speaks SQL.

        Raises:
            RequestError: it does not.
        """
        replica = self.replicas[service]
        if not isinstance(replica, Database):
            raise RequestError(
                f"service {service!r} does not speak SQL", hint="name one of kind postgres in the scenario"
            )
        return replica

    @property
    def runs_containers(self) -> bool:
        """Whether any service needs the machine's container engine."""
        return any(needs_engine(driver) for driver in self.drivers.values())

    @property
    def target(self) -> str:
        """The service that the drill is about: it has the workload, and is recovered."""
        return self.loaded.scenario.recover.service


def plan(loaded: LoadedScenario, provider: Provider = "embedded") -> Plan:
    """Find every driver that the scenario needs.

    Args:
        loaded: the scenario.
        provider: what replicas run on, unless the scenario says what it needs.

    Raises:
        UnknownDriverError: a name that no driver has.
        RequestError: services that require each other, or a database whose driver is none of a database.
    """
    stack, provider = loaded.stack, loaded.scenario.provider or provider
    drivers = {name: driver_with(provider, driver_of(service)) for name, service in stack.services.items()}
    replicas: dict[str, Replica] = {name: lookup("replicas", driver)() for name, driver in drivers.items()}
    requires = {name: replica.requires(stack, name) for name, replica in replicas.items()}
    for principal, model in stack.principals.items():
        if model.workspace:
            drivers[principal + WORKSPACE_SUFFIX] = "files"
            replicas[principal + WORKSPACE_SUFFIX] = lookup("replicas", "files")()
            requires[principal + WORKSPACE_SUFFIX] = tuple(stack.services)
    try:
        TopologicalSorter(requires).prepare()
    except CycleError as error:
        raise RequestError(
            f"services require each other: {' -> '.join(error.args[1])}", hint="break the circle in the stack"
        ) from None
    for name, service in stack.services.items():
        if isinstance(service, PostgresService) and not isinstance(replicas[name], Database):
            raise RequestError(
                f"the driver {driver_of(service)!r} of service {name!r} is not one of a database",
                hint="it must have all of `Database` in harness/seams/drivers.py",
            )
        if isinstance(service, ItemService) and not isinstance(replicas[name], ItemStore):
            raise RequestError(
                f"the driver {driver_of(service)!r} of service {name!r} is not one of a store of items",
                hint="it must have all of `ItemStore` in harness/seams/drivers.py",
            )
    return Plan(
        loaded=loaded,
        provider=provider,
        drivers=drivers,
        replicas=replicas,
        requires=requires,
        backups={name: lookup("backups", model.tool) for name, model in stack.protections.items()},
        surfaces={name: lookup("surfaces", name) for name in _surfaces(loaded)},
        agent=lookup("agents", loaded.scenario.agent.kind),
        objectives=tuple((name, lookup("objectives", name)()) for name in names_in_force(loaded.objectives)),
    )


def _surfaces(loaded: LoadedScenario) -> tuple[str, ...]:
    agent = loaded.scenario.agent
    if isinstance(agent, ScriptedAgent):
        return tuple(sorted({step.do.partition(".")[0] for step in agent.steps if step.do != PASSING}))
    return () if isinstance(agent, IdleAgent) else names("surfaces")
