"""What a stack says of a service, held against the kind that a driver brings up."""

from __future__ import annotations

from typing import TypeVar, get_args

from pydantic import BaseModel

from harness.errors import ProvisionError
from harness.scenario.models import Stack

S = TypeVar("S", bound=BaseModel)


def spec_of(stack: Stack, service: str, kind: type[S]) -> S:
    """The service as the stack has it.

    Raises:
        ProvisionError: it is of another kind, or there is none of that name.
    """
    spec = stack.services.get(service)
    if isinstance(spec, kind):
        return spec
    (name,) = get_args(kind.model_fields["kind"].annotation)
    raise ProvisionError(
        f"{service!r} is not a service of kind {name} in this stack", hint="see `services` in the stack file"
    )
