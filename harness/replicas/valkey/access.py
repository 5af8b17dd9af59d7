"""Who may do what: one user for each principal, and the file that tells the server about them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Literal, get_args

from harness.errors import ProvisionError
from harness.facts import APPLICATION, OPERATOR, Credential, Secret
from harness.scenario.models import Stack, ValkeyService

ValkeyGrant = Literal["owner", "writer", "reader"]

RULES: Mapping[ValkeyGrant, str] = {
    "owner": "+@all",
    "writer": "+@all -@admin -@dangerous +info",
    "reader": "+@read +@connection -@dangerous +info",
}
"""What a grant means to Valkey: an owner may do everything, a writer no FLUSHALL and no CONFIG."""

EVERYTHING = "~* &*"


def grants(stack: Stack, service: str) -> dict[str, ValkeyGrant]:
    """The grant of every principal that has one on ``service``, and of the harness's own identities.

    Raises:
        ProvisionError: a grant that Valkey does not know.
    """
    found: dict[str, ValkeyGrant] = {OPERATOR: "owner", APPLICATION: "writer"}
    for name, principal in stack.principals.items():
        grant = principal.grants.get(service)
        if grant is None:
            continue
        if not isinstance(grant, str) or grant == "admin":
            raise ProvisionError(
                f"{name} cannot have the grant {grant!r} on the valkey service {service}",
                hint=f"it knows the grants {', '.join(get_args(ValkeyGrant))}",
            )
        found[name] = grant
    return found


def mint(granted: Mapping[str, ValkeyGrant]) -> dict[str, Credential]:
    """A password for each of them."""
    return {name: Credential(name, "password", name, Secret.mint()) for name in granted}


def acl_lines(
    spec: ValkeyService, granted: Mapping[str, ValkeyGrant], credentials: Mapping[str, Credential]
) -> Iterator[str]:
    """The lines of the server's ACL file, which hold digests in place of passwords.

    Args:
        spec: ``auth`` says whether somebody without a password is admitted, ``denied`` what nobody may do
            but the operator.
        granted: by principal.
        credentials: by principal.
    """
    denied = _denied(spec.denied)
    anybody = f"on nopass {EVERYTHING} +@all{denied}" if not spec.auth else "off resetpass -@all"
    yield f"user default {anybody}"
    for name, grant in granted.items():
        digest = sha256(credentials[name].secret.reveal().encode()).hexdigest()
        limits = "" if name == OPERATOR else denied
        yield f"user {name} on #{digest} {EVERYTHING} {RULES[grant]}{limits}"


def _denied(commands: Sequence[str]) -> str:
    return "".join(f" -{command}" for command in commands)
