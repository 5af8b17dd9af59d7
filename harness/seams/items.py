"""Services that hold items: keys with a content that nobody looks into, in named collections.

Files in a folder, keys of a cache, files of a repository. Replicas, surfaces, backup tools and the workload
may not import each other, so what they agree on stands here: what an item is, what its hash is, and how a
client puts one.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from hashlib import sha256
from typing import NamedTuple, Protocol

from harness.facts import Credential, Endpoint, Fingerprint, TableFingerprint
from harness.journal.witness import table_digest


class Item(NamedTuple):
    """One item.

    Attributes:
        collection: what it lies in: a folder, a prefix, a branch.
        key: its name in there.
        body: its content.
        time: of its last write.
    """

    collection: str
    key: str
    body: bytes
    time: datetime


class ItemRefusedError(Exception):
    """The service said no: nothing was written."""


class ItemUnansweredError(Exception):
    """The answer never came: it may have been written."""


class ItemClient(Protocol):
    """A client of one service, as one of its principals. A call returns when the service acknowledges it.

    Every call raises ItemRefusedError or ItemUnansweredError.
    """

    def put(self, collection: str, key: str, body: bytes) -> int:
        """Write an item, whether it is there or not; returns its hash, as ``Store.rows`` tells it."""
        ...

    def get(self, collection: str, key: str) -> bytes | None:
        """Its content; None when there is no such item."""
        ...

    def delete(self, collection: str, key: str) -> int | None:
        """Remove it; returns the hash that it had, None when there was no such item."""
        ...

    def close(self) -> None:
        """Let go of what it holds. Idempotent."""
        ...


class ItemClientFactory(Protocol):
    """Makes the client of one principal on one endpoint; it connects when it is first used."""

    def __call__(self, endpoint: Endpoint, credential: Credential) -> ItemClient: ...


def content_hash(body: bytes) -> int:
    """The signed 64-bit hash of a content: the first bytes of its SHA-256."""
    return short_hash(sha256(body).digest())


def short_hash(digest: bytes) -> int:
    """The same, of a content whose SHA-256 is known."""
    return int.from_bytes(digest[:8], signed=True)


def fingerprint_of(
    collections: Iterable[tuple[str, Iterable[tuple[str, int, datetime | None]]]],
) -> Fingerprint:
    """The content of some collections, given each one's name and rows; an empty one counts as a table too.

    Keys count as contents do: the same contents under other names are another content.
    """
    found = []
    for name, rows in sorted(collections, key=lambda each: each[0]):
        hashes = [_keyed(key, hash_) for key, hash_, _ in rows]
        digest = table_digest(len(hashes), sum(hashes))
        found.append(TableFingerprint(table=name, rows=len(hashes), digest=digest))
    return Fingerprint(tables=tuple(found))


def _keyed(key: str, hash_: int) -> int:
    """The hash of an item, by its key and the hash of its content."""
    # A name of a file may hold bytes that are no UTF-8, which Python has as lone surrogates.
    return content_hash(key.encode("utf-8", "surrogatepass") + b"\0" + hash_.to_bytes(8, signed=True))
