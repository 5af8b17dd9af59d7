"""Reaps what killed runs left behind."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HarnessError, LeftoverError, UnknownDriverError
from harness.facts import Lease
from harness.replicas.containers.engine import remove_run
from harness.replicas.leases import stop_run
from harness.run.place import Abandoned, Place, abandoned_runs, clear, own_directory, sweeping
from harness.seams.container_engine import runs_of_home, trouble
from harness.seams.lookup import lookup, needs_engine

LOG = logging.getLogger(__name__)
BY_HAND = "see what keeps it; end its processes and remove"


@dataclass(frozen=True)
class Swept:
    """What was done for one dead run.

    Attributes:
        run_id: of the run.
        leases: how many it had written down.
        leftovers: what could not be removed; empty when nothing of the run is left.
    """

    run_id: str
    leases: int
    leftovers: tuple[LeftoverError, ...] = ()


def sweep(place: Place) -> tuple[Swept, ...]:
    """Clear the way for a run: as ``sweep_all``, and warn of what stays.

    A run shares nothing with another one, so it does not have to wait for somebody to remove that.

    Returns:
        The runs of which nothing is left.

    Raises:
        ProvisionError: the directory for all runs belongs to somebody else.
    """
    done = sweep_all(place)
    for run in done:
        for leftover in run.leftovers:
            LOG.warning("warning: the killed run %s is not gone: %s", run.run_id, leftover)
    return tuple(run for run in done if not run.leftovers)


def sweep_engine(place: Place) -> tuple[Swept, ...]:
    """Remove from the machine's container engine what is left of runs whose working directory is gone.

    A run's directory is made before anything on the engine and removed after it, unless somebody else
    removes it: a reboot, where it lay in memory. Runs of other machines and other places are left alone.

    Returns:
        Those runs; nothing when no engine answers.

    Raises:
        ProvisionError: the directory for all runs belongs to somebody else.
    """
    if trouble() or not runs_of_home(place.work):
        return ()
    own_directory(place.work)
    with sweeping(place):
        homeless = [run for run in sorted(runs_of_home(place.work)) if not (place.work / run).exists()]
        return tuple(_sweep_engine(run, place.work / run) for run in homeless)


def _sweep_engine(run_id: str, root: Path) -> Swept:
    try:
        remove_run(run_id, root)
    except LeftoverError as error:
        return Swept(run_id, 0, (error,))
    return Swept(run_id, 0)


def sweep_all(place: Place) -> tuple[Swept, ...]:
    """Destroy every replica of every dead run, then whatever else lies in its directory.

    A run that is alive is left alone. What cannot be removed stops nothing else, and stays where the next
    sweep finds it.

    Raises:
        ProvisionError: the directory for all runs belongs to somebody else.
    """
    if not abandoned_runs(place):
        return ()
    with sweeping(place):
        return tuple(_sweep_one(run) for run in abandoned_runs(place))


def _sweep_one(run: Abandoned) -> Swept:
    # First whatever still works for it: a copy that goes on would fill directories while they are removed.
    left = _stop(run)
    left += [leftover for lease in reversed(run.leases) if (leftover := _destroy(lease, run.root))]
    try:
        if any(needs_engine(lease.kind) for lease in run.leases):
            remove_run(run.run_id, run.root)
    except LeftoverError as error:
        left.append(error)
    if not left:
        clear(run.root)
        if run.root.exists():
            left.append(LeftoverError(f"cannot remove {run.root}", hint=f"{BY_HAND} {run.root}"))
    return Swept(run.run_id, len(run.leases), tuple(left))


def _stop(run: Abandoned) -> list[LeftoverError]:
    """Kill every process of a run; what kept one from going, if anything did."""
    try:
        stop_run(run.run_id, run.root)
    except LeftoverError as error:
        return [error]
    return []


def _destroy(lease: Lease, root: Path) -> LeftoverError | None:
    """Destroy a replica; what kept it from going, if anything did."""
    try:
        lookup("replicas", lease.kind)().destroy(lease)
    except LeftoverError as error:
        return error
    except UnknownDriverError as error:
        return LeftoverError(
            f"{lease.marker} cannot be destroyed: {error.message}",
            hint=f"install its driver again, then `ninelives sweep`; or end its processes and remove {root}",
        )
    except Exception as error:  # noqa: BLE001 - a driver that fails must not keep others from being swept
        told = error.message if isinstance(error, HarnessError) else f"{type(error).__name__}: {error}"
        return LeftoverError(f"{lease.marker} cannot be destroyed: {told}", hint=f"{BY_HAND} {root}")
    return None
