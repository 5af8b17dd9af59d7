"""Asks a service again and again whether it answers, on a thread of its own."""

from __future__ import annotations

from contextlib import suppress
from threading import Event, Thread

from harness.clock import Clock
from harness.errors import JournalError
from harness.facts import Endpoint
from harness.journal.events import Probed
from harness.journal.writer import Journal
from harness.seams.drivers import Store

INTERVAL = 0.1
"""Seconds between probes: fine enough for a chart; the RTO itself is not taken from probes."""


class Prober:
    """Records when a service begins and ceases to answer new connections.

    Args:
        store: how to ask.
        endpoint: whom; a recovered service answers at the same address.
        journal: gets a ``Probed`` event at every change, stamped when the answer came or failed to.
        clock: where the stamps come from.
    """

    def __init__(self, store: Store, endpoint: Endpoint, journal: Journal, clock: Clock) -> None:
        self._store = store
        self._endpoint = endpoint
        self._journal = journal
        self._clock = clock
        self._stop = Event()
        self._thread = Thread(target=self._run, name="prober", daemon=True)
        self.up: bool | None = None

    def start(self) -> None:
        """Ask once, so that there is an answer when this returns, and then go on asking."""
        self._look()
        self._thread.start()

    def stop(self) -> None:
        """Ask no more. Idempotent, and right for one that was never started too."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        # A journal that takes nothing more stops the run at its own next write, which says so.
        with suppress(JournalError):
            while not self._stop.wait(INTERVAL):
                self._look()

    def _look(self) -> None:
        up, detail = self._ask()
        if up != self.up:
            self.up = up
            service = self._endpoint.service
            self._journal.write(Probed(service=service, up=up, at=self._clock.stamp(), detail=detail))

    def _ask(self) -> tuple[bool, str]:
        try:
            self._store.probe(self._endpoint)
        except Exception as error:  # noqa: BLE001 - whatever keeps it from answering is the observation
            return False, str(error).strip()[:200]
        return True, ""
