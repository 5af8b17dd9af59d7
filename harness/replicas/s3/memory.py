"""What a bucket was like at one moment: a copy of everything that the servers keep on disk.

Versions have ids that no client can choose, and what is locked in compliance mode leaves with nobody's
leave. So neither is brought back through the API: the servers are ended, their files put back, and they
start again at the same ports.

Whether anything was written is told by the filer's files: each change to an object, a version, a lock or a
setting of a bucket is one more record in its log.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from harness.clock import Clock
from harness.errors import ProvisionError
from harness.facts import Endpoint, Lease
from harness.replicas.copying import copy_tree
from harness.replicas.leases import stop
from harness.replicas.s3 import seaweedfs
from harness.sandbox import Sandbox

FOLDER = "memory"
KEPT = ("master", "volume", "filer")

Processes = tuple[subprocess.Popen[bytes], ...]


class BucketMemory:
    """A server as it is when this is made; it is started anew for that, at its ports.

    Args:
        endpoint: of the server.
        ports: where its parts listen.
        sandbox, clock: to start it with.
        processes: where the driver keeps what it has started.
        ready: waits until the gateway works.

    Raises:
        ProvisionError: there is no room, or the servers do not come back.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        ports: seaweedfs.Ports,
        sandbox: Sandbox,
        clock: Clock,
        processes: dict[Lease, Processes],
        ready: Callable[[Endpoint, Clock], None],
    ) -> None:
        self._endpoint = endpoint
        self._home = endpoint.lease.directory
        self._ports = ports
        self._sandbox = sandbox
        self._clock = clock
        self._processes = processes
        self._ready = ready
        self._end()
        self._copy(self._home, self._home / FOLDER)
        self._start()
        self._log = self._read_log()

    def changed(self) -> bool:
        """Whether the filer has written anything, or a server has died."""
        processes = self._processes.get(self._endpoint.lease, ())
        alive = processes and all(process.poll() is None for process in processes)
        return not alive or self._read_log() != self._log

    def reset(self) -> None:
        """Put the files back, and start again.

        Raises:
            ProvisionError: there is no room, or the servers do not come back.
        """
        self._end()
        for name in KEPT:
            shutil.rmtree(self._home / name, ignore_errors=True)
        self._copy(self._home / FOLDER, self._home)
        self._start()
        self._log = self._read_log()

    def _end(self) -> None:
        """Killed: what they have acknowledged is in their files."""
        processes = self._processes.pop(self._endpoint.lease, ())
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()
        if not processes:
            stop(self._endpoint.lease)

    def _copy(self, source: Path, target: Path) -> None:
        try:
            target.mkdir(mode=0o700, exist_ok=True)
            for name in KEPT:
                copy_tree(source / name, target / name)
        except OSError as error:
            raise ProvisionError(
                f"the files of {self._endpoint.service} cannot be copied to {target}: {error}",
                hint="free some space",
            ) from error

    def _start(self) -> None:
        try:
            started = seaweedfs.start(self._home, self._sandbox, self._clock, self._ports)
        except seaweedfs.PortTakenError as error:
            stop(self._endpoint.lease)
            raise ProvisionError(
                f"{self._endpoint.service} does not get its ports back: {error}",
                hint="another program took one meanwhile; run again",
            ) from error
        self._processes[self._endpoint.lease] = started
        self._ready(self._endpoint, self._clock)

    def _read_log(self) -> tuple[tuple[str, int], ...]:
        return tuple(sorted(self._files()))

    def _files(self) -> Iterator[tuple[str, int]]:
        """Names and sizes of the filer's records: a log only grows, until another one is begun."""
        for path in (self._home / "filer").rglob("*"):
            if path.suffix in (".log", ".ldb"):
                yield str(path), path.stat().st_size
