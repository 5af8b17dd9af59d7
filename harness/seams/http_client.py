"""The one place that makes HTTP requests of replicas, for surfaces and backup tools alike.

Python's own client hears nothing of proxies, ``.netrc`` or certificates in the environment, follows no
redirect and keeps no cookie. Each request has a connection of its own: a service may be gone at any moment.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import quote

from harness.facts import Endpoint

CONNECT_SECONDS = 3.0
JSON = "application/json"
METHOD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""RFC 9110, section 5.6.2."""

UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")
AS_WRITTEN = "%/:?[]@!$&'()*+,;="
"""Characters of a path and its query that are sent as they are, beside letters, digits and ``_.-~``."""


class NoAnswerError(Exception):
    """Nobody answered, or not in HTTP, or too late."""


@dataclass(frozen=True)
class Request:
    """What is asked.

    Attributes:
        method: in capitals.
        target: a path, perhaps with a query.
        headers: their names in small letters.
        content: the body.

    Raises:
        ValueError: it cannot be sent.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    content: bytes | None = None

    def __post_init__(self) -> None:
        texts = (*self.headers, *self.headers.values())
        if not METHOD.fullmatch(self.method) or any(
            UNPRINTABLE.search(text) for text in (self.target, *texts)
        ):
            raise ValueError("a method, a path or a header has characters that it cannot have")
        for text in texts:
            text.encode("ascii")
        length = str(len(self.content or b""))
        if self.headers.get("content-length", length) != length:
            raise ValueError("the length of the content is another")  # who asks would wait, or ask twice

    @classmethod
    def of(cls, method: str, target: str, headers: Mapping[str, str], body: object = None) -> Request:
        """One whose body is a value, in JSON; without one if that is None."""
        if body is None:
            return cls(method, target, headers)
        return cls(method, target, {"content-type": JSON, **headers}, in_json(body))


@dataclass(frozen=True)
class Answer:
    """What came back.

    Attributes:
        status: its code.
        reason: the words that came with that.
        headers: by name, whatever the case of its letters.
        content: the body.
    """

    status: int
    reason: str
    headers: Message
    content: bytes

    @property
    def is_good(self) -> bool:
        """Whether the status is one of success."""
        return 200 <= self.status < 300

    @property
    def is_error(self) -> bool:
        """Whether the status says that something is wrong."""
        return self.status >= 400

    @property
    def text(self) -> str:
        """The body as text; what is none is replaced."""
        try:
            return self.content.decode(self.headers.get_content_charset("utf-8"), errors="replace")
        except LookupError:
            return self.content.decode("utf-8", errors="replace")

    def json(self) -> Any:
        """The value that the body is; raises ValueError or RecursionError when it is none."""
        return json.loads(self.content)


def in_json(value: object) -> bytes:
    """A body; raises ValueError for what JSON has no words for."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def send(endpoint: Endpoint, request: Request, seconds: float) -> Answer:
    """Make a request of a replica, and of nobody else.

    Args:
        endpoint: of the replica.
        request: what to ask.
        seconds: without a byte after which it fails.

    Raises:
        NoAnswerError: there is no answer.
    """
    connection = HTTPConnection(endpoint.host, endpoint.port, timeout=min(CONNECT_SECONDS, seconds))
    try:
        connection.connect()
        connection.sock.settimeout(seconds)
        connection.request(
            request.method,
            quote(request.target.partition("#")[0], AS_WRITTEN),
            request.content,
            request.headers,
            encode_chunked="transfer-encoding" in request.headers,
        )
        answer = connection.getresponse()
        return Answer(answer.status, answer.reason, answer.headers, answer.read())
    except (OSError, HTTPException) as error:
        raise NoAnswerError(str(error) or type(error).__name__) from error
    finally:
        connection.close()
