"""Reaps what killed runs left behind."""

from __future__ import annotations

from dataclasses import dataclass

from harness.facts import Lease
from harness.replicas.leases import stop
from harness.run.place import Abandoned, Place, abandoned_runs, clear, sweeping
from harness.seams.lookup import lookup


@dataclass(frozen=True)
class Swept:
    """What was done for one dead run."""

    run_id: str
    leases: int


def sweep(place: Place) -> tuple[Swept, ...]:
    """Destroy every replica of every dead run, then whatever else lies in its directory.

    A run that is alive is left alone.

    Raises:
        LeftoverError: something cannot be removed; it stays where the next sweep finds it.
        ProvisionError: the directory for all runs belongs to somebody else.
    """
    if not abandoned_runs(place):
        return ()
    with sweeping(place):
        return tuple(_sweep_one(run) for run in abandoned_runs(place))


def _sweep_one(run: Abandoned) -> Swept:
    for lease in reversed(run.leases):
        lookup("replicas", lease.kind)().destroy(lease)
    stop(Lease(run_id=run.run_id, service="run", kind="run", directory=run.root))
    clear(run.root)
    return Swept(run.run_id, len(run.leases))
