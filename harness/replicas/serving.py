"""What replicas have alike that are one server: how it is started, waited for and stopped."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

from harness.clock import Clock
from harness.errors import DatabaseError, ProvisionError, RestoreError
from harness.facts import Endpoint, Lease
from harness.replicas.files_memory import FilesMemory
from harness.replicas.leases import reap, stop
from harness.replicas.running import Running
from harness.sandbox import Sandbox, free_port
from harness.scenario.models import Stack
from harness.seams.drivers import Memory, Setting, Vessel

DATA = "data"
"""What a server keeps, in its lease's directory."""

TAKEN = "Address already in use"
PORT_TRIES = 5
POLL_SECONDS = 0.01
LOG_LINES = 8


@dataclass
class ServerReplica:
    """Replicas that are one server each, whose processes are found by its lease.

    Attributes:
        choose_port: gives a port to try; a server that finds it taken is given another.
    """

    choose_port: Callable[[], int] = free_port
    _processes: dict[Lease, Running] = field(default_factory=dict, init=False)

    def requires(self, stack: Stack, service: str) -> tuple[str, ...]:
        """Nothing else must be there first."""
        del stack, service
        return ()

    def destroy(self, lease: Lease) -> None:
        """Leave no process and no file. Idempotent; works from the lease alone.

        Raises:
            LeftoverError: a process does not die, or a file cannot be removed.
        """
        reap(lease)
        self._bury(lease)

    def fence(self, endpoint: Endpoint) -> None:
        """Stop what is left of the server, so that it acknowledges nothing more. Idempotent.

        Its files stay as they are. It is found by its lease, so it does not matter whether its data
        directory has been moved or deleted.

        Raises:
            LeftoverError: a process does not die.
        """
        stop(endpoint.lease)
        self._bury(endpoint.lease)

    def probe(self, endpoint: Endpoint) -> None:
        """Ask it for an answer; raises DatabaseError when there is none."""
        raise NotImplementedError

    def alive(self, endpoint: Endpoint) -> bool:
        """Whether ``probe`` gets an answer."""
        try:
            self.probe(endpoint)
        except DatabaseError:
            return False
        return True

    def _bury(self, lease: Lease) -> None:
        process = self._processes.pop(lease, None)
        if process is not None:
            process.poll()


class FilesReplica(ServerReplica):
    """Replicas whose server starts on whatever files lie in its data directory."""

    def serve(
        self, place: Endpoint, setting: Setting, choose_port: Callable[[], int], timeout: float
    ) -> Endpoint:
        """Start a server on what lies in a place, and remember its process.

        Raises:
            RestoreError: it does not start from that.
        """
        setting.sandbox.give(place.path)
        server = self.server(place, setting)
        endpoint, self._processes[place.lease] = server.serve(place, choose_port, timeout=timeout)
        return endpoint

    def server(self, place: Endpoint, setting: Setting) -> LoggingServer:
        """The server that is to run on what lies in a place."""
        raise NotImplementedError

    def describe(self, endpoint: Endpoint) -> Mapping[str, str]:
        """Version, and the settings that decide what a write survives."""
        raise NotImplementedError

    def remember(self, endpoint: Endpoint, setting: Setting) -> Memory:
        """Keep a copy of its files.

        Raises:
            ProvisionError: there is no room, or it does not come back.
            DatabaseError: it does not answer.
        """
        return FilesMemory(self, endpoint, setting)

    def state(self, endpoint: Endpoint) -> object:
        """What is another as soon as anything was changed; see ``harness.replicas.files_memory``."""
        raise NotImplementedError

    def settle(self, endpoint: Endpoint) -> None:
        """See to it that its files hold everything when it is ended; of most they do."""
        del endpoint

    def restart(self, endpoint: Endpoint, setting: Setting, timeout: float) -> None:
        """Start it on its files, at the port that it had; raises as ``serve``."""
        self.serve(endpoint, setting, lambda: endpoint.port, timeout)

    def lay_out(self, place: Endpoint, setting: Setting) -> None:
        """Make an empty data directory, and whatever else a server of its own is given."""
        place.path.mkdir(parents=True, mode=0o700)
        place.lease.directory.chmod(0o711)
        setting.sandbox.give(place.path)

    def vessel(self, lease: Lease, like: Endpoint, setting: Setting, *, replace: bool) -> Vessel:
        """A fresh replica for a restore; arguments as in ``harness.seams.drivers.Store``."""
        place = moved(like, lease)
        self.lay_out(place, setting)
        choose_port = (lambda: like.port) if replace else self.choose_port
        return FilesVessel(self, place, setting, choose_port)


