"""Reaps what killed runs left behind."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

from harness.facts import Lease
from harness.replicas.leases import reap
from harness.run.place import Abandoned, Place, abandoned_runs
from harness.seams.lookup import lookup


@dataclass(frozen=True)
class Swept:
    """What was done for one dead run."""

    run_id: str
    leases: int


def sweep(place: Place) -> tuple[Swept, ...]:
    """Destroy every replica of every dead run, then whatever else lies in its directory.

    A run that is alive is left alone.
    """
    return tuple(_sweep_one(run) for run in abandoned_runs(place))


def _sweep_one(run: Abandoned) -> Swept:
    for lease in reversed(run.leases):
        lookup("replicas", lease.kind)().destroy(lease)
    reap(Lease(run_id=run.run_id, service="run", kind="run", directory=run.root))
    shutil.rmtree(run.root, ignore_errors=True)
    return Swept(run.run_id, len(run.leases))
