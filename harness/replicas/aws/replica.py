"""The driver of the control plane: starts its process, mints its keys, takes it down."""

from __future__ import annotations

import json
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from botocore import xform_name
from botocore.exceptions import BotoCoreError, ClientError, UnknownServiceError

from harness.errors import MissingToolError, ProvisionError
from harness.facts import (
    BACK_DOOR,
    BACK_DOOR_HEADER,
    OPERATOR,
    Credential,
    Endpoint,
    Lease,
    Resource,
    Secret,
)
from harness.replicas.aws.handover import DatabaseSeed, Handover, UserSeed, VaultSeed, VolumeSeed, digest
from harness.replicas.aws.policy import PolicyError, read_policy
from harness.replicas.leases import reap
from harness.sandbox import LOOPBACK, Sandbox
from harness.scenario.models import AwsService, PolicyGrant, PostgresService, RdsSettings, Stack
from harness.seams.aws_client import open_aws_client
from harness.seams.drivers import Setting

ACCOUNTS = ("111122223333", "444455556666", "777788889999")
"""Account numbers as AWS's documentation uses them for examples, one for each account of a stack."""

INSTALL = "pip install 'ninelives[aws]'"
NEEDED = ("moto", "flask", "flask_cors")
READY_SECONDS = 60.0
CALL_SECONDS = 30.0
RESOURCES = "resources"
LOG = "server.log"
KEY_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


@dataclass
class AwsReplica:
    """An AWS account's control plane, whose RDS instances are real servers.

    The files of an RDS instance lie at ``<endpoint.path>/<identifier>``; ``endpoint.name`` is the region.

    Raises:
        MissingToolError: moto is not installed.
        ProvisionError: a grant is no IAM policy, a call of ``setup`` fails, or the process does not come up.
    """

    _processes: dict[Lease, subprocess.Popen[bytes]] = field(default_factory=dict, init=False)

    def requires(self, stack: Stack, service: str) -> tuple[str, ...]:
        """Nothing: databases come after the instances that they lie on."""
        del stack, service
        return ()

    def provision(self, lease: Lease, setting: Setting) -> Endpoint:
        """Start the control plane with its account, mint every key, and make the calls of ``setup``."""
        _check_installed()
        name = lease.service.partition("@")[0]
        model = setting.stack.services[name]
        if not isinstance(model, AwsService):
            raise ProvisionError(f"{name} is not an aws service", hint="give it `kind: aws`")
        statements = {OPERATOR: None, **_policies(setting.stack, name)}
        credentials = {principal: _mint(principal) for principal in statements}
        back_door = Credential(BACK_DOOR, "back-door", BACK_DOOR, Secret.mint())
        root = _make_room(lease, setting.sandbox)
        account = setting.sandbox.account
        handover = Handover(
            marker=lease.marker,
            account=_account_of(setting.stack, name),
            region=model.region,
            users=tuple(
                UserSeed(principal, key.name, key.secret.reveal(), statements[principal])
                for principal, key in credentials.items()
            ),
            databases=_databases(setting.stack, name, model),
            volumes=tuple(
                VolumeSeed(volume, service.environment)
                for service, volume in _lying_on(setting.stack, name)
                if volume in model.volumes
            ),
            vaults=tuple(
                VaultSeed(
                    vault,
                    asked.lock.mode if asked.lock else None,
                    max(asked.lock.for_.days, 1) if asked.lock else None,
                )
                for vault, asked in model.vaults.items()
            ),
            back_door=digest(back_door.secret.reveal()),
            root=str(root),
            owner=(account.uid, account.gid) if account else None,
        )
        self._processes[lease], port = _start(lease, setting.sandbox, handover)
        endpoint = Endpoint(
            lease, "aws", LOOPBACK, port, model.region, None, root, {**credentials, BACK_DOOR: back_door}
        )
        _wait(endpoint)
        _set_up(endpoint, name, model)
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
        """Instances, snapshots, volumes, vaults, networks, clusters and identities that can be deleted."""
        try:
            found = _look(endpoint, "inventory")
        except ProvisionError:
            return ()
        return tuple(Resource(service=endpoint.service, **resource) for resource in found)

    def describe(self, endpoint: Endpoint) -> Mapping[str, str]:
        """What stands for AWS, and where."""
        told = _look(endpoint, "marker")
        return {
            "version": f"AWS, replica on moto {told['moto']}",
            "account": told["account"],
            "region": told["region"],
        }


def _check_installed() -> None:
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise MissingToolError(
            f"services of kind aws need {', '.join(missing)}, which is not installed", hint=INSTALL
        )


