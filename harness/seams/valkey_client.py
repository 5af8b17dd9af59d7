"""The one place that opens Valkey clients, and items as an application keeps them in Valkey.

An item is a hash at ``<collection>:<key>`` with the fields ``body`` and ``at``, microseconds of its last
write: Valkey itself knows of no time of a key's last write.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import valkey
from valkey.exceptions import (
    AuthenticationError,
    NoPermissionError,
    ReadOnlyError,
    ResponseError,
    ValkeyError,
)

from harness.clock import SystemClock
from harness.facts import Credential, Endpoint
from harness.sandbox import LOOPBACK
from harness.seams.items import ItemRefusedError, ItemUnansweredError, content_hash

BODY, AT = b"body", b"at"
T = TypeVar("T")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
REFUSALS = (AuthenticationError, NoPermissionError, ReadOnlyError)
SECONDS = 5.0

Client = Any
"""A ``valkey.Valkey``, whose own annotations say that every answer may be one to be awaited."""


def connect(
    endpoint: Endpoint, credential: Credential | None, *, seconds: float = SECONDS, decode: bool = False
) -> Client:
    """A client of a replica; it connects when it is first used, and tries every call once.

    Args:
        endpoint: of a replica of kind ``valkey``.
        credential: whose; None for nobody's, which a server may admit.
        seconds: for connecting, and for each answer.
        decode: answer with text in place of bytes.
    """
    return valkey.Valkey(
        host=LOOPBACK,
        port=endpoint.port,
        username=credential.name if credential else None,
        password=credential.secret.reveal() if credential else None,
        socket_timeout=seconds,
        socket_connect_timeout=seconds,
        decode_responses=decode,
        retry_on_timeout=False,
        lib_name=None,
        lib_version=None,
    )


class ValkeyClient:
    """Items of a Valkey server.

    Args:
        endpoint: of kind ``valkey``.
        credential: as whom.
    """

    def __init__(self, endpoint: Endpoint, credential: Credential) -> None:
        self._client = connect(endpoint, credential)
        self._clock = SystemClock()

    def put(self, collection: str, key: str, body: bytes) -> int:
        """Write a hash; see ``harness.seams.items.ItemClient``."""
        fields = fields_of(body, self._clock.stamp().wall)
        self._call(lambda: self._client.hset(f"{collection}:{key}", mapping=fields))
        return hash_of(fields)

    def get(self, collection: str, key: str) -> bytes | None:
        """The field ``body``."""
        found = self._call(lambda: self._client.hget(f"{collection}:{key}", BODY.decode()))
        return found if isinstance(found, bytes) else None

    def delete(self, collection: str, key: str) -> int | None:
        """Delete the hash, and tell what it was in the same transaction."""
        name = f"{collection}:{key}"
        pipe = self._client.pipeline(transaction=True)
        pipe.hgetall(name)
        pipe.delete(name)
        fields, deleted = self._call(pipe.execute)
        return hash_of(fields) if deleted else None

    def close(self) -> None:
        """Close the connection. Idempotent."""
        self._client.close()

    def _call(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except (*REFUSALS, ResponseError) as error:
            raise ItemRefusedError(str(error)) from error
        except ValkeyError as error:
            raise ItemUnansweredError(str(error)) from error


def fields_of(body: bytes, at: datetime) -> dict[bytes, bytes]:
    """The fields of an item."""
    return {BODY: body, AT: b"%d" % ((at - EPOCH) // timedelta(microseconds=1))}


def hash_of(fields: dict[bytes, bytes]) -> int:
    """The hash of an item's body; of a hash that is no item, of all its fields, whatever their order."""
    if fields.keys() == {BODY, AT}:
        return content_hash(fields[BODY])
    return content_hash(b"".join(b"%d:%d:%s%s" % (len(k), len(v), k, v) for k, v in sorted(fields.items())))


def time_of(fields: dict[bytes, bytes]) -> datetime | None:
    """When an item was last written, as it says itself."""
    at = fields.get(AT, b"")
    return EPOCH + timedelta(microseconds=int(at)) if at.isdigit() and len(at) < 18 else None


def value_hash(client: Client, name: bytes) -> int | None:
    """The hash of what a key holds; None when it is not there.

    What has an order of the server's own is sorted. What is neither hash nor set counts with what DUMP says.
    """
    kind = client.type(name)
    if kind == b"hash":
        return hash_of(client.hgetall(name))
    if kind == b"set":
        members = sorted(client.smembers(name))
        return content_hash(b"".join(b"%d:%s" % (len(member), member) for member in members))
    dumped = client.dump(name)
    return None if dumped is None else content_hash(dumped)


def read_values(client: Client, collection: str) -> Iterator[tuple[str, int, datetime | None]]:
    """Key, hash and time of everything whose name begins with ``<collection>:``, in the order of their names.

    What is no hash has no time.
    """
    prefix = f"{collection}:".encode()
    for name in sorted(set(client.scan_iter(match=_literal(prefix) + b"*", count=1000))):
        key = name[len(prefix) :].decode("utf-8", "backslashreplace")
        if client.type(name) == b"hash":
            fields = client.hgetall(name)
            yield key, hash_of(fields), time_of(fields)
        elif (found := value_hash(client, name)) is not None:
            yield key, found, None


def _literal(text: bytes) -> bytes:
    """A pattern that matches the text itself."""
    return b"".join(b"\\" + bytes([c]) if c in b"*?[]^\\-" else bytes([c]) for c in text)
