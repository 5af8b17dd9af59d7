"""The driver of the control plane: starts its process, mints its tokens, takes it down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from harness.clock import Clock
from harness.errors import ProvisionError
from harness.facts import (
    BACK_DOOR,
    OPERATOR,
    SECOND_PERSON,
    Credential,
    CredentialKind,
    Endpoint,
    Lease,
    Outcome,
    Secret,
)
from harness.replicas.control_plane import (
    ControlPlaneMemory,
    ControlPlaneReplica,
    ask,
    await_answer,
    make_room,
)
from harness.replicas.handover import digest, hand_over
from harness.replicas.railway.decoys import confirmation, is_own, make_project, waiting
from harness.replicas.railway.handover import Handover, Mount, TokenSeed
from harness.sandbox import LOOPBACK
from harness.scenario.models import PostgresService, RailwayService, Stack, TokenGrant
from harness.seams.drivers import Decoy, Memory, Request, Setting

VOLUMES = "volumes"
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
class RailwayReplica(ControlPlaneReplica):
    """Railway's control plane with one project, whose volumes are directories of this machine.

    A volume instance lies at ``<endpoint.path>/<environment>/<volume>``.

    Raises:
        ProvisionError: the stack names an environment or a grant that the project does not have, or the
            process does not come up.
    """

    def provision(self, lease: Lease, setting: Setting) -> Endpoint:
        """Start the control plane with its project, and mint every token."""
        name = lease.service.partition("@")[0]
        model = setting.stack.services[name]
        if not isinstance(model, RailwayService):
            raise ProvisionError(f"{name} is not a railway service", hint="give it `kind: railway`")
        credentials = _mint(setting.stack, name, model)
        root = make_room(lease, setting.sandbox, VOLUMES)
        handover = Handover(
            marker=lease.marker,
            profile=model.profile,
            plan=model.plan,
            confirmations=model.confirmations,
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
        file = hand_over(handover, lease.directory)
        port = self._start(lease, setting.sandbox, "harness.replicas.railway.server", file)
        endpoint = Endpoint(lease, "railway", LOOPBACK, port, model.project, None, root, credentials)
        await_answer(endpoint)
        return endpoint

    def remember(self, endpoint: Endpoint, setting: Setting) -> Memory:
        """Have the process keep its records, and links to the files of its backups.

        Raises:
            ProvisionError: it does not answer, or there is no room.
        """
        del setting
        return ControlPlaneMemory.made(endpoint)

    def decoys(self, endpoint: Endpoint, calls: Sequence[str], clock: Clock) -> tuple[Decoy, ...]:
        """A project of its own with one of everything.

        Raises:
            ProvisionError: the control plane does not answer, or does not make it.
        """
        return make_project(endpoint, clock).decoys(calls)

    def waiting(self, outcome: Outcome) -> str | None:
        """The id that the answer to a deletion names."""
        return waiting(outcome)

    def is_own(self, outcome: Outcome) -> bool:
        """By what the answer says."""
        return is_own(outcome)

    def confirmation(self, id: str) -> Request:
        """``deletionConfirm``."""
        return confirmation(id)

    def describe(self, endpoint: Endpoint) -> Mapping[str, str]:
        """The profile, and what it means for a delete."""
        told = ask(endpoint, "marker")
        deletes = "at once" if told["profile"] == "legacy" else "after 48 h"
        if told["confirmations"] != "none":
            deletes += f", confirmed by {told['confirmations']}"
        return {
            "version": "Railway public API v2, replica",
            "profile": told["profile"],
            "plan": told["plan"],
            "deletes": deletes,
        }


def _mint(stack: Stack, service: str, model: RailwayService) -> dict[str, Credential]:
    credentials = {
        OPERATOR: Credential(OPERATOR, "account-token", OPERATOR, Secret.mint()),
        BACK_DOOR: Credential(BACK_DOOR, "back-door", BACK_DOOR, Secret.mint()),
    }
    if model.confirmations != "none":
        credentials[SECOND_PERSON] = Credential(SECOND_PERSON, "account-token", SECOND_PERSON, Secret.mint())
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
