"""Items as objects of a bucket: the object ``<collection>/<key>``, whose hash is that of its content.

An entity tag is no such hash: of an object that came in parts it is one of the parts. S3 dates an object
when it is put, so one of the past, or one that was restored, says in its metadata when it was last written,
under the name that rclone and s3fs use too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from harness.facts import Credential, Endpoint
from harness.seams.items import ItemRefusedError, ItemUnansweredError, content_hash, short_hash
from harness.seams.s3_client import open_client

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SECONDS = 5.0
READ_BYTES = 1 << 20
AT_ONCE = 8
"""Objects that are asked for side by side."""

MTIME = "mtime"
"""Metadata: seconds since 1970 of the last write."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
GONE = {"NoSuchKey", "NoSuchVersion", "404"}
UNVERSIONED = "null"
"""The id of the only version of an object in a bucket that keeps none."""

T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True)
class Listed:
    """One line of a bucket's list of versions.

    Attributes:
        key: of the object.
        id: of the version, or of the delete marker.
        modified: when it was put, in whole seconds of the server's clock.
        is_latest: nothing was put over it.
        is_marker: it hides the object, and has no content.
        size: bytes.
        tag: its entity tag.
    """

    key: str
    id: str
    modified: datetime
    is_latest: bool
    is_marker: bool
    size: int
    tag: str


class S3ItemClient:
    """Items of a bucket.

    Args:
        endpoint: of kind ``s3``.
        credential: as whom.
    """

    def __init__(self, endpoint: Endpoint, credential: Credential) -> None:
        self._client = open_client(endpoint, credential, timeout=SECONDS)
        self._bucket = endpoint.name

    def put(self, collection: str, key: str, body: bytes) -> int:
        """Put an object; see ``harness.seams.items.ItemClient``."""
        self._call(lambda: self._client.put_object(**self._target(collection, key), Body=body))
        return content_hash(body)

    def get(self, collection: str, key: str) -> bytes | None:
        """The content of the newest version; None when it is hidden or was never there."""
        return self._call(lambda: self._read(collection, key))

    def delete(self, collection: str, key: str) -> int | None:
        """Delete an object without naming a version: where versions are kept, it is hidden."""
        body = self.get(collection, key)
        if body is None:
            return None
        self._call(lambda: self._client.delete_object(**self._target(collection, key)))
        return content_hash(body)

    def close(self) -> None:
        """Nothing is held: clients are shared."""

    def _read(self, collection: str, key: str) -> bytes | None:
        try:
            with self._client.get_object(**self._target(collection, key))["Body"] as body:
                return body.read()
        except ClientError as error:
            if is_gone(error):
                return None
            raise

    def _target(self, collection: str, key: str) -> dict[str, Any]:
        return {"Bucket": self._bucket, "Key": f"{collection}/{key}"}

    def _call(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except ClientError as error:
            kind = ItemUnansweredError if _is_of_server(error) else ItemRefusedError
            raise kind(str(error)) from error
        except BotoCoreError as error:
            raise ItemUnansweredError(str(error)) from error


class ObjectReader:
    """Reads what a bucket holds. A version is read once: as long as its tag is the same, so is its content.

    Raises:
        BotoCoreError: the server does not answer.
        ClientError: it says no.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, str, str], tuple[int, datetime | None]] = {}

    def read(
        self, client: S3Client, bucket: str, collection: str, *, server: str
    ) -> Iterator[tuple[str, int, datetime]]:
        """Key, hash and time of every object of a collection, in the order of their names.

        What is gone by the time it is read is left out.

        Args:
            client: may read.
            bucket: that it lies in.
            collection: its name.
            server: tells the servers apart that were read by this reader.
        """
        prefix = f"{collection}/"
        current = [
            each for each in list_versions(client, bucket, prefix) if each.is_latest and not each.is_marker
        ]

        def look(listed: Listed) -> tuple[int, datetime | None] | None:
            place = (server, listed.key, listed.id, listed.tag)
            if place in self._known:
                return self._known[place]
            try:
                answer = client.get_object(Bucket=bucket, Key=listed.key, VersionId=listed.id)
            except ClientError as error:
                if is_gone(error):
                    return None
                raise
            found = _hash_of(answer["Body"]), time_noted(answer["Metadata"])
            if listed.id != UNVERSIONED:
                self._known[place] = found
            return found

        for listed, found in side_by_side(look, sorted(current, key=lambda each: each.key)):
            if found is not None:
                hash_, noted = found
                yield listed.key.removeprefix(prefix), hash_, noted or listed.modified


def list_versions(client: S3Client, bucket: str, prefix: str = "") -> Iterator[Listed]:
    """Every version and every delete marker below a prefix, page by page, sorted by key within a page.

    Of one key the newest version comes first, and so does the newest marker.

    Raises:
        BotoCoreError, ClientError: the server does not answer, or says no.
    """
    for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix):
        found = [
            Listed(
                item["Key"],
                item["VersionId"],
                item["LastModified"].astimezone(UTC),
                item["IsLatest"],
                False,
                item["Size"],
                item["ETag"],
            )
            for item in page.get("Versions", ())
        ]
        found += [
            Listed(
                item["Key"],
                item["VersionId"],
                item["LastModified"].astimezone(UTC),
                item["IsLatest"],
                True,
                0,
                "",
            )
            for item in page.get("DeleteMarkers", ())
        ]
        yield from sorted(found, key=lambda listed: listed.key)


def rank(listed: Listed) -> tuple[datetime, bool, bool]:
    """Of one key, what came later ranks higher, as far as whole seconds tell.

    Of a version and a marker of one second the latest ranks higher, and else the marker: the object is taken
    for one that was made and then removed.
    """
    return listed.modified, listed.is_latest, listed.is_marker


def side_by_side(call: Callable[[T], U], things: Iterable[T]) -> Iterator[tuple[T, U]]:
    """Each thing with what the call says of it, in the given order; a few calls at once."""
    wanted = list(things)
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="objects") as pool:
        yield from zip(wanted, pool.map(call, wanted), strict=True)


def is_gone(error: ClientError) -> bool:
    """Whether the answer is that there is no such object, or no such version of it."""
    return error.response["Error"]["Code"] in GONE


def noted_time(at: datetime) -> dict[str, str]:
    """Metadata that says when an object was last written."""
    micros = (at - EPOCH) // timedelta(microseconds=1)
    return {MTIME: f"{micros // 1_000_000}.{micros % 1_000_000:06}"}


def time_noted(metadata: Mapping[str, str]) -> datetime | None:
    """When an object was last written, as its metadata say; None when they say nothing of use."""
    seconds, _, fraction = metadata.get(MTIME, "").partition(".")
    if not (seconds.isdecimal() and len(seconds) < 12 and (fraction or "0").isdecimal()):
        return None
    micros = int(f"{fraction:0<6.6}" or "0")
    return EPOCH + timedelta(seconds=int(seconds), microseconds=micros)


def _hash_of(body: Any) -> int:
    digest = sha256()
    with body:
        while chunk := body.read(READ_BYTES):
            digest.update(chunk)
    return short_hash(digest.digest())


def _is_of_server(error: ClientError) -> bool:
    return bool(error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500)
