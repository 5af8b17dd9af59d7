"""Who calls, and what policies apply: users and their keys live in moto's IAM, as real calls can change them.

A principal of the stack is an IAM user with one inline policy, its grant. The operator is the owner of the
account, to whom no policy applies. Since policies and keys are read at every call, a user that may call
``iam:PutUserPolicy`` can give itself more, and one that deletes another one's key locks it out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any

from moto.iam.models import iam_backends

from harness.replicas.aws.handover import UserSeed
from harness.replicas.aws.policy import PolicyError, read_policy
from harness.replicas.aws.signature import Received, check_signature
from harness.replicas.aws.wire import DENIED, ApiCall, ApiError, Scope

PARTITION = "aws"
GRANT = "grant"
Statements = tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class Caller:
    """Who made a call.

    Attributes:
        principal: of the stack; a user that was made later counts by its own name.
        account: that it belongs to.
        arn: as IAM names it.
        statements: of all policies that apply to it; None for the owner of the account.
    """

    principal: str
    account: str
    arn: str
    statements: Statements | None

    def denied(self, call: ApiCall, action: str, resource: str, reason: str) -> ApiError:
        """The answer when policies do not allow a call (IAM User Guide, "Troubleshoot access denied")."""
        message = f"User: {self.arn} is not authorized to perform: {action} on resource: {resource}"
        if reason.startswith("no "):
            reason = f"because no identity-based policy allows the {action} action"
        else:
            reason = f"with {reason}"
        code = DENIED.get(call.service, "AccessDeniedException")
        return ApiError(code, f"{message} {reason}", HTTPStatus.FORBIDDEN, refused=True)


class Identities:
    """The users of one account.

    Args:
        account: its number.
        users: who is there at the start.
    """

    def __init__(self, account: str, users: tuple[UserSeed, ...]) -> None:
        self._account = account
        self._iam = iam_backends[account][PARTITION]
        self._owner = next(user for user in users if user.statements is None)
        for user in users:
            if user.statements is not None:
                self._add(user, user.statements)

    def authenticate(self, received: Received, scope: Scope, now: datetime) -> Caller:
        """Who signed a request.

        Raises:
            ApiError: nobody whose key is known and active, or the signature is wrong.
        """
        if scope.access_key == self._owner.access_key:
            check_signature(received, scope, self._owner.secret, now)
            arn = f"arn:aws:iam::{self._account}:root"
            return Caller(self._owner.principal, self._account, arn, None)
        for user in list(self._iam.users.values()):
            for key in user.access_keys:
                if key.access_key_id == scope.access_key and key.status == "Active":
                    check_signature(received, scope, key.secret_access_key, now)
                    return Caller(user.name, self._account, user.arn, tuple(self._statements(user)))
        raise ApiError(
            "AuthFailure" if scope.service == "ec2" else "InvalidClientTokenId",
            "The security token included in the request is invalid.",
            HTTPStatus.UNAUTHORIZED if scope.service == "ec2" else HTTPStatus.FORBIDDEN,
            refused=True,
        )

    def _add(self, seed: UserSeed, statements: list[Any]) -> None:
        self._iam.create_user("us-east-1", seed.principal)
        policy = {"Version": "2012-10-17", "Statement": statements}
        self._iam.users[seed.principal].policies[GRANT] = json.dumps(policy)
        key = self._iam.create_access_key(seed.principal)
        del self._iam.access_keys[key.access_key_id]
        key.access_key_id, key.secret_access_key = seed.access_key, seed.secret
        self._iam.access_keys[key.access_key_id] = key

    def _statements(self, user: Any) -> Iterator[Mapping[str, Any]]:
        groups = [group for group in self._iam.groups.values() if user in group.users]
        for holder in (user, *groups):
            documents = list(holder.policies.values())
            documents += [_document(policy) for policy in holder.managed_policies.values()]
            for document in documents:
                yield from _read(document)


def _document(policy: Any) -> str:
    return str(next(version.document for version in policy.versions if version.is_default))


def _read(document: str) -> Statements:
    """What cannot be read allows nothing, and takes nothing away: IAM would not have accepted it."""
    try:
        return read_policy(document)
    except PolicyError:
        return ()