def _policies(stack: Stack, service: str) -> dict[str, list[Any] | None]:
    """The statements of each principal with a grant, as IAM writes them.

    Raises:
        ProvisionError: a grant is no policy that can be enforced.
    """
    found: dict[str, list[Any] | None] = {}
    for principal, description in stack.principals.items():
        if service not in description.grants:
            continue
        grant = description.grants[service]
        if not isinstance(grant, PolicyGrant):
            raise ProvisionError(
                f"principal {principal}: {grant!r} is not a grant that {service} knows",
                hint="a grant on an aws service is a policy: {policy: [{Effect: Allow, Action: '*'}]}",
            )
        statements = [one.model_dump(mode="json", by_alias=True, exclude_none=True) for one in grant.policy]
        try:
            read_policy({"Statement": statements})
        except PolicyError as error:
            raise ProvisionError(
                f"principal {principal}: its policy on {service} cannot be enforced: {error}",
                hint="docs/aws.md says what of IAM's policy language there is",
            ) from error
        found[principal] = statements
    return found


def _mint(principal: str) -> Credential:
    """An access key as AWS makes them: a long-lived one begins with ``AKIA``."""
    name = "AKIA" + "".join(secrets.choice(KEY_ALPHABET) for _ in range(16))
    return Credential(principal, "access-key", name, Secret.mint())


def _account_of(stack: Stack, aws: str) -> str:
    number = [name for name, service in stack.services.items() if isinstance(service, AwsService)].index(aws)
    return ACCOUNTS[number] if number < len(ACCOUNTS) else f"{number:012}"


def _lying_on(stack: Stack, aws: str) -> Iterator[tuple[PostgresService, str]]:
    """Each database that lies in an account, with the name of the instance or volume that it lies on."""
    for service in stack.services.values():
        if isinstance(service, PostgresService) and service.volume is not None:
            host, _, name = service.volume.partition("/")
            if host == aws:
                yield service, name


def _databases(stack: Stack, aws: str, model: AwsService) -> tuple[DatabaseSeed, ...]:
    """An RDS instance for each database that lies on one."""
    found = []
    for service, instance in _lying_on(stack, aws):
        if instance in model.volumes:
            continue
        asked = model.databases.get(instance, RdsSettings())
        settings = {
            "deletion_protection": asked.deletion_protection,
            "backup_retention_period": asked.backup_retention,
            "tags": [{"Key": "environment", "Value": service.environment}] if service.environment else [],
        }
        found.append(DatabaseSeed(instance, service.environment, settings))
    return tuple(found)


def _make_room(lease: Lease, sandbox: Sandbox) -> Path:
    """The root of all that is real; a server that is not ours must be able to walk through to its own."""
    root = lease.directory / RESOURCES
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
            [sys.executable, "-P", "-m", "harness.replicas.aws.server", file, str(listening.fileno())],
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
        last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() if log.exists() else []
        raise ProvisionError(
            f"the control plane {endpoint.service} did not come up: {' '.join(last[-1:]) or error.message}",
            hint=f"its output is in {log}",
        ) from error


def _set_up(endpoint: Endpoint, service: str, model: AwsService) -> None:
    """Make the owner's calls, in the order in which they are written."""
    for name, asked in model.setup.items():
        where = f"{service}: the call {name} of its setup, {asked.call},"
        api, _, operation = asked.call.partition(".")
        try:
            client = open_aws_client(api, endpoint, endpoint.credentials[OPERATOR])
            method = getattr(client, xform_name(operation), None)
            if method is None:
                raise ProvisionError(
                    f"{where} is none that AWS has", hint="see docs/aws.md for what there is"
                )
            method(**asked.with_)
        except UnknownServiceError as error:
            raise ProvisionError(
                f"{where} names no service of AWS", hint="services are called rds, ec2, ecs, iam, ..."
            ) from error
        except (BotoCoreError, ClientError, TypeError) as error:
            raise ProvisionError(
                f"{where} fails: {error}", hint="correct its parameters under `with`"
            ) from error


def _look(endpoint: Endpoint, what: str, seconds: float = CALL_SECONDS) -> Any:
    """What the back door tells.

    Raises:
        ProvisionError: it does not answer, or does not let us in.
    """
    secret = endpoint.credentials[BACK_DOOR].secret
    connection = HTTPConnection(endpoint.host, endpoint.port, timeout=seconds)
    try:
        connection.request("GET", f"/_replica/{what}", headers={BACK_DOOR_HEADER: secret.reveal()})
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
