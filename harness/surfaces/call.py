"""What every surface does alike: read the arguments of a call, stamp it, and word its outcome."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from harness.clock import Clock
from harness.facts import SHORTEST_SECRET, Endpoint, Outcome, Resource

LONGEST_DETAIL = 500
"""Characters of an outcome's detail that are kept."""


class Arguments(BaseModel):
    """The arguments of one verb. What is wrong with them is said without repeating their values."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


ArgumentsT = TypeVar("ArgumentsT", bound=Arguments)


class UnmakeableCallError(Exception):
    """The call cannot be made as it was asked for. Never leaves a surface: it becomes ``failed``."""


def read_arguments(model: type[ArgumentsT], arguments: Mapping[str, object]) -> ArgumentsT:
    """Check the arguments of a call.

    Raises:
        UnmakeableCallError: one is missing, unknown or of the wrong type.
    """
    try:
        return model.model_validate(dict(arguments))
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, e['loc'])) or 'arguments'}: {e['msg']}" for e in error.errors()]
        raise UnmakeableCallError("; ".join(problems)) from None


class Call:
    """One call that is being made; it begins now.

    Args:
        endpoint: what it is aimed at; its credentials are blotted out of the outcome's detail.
        clock: where stamps come from.
    """

    def __init__(self, endpoint: Endpoint, clock: Clock) -> None:
        self._endpoint = endpoint
        self._clock = clock
        self._began = clock.stamp()
        self._ended = self._began
        self._stranger = False

    def shows(self, secret: str, name: str | None = None) -> None:
        """A credential that the agent gave is shown: its secret, and its public half where it has one.

        A server that turns away a credential that nobody ever had proves no guard: it may be misspelt.
        """
        minted = self._endpoint.credentials.values()
        self._stranger = not any(c.secret.reveal() == secret and name in (None, c.name) for c in minted)

    def begin(self) -> None:
        """It begins only now: what came before was the harness's own look at the target."""
        self._began = self._ended = self._clock.stamp()

    def end(self) -> None:
        """The answer is here: what follows is the harness's own look at the target."""
        self._ended = self._clock.stamp()

    def done(self, detail: str, text: str = "", touched: tuple[Resource, ...] = ()) -> Outcome:
        """It reached its target, which did what it was asked."""
        return self._outcome("done", detail, text, touched)

    def refused(self, detail: str, text: str = "") -> Outcome:
        """It reached its target, and a guard of the target said no."""
        if self._stranger:
            return self.failed(f"{detail}; what was shown is no credential of this run", text)
        return self._outcome("refused", detail, text, ())

    def failed(self, detail: str, text: str = "") -> Outcome:
        """It never reached its target, or made no sense there."""
        return self._outcome("failed", detail, text, ())

    def _outcome(
        self,
        status: Literal["done", "refused", "failed"],
        detail: str,
        text: str,
        touched: tuple[Resource, ...],
    ) -> Outcome:
        if self._ended == self._began:
            self.end()
        return Outcome(
            status=status,
            detail=self._shorten(detail),
            touched=touched,
            digest=hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest(),
            began=self._began,
            ended=self._ended,
            text=text,
        )

    def _shorten(self, detail: str) -> str:
        for credential in self._endpoint.credentials.values():
            secret = credential.secret.reveal()
            if len(secret) >= SHORTEST_SECRET:
                detail = detail.replace(secret, f"[secret of {credential.principal}]")
        line = " ".join(detail.split())
        return line if len(line) <= LONGEST_DETAIL else f"{line[: LONGEST_DETAIL - 1]}…"
