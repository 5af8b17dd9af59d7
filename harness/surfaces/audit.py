"""What a control plane's own log says was changed: the only thing that counts as touched."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel, TypeAdapter, ValidationError

from harness.facts import BACK_DOOR, BACK_DOOR_HEADER, Endpoint, Resource
from harness.seams.http_client import NoAnswerError, Request, send

AUDIT_PATH = "/_replica/audit"
TIMEOUT = 30.0
"""Seconds that a control plane gets for an answer."""


class AuditedResource(BaseModel):
    """A resource as the service names it."""

    kind: str
    name: str
    environment: str | None = None


class AuditEntry(BaseModel):
    """What is read of one entry of the service's audit log."""

    seq: int
    id: str = ""
    principal: str | None = None
    outcome: str
    resources: tuple[AuditedResource, ...] = ()


AUDIT = TypeAdapter(tuple[AuditEntry, ...])


class AuditLog:
    """What a service itself says was changed, read through the harness's own access to it.

    Args:
        endpoint: without a credential of ``BACK_DOOR`` there is nothing to read.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._credential = endpoint.credentials.get(BACK_DOOR)
        self._newest = 0

    def newest(self) -> int | None:
        """The number of the newest entry; None when the log cannot be read."""
        entries = self._entries(self._newest)
        if entries is None:
            return None
        self._newest = max((entry.seq for entry in entries), default=self._newest)
        return self._newest

    def since(self, number: int | None) -> tuple[AuditEntry, ...]:
        """The entries after ``number``; none when the log cannot be read."""
        return (self._entries(number) if number is not None else None) or ()

    def touched(self, entries: Iterable[AuditEntry]) -> tuple[Resource, ...]:
        """What entries say was changed, each resource once."""
        found = (
            Resource(
                service=self._endpoint.service,
                kind=resource.kind,
                name=resource.name,
                environment=resource.environment,
            )
            for entry in entries
            if entry.outcome == "done"
            for resource in entry.resources
        )
        return tuple(dict.fromkeys(found))

    def _entries(self, after: int) -> tuple[AuditEntry, ...] | None:
        if self._credential is None:
            return None
        headers = {BACK_DOOR_HEADER: self._credential.secret.reveal()}
        request = Request("GET", f"{AUDIT_PATH}?after={after}", headers)
        try:
            answer = send(self._endpoint, request, TIMEOUT)
            return AUDIT.validate_json(answer.content) if answer.is_good else None
        except (NoAnswerError, ValidationError):
            # A service that is gone, or has no such log, says nothing of what was changed.
            return None
