"""The application's clients of a service that holds items, shared by all users of the workload."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore

from gevent import Timeout  # type: ignore[import-untyped]

from harness.seams.items import ItemClient, ItemRefusedError, ItemUnansweredError
from harness.workload.connections import MOST, PATIENCE


class ItemClients:
    """Lends clients, each to one user at a time. One that broke is thrown away.

    Args:
        make: makes one.
    """

    def __init__(self, make: Callable[[], ItemClient]) -> None:
        self._make = make
        self._idle: list[ItemClient] = []
        self._free = BoundedSemaphore(MOST)
        self._generation = 0
        self._paused = False

    @contextmanager
    def lend(self) -> Iterator[ItemClient]:
        """A client for the length of the block, which has ``PATIENCE`` seconds.

        Raises:
            ItemRefusedError: between ``pause`` and ``resume``; and what the client raises.
            ItemUnansweredError: the time is over; and what the client raises.
        """
        with self._free:
            if self._paused:
                raise ItemRefusedError("the service is being recovered")
            generation = self._generation
            client = self._idle.pop() if self._idle else self._make()
            sound = False
            try:
                with Timeout(PATIENCE, ItemUnansweredError(f"no answer within {PATIENCE:g} s")):
                    yield client
                sound = True
            except ItemRefusedError:
                sound = True
                raise
            finally:
                if sound and generation == self._generation:
                    self._idle.append(client)
                else:
                    client.close()

    def pause(self) -> None:
        """Lend none any more, and none that exists now ever again: another server is about to answer."""
        self._paused = True
        self._generation += 1
        while self._idle:
            self._idle.pop().close()

    def resume(self) -> None:
        """Lend again."""
        self._paused = False
