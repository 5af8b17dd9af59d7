"""Dated, locked objects in an S3 service: how backup tools write them, find what is left, and read it.

A key may have many versions. One that was overwritten or hidden behind a delete marker still exists and
can be read by its id, so what counts as left is every version that is listed, not what a reader without
an id would get.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING, Any, Literal, Protocol, cast

from botocore.exceptions import BotoCoreError, ClientError

from harness.backups.lifecycle import first_of, gone_at
from harness.errors import BackupError, HarnessError, RestoreError
from harness.facts import OPERATOR, Endpoint
from harness.seams.s3_client import open_client
from harness.seams.s3_items import UNVERSIONED, Listed, list_versions

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import DefaultRetentionTypeDef, ObjectLockRetentionTypeDef

    # For types only: the shipper's process starts in half the time without them.
    from harness.scenario.models import Lock
    from harness.seams.drivers import Setting

READ_BYTES = 1 << 20
ONE_PIECE_BYTES = 32 << 20
PART_BYTES = 16 << 20
"""Larger files go up in parts, two at a time: that is all that is ever held in memory."""


@dataclass(frozen=True)
class Retention:
    """An Object Lock: who may lift it, and until when it holds."""

    mode: str
    until: datetime

    @classmethod
    def of(cls, lock: Lock | None, taken: datetime, now: datetime) -> Retention | None:
        """The lock of something taken at ``taken``; None without one, or when it has run out already."""
        return None if lock is None else cls.lasting(lock.mode, lock.for_, taken, now)

    @classmethod
    def lasting(cls, mode: str, length: timedelta, taken: datetime, now: datetime) -> Retention | None:
        """A lock from ``taken`` on; None when it has run out already, which S3 would not accept."""
        return cls(mode.upper(), taken + length) if taken + length > now else None

    def as_arguments(self) -> dict[str, Any]:
        """For a call that puts an object."""
        return {"ObjectLockMode": self.mode, "ObjectLockRetainUntilDate": self.until}


@dataclass(frozen=True)
class StoredVersion:
    """One version of one object that exists.

    Attributes:
        key: of the object.
        id: of the version; ``null`` in a bucket that keeps none.
        size: bytes.
        tag: its entity tag; for an object put in one piece the MD5 of its content, in hex.
        modified: when it was put, by the server's clock.
        hidden: when a newer version or a deletion was put over it, by that clock; None for the newest.
    """

    key: str
    id: str
    size: int
    tag: str
    modified: datetime
    hidden: datetime | None = None

    @property
    def name(self) -> str:
        """``key@id``, as inventories call it."""
        return f"{self.key}@{self.id}"


@dataclass(frozen=True)
class Doom:
    """What the lifecycle rules of a bucket will do.

    Attributes:
        rules: as the store listed them.
    """

    rules: Sequence[Mapping[str, Any]]

    def at(self, versions: Iterable[StoredVersion], put: datetime | None = None) -> datetime | None:
        """When the rules will have deleted the first of some versions; None when they never do.

        Args:
            versions: which ones.
            put: when they were put in scenario time; None for the store's own dates.
        """
        return first_of(
            gone_at(
                self.rules,
                one.key,
                put or one.modified,
                versioned=one.id != UNVERSIONED,
                hidden=one.hidden,
            )
            for one in versions
        )


@dataclass(frozen=True)
class ObjectFacts:
    """What an object says of itself.

    Attributes:
        metadata: what its writer noted with it.
        retention: its lock, run out or not.
    """

    metadata: Mapping[str, str]
    retention: Retention | None

    def locked_until(self, now: datetime) -> datetime | None:
        """Until when nobody at all can delete it. A lock in governance mode can be lifted, so it is none."""
        if self.retention is None or self.retention.mode != "COMPLIANCE" or self.retention.until <= now:
            return None
        return self.retention.until


class _Body(Protocol):
    def read(self, amount: int | None = ..., /) -> bytes: ...


@dataclass(frozen=True)
class Arriving:
    """A version of an object as it begins to arrive.

    Attributes:
        metadata: what its writer noted with it.
        size: bytes.
        body: its content.
    """

    metadata: Mapping[str, str]
    size: int
    body: _Body


class ObjectStore:
    """One bucket, as its operator sees it.

    Args:
        endpoint: of kind ``s3``.

    Raises:
        BackupError: it cannot be written or listed.
        RestoreError: something in it cannot be read back as it was written.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._client: S3Client = open_client(endpoint, endpoint.credentials[OPERATOR])
        self._bucket = endpoint.name
        self._service = endpoint.service

    def put_file(
        self, path: Path, key: str, metadata: Mapping[str, str], retention: Retention | None
    ) -> StoredVersion:
        """Write a file of any size, in parts, and look whether it is there."""
        extra = {"Metadata": dict(metadata), **(retention.as_arguments() if retention else {})}
        with self._writing(key):
            with path.open("rb") as file:
                self._upload(file, path.stat().st_size, key, extra)
            head = self._client.head_object(Bucket=self._bucket, Key=key)
        if head["ContentLength"] != path.stat().st_size or head["Metadata"] != dict(metadata):
            raise BackupError(
                f"{key} in {self._service} is not what was written to it",
                hint="something else writes to that key; give the protection a name of its own",
            )
        return StoredVersion(
            key,
            head.get("VersionId", UNVERSIONED),
            head["ContentLength"],
            _plain(head["ETag"]),
            head["LastModified"],
        )

    def put(self, content: bytes, key: str, metadata: Mapping[str, str], retention: Retention | None) -> str:
        """Write a small object in one piece; returns the id of its version."""
        extra = retention.as_arguments() if retention else {}
        with self._writing(key):
            answer = self._client.put_object(
                Bucket=self._bucket, Key=key, Body=content, Metadata=dict(metadata), **extra
            )
        return answer.get("VersionId", UNVERSIONED)

    def hide(self, key: str) -> None:
        """Delete an object without naming a version."""
        with self._writing(key):
            self._client.delete_object(Bucket=self._bucket, Key=key)

    def remove(self, key: str, version: str) -> None:
        """Delete one version for good."""
        with self._writing(key):
            self._client.delete_object(Bucket=self._bucket, Key=key, VersionId=version)

    def retain(self, version: StoredVersion, retention: Retention) -> None:
        """Lock one version that is there."""
        told: ObjectLockRetentionTypeDef = {
            "Mode": cast("Literal['COMPLIANCE', 'GOVERNANCE']", retention.mode),
            "RetainUntilDate": retention.until,
        }
        with self._writing(version.key):
            self._client.put_object_retention(
                Bucket=self._bucket, Key=version.key, VersionId=version.id, Retention=told
            )

    def retain_by_default(self, mode: str, days: int) -> None:
        """Have the bucket lock whatever is put from now on without a lock of its own.

        Args:
            mode: ``COMPLIANCE`` or ``GOVERNANCE``.
            days: from the moment in which it is put.
        """
        retention: DefaultRetentionTypeDef = {
            "Mode": cast("Literal['COMPLIANCE', 'GOVERNANCE']", mode),
            "Days": days,
        }
        with self._writing("its default lock"):
            self._client.put_object_lock_configuration(
                Bucket=self._bucket,
                ObjectLockConfiguration={
                    "ObjectLockEnabled": "Enabled",
                    "Rule": {"DefaultRetention": retention},
                },
            )

    def versions(self, prefix: str) -> tuple[StoredVersion, ...]:
        """Every version below ``prefix`` that exists, overwritten and hidden ones too, newest first.

        A bucket that is gone holds none.
        """
        with self._asking(prefix, BackupError):
            try:
                found = list(self._list(prefix))
            except ClientError as error:
                if error.response["Error"]["Code"] != "NoSuchBucket":
                    raise
                return ()
        # Listings give whole seconds; within one key the server lists the newest first.
        return tuple(sorted(found, key=lambda version: version.modified, reverse=True))

    def facts(self, version: StoredVersion) -> ObjectFacts:
        """Metadata and lock of one version."""
        with self._asking(version.key, BackupError):
            head = self._client.head_object(Bucket=self._bucket, Key=version.key, VersionId=version.id)
        mode, until = head.get("ObjectLockMode"), head.get("ObjectLockRetainUntilDate")
        return ObjectFacts(head["Metadata"], Retention(mode, until) if mode and until else None)

    def doom(self) -> Doom:
        """What the bucket's lifecycle rules will do, as they are now."""
        with self._asking("the lifecycle rules", BackupError):
            try:
                return Doom(self._client.get_bucket_lifecycle_configuration(Bucket=self._bucket)["Rules"])
            except ClientError as error:
                if error.response["Error"]["Code"] not in ("NoSuchLifecycleConfiguration", "NoSuchBucket"):
                    raise
                return Doom(())

    def read(self, version: StoredVersion) -> bytes:
        """A small object as a whole."""
        with self.open(version) as body:
            return body.read()

    @contextmanager
    def open(self, version: StoredVersion) -> Iterator[_Body]:
        """The content of any size, as it arrives."""
        with self.arriving(version.key, version.id) as arriving:
            yield arriving.body

    def everything(self) -> tuple[Listed, ...]:
        """Every version and every delete marker in the bucket; none when it is gone."""
        with self._asking("the versions", BackupError):
            try:
                return tuple(list_versions(self._client, self._bucket))
            except ClientError as error:
                if error.response["Error"]["Code"] != "NoSuchBucket":
                    raise
                return ()

    @contextmanager
    def arriving(self, key: str, version: str) -> Iterator[Arriving]:
        """One version of an object, of which nothing has been read yet but what it says of itself.

        Whoever does not want its content leaves the block, and the rest is not sent.
        """
        with self._asking(key, RestoreError):
            answer = self._client.get_object(Bucket=self._bucket, Key=key, VersionId=version)
            with answer["Body"] as body:
                yield Arriving(answer["Metadata"], answer["ContentLength"], body)

    def take_over(
        self,
        arriving: Arriving,
        name: str,
        describe: Callable[[Mapping[str, str], str], Mapping[str, str]],
        retention: Retention | None = None,
    ) -> None:
        """Put what arrives from another store, whatever its size.

        Args:
            arriving: from ``arriving`` of the other store.
            name: of the object here.
            describe: gives its metadata here, from those that it had there and the SHA-256 of its content in
                hex. What it raises keeps the object from being put.
            retention: of the object here.
        """
        content = DigestingReader(arriving.body)
        if arriving.size <= ONE_PIECE_BYTES:
            # A body that is a file would be sent in pieces of a few kilobytes.
            whole = content.read(None)
            self.put(whole, name, describe(arriving.metadata, content.hexdigest()), retention)
            return
        with SpooledTemporaryFile(max_size=ONE_PIECE_BYTES) as spool:
            while chunk := content.read(READ_BYTES):
                spool.write(chunk)
            metadata = dict(describe(arriving.metadata, content.hexdigest()))
            extra = {"Metadata": metadata, **(retention.as_arguments() if retention else {})}
            size = spool.tell()
            spool.seek(0)
            with self._writing(name):
                self._upload(spool, size, name, extra)

    def copy(
        self,
        key: str,
        version: str,
        into: ObjectStore,
        name: str,
        describe: Callable[[Mapping[str, str], str], Mapping[str, str]],
        retention: Retention | None = None,
    ) -> None:
        """Put one version of an object into another store; see ``take_over``.

        Args:
            key: of the object.
            version: its id.
            into: the other store.
            name, describe, retention: of the object there.
        """
        with self.arriving(key, version) as arriving:
            into.take_over(arriving, name, describe, retention)

    def fetch(self, version: StoredVersion, path: Path) -> str:
        """Write the content to a file; returns its SHA-256 in hex."""
        with self.open(version) as body, path.open("wb") as file:
            digesting = DigestingReader(body)
            while chunk := digesting.read(READ_BYTES):
                file.write(chunk)
        return digesting.hexdigest()

    def _upload(self, file: IO[bytes], size: int, key: str, extra: dict[str, Any]) -> None:
        if size <= ONE_PIECE_BYTES:
            self._client.put_object(Bucket=self._bucket, Key=key, Body=file, **extra)
            return
        from s3transfer.manager import TransferConfig, TransferManager

        config = TransferConfig(multipart_chunksize=PART_BYTES, max_request_concurrency=2)
        with TransferManager(self._client, config) as manager:
            manager.upload(file, self._bucket, key, extra_args=extra).result()

    def _list(self, prefix: str) -> Iterator[StoredVersion]:
        pages = self._client.get_paginator("list_object_versions")
        found: list[Any] = []
        put: dict[str, list[datetime]] = {}
        for page in pages.paginate(Bucket=self._bucket, Prefix=prefix):
            found += page.get("Versions", ())
            for item in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
                put.setdefault(item["Key"], []).append(item["LastModified"])
        for item in found:
            key, modified, tag = item["Key"], item["LastModified"], _plain(item["ETag"])
            if item["VersionId"] == UNVERSIONED and (not tag or "-" in tag):
                # Where no versions are kept, SeaweedFS lists the tag of its own chunks instead.
                tag = _plain(self._client.head_object(Bucket=self._bucket, Key=key)["ETag"])
            later = [date for date in put[key] if date > modified]
            hidden = None if item["IsLatest"] else min(later, default=modified)
            yield StoredVersion(key, item["VersionId"], item["Size"], tag, modified, hidden)

    @contextmanager
    def _writing(self, key: str) -> Iterator[None]:
        try:
            yield
        except (BotoCoreError, ClientError, OSError) as error:
            raise BackupError(
                f"cannot write {key} to {self._service}: {error}",
                hint="a lock needs a service with `object_lock: true`; otherwise, is the service still up?",
            ) from error

    @contextmanager
    def _asking(self, key: str, kind: Callable[..., HarnessError]) -> Iterator[None]:
        try:
            yield
        except (BotoCoreError, ClientError) as error:
            raise kind(
                f"cannot read {key} from {self._service}: {error}",
                hint="it has been deleted, or the service is down; see what else is left",
            ) from error


