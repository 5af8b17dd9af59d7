"""What a server was like at one moment that starts on whatever files lie in its directory.

It is ended, all that lies in its lease's directory is put back, and it starts again at its port.
"""

from __future__ import annotations

from typing import Protocol

from harness.errors import DatabaseError, ProvisionError, RestoreError
from harness.facts import Endpoint
from harness.replicas.tree_memory import FOLDER, TreeMemory
from harness.seams.drivers import Setting

START_SECONDS = 120.0


class Restartable(Protocol):
    """What is asked of the driver."""

    def state(self, endpoint: Endpoint) -> object:
        """What is another as soon as anything was changed, cheaply.

        Raises:
            DatabaseError: it does not answer.
        """
        ...

    def fence(self, endpoint: Endpoint) -> None:
        """End it at once."""
        ...

    def settle(self, endpoint: Endpoint) -> None:
        """See to it that its files hold everything when it is ended.

        Raises:
            DatabaseError: it does not answer.
        """
        ...

    def restart(self, endpoint: Endpoint, setting: Setting, timeout: float) -> None:
        """Start it on its files, at the port that it had.

        Raises:
            RestoreError: it does not start from them.
            ProvisionError: somebody else has its port.
        """
        ...


class FilesMemory:
    """A server as it is when this is made; it is started anew for that, at its port.

    Args:
        replica: its driver.
        endpoint: of the server.
        setting: as it was provisioned into.

    Raises:
        ProvisionError: there is no room, or the server does not come back.
        DatabaseError: it does not answer.
    """

    def __init__(self, replica: Restartable, endpoint: Endpoint, setting: Setting) -> None:
        self._replica = replica
        self._endpoint = endpoint
        self._setting = setting
        replica.settle(endpoint)
        replica.fence(endpoint)
        home = endpoint.lease.directory
        self._files = TreeMemory(home, home / FOLDER, frozenset({FOLDER}))
        self._start()

    def changed(self) -> bool:
        """Whether it says something else than it did; also when it says nothing."""
        try:
            return self._replica.state(self._endpoint) != self._state
        except DatabaseError:
            return True

    def reset(self) -> None:
        """Put its files back, and start it again.

        Raises:
            ProvisionError: there is no room, or the server does not come back at its port.
        """
        self._replica.fence(self._endpoint)
        self._files.reset()
        self._start()

    def _start(self) -> None:
        try:
            self._replica.restart(self._endpoint, self._setting, START_SECONDS)
        except RestoreError as error:
            raise ProvisionError(
                f"{self._endpoint.service} does not come back at port {self._endpoint.port}: {error}",
                hint=f"its log lies in {self._endpoint.lease.directory}",
            ) from error
        self._state = self._replica.state(self._endpoint)