@dataclass(frozen=True)
class FilesVessel:
    """A data directory, and the server that is started on what a restore puts there.

    Attributes:
        replica: starts it.
        place: where it is to answer, but for the port; its lease is the new replica's.
        setting: what it is provisioned into.
        choose_port: gives its port.
    """

    replica: FilesReplica
    place: Endpoint
    setting: Setting
    choose_port: Callable[[], int]

    @property
    def lease(self) -> Lease:
        """Of the new replica."""
        return self.place.lease

    @property
    def directory(self) -> Path:
        """Empty; the account that the server runs as owns it."""
        return self.place.path

    def start(self, settings: Mapping[str, str] | None = None, *, timeout: float = 600.0) -> Endpoint:
        """Start a server on what lies there; see ``harness.seams.drivers.Vessel``."""
        del settings
        return self.replica.serve(self.place, self.setting, self.choose_port, timeout)

    def discard(self) -> None:
        """Stop it and remove everything. Idempotent."""
        self.replica.destroy(self.lease)


@dataclass(frozen=True)
class LoggingServer:
    """A server that is to run on a data directory, and whose log says when it listens.

    Attributes:
        lease: whose it is.
        data: the data directory, owned by the account it runs as.
        sandbox: how to start it.
        clock: to wait by.
    """

    lease: Lease
    data: Path
    sandbox: Sandbox
    clock: Clock

    log_file: ClassVar[str]
    ready: ClassVar[str]
    """What its log says as it begins to listen."""

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.lease.directory / self.log_file

    def serve(
        self, endpoint: Endpoint, choose_port: Callable[[], int], *, timeout: float
    ) -> tuple[Endpoint, Running]:
        """Start it and wait until the operator gets an answer.

        Args:
            endpoint: where it is to answer, but for the port.
            choose_port: gives a port for each try.
            timeout: seconds until it must answer.

        Raises:
            ProvisionError: every port is taken.
            RestoreError: it does not start from what lies in its directory.
        """
        for _ in range(PORT_TRIES):
            endpoint = replace(endpoint, port=choose_port())
            self.log.unlink(missing_ok=True)
            process = self.start(endpoint.port)
            if process is not None and self._answers(process, endpoint, timeout):
                return endpoint, process
        raise ProvisionError(
            f"{PORT_TRIES} ports in a row were taken before {self.lease.service} had them",
            hint="something takes every free port on this machine; end it and run the drill again",
        )

    def start(self, port: int) -> Running | None:
        """Start the program; None when it shows at once that somebody else has the port."""
        raise NotImplementedError

    def responds(self, endpoint: Endpoint) -> bool:
        """Whether the operator gets an answer now."""
        raise NotImplementedError

    def _answers(self, process: Running, endpoint: Endpoint, timeout: float) -> bool:
        """Whether it answers; False when another program has its port."""
        began = self.clock.stamp()
        while True:
            said = self.log.read_text(encoding="utf-8", errors="replace")
            # Whoever answers on the port before that is not ours, and gets no password.
            if self.ready in said and self.responds(endpoint):
                return True
            if process.poll() is not None and TAKEN in said:
                return False
            if process.poll() is not None or self.clock.stamp().since(began) > timeout:
                raise RestoreError(
                    f"no server starts for {self.lease.service}: {last_lines(said)}",
                    hint="what lies in its directory is damaged, or of another version; an older copy may do",
                )
            self.clock.sleep(POLL_SECONDS)


def moved(like: Endpoint, lease: Lease) -> Endpoint:
    """The place of another lease's server that stands in for one."""
    return replace(like, lease=lease, path=lease.directory / DATA)


def last_lines(said: str) -> str:
    """The end of a log or of a message."""
    return "\n".join(said.strip().splitlines()[-LOG_LINES:])
