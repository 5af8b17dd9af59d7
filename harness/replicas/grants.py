"""What replicas of several kinds make of a stack's grants: who may do what, and with which credential."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from harness.errors import ProvisionError
from harness.facts import APPLICATION, OPERATOR, Credential, Secret
from harness.scenario.models import Stack

G = TypeVar("G", bound=str)


def grants_on(
    stack: Stack, service: str, known: Mapping[G, object], *, operator: G, application: G
) -> dict[str, G]:
    """The grant of every principal that has one on ``service``, and of the harness's own identities.

    Args:
        stack: with the principals.
        service: its name.
        known: what each grant means to a service of its kind.
        operator, application: the grants of those two.

    Raises:
        ProvisionError: a grant that it does not know.
    """
    found = {OPERATOR: operator, APPLICATION: application}
    for name, principal in stack.principals.items():
        wanted = principal.grants.get(service)
        if wanted is None:
            continue
        grant = next((each for each in known if each == wanted), None)
        if grant is None:
            kind = stack.services[service].kind
            raise ProvisionError(
                f"{name} cannot have the grant {wanted!r} on the {kind} service {service}",
                hint=f"it knows the grants {', '.join(known)}",
            )
        found[name] = grant
    return found


def passwords(principals: Iterable[str]) -> dict[str, Credential]:
    """A password for each of them."""
    return {name: Credential(name, "password", name, Secret.mint()) for name in principals}


def mounts(stack: Stack, service: str, *, writing: str, reading: str) -> dict[str, Credential]:
    """How everybody with a grant reaches what lies on a disk; there is no secret on a mount to be found.

    Args:
        stack: with the principals.
        service: its name.
        writing, reading: public halves of the credentials of those who may write, and of all others.
    """
    ways = {OPERATOR: writing, APPLICATION: writing}
    for name, principal in stack.principals.items():
        if service in principal.grants:
            ways[name] = writing if principal.grants[service] == "writer" else reading
    return {name: Credential(name, "mount", way, Secret.mint()) for name, way in ways.items()}
