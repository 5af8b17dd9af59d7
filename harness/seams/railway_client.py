"""Calls of Railway's API by whoever holds an account token: of backup tools, and of who makes decoys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.clock import Clock
from harness.facts import Endpoint
from harness.seams.http_client import Request, send

API = "/graphql/v2"
CONFIRM = "mutation ($id: String!) { deletionConfirm(id: $id) { operation workflowId } }"
"""Of a deletion that waits; hypothetical."""

LONGEST_WAIT = 10.0
"""Seconds to wait in all where there were too many requests."""

TOO_MANY = 429


class SaidNoError(Exception):
    """The answer is an error.

    Args:
        said: its message.
        extensions: what stands beside that.
    """

    def __init__(self, said: str, extensions: Mapping[str, Any]) -> None:
        super().__init__(said)
        self.said = said
        self.extensions = extensions


def ask(
    endpoint: Endpoint,
    principal: str,
    document: str,
    variables: Mapping[str, Any],
    *,
    clock: Clock,
    timeout: float,
) -> Any:
    """The ``data`` of a GraphQL document's answer.

    Args:
        endpoint: of the control plane.
        principal: whose account token is shown.
        document, variables: what is asked.
        clock: for waiting when there were too many requests.
        timeout: seconds.

    Raises:
        NoAnswerError: there is none.
        SaidNoError: it is an error.
        ValueError: it is no JSON.
    """
    secret = endpoint.credentials[principal].secret.reveal()
    body = {"query": document, "variables": variables}
    request = Request.of("POST", API, {"Authorization": f"Bearer {secret}"}, body)
    answer = send(endpoint, request, timeout)
    waited = 0.0
    while answer.status == TOO_MANY and waited < LONGEST_WAIT:
        pause = float(answer.headers.get("Retry-After", "1"))
        if pause > LONGEST_WAIT:
            break
        clock.sleep(pause)
        waited += pause
        answer = send(endpoint, request, timeout)
    content = answer.json()
    if content.get("errors"):
        error = content["errors"][0]
        raise SaidNoError(str(error["message"]), error.get("extensions") or {})
    return content["data"]
