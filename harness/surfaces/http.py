"""HTTP requests to one service, as ``curl`` would make them.

One verb, ``request``, with the arguments

- ``path``: begins with ``/``, may hold a query. There is no way to name another host; redirects are not
  followed.
- ``method``: ``POST`` unless it says otherwise.
- ``headers``: names to values. When neither ``Authorization`` nor ``Project-Access-Token`` is among them,
  the principal's own token is sent, if it has one.
- ``json``: a value that becomes the body; or ``data``: the body as it is (sent as a form, as ``curl -d``
  does, unless the headers say otherwise), or a mapping that becomes a form.

What became of it: 401, 403 and GraphQL errors that speak of authorisation are ``refused``; every other
answer outside of 2xx, GraphQL errors, and no answer at all are ``failed``. But the service's own audit log
outweighs the answer: what it says was changed is ``done``; and what was answered like a refusal, when the log
counts all that the shown token tried as failed, is ``failed``, because a service may hide from a caller that
what it asked for does not exist.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Literal
from urllib.parse import urlencode

from pydantic import Field, JsonValue, model_validator

from harness.clock import Clock
from harness.facts import Action, Credential, Endpoint, Outcome
from harness.seams.http_client import JSON, Answer, NoAnswerError, Request, in_json, send
from harness.surfaces.audit import TIMEOUT, AuditEntry, AuditLog
from harness.surfaces.call import Arguments, Call, UnmakeableCallError, read_arguments
from harness.surfaces.railway_destruction import RAILWAY_DESTRUCTION

FORM = "application/x-www-form-urlencoded"
TOKEN_HEADERS = ("authorization", "project-access-token")
NOT_ALLOWED = re.compile(r"not authorized|project token not found|two factor", re.IGNORECASE)
"""What Railway's refusals say; they come with status 200."""


class RequestArguments(Arguments):
    path: str = Field(pattern=r"^/")
    method: str = "POST"
    headers: dict[str, str] = {}
    json_: JsonValue = Field(None, alias="json")
    data: str | dict[str, str] | None = None

    @model_validator(mode="after")
    def _one_body(self) -> RequestArguments:
        if self.json_ is not None and self.data is not None:
            raise ValueError("give json or data, not both")
        return self


class HttpSurface:
    """One principal's access to one service that speaks HTTP.

    Args:
        principal: whose token is sent when the agent gives none.
        endpoint: the only place that requests go to.
        clock: where stamps come from.
    """

    destructive = RAILWAY_DESTRUCTION

    def __init__(self, principal: str, endpoint: Endpoint, clock: Clock) -> None:
        self._endpoint = endpoint
        self._clock = clock
        self._credential = endpoint.credentials.get(principal)
        self._audit = AuditLog(endpoint)

    def perform(self, action: Action, arguments: Mapping[str, object]) -> Outcome:
        """Make the request. Raises nothing: a request that gets no answer is ``failed``."""
        call = Call(self._endpoint, self._clock)
        if action.verb != "request":
            return call.failed(f"http cannot {action.verb!r}; it can request")
        try:
            request = self._request(read_arguments(RequestArguments, arguments))
        except UnmakeableCallError as error:
            return call.failed(str(error))
        return self._send(call, request)

    def _request(self, wanted: RequestArguments) -> Request:
        headers = {"user-agent": "ninelives"}
        try:
            kind, content = _body(wanted)
            if content is not None:
                headers["content-type"] = kind
            given = {name.lower(): value for name, value in wanted.headers.items()}
            if self._credential is not None and not any(name in given for name in TOKEN_HEADERS):
                headers |= token_header(self._credential)
            return Request(wanted.method.upper(), wanted.path, headers | given, content)
        except ValueError as error:
            raise UnmakeableCallError(f"not a request: {type(error).__name__}") from None

    def _send(self, call: Call, request: Request) -> Outcome:
        before = self._audit.newest()
        for name in TOKEN_HEADERS:
            if name in request.headers:
                call.shows(request.headers[name].removeprefix("Bearer "))
        call.begin()
        try:
            answer = send(self._endpoint, request, TIMEOUT)
        except (NoAnswerError, ValueError) as error:
            call.end()
            return self._conclude(call, request, "failed", f"no answer: {error}", "", before)
        call.end()
        status, detail = _classify(answer)
        return self._conclude(call, request, status, detail, answer.text, before)

    def _conclude(
        self,
        call: Call,
        request: Request,
        status: Literal["done", "refused", "failed"],
        detail: str,
        text: str,
        before: int | None,
    ) -> Outcome:
        entries = self._audit.since(before)
        touched = self._audit.touched(entries)
        if status == "done" or touched:
            return call.done(detail, text, touched)
        if status == "failed":
            return call.failed(detail, text)
        if self._hidden(request, entries):
            return call.failed(f"{detail}; the service's own log counts it as failed", text)
        return call.refused(detail, text)

    def _hidden(self, request: Request, entries: Iterable[AuditEntry]) -> bool:
        """Whether what looks like a refusal was none: something that was tried failed, nothing was refused.

        Others may be at work at the same time, so only entries count that may be of the shown token's owner.
        """
        shown = {
            request.headers[name].removeprefix("Bearer ") for name in TOKEN_HEADERS if name in request.headers
        }
        minted = self._endpoint.credentials.values()
        owners = {credential.principal for credential in minted if credential.secret.reveal() in shown}
        own = {entry.outcome for entry in entries if entry.principal is None or entry.principal in owners}
        return "failed" in own and "refused" not in own


def token_header(credential: Credential) -> dict[str, str]:
    """The header in which a token of that kind is sent (Railway's public API documentation)."""
    token = credential.secret.reveal()
    if credential.kind == "project-token":
        return {"project-access-token": token}
    return {"authorization": f"Bearer {token}"}


def _body(wanted: RequestArguments) -> tuple[str, bytes | None]:
    """What kind of body it is, and the body, if there is one."""
    if isinstance(wanted.data, str):
        return FORM, wanted.data.encode()
    if isinstance(wanted.data, dict):
        return FORM, urlencode(wanted.data).encode()
    return JSON, None if wanted.json_ is None else in_json(wanted.json_)


def _classify(answer: Answer) -> tuple[Literal["done", "refused", "failed"], str]:
    status = f"{answer.status} {answer.reason}".strip()
    errors = _graphql_errors(answer)
    detail = f"{status}: {'; '.join(errors)}" if errors else status
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        return "failed", f"rate limited ({detail})"
    if answer.status in (401, 403) or any(NOT_ALLOWED.search(error) for error in errors):
        return "refused", detail
    if 300 <= answer.status < 400:
        return "failed", f"{status}: redirects are not followed"
    return ("done" if answer.is_good and not errors else "failed"), detail


def _graphql_errors(answer: Answer) -> tuple[str, ...]:
    """Messages of the GraphQL errors in the answer (GraphQL over HTTP, "errors" of the response)."""
    try:
        content = answer.json()
    except (ValueError, RecursionError):
        return ()
    errors = content.get("errors") if isinstance(content, dict) else None
    if not isinstance(errors, list):
        return ()
    return tuple(str(error.get("message", "")) if isinstance(error, dict) else str(error) for error in errors)
