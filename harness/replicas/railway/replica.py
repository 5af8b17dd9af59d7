"""The driver of the control plane: starts its process, mints its tokens, takes it down."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Final

from harness.errors import ProvisionError
from harness.facts import (
    BACK_DOOR,
    BACK_DOOR_HEADER,
    OPERATOR,
    Credential,
    CredentialKind,
    Endpoint,
    Lease,
    Resource,
    Secret,
)
from harness.replicas.leases import reap
from harness.replicas.railway.handover import Handover, Mount, TokenSeed, digest
from harness.sandbox import LOOPBACK, Sandbox
from harness.scenario.models import PostgresService, RailwayService, Stack, TokenGrant
from harness.seams.drivers import Memory, Setting

READY_SECONDS = 30.0
CALL_SECONDS = 10.0
RESET_SECONDS = 120.0
VOLUMES = "volumes"
LOG = "server.log"
ACCOUNT: Final = "account"
PROJECT: Final = "project"
SCOPED: Final = "scoped"
KINDS: Mapping[str, CredentialKind] = {
    ACCOUNT: "account-token",
    "workspace": "workspace-token",
    PROJECT: "project-token",
    SCOPED: "scoped-token",
}


@dataclass
class RailwayReplica:
    """Railway's control plane with one project, whose volumes are directories of this machine.

    A volume instance lies at ``<endpoint.path>/<environment>/<volume>``.

    Raises:
        ProvisionError: the stack names an environment or a grant that the project does not have, or the
            process does not come up.
    """

    _processes: dict[Lease, subprocess.Popen[bytes]] = field(default_factory=dict, init=False)

    def requires(self, stack: Stack, service: str) -> tuple[str, ...]:
        """Nothing: databases come after the volumes that they lie on."""
        del stack, service
        return ()

    def provision(self, lease: Lease, setting: Setting) -> Endpoint:
        """Start the control plane with its project, and mint every token."""
        name = lease.service.partition("@")[0]
        model = setting.stack.services[name]
        if not isinstance(model, RailwayService):
            raise ProvisionError(f"{name} is not a railway service", hint="give it `kind: railway`")
        credentials = _mint(setting.stack, name, model)
        root = _make_room(lease, setting.sandbox)
        handover = Handover(
            marker=lease.marker,
            profile=model.profile,
            plan=model.plan,
            project=model.project,
            environments=model.environments,
            mounts=_mounts(setting.stack, name, model),
            tokens=tuple(
                _seed(credential, _grant(setting.stack, name, credential.principal))
                for credential in credentials.values()
                if credential.principal != BACK_DOOR
            ),
            back_door=digest(credentials[BACK_DOOR].secret.reveal()),
            root=str(root),
            owner=(setting.sandbox.account.uid, setting.sandbox.account.gid)
            if setting.sandbox.account
            else None,
        )
        self._processes[lease], port = _start(lease, setting.sandbox, handover)
        endpoint = Endpoint(lease, "railway", LOOPBACK, port, model.project, None, root, credentials)
        _wait(endpoint)
        return endpoint

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
        return str(_look(endpoint, "marker")["marker"])

    def inventory(self, endpoint: Endpoint) -> tuple[Resource, ...]:
        """Projects, environments, services, volume instances, backups and domains that can be deleted."""
        try:
            found = _look(endpoint, "inventory")
        except ProvisionError:
            return ()
        return tuple(Resource(service=endpoint.service, **resource) for resource in found)

    def remember(self, endpoint: Endpoint, setting: Setting) -> Memory:
        """Have the process keep its records, and links to the files of its backups.

        Raises:
            ProvisionError: it does not answer, or there is no room.
        """
        del setting
        _look(endpoint, "remember", RESET_SECONDS, method="POST")
        return RailwayMemory(endpoint)

    def describe(self, endpoint: Endpoint) -> Mapping[str, str]:
        """The profile, and what it means for a delete."""
        told = _look(endpoint, "marker")
        deletes = "at once" if told["profile"] == "legacy" else "after 48 h"
        return {
            "version": "Railway public API v2, replica",
            "profile": told["profile"],
            "plan": told["plan"],
            "deletes": deletes,
        }


@dataclass(frozen=True)
class RailwayMemory:
    """What the process remembers; it is gone with the process.

    Attributes:
        endpoint: of the control plane.
    """

    endpoint: Endpoint

    def changed(self) -> bool:
        """Whether it was asked for anything since; also when it does not answer."""
        try:
            return bool(_look(self.endpoint, "changed")["changed"])
        except ProvisionError:
            return True

    def reset(self) -> None:
        """Records, backups and the directories of volumes; what databases have on those is theirs.

        Raises:
            ProvisionError: the process is gone, or there is no room.
        """
        _look(self.endpoint, "reset", RESET_SECONDS, method="POST")


def _mint(stack: Stack, service: str, model: RailwayService) -> dict[str, Credential]:
    credentials = {
        OPERATOR: Credential(OPERATOR, "account-token", OPERATOR, Secret.mint()),
        BACK_DOOR: Credential(BACK_DOOR, "back-door", BACK_DOOR, Secret.mint()),
    }
    for principal, description in stack.principals.items():
        if service in description.grants:
            grant = _checked(principal, service, model, description.grants[service])
            credentials[principal] = Credential(principal, KINDS[grant.token], principal, Secret.mint())
    return credentials


def _checked(principal: str, service: str, model: RailwayService, grant: object) -> TokenGrant:
    if not isinstance(grant, TokenGrant):
        raise ProvisionError(
            f"principal {principal}: {grant!r} is not a grant that {service} knows",
            hint="a grant on a railway service is a token, such as {token: account}",
        )
    if grant.token == PROJECT and grant.environment not in model.environments:
        raise ProvisionError(
            f"principal {principal}: a project token needs an environment of {service}",
            hint=f"add `environment:` with one of {', '.join(model.environments)}",
        )
    return grant


def _grant(stack: Stack, service: str, principal: str) -> TokenGrant:
    """The grant behind a credential; the operator owns the account."""
    grant = stack.principals[principal].grants.get(service) if principal in stack.principals else None
    return grant if isinstance(grant, TokenGrant) else TokenGrant(token=ACCOUNT, environment=None)


def _seed(credential: Credential, grant: TokenGrant) -> TokenSeed:
    secret = credential.secret.reveal()
    return TokenSeed(
        principal=credential.principal,
        kind=grant.token,
        name=credential.name,
        digest=digest(secret),
        display=f"****{secret[-4:]}",
        environment=grant.environment if grant.token == PROJECT else None,
        allow=grant.allow if grant.token == SCOPED else (),
    )


def _mounts(stack: Stack, railway: str, model: RailwayService) -> tuple[Mount, ...]:
    """A Railway service with a volume for each database that lies on one."""
    mounts = []
    for name, service in stack.services.items():
        if not isinstance(service, PostgresService) or service.volume is None:
            continue
        host, _, volume = service.volume.partition("/")
        if host != railway:
            continue
        if service.environment not in model.environments or not volume:
            raise ProvisionError(
                f"{name} lies on {service.volume}, but stands in no environment of {railway}",
                hint=f"give {name} an `environment:`, one of {', '.join(model.environments)}",
            )
        mounts.append(Mount(name, service.environment, volume))
    return tuple(mounts)


def _make_room(lease: Lease, sandbox: Sandbox) -> Path:
    """The root of all volumes; a server that is not ours must be able to walk through to its own."""
    root = lease.directory / VOLUMES
    root.mkdir(parents=True, exist_ok=True)
    if sandbox.account is not None:
        for directory in (lease.directory, root):
            directory.chmod(0o711)
    return root


def _start(lease: Lease, sandbox: Sandbox, handover: Handover) -> tuple[subprocess.Popen[bytes], int]:
    """Start the process on a socket that is bound here, so that its port cannot be lost."""
    file = handover.write(lease.directory)
    with socket.create_server((LOOPBACK, 0)) as listening:
        port = int(listening.getsockname()[1])
        process = sandbox.start(
            [
                sys.executable,
                "-P",
                "-m",
                "harness.replicas.railway.server",
                file,
                str(listening.fileno()),
            ],
            log=lease.directory / LOG,
            directory=lease.directory,
            pass_fds=(listening.fileno(),),
        )
    return process, port


def _wait(endpoint: Endpoint) -> None:
    """Wait for its first answer. The socket listens already, so the call waits in its queue."""
    try:
        _look(endpoint, "marker", READY_SECONDS)
    except ProvisionError as error:
        log = endpoint.lease.directory / LOG
        last = (
            log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
            if log.exists()
            else []
        )
        raise ProvisionError(
            f"the control plane {endpoint.service} did not come up: {' '.join(last) or error.message}",
            hint=f"its output is in {log}",
        ) from error


def _look(endpoint: Endpoint, what: str, seconds: float = CALL_SECONDS, *, method: str = "GET") -> Any:
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
