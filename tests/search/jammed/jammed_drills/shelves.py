"""Shelves of a third party that a search cannot reset: for want of a way, or since the way fails."""

from __future__ import annotations

from dataclasses import replace

from acme_drills.shelf import ShelfReplica

from harness.facts import Endpoint, Lease
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
