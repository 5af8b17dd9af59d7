"""What a bucket holds and how it is set, read through the replica's back door, which refuses nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from harness.facts import BACK_DOOR, Endpoint
from harness.seams.s3_client import open_client
from harness.seams.s3_items import Listed, list_versions

LOOK_SECONDS = 10.0
ABSENT = {
    "NoSuchBucket",
    "NoSuchKey",
    "NoSuchVersion",
    "NoSuchLifecycleConfiguration",
    "NoSuchObjectLockConfiguration",
    "ObjectLockConfigurationNotFoundError",
    "404",
}

T = TypeVar("T")


@dataclass(frozen=True)
class Versions:
    """All versions of one object.

    Attributes:
        contents: what tells the content of each version apart, by version id.
        current: the version that a reader gets who names none; None when there is no such object, or it
            is hidden behind a delete marker.
    """

    contents: Mapping[str, tuple[str, datetime]]
    current: str | None

    def changed(self, after: Versions) -> tuple[str, ...]:
        """Ids of the versions that are new, gone or other than they were, or that were hidden or shown."""
        known = {**self.contents, **after.contents}
        changed = {id for id in known if self.contents.get(id) != after.contents.get(id)}
        if self.current is None or after.current is None:
            changed |= {id for id in (self.current, after.current) if id is not None}
        return tuple(sorted(changed))


Everything = Mapping[str, Versions]
"""All versions of several objects, by key."""

NOTHING = Versions({}, None)
"""Of an object that is not there."""


class Witness:
    """Looks at the buckets of one endpoint.

    Raises:
        BotoCoreError: the server does not answer.
        ClientError: it answers with an error other than that there is no such thing.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._client = open_client(endpoint, endpoint.credentials[BACK_DOOR], timeout=LOOK_SECONDS)

    def versions(self, bucket: str, key: str) -> Versions:
        """All versions of one object; none when there is no such bucket."""

        def read() -> Versions:
            return _of_one(v for v in list_versions(self._client, bucket, key) if v.key == key)

        return _or(NOTHING, read)

    def everything(self, bucket: str, prefix: str) -> Everything:
        """All versions of every object below a prefix, by key; none when there is no such bucket."""

        def read() -> Everything:
            found: dict[str, list[Listed]] = {}
            for version in list_versions(self._client, bucket, prefix):
                found.setdefault(version.key, []).append(version)
            return {key: _of_one(versions) for key, versions in found.items()}

        return _or({}, read)

    def exists(self, bucket: str) -> bool:
        """Whether there is such a bucket."""
        return _or(False, lambda: bool(self._client.head_bucket(Bucket=bucket)))

    def versioning(self, bucket: str) -> str | None:
        """``Enabled``, ``Suspended`` or None."""
        return _or(None, lambda: self._client.get_bucket_versioning(Bucket=bucket).get("Status"))

    def lifecycle(self, bucket: str) -> object:
        """Its rules for what expires; None without."""
        return _or(None, lambda: self._client.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"])

    def retention(self, target: Mapping[str, Any]) -> object:
        """The lock of one version; None without.

        Args:
            target: ``Bucket``, ``Key`` and perhaps ``VersionId``.
        """
        return _or(None, lambda: self._client.get_object_retention(**target)["Retention"])


def _of_one(versions: Iterable[Listed]) -> Versions:
    held = [version for version in versions if not version.is_marker]
    return Versions(
        {version.id: (version.tag, version.modified) for version in held},
        next((version.id for version in held if version.is_latest), None),
    )


def _or(absent: T, read: Callable[[], T]) -> T:
    try:
        return read()
    except ClientError as error:
        if error.response["Error"]["Code"] in ABSENT:
            return absent
        raise
