"""What replicas of control planes have alike: a process of our own, with directories and a back door."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from harness.errors import ProvisionError
from harness.facts import BACK_DOOR, BACK_DOOR_HEADER, Endpoint, Lease, Resource
from harness.replicas.leases import reap
from harness.sandbox import LOOPBACK, Sandbox
from harness.scenario.models import Stack

READY_SECONDS = 60.0
CALL_SECONDS = 30.0
RESET_SECONDS = 120.0
LOG = "server.log"


@dataclass
class ControlPlaneReplica:
    """Replicas that are a process of our own, which tells what there is at its back door."""

    _processes: dict[Lease, subprocess.Popen[bytes]] = field(default_factory=dict, init=False)

    def requires(self, stack: Stack, service: str) -> tuple[str, ...]:
        """Nothing: databases come after what they lie on."""
        del stack, service
        return ()

    def destroy(self, lease: Lease) -> None:
        """Leave no process and no file."""
        reap(lease)
        process = self._processes.pop(lease, None)
        if process is not None:
            process.wait()

    def read_marker(self, endpoint: Endpoint) -> str:
        """The marker, as the control plane tells it.

        Raises:
            ProvisionError: it does not answer.
        """
        return str(ask(endpoint, "marker")["marker"])

    def inventory(self, endpoint: Endpoint) -> tuple[Resource, ...]:
        """Everything that can be deleted. Empty when it does not answer."""
        try:
            found = ask(endpoint, "inventory")
        except ProvisionError:
            return ()
        return tuple(Resource(service=endpoint.service, **resource) for resource in found)

    def _start(self, lease: Lease, sandbox: Sandbox, module: str, file: Path) -> int:
        """Start the process on a socket that is bound here, so that its port cannot be lost.

        Args:
            lease: whose it is.
            sandbox: how to start it.
            module: that it runs, given the file and the number of the socket.
            file: what it is handed.
        """
        with socket.create_server((LOOPBACK, 0)) as listening:
            port = int(listening.getsockname()[1])
            self._processes[lease] = sandbox.start(
                [sys.executable, "-P", "-m", module, file, str(listening.fileno())],
                log=lease.directory / LOG,
                directory=lease.directory,
                pass_fds=(listening.fileno(),),
            )
        return port


@dataclass(frozen=True)
class ControlPlaneMemory:
    """What the process remembers; it is gone with the process.

    Attributes:
        endpoint: of the control plane.
    """

    endpoint: Endpoint

    @classmethod
    def made(cls, endpoint: Endpoint) -> ControlPlaneMemory:
        """Have the process remember what there is now.

        Raises:
            ProvisionError: it does not answer, or there is no room.
        """
        ask(endpoint, "remember", RESET_SECONDS, method="POST")
        return cls(endpoint)

    def changed(self) -> bool:
        """Whether it was asked for anything since; also when it does not answer."""
        try:
            return bool(ask(self.endpoint, "changed")["changed"])
        except ProvisionError:
            return True

    def reset(self) -> None:
        """Records, copies and the directories of volumes; what databases have on those is theirs.

        Raises:
            ProvisionError: the process is gone, or there is no room.
        """
        ask(self.endpoint, "reset", RESET_SECONDS, method="POST")


def make_room(lease: Lease, sandbox: Sandbox, name: str) -> Path:
    """The root of all that is real; a server that is not ours must be able to walk through to its own."""
    root = lease.directory / name
    root.mkdir(parents=True, exist_ok=True)
    if sandbox.account is not None:
        for directory in (lease.directory, root):
            directory.chmod(0o711)
    return root


def await_answer(endpoint: Endpoint) -> None:
    """Wait for the first answer. The socket listens already, so the call waits in its queue.

    Raises:
        ProvisionError: there is none.
    """
    try:
        ask(endpoint, "marker", READY_SECONDS)
    except ProvisionError as error:
        log = endpoint.lease.directory / LOG
        last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() if log.exists() else []
        raise ProvisionError(
            f"the control plane {endpoint.service} did not come up: {' '.join(last[-1:]) or error.message}",
            hint=f"its output is in {log}",
        ) from error


def ask(endpoint: Endpoint, what: str, seconds: float = CALL_SECONDS, *, method: str = "GET") -> Any:
    """What the back door tells, or does.

    Raises:
        ProvisionError: it does not answer, or does not let us in.
    """
    secret = endpoint.credentials[BACK_DOOR].secret
    connection = HTTPConnection(endpoint.host, endpoint.port, timeout=seconds)
    try:
        connection.request(method, f"/_replica/{what}", headers={BACK_DOOR_HEADER: secret.reveal()})
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, HTTPException) as error:
        raise _silent(endpoint, what, str(error) or type(error).__name__) from error
    finally:
        connection.close()
    if answer.status != HTTPStatus.OK:
        raise _silent(endpoint, what, f"{answer.status} {answer.reason}")
    return json.loads(body)


def _silent(endpoint: Endpoint, what: str, reason: str) -> ProvisionError:
    return ProvisionError(
        f"the control plane {endpoint.service} does not tell its {what}: {reason}",
        hint="it was destroyed, or its process has died; its log lies in the lease's directory",
    )
