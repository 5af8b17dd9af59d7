"""Lets time pass: schedules take what is due by then, of whatever is there, and retention ends what is over.

Nobody waits. What is taken is real and bears the date on which it would have been taken; what ends is really
deleted. A control plane that keeps the copies is told the date, so what waits there for its time is carried
out, too. Everything else stands still: locks and rules of a bucket, and tools that do not say how they go on
(``Rotating``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import timedelta

from harness.errors import BackupError, DatabaseError, RestoreError
from harness.run.ground import Ground
from harness.scenario.models import format_duration
from harness.seams.drivers import Due, Rotating


def pass_time(ground: Ground, span: timedelta, take: Callable[[str, Due], None]) -> str:
    """Play schedules and retention on, the oldest point first.

    Args:
        ground: after its past was played.
        span: how long.
        take: takes the point of a protection, by its name.

    Returns:
        What happened, for people.

    Raises:
        BackupError: a copy is there that cannot be listed.
    """
    assert ground.present is not None, "the past was played"
    since = ground.present + ground.passed
    until = since + span
    ground.passed += span
    tools = {name: tool for name, tool in ground.tools.items() if isinstance(tool, Rotating)}
    every = [
        (due.at, name, due)
        for name, tool in tools.items()
        for due in tool.coming(ground.present, since, until)
    ]
    # Each is counted where it lies: what is told the date by one tool may keep the copies of another, too.
    copies = _count(tools.values())
    taken = missed = 0
    for _, name, due in sorted(every, key=lambda one: one[:2]):
        try:
            take(name, due)
        except (BackupError, DatabaseError):
            # As in life: what cannot be backed up is not, and nothing that is kept makes room for it.
            missed += 1
            continue
        taken += 1
        tools[name].expire(due.at, taken=True)
    for tool in tools.values():
        tool.expire(until, taken=False)
    ended = copies + taken - _count(tools.values())
    parts = [f"{format_duration(span)} passed: copies taken: {taken}, ended by retention: {ended}"]
    parts += [f"not to be taken: {missed}"] if missed else []
    idle = sorted(ground.tools.keys() - tools.keys())
    parts += [f"stood still: {', '.join(idle)}"] if idle else []
    return "; ".join(parts)


def _count(tools: Iterable[Rotating]) -> int:
    """How many copies there are; what cannot be listed has none."""
    count = 0
    for tool in tools:
        with suppress(BackupError, RestoreError, DatabaseError):
            count += len(tool.points())
    return count
