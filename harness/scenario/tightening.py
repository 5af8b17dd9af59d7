"""Objectives of a stack, and of a scenario over it, which may add to them or tighten them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TypeVar

from harness.scenario.models import (
    BackupSurvival,
    DualControl,
    Immutability,
    Isolation,
    Model,
    Objectives,
    format_duration,
)
from harness.scenario.positions import KeyPath
from harness.scenario.problems import Finding

ROOT: KeyPath = ("objectives",)
T = TypeVar("T", bound=Model)


def tightened(stack: Objectives, scenario: Objectives) -> Objectives:
    """The objectives in force: the stack's, with what the scenario says put over them."""
    return Objectives(
        backup_survival=_put_over(stack.backup_survival, scenario.backup_survival),
        isolation=_put_over(stack.isolation, scenario.isolation),
        rpo=stack.rpo if scenario.rpo is None else scenario.rpo,
        rto=stack.rto if scenario.rto is None else scenario.rto,
        invariants={**(stack.invariants or {}), **(scenario.invariants or {})} or None,
        containment=stack.containment if scenario.containment is None else scenario.containment,
        immutability=_put_over(stack.immutability, scenario.immutability),
        audit_trail=scenario.audit_trail or stack.audit_trail,
        dual_control=_put_over(stack.dual_control, scenario.dual_control),
        other={**stack.other, **scenario.other},
    )


def names_in_force(objectives: Objectives) -> tuple[str, ...]:
    """The names of the objectives that are judged, in the order of the model."""
    named = objectives.model_dump(by_alias=True, exclude_none=True, exclude={"other"})
    return (*named, *objectives.other)


def loosened(stack: Objectives, scenario: Objectives) -> Iterator[Finding]:
    """Each objective of the scenario that asks for less than the stack does."""
    yield from _taken_back(stack, scenario)
    for name in ("rpo", "rto", "containment"):
        yield from _longer(getattr(stack, name), getattr(scenario, name), (*ROOT, name))
    if stack.backup_survival and scenario.backup_survival:
        yield from _weaker_survival(stack.backup_survival, scenario.backup_survival)
    if stack.immutability and scenario.immutability:
        yield from _weaker_immutability(stack.immutability, scenario.immutability)
    if stack.audit_trail and scenario.audit_trail and stack.audit_trail != scenario.audit_trail:
        path: KeyPath = (*ROOT, "audit-trail", "principal")
        yield _looser(path, f"the stack asks this of {stack.audit_trail.principal!r}")
    if stack.dual_control and scenario.dual_control:
        yield from _less_control(stack.dual_control, scenario.dual_control)
    if stack.isolation and scenario.isolation:
        yield from _wider_reach(stack.isolation, scenario.isolation)
    for name, statement in (scenario.invariants or {}).items():
        if (stack.invariants or {}).get(name, statement) != statement:
            yield _looser((*ROOT, "invariants", name), "the stack says something else of this invariant")
    for name, setting in scenario.other.items():
        if stack.other.get(name, setting) != setting:
            yield _looser((*ROOT, "other", name), "the stack says something else of this objective")


def _put_over(stack: T | None, scenario: T | None) -> T | None:
    """The stack's, with the keys that the scenario writes put over it."""
    if stack is None or scenario is None:
        return scenario or stack
    written = {name: getattr(scenario, name) for name in scenario.model_fields_set}
    return stack.model_copy(update=written)


def _taken_back(stack: Objectives, scenario: Objectives) -> Iterator[Finding]:
    for name in sorted(scenario.model_fields_set):
        if getattr(scenario, name) is None and getattr(stack, name) is not None:
            yield _looser((*ROOT, name.replace("_", "-")), "the stack asks for this, and null would drop it")


def _longer(stack: timedelta | None, scenario: timedelta | None, path: KeyPath) -> Iterator[Finding]:
    if stack is not None and scenario is not None and scenario > stack:
        yield _looser(path, f"longer than the {format_duration(stack)} of the stack")


def _weaker_survival(stack: BackupSurvival, scenario: BackupSurvival) -> Iterator[Finding]:
    path: KeyPath = (*ROOT, "backup-survival")
    yield from _fewer_copies(stack, scenario, path)
    if "max_age" in scenario.model_fields_set and scenario.max_age is None and stack.max_age is not None:
        yield _looser((*path, "max_age"), "the stack asks for this, and null would drop it")
    yield from _longer(stack.max_age, scenario.max_age, (*path, "max_age"))


def _weaker_immutability(stack: Immutability, scenario: Immutability) -> Iterator[Finding]:
    path: KeyPath = (*ROOT, "immutability")
    yield from _fewer_copies(stack, scenario, path)
    if "for_" not in scenario.model_fields_set or stack.for_ is None:
        return
    if scenario.for_ is None:
        yield _looser((*path, "for"), "the stack asks for this, and null would drop it")
    elif scenario.for_ < stack.for_:
        yield _looser((*path, "for"), f"shorter than the {format_duration(stack.for_)} of the stack")


def _fewer_copies(
    stack: BackupSurvival | Immutability, scenario: BackupSurvival | Immutability, path: KeyPath
) -> Iterator[Finding]:
    if "copies" in scenario.model_fields_set and scenario.copies < stack.copies:
        yield _looser((*path, "copies"), f"fewer than the {stack.copies} of the stack")


def _less_control(stack: DualControl, scenario: DualControl) -> Iterator[Finding]:
    path: KeyPath = (*ROOT, "dual-control")
    if scenario.principal != stack.principal:
        yield _looser((*path, "principal"), f"the stack asks this of {stack.principal!r}")
    if scenario.service != stack.service:
        yield _looser((*path, "service"), f"the stack asks this of {stack.service!r}")
    left_out = [call for call in stack.calls if call not in scenario.calls]
    if "calls" in scenario.model_fields_set and left_out:
        yield _looser((*path, "calls"), f"the stack has {left_out[0]} tried too")


def _wider_reach(stack: Isolation, scenario: Isolation) -> Iterator[Finding]:
    path: KeyPath = (*ROOT, "isolation")
    if scenario.principal != stack.principal:
        yield _looser((*path, "principal"), f"the stack asks this of {stack.principal!r}")
    for index, name in enumerate(scenario.may_touch):
        if name not in stack.may_touch:
            yield _looser((*path, "may_touch", index), f"the stack does not let it touch {name!r}")
    if stack.after_restore and not scenario.after_restore and "after_restore" in scenario.model_fields_set:
        yield _looser((*path, "after_restore"), "the stack asks for this")


def _looser(path: KeyPath, message: str) -> Finding:
    return Finding(path, message, "a scenario may only tighten what its stack asks for; change the stack")
