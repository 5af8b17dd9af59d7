"""The driver of the control plane: starts its process, mints its keys, takes it down."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from botocore import xform_name
from botocore.exceptions import BotoCoreError, ClientError, UnknownServiceError

from harness.errors import MissingToolError, ProvisionError
from harness.facts import (
    BACK_DOOR,
    OPERATOR,
    Credential,
    Endpoint,
    Lease,
    Secret,
)
from harness.replicas.aws.handover import DatabaseSeed, Handover, UserSeed, VaultSeed, VolumeSeed
from harness.replicas.aws.policy import PolicyError, read_policy
from harness.replicas.control_plane import (
    ControlPlaneMemory,
    ControlPlaneReplica,
    ask,
    await_answer,
    make_room,
)
from harness.replicas.handover import digest, hand_over
from harness.sandbox import LOOPBACK
from harness.scenario.models import AwsService, PolicyGrant, PostgresService, RdsSettings, Stack
from harness.seams.aws_client import open_aws_client
from harness.seams.drivers import Memory, Setting

ACCOUNTS = ("111122223333", "444455556666", "777788889999")
"""Account numbers as AWS's documentation uses them for examples, one for each account of a stack."""

INSTALL = "pip install 'ninelives[aws]'"
NEEDED = ("moto", "flask", "flask_cors")
RESOURCES = "resources"
KEY_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


@dataclass
class AwsReplica(ControlPlaneReplica):
    """An AWS account's control plane, whose RDS instances are real servers.

    The files of an RDS instance lie at ``<endpoint.path>/<identifier>``; ``endpoint.name`` is the region.

    Raises:
        MissingToolError: moto is not installed.
        ProvisionError: a grant is no IAM policy, a call of ``setup`` fails, or the process does not come up.
    """

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
        root = make_room(lease, setting.sandbox, RESOURCES)
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
        file = hand_over(handover, lease.directory)
        port = self._start(lease, setting.sandbox, "harness.replicas.aws.server", file)
        endpoint = Endpoint(
            lease, "aws", LOOPBACK, port, model.region, None, root, {**credentials, BACK_DOOR: back_door}
        )
        await_answer(endpoint)
        _set_up(endpoint, name, model)
        return endpoint

    def remember(self, endpoint: Endpoint, setting: Setting) -> Memory:
        """Have the process keep itself, and links to the files of its copies.

        Raises:
            ProvisionError: it does not answer, or there is no room.
        """
        del setting
        return ControlPlaneMemory.made(endpoint)

    def describe(self, endpoint: Endpoint) -> Mapping[str, str]:
        """What stands for AWS, and where."""
        told = ask(endpoint, "marker")
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
