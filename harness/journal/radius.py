"""What each credential can destroy, as it was tried: one call at a time, each from the same beginning."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, get_args

from harness.facts import Fact
from harness.journal.rebuilds import Rebuild
from harness.scenario.models import VerdictValue

FILE = "radius.json"

Extent = Literal["refused", "failed", "nothing", "contained", "reversible", "lost", "lost with its backups"]
"""How far a call came, in rising order. Contained: nothing was touched but environments of the
principal's own grants, nothing that the stack has backups for, and not the service that is recovered.
Reversible: what was lost can be brought back whole, from a copy or by whoever may take the deletion back."""

RANK = {extent: rank for rank, extent in enumerate(get_args(Extent))}
HARMLESS = RANK["contained"]
SILENT: frozenset[Extent] = frozenset({"failed", "nothing"})
"""Of calls that show nothing: they neither harmed anything nor were kept from it."""
LOST: frozenset[Extent] = frozenset({"lost", "lost with its backups"})
"""Of calls after which something is gone, with no way back that was seen."""


class Deed(Fact):
    """One call that was made, and what was left after it.

    Attributes:
        principal: who made it.
        owner: whose credential was shown; the principal's own, or one that it found.
        found_in: the file that credential was found in; empty for its own.
        service: whose API was called.
        name: the call in words, the same in every replica.
        operation: word by which the surface's list of destructions names it; empty when it only takes a
            guard away.
        extent: how far it came.
        said: by the service: the guard's own words when it refused.
        undo: what brings back what was lost; empty when nothing does, or nothing was.
        copies_lost: recovery points that counted before and do not any more.
        unrecoverable: services with a content that is lost, and no copy of it left; one without backups never
            had any.
    """

    principal: str
    owner: str
    found_in: str = ""
    service: str
    name: str
    operation: str = ""
    extent: Extent
    said: str = ""
    undo: str = ""
    copies_lost: int = 0
    unrecoverable: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What makes two deeds of two stacks the same."""
        return (self.principal, self.owner, self.service, self.name)

    @property
    def rank(self) -> int:
        """Of its extent."""
        return RANK[self.extent]


class Growth(Fact):
    """A call that comes further than it did.

    Attributes:
        deed: as it is now.
        before: how far it came; None when it could not be made.
    """

    deed: Deed
    before: Extent | None


class BlastRadius(Fact):
    """Everything that was tried on one stack.

    Attributes:
        stack: its file.
        guards: that were on.
        deeds: every call, grouped by principal and credential.
        silent: principals of whom no call was made, since none that is known here could be.
        left_out: destructions that surfaces list and that nobody here tried, by service.
        interrupted: somebody ended it before all was tried.
        stopped: why the stack could be used no more before all was tried; empty when all was.
        rebuilds: why the stack was made again in between, each reason once.
        growth: calls that come further than in the baseline; None when there was none.
    """

    schema_: Literal[1] = 1
    stack: str
    guards: tuple[str, ...] = ()
    deeds: tuple[Deed, ...] = ()
    silent: tuple[str, ...] = ()
    left_out: dict[str, tuple[str, ...]] = {}
    interrupted: bool = False
    stopped: str = ""
    rebuilds: tuple[Rebuild, ...] = ()
    growth: tuple[Growth, ...] | None = None

    @property
    def whole(self) -> bool:
        """Whether all was tried."""
        return not (self.interrupted or self.stopped)

    @property
    def value(self) -> VerdictValue:
        """Breached when something reaches further than in the baseline, or, without one, when a single call
        makes a service unrecoverable. What was seen stays seen, whoever or whatever ended it then."""
        return self.judged(self.deeds)

    def judged(self, deeds: tuple[Deed, ...]) -> VerdictValue:
        """The value of some of its calls: they are undecided when none did anything or met a guard."""
        if any(self.condemns(deed) for deed in deeds):
            return "breached"
        told = self.whole and any(deed.extent not in SILENT for deed in deeds)
        return "held" if told else "undecided"

    def condemns(self, deed: Deed) -> bool:
        """Whether a call is one that must not be possible."""
        if self.growth is None:
            return bool(deed.unrecoverable)
        return any(one.deed.key == deed.key for one in self.growth)

    @property
    def kill_set(self) -> tuple[Deed, ...]:
        """The single calls after which something is lost for good."""
        return tuple(deed for deed in self.deeds if deed.unrecoverable)


def grown(before: BlastRadius, now: BlastRadius) -> tuple[Growth, ...]:
    """The calls that come further than they did, beyond what their principal may touch."""
    return tuple(_grown({deed.key: deed for deed in before.deeds}, now))


def _grown(before: dict[tuple[str, str, str, str], Deed], now: BlastRadius) -> Iterator[Growth]:
    for deed in now.deeds:
        earlier = before.get(deed.key)
        was = HARMLESS if earlier is None else max(earlier.rank, HARMLESS)
        worse = earlier is not None and set(deed.unrecoverable) - set(earlier.unrecoverable)
        if deed.rank > was or worse:
            yield Growth(deed=deed, before=earlier.extent if earlier else None)
