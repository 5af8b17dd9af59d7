"""Why a stack was made again in the middle of a search, instead of being reset."""

from __future__ import annotations

from collections.abc import Iterable

from harness.facts import Fact


class Rebuild(Fact):
    """One reason for it.

    Attributes:
        service: the one that could not be reset.
        why: what was said of it.
        times: how often the stack was made again for that reason.
    """

    service: str
    why: str
    times: int = 1


def counted(rebuilds: Iterable[Rebuild]) -> tuple[Rebuild, ...]:
    """Each reason once, with how often it was one; the first to be one comes first."""
    times: dict[tuple[str, str], int] = {}
    for one in rebuilds:
        times[one.service, one.why] = times.get((one.service, one.why), 0) + one.times
    return tuple(Rebuild(service=service, why=why, times=n) for (service, why), n in times.items())
