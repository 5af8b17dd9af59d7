"""A client of the locustfile's own, for a service that the harness does not know."""

from __future__ import annotations

from collections.abc import Callable
from http.client import HTTPException
from typing import Protocol, TypeVar

from harness.seams.items import ItemRefusedError, ItemUnansweredError, content_hash

T = TypeVar("T")


class RefusedError(Exception):
    """To be raised by a client of the locustfile's own: the service said no, nothing was written."""


class OwnClient(Protocol):
    """What a locustfile brings along: how its application speaks to the service.

    A call returns when the service has acknowledged it. It raises ``RefusedError``, or an ``OSError`` or
    ``HTTPException`` when there was no answer; whatever else it raises is a mistake of the locustfile.
    """

    def put(self, collection: str, key: str, body: bytes) -> None:
        """Write an item, whether it is there or not."""
        ...

    def get(self, collection: str, key: str) -> bytes | None:
        """Its content; None when there is no such item."""
        ...

    def delete(self, collection: str, key: str) -> None:
        """Remove it."""
        ...


class OwnItems:
    """Items of a service, by a client of the locustfile's own; see ``harness.seams.items.ItemClient``.

    Args:
        client: the application's.
    """

    def __init__(self, client: OwnClient) -> None:
        self._client = client

    def put(self, collection: str, key: str, body: bytes) -> int:
        """Have it put, and tell the hash of what was put."""
        _told(lambda: self._client.put(collection, key, body))
        return content_hash(body)

    def get(self, collection: str, key: str) -> bytes | None:
        """What it gets."""
        return _told(lambda: self._client.get(collection, key))

    def delete(self, collection: str, key: str) -> int | None:
        """Look what is there, and have it deleted."""
        before = self.get(collection, key)
        if before is None:
            return None
        _told(lambda: self._client.delete(collection, key))
        return content_hash(before)

    def close(self) -> None:
        """Nothing is held: the client belongs to the locustfile."""


def _told(call: Callable[[], T]) -> T:
    try:
        return call()
    except (RefusedError, ConnectionRefusedError) as error:
        raise ItemRefusedError(str(error)) from error
    except (OSError, HTTPException) as error:
        raise ItemUnansweredError(str(error) or type(error).__name__) from error
