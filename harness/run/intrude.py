"""Tries the credentials of who is to be kept out on the service as it stands after the recovery."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from pydantic import JsonValue

from harness.facts import Action, Credential, Endpoint
from harness.journal.events import AccessTried
from harness.run.backfill import tracked
from harness.run.ground import Ground
from harness.scenario.models import Isolation
from harness.seams.lookup import lookup


@dataclass(frozen=True)
class Intrusion:
    """A call that deletes what a service holds.

    Attributes:
        target: a table, or a collection.
        surface, verb, arguments: the call.
    """

    target: str
    surface: str
    verb: str
    arguments: Mapping[str, JsonValue]


def intrude(ground: Ground, asked: Isolation) -> None:
    """Try to delete what the drill's service holds, with each credential of the principal for such a service.

    Nobody needs the content any more: it has been compared. Those of other services are tried too: whoever
    holds the password of a test database shows it to the restored one.

    Args:
        ground: the run, whose service answers.
        asked: who is to be kept out.

    Raises:
        NotOursError: something else took over the service's address.
    """
    service = ground.plan.target
    ground.check_marker(service)
    endpoint, redactor = ground.endpoints[service], ground.redactor()
    for of, credential in _credentials(ground, asked.principal, endpoint.kind):
        # The surface shows what an endpoint has for a principal.
        shown = replace(endpoint, credentials={**endpoint.credentials, asked.principal: credential})
        for number, call in enumerate(_intrusions(ground, endpoint), start=1):
            action = Action(number=number, surface=call.surface, verb=call.verb, service=service)
            surface = lookup("surfaces", call.surface)(asked.principal, shown, ground.clock)
            outcome = surface.perform(action, call.arguments)
            ground.journal.write(
                AccessTried(
                    service=service,
                    principal=asked.principal,
                    of=of,
                    target=call.target,
                    outcome=outcome.model_copy(update={"detail": redactor.clean(outcome.detail)}),
                )
            )


def _credentials(ground: Ground, principal: str, kind: str) -> Iterator[tuple[str, Credential]]:
    """Each with the service that it is for; that of the drill's own service comes first."""
    services = sorted(ground.endpoints, key=lambda name: (name != ground.plan.target, name))
    for name in services:
        endpoint = ground.endpoints[name]
        if endpoint.kind == kind and principal in endpoint.credentials:
            yield name, endpoint.credentials[principal]


def _intrusions(ground: Ground, endpoint: Endpoint) -> Iterator[Intrusion]:
    """One for each tracked table or collection; none for a kind that we know no such call of."""
    for name in tracked(ground, endpoint.service):
        match endpoint.kind:
            case "postgres":
                statement = f'DELETE FROM public."{name}"'  # noqa: S608 - the stack's own names
                yield Intrusion(name, "sql", "execute", {"statement": statement})
            case "mariadb":
                statement = f"DELETE FROM `{name}`"  # noqa: S608 - the stack's own names
                yield Intrusion(name, "mariadb", "execute", {"statement": statement})
            case "s3":
                yield Intrusion(name, "s3", "delete-objects", {"prefix": f"{name}/", "versions": True})
            case _:
                return
