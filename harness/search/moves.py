"""Calls that an agent could make, as steps of a scenario, and what one kind of service has of them."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from pydantic import JsonValue

from harness.scenario.models import Step
from harness.seams.drivers import Surface

MoveKind = Literal["look", "weaken", "destroy", "wait"]
"""To find out; to take away what guards a thing; to destroy it; to let time pass."""


@dataclass(frozen=True)
class Key:
    """A credential that the agent can show.

    Attributes:
        service: where it opens something.
        owner: whose it is.
        shown: arguments that show it; empty for the agent's own, which every surface shows by itself.
        kind: of the credential.
    """

    service: str
    owner: str
    kind: str
    shown: Mapping[str, JsonValue] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class Thing:
    """Something that a credential was shown.

    Attributes:
        kind: ``volume``, ``environment``, ``table``, ``prefix``, ...
        name: for people, the same in every replica.
        value: how a step names it: a placeholder, or the name itself.
        within: the value of what it lies in.
    """

    kind: str
    name: str
    value: str
    within: str = ""


@dataclass(frozen=True)
class Move:
    """One call that could be made now.

    Attributes:
        name: the same in every trial and every replica.
        kind: what it is for.
        step: the call, as a scenario would have it.
        operation: one of the names that a surface's list of destructions has for it; empty for looking.
        key: what it is made with.
        about: what it asks for, when it looks.
    """

    name: str
    kind: MoveKind
    step: Step
    operation: str = ""
    key: Key | None = None
    about: str = ""


def untried(surface: type[Surface], tried: Container[str]) -> tuple[str, ...]:
    """What a surface lists as destructive and no call has tried, each as searches call it, once.

    Args:
        surface: whose list.
        tried: names of operations.
    """
    names = (name for one in surface.destructive for name in one.names)
    return tuple(dict.fromkeys(name for name in names if name not in tried))


Learned = tuple[Mapping[str, str], list[Thing]]
"""Paths of what a script must save, by name, and what was seen."""


@dataclass(frozen=True)
class Kind:
    """How one kind of service is explored.

    Attributes:
        moves: every call that a credential could make, given what it was shown, and the service's own name
            of what it holds.
        learn: what an answer to a look shows, given how many values are known already.
        surface: through which it is called.
        is_open: whoever has no credential there may try all the same.
    """

    moves: Callable[[Key, tuple[Thing, ...], str], Iterator[Move]]
    learn: Callable[[Move, str, int], Learned]
    surface: str
    is_open: bool = False


def call(
    key: Key,
    kind: MoveKind,
    do: str,
    what: str,
    arguments: Mapping[str, JsonValue],
    operation: str = "",
    about: str = "",
) -> Move:
    """One call with a credential.

    Args:
        key: what it is made with.
        kind: what it is for.
        do: verb of the step.
        what: it does, for people, the same in every replica.
        arguments: of the step, without the credential.
        operation: one of the names that the surface's list of destructions has for it; empty for looking.
        about: what it asks for, when it looks.
    """
    step = Step.model_validate(
        {"do": do, "on": key.service, "with": {**key.shown, **arguments}, "harm": kind == "destroy"}
    )
    return Move(f"{what} on {key.service} as {key.owner}", kind, step, operation, key, about)
