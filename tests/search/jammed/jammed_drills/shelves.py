"""Shelves of a third party that are a trouble to searches.

Some cannot be reset, for want of a way or since the way fails. Some refuse in
a drill what they did in a trial.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from acme_drills.shelf import NEWEST_LAST, ShelfMemory, ShelfReplica, ShelfSurface, Status, resource

from harness.facts import Aim, Destruction, Endpoint, Lease, Resource
from harness.seams.drivers import Setting


class StuckMemory:
    """Of a shelf that nothing brings back."""

    def __init__(self) -> None:
        self._made_just_now = True

    def changed(self) -> bool:
        """Nobody can tell, but for the moment at which it was made."""
        made_just_now, self._made_just_now = self._made_just_now, False
        return not made_just_now

    def reset(self) -> None:
        """Raises what no driver should."""
        raise ValueError("the shelf is stuck")


class StuckShelf(ShelfReplica):
    """Its reset fails; another one can be made."""

    kind = "stuck"

    def provision(self, lease: Lease, setting: Setting) -> Endpoint:
        """Make the folder."""
        return replace(super().provision(lease, setting), kind=self.kind)

    def remember(self, endpoint: Endpoint, setting: Setting) -> StuckMemory:
        """Nothing."""
        del endpoint, setting
        return StuckMemory()


class JammedMemory(StuckMemory):
    """The same, and the next shelf is not to be had either."""

    def reset(self) -> None:
        """Raises what no driver should."""
        JammedShelf.jammed = True
        super().reset()


class JammedShelf(StuckShelf):
    """Its reset fails, and so does whatever comes right after it: the run that confirms is not meant."""

    kind = "jammed"
    jammed = False

    def provision(self, lease: Lease, setting: Setting) -> Endpoint:
        """Make the folder, unless a reset has just failed.

        Raises:
            RuntimeError: one has.
        """
        if JammedShelf.jammed:
            JammedShelf.jammed = False
            raise RuntimeError("no shelf is left")
        return super().provision(lease, setting)

    def remember(self, endpoint: Endpoint, setting: Setting) -> JammedMemory:
        """Nothing."""
        del endpoint, setting
        return JammedMemory()


class GluedShelf(ShelfReplica):
    """It can be reset, and not be taken down."""

    kind = "glued"

    def provision(self, lease: Lease, setting: Setting) -> Endpoint:
        """Make the folder."""
        return replace(super().provision(lease, setting), kind=self.kind)

    def destroy(self, lease: Lease) -> None:
        """Take it down all the same, and say that it did not work.

        Raises:
            RuntimeError: always.
        """
        super().destroy(lease)
        raise RuntimeError("the shelf is glued to the wall")


class StiffShelf(StuckShelf):
    """One that knows no way to be reset."""

    kind = "stiff"
    remember = None  # type: ignore[assignment]


class FickleShelf(ShelfReplica):
    """One that knows whether it is in a trial: nobody remembers a shelf of a drill."""

    kind = "fickle"

    def provision(self, lease: Lease, setting: Setting) -> Endpoint:
        """Make the folder."""
        return replace(super().provision(lease, setting), kind=self.kind)

    def remember(self, endpoint: Endpoint, setting: Setting) -> ShelfMemory:
        """What lies on it now."""
        (endpoint.lease.directory / "remembered").touch()
        return super().remember(endpoint, setting)


class CoyShelf(FickleShelf):
    """The same, for another surface."""

    kind = "coy"


class FickleSurface(ShelfSurface):
    """Beside ``delete`` it has ``burn``, which takes everything. In a drill it does not ``delete``."""

    only_in_trials: ClassVar[tuple[str, ...]] = ("delete",)
    destructive = (
        *ShelfSurface.destructive,
        Destruction(
            operation="burning a file with all that lies beside it",
            verb="burn",
            undo="",
            takes_along="every file",
            guard="any role but `admin`",
            basis="observed",
            evidence="tests/search/test_confirmation.py::test_what_a_run_refuses_is_not_the_end",
            aims=(Aim("burn {name}", {"name": "{name}"}, NEWEST_LAST),),
        ),
    )

    def _do(
        self, verb: str, name: str, files: Mapping[str, Path]
    ) -> tuple[Status, str, tuple[Resource, ...]]:
        remembered = (self._endpoint.lease.directory / "remembered").exists()
        if verb in self.only_in_trials and not remembered:
            return "refused", f"nobody may {verb} in a drill", ()
        if verb != "burn" or name not in files:
            return super()._do(verb, name, files)
        for path in files.values():
            path.unlink()
        return "done", "burnt", tuple(resource(self._endpoint, one) for one in files)


class CoySurface(FickleSurface):
    """In a drill it does neither."""

    only_in_trials = ("delete", "burn")
