"""Who may do what: one user for each principal, and the file that tells the server about them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Literal

from harness.facts import OPERATOR, Credential
from harness.replicas.grants import grants_on
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
    """As ``grants_on`` says; the operator may do everything, the application reads and writes."""
    return grants_on(stack, service, RULES, operator="owner", application="writer")


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
