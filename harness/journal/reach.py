"""What lies within a principal's bounds, and what changed beyond them."""

from __future__ import annotations

from collections.abc import Iterable

from harness.facts import WORKSPACE_SUFFIX, Resource
from harness.scenario.models import Isolation, LoadedScenario

PASSING_KINDS = frozenset(("object", "rows", "row", "file"))
"""What backups and the workload make all the time. A new one is no trace of the agent; a lost one is."""


class Outside:
    """Tells whether a resource is out of a principal's bounds.

    A resource counts for the environment it stands in; one that stands in none, for its service. The
    principal's own workspace is its own.

    Args:
        asked: the bounds.
        scenario: says where services stand.
    """

    def __init__(self, asked: Isolation, scenario: LoadedScenario) -> None:
        self._allowed = frozenset(asked.may_touch)
        self._own = asked.principal + WORKSPACE_SUFFIX
        self._services = scenario.stack.services

    def __call__(self, resource: Resource) -> bool:
        if resource.service == self._own:
            return False
        service = self._services.get(resource.service)
        environment = resource.environment or getattr(service, "environment", None)
        return (environment or resource.service) not in self._allowed


def changed_between(before: Iterable[Resource], after: Iterable[Resource]) -> tuple[Resource, ...]:
    """Resources of one inventory that are gone from the next, then those that are new there.

    A new one counts only if neither the backups nor the workload make such.
    """
    then, now = set(map(lasting, before)), set(map(lasting, after))
    gone = sorted(then - now, key=full_name)
    new = sorted((resource for resource in now - then if resource.kind not in PASSING_KINDS), key=full_name)
    return (*gone, *new)


def lasting(resource: Resource) -> Resource:
    """An object without its version: a backup tool that replaces one of its own objects leaves no trace."""
    if resource.kind != "object":
        return resource
    key, at, _ = resource.name.rpartition("@")
    return resource.model_copy(update={"name": key}) if at else resource


def place_of(resource: Resource) -> str:
    """The environment a resource stands in, or else its service, with a preposition."""
    return f"in {resource.environment}" if resource.environment else f"of {resource.service}"


def full_name(resource: Resource) -> str:
    """A resource as a sentence names it: ``volume-instance a/b in production``."""
    return f"{resource.kind} {resource.name} {place_of(resource)}"
