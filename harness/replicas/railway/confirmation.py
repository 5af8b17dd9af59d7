"""Deletions that somebody has to confirm. Hypothetical: Railway offers nothing like it.

With ``second-person`` it must be another principal than the one who asked, and one who could have asked
too; with ``anyone`` it may be the same. What is confirmed is what was told when it was asked for: if that
has changed meanwhile, the confirmation is void, and so it is after ``LASTS``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from harness.replicas.railway.audit import Touched
from harness.replicas.railway.authority import Caller
from harness.replicas.railway.handover import Rule
from harness.replicas.railway.mailbox import Mail
from harness.replicas.railway.refusals import OWN, WAITS, NotAuthorizedError, NotFoundError
from harness.replicas.railway.state import Estate, new_id

LASTS = timedelta(hours=24)


class ConfirmationNeededError(Exception):
    """A call stops before it has changed anything; the schema makes an answer of it.

    Args:
        about: what it would delete.
    """

    def __init__(self, about: tuple[Touched, ...]) -> None:
        super().__init__()
        self.about = about


class WaitsError(NotAuthorizedError):
    """It was not done, and waits. Whoever asked is told under which id."""

    def __init__(self, id: str) -> None:
        super().__init__(f"{WAITS}: {id}")
        self.extensions = {"confirmationId": id}


class OwnConfirmationError(NotAuthorizedError):
    """Who asked is not who may confirm."""

    def __init__(self) -> None:
        super().__init__(OWN)


@dataclass(frozen=True)
class Pending:
    """A call that waits.

    Attributes:
        answer: what carries it out, given the call and the arguments.
        caller: who asked.
        about: what it would have deleted then.
    """

    id: str
    operation: str
    answer: Callable[..., Any]
    arguments: Mapping[str, Any]
    caller: Caller
    about: tuple[Touched, ...]
    until: datetime


class Confirmations:
    """The calls that wait.

    Args:
        rule: who may confirm; ``none`` when nothing has to wait.
        estate: tells the time, and whose mail it is.
        mailbox: where the owner is told.
    """

    def __init__(self, rule: Rule, estate: Estate, mailbox: list[Mail]) -> None:
        self.rule = rule
        self._estate = estate
        self._mailbox = mailbox
        self._waiting: dict[str, Pending] = {}

    def check(self, about: tuple[Touched, ...]) -> None:
        """Stop a call that has to be confirmed.

        Raises:
            ConfirmationNeededError: it has.
        """
        if self.rule != "none":
            raise ConfirmationNeededError(about)

    def hold(
        self,
        operation: str,
        answer: Callable[..., Any],
        arguments: Mapping[str, Any],
        caller: Caller,
        about: tuple[Touched, ...],
    ) -> Pending:
        """Let a call wait, and tell the owner."""
        now = self._estate.now()
        pending = Pending(new_id(), operation, answer, dict(arguments), caller, about, now + LASTS)
        self._waiting[pending.id] = pending
        names = ", ".join(one.name for one in about)
        text = f"{caller.principal} has asked for {operation}, which deletes {names}. Confirm: {pending.id}\n"
        user = self._estate.user
        self._mailbox.append(Mail(now, user.email, f"{operation} waits to be confirmed", text, "", about))
        return pending

    def pending(self, id: str, confirmer: str) -> Pending:
        """What waits under an id, for somebody who may confirm it.

        Raises:
            NotFoundError: nothing does, or not any more.
            OwnConfirmationError: that one has asked for it, and somebody else is needed.
        """
        found = self._waiting.get(id)
        if found is None or found.until <= self._estate.now():
            raise NotFoundError("Confirmation")
        if self.rule == "second-person" and found.caller.principal == confirmer:
            raise OwnConfirmationError
        return found

    def drop(self, id: str) -> None:
        """It waits no longer."""
        del self._waiting[id]

    def ids(self) -> frozenset[str]:
        """Under which calls wait."""
        return frozenset(self._waiting)

    def capture(self) -> dict[str, Pending]:
        """What waits, to be kept as it is by whoever makes a copy of it."""
        return self._waiting

    def recall(self, captured: dict[str, Pending]) -> None:
        """Have that wait, and nothing else."""
        self._waiting = captured