class DigestingReader:
    """Passes on what it reads, and computes its SHA-256 on the way."""

    def __init__(self, source: _Body) -> None:
        self._source = source
        self._hash = hashlib.sha256()

    def read(self, amount: int | None = READ_BYTES) -> bytes:
        """Up to ``amount`` bytes, all that is left for None; none at the end."""
        chunk = self._source.read(amount)
        self._hash.update(chunk)
        return chunk

    def drain(self) -> None:
        """Read to the end."""
        while self.read():
            pass

    def hexdigest(self) -> str:
        """Of everything read so far."""
        return self._hash.hexdigest()


def store_of(place: str, setting: Setting) -> ObjectStore:
    """The store that a protection writes to.

    Raises:
        BackupError: the stack has no such S3 service.
    """
    endpoint = setting.peers.get(place)
    if endpoint is None or endpoint.kind != "s3":
        raise BackupError(
            f"backups cannot be written to {place}: it is not an S3 service of this stack",
            hint="`to:` names a service with `kind: s3`",
        )
    return ObjectStore(endpoint)


def date_text(at: datetime) -> str:
    """A date as it stands in keys and metadata: ISO 8601, UTC, microseconds, so that names sort by time."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def digest_of(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _plain(tag: str) -> str:
    return tag.strip('"')
