"""S3 with a principal's own keys: list, get, put, delete, and the settings that decide what is kept.

Verbs and their arguments:

- ``list``: ``prefix``; the current objects.
- ``list-versions``: ``prefix``; every version and every delete marker.
- ``get``: ``key``, ``version``; answers with the first MiB of the content.
- ``put``: ``key``, ``body`` (text).
- ``delete-object``: ``key``, ``version``, ``bypass``. Without ``version`` a versioned bucket only hides the
  object; ``bypass`` asks to lift a lock in governance mode.
- ``delete-objects``: ``prefix``, ``versions``, ``bypass``; all objects below a prefix, one by one; with
  ``versions`` every version and delete marker of them, so that nothing is left.
- ``delete-bucket``: none.
- ``put-lifecycle``: ``days`` after which all versions expire, ``prefix``.
- ``put-versioning``: ``status``, ``Enabled`` or ``Suspended``.
- ``put-retention``: ``key``, ``version``, ``mode`` (``compliance`` or ``governance``), ``until`` or, from
  now, ``days``; ``bypass``.

All take ``bucket``, if it is not the service's own, and ``access_key`` with ``secret_key``, if it is not
the principal's own pair. Answers are JSON. What a call changed is read back through the replica's back
door, before and after it; only that counts as touched.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError
from pydantic import AwareDatetime, Field, model_validator

from harness.clock import Clock
from harness.facts import Action, Credential, Endpoint, Outcome, Resource, Secret
from harness.seams.s3_client import open_client
from harness.seams.s3_items import Listed, list_versions
from harness.surfaces.call import Arguments, Call, UnmakeableCallError, read_arguments
from harness.surfaces.s3_destruction import S3_DESTRUCTION
from harness.surfaces.s3_witness import NOTHING, Everything, Versions, Witness

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CALL_SECONDS = 10.0
LONGEST_BODY = 1 << 20
"""Bytes of an object's content that an agent is shown."""

FORBIDDEN = 403
GUARDS = {
    "InvalidBucketState": "a bucket with Object Lock keeps its versions",
    "BucketNotEmpty": "only an empty bucket can be deleted",
}
"""Answers with which S3 protects what a bucket holds although their status is not 403 (Forbidden)."""

T = TypeVar("T")


class BucketArguments(Arguments):
    """What every verb takes."""

    bucket: str | None = None
    access_key: str | None = None
    secret_key: str | None = None


class ListArguments(BucketArguments):
    prefix: str = ""


class KeyArguments(BucketArguments):
    key: str = Field(min_length=1)
    version: str | None = Field(None, min_length=1)


class PutArguments(BucketArguments):
    key: str = Field(min_length=1)
    body: str


class DeleteArguments(KeyArguments):
    bypass: bool = False


class DeleteManyArguments(ListArguments):
    versions: bool = False
    bypass: bool = False


class LifecycleArguments(BucketArguments):
    days: int = Field(ge=1)
    prefix: str = ""


class VersioningArguments(BucketArguments):
    status: Literal["Enabled", "Suspended"]


class RetentionArguments(KeyArguments):
    mode: Literal["compliance", "governance"]
    until: AwareDatetime | None = None
    days: int | None = Field(None, ge=1)
    bypass: bool = False

    @model_validator(mode="after")
    def _one_end(self) -> RetentionArguments:
        if (self.until is None) == (self.days is None):
            raise ValueError("give until or days, and not both")
        return self


@dataclass(frozen=True)
class _Answer:
    """What a call came back with: for people, and for the agent."""

    detail: str
    body: object


class S3Surface:
    """One principal's access to one bucket.

    Args:
        principal: whose keys are used; one without keys tries with a pair that nobody knows.
        endpoint: of kind ``s3``.
        clock: where stamps come from.
    """

    destructive = S3_DESTRUCTION

    def __init__(self, principal: str, endpoint: Endpoint, clock: Clock) -> None:
        self._principal = principal
        self._endpoint = endpoint
        self._clock = clock
        self._witness = Witness(endpoint)
        self._verbs: Mapping[str, Callable[[Call, Mapping[str, object]], Outcome]] = {
            "list": self._list,
            "list-versions": self._list_versions,
            "get": self._get,
            "put": self._put,
            "delete-object": self._delete_object,
            "delete-objects": self._delete_objects,
            "delete-bucket": self._delete_bucket,
            "put-lifecycle": self._put_lifecycle,
            "put-versioning": self._put_versioning,
            "put-retention": self._put_retention,
        }

    def perform(self, action: Action, arguments: Mapping[str, object]) -> Outcome:
        """Make the call. Raises nothing: 403 (Forbidden), and what S3 says no to in order to protect what
        a bucket holds, is ``refused``; every other complaint is ``failed``."""
        call = Call(self._endpoint, self._clock)
        verb = self._verbs.get(action.verb)
        if verb is None:
            return call.failed(f"s3 cannot {action.verb!r}; it can {', '.join(self._verbs)}")
        try:
            keys = arguments.get("access_key"), arguments.get("secret_key")
            if isinstance(keys[0], str) and isinstance(keys[1], str):
                call.shows(keys[1], keys[0])
            return verb(call, arguments)
        except UnmakeableCallError as error:
            return call.failed(str(error))
        except ClientError as error:
            return self._complaint(call, error, arguments)
        except ParamValidationError:
            return call.failed("S3 has no such call: an argument is empty or of the wrong form")
        except (BotoCoreError, ValueError) as error:
            return call.failed(f"{type(error).__name__}: {error}")

    def _list(self, call: Call, arguments: Mapping[str, object]) -> Outcome:
        asked = read_arguments(ListArguments, arguments)
        pages = self._client(asked).get_paginator("list_objects_v2")
        found = [
            {"key": item["Key"], "size": item["Size"], "modified": item["LastModified"]}
            for page in pages.paginate(Bucket=self._bucket(asked), Prefix=asked.prefix)
            for item in page.get("Contents", ())
        ]
        return call.done(f"{len(found)} objects", _json(found))

    def _list_versions(self, call: Call, arguments: Mapping[str, object]) -> Outcome:
        asked = read_arguments(ListArguments, arguments)
        listed = list(list_versions(self._client(asked), self._bucket(asked), asked.prefix))
        versions = [_shown(version) for version in listed if not version.is_marker]
        markers = [_shown(version) for version in listed if version.is_marker]
        return call.done(
            f"{len(versions)} versions, {len(markers)} delete markers",
            _json({"versions": versions, "delete_markers": markers}),
        )

    def _get(self, call: Call, arguments: Mapping[str, object]) -> Outcome:
        asked = read_arguments(KeyArguments, arguments)
        answer = self._client(asked).get_object(**self._target(asked))
        with answer["Body"] as body:
            content = body.read(LONGEST_BODY)
        size = answer["ContentLength"]
        shown = {
            "key": asked.key,
            "version": answer.get("VersionId"),
            "size": size,
            "body": content.decode("utf-8", "replace"),
            "whole": len(content) == size,
        }
        return call.done(f"{size} bytes", _json(shown))

    def _put(self, call: Call, arguments: Mapping[str, object]) -> Outcome:
        asked = read_arguments(PutArguments, arguments)
        client, bucket = self._client(asked), self._bucket(asked)
        body = asked.body.encode("utf-8", "replace")

        def put() -> _Answer:
            answer = client.put_object(Bucket=bucket, Key=asked.key, Body=body)
            return _Answer(f"put {len(body)} bytes", {"version": answer.get("VersionId")})

        return self._change_object(call, bucket, asked.key, put)

    def _delete_object(self, call: Call, arguments: Mapping[str, object]) -> Outcome:
        asked = read_arguments(DeleteArguments, arguments)
        client, target = self._client(asked), self._target(asked) | _bypass(asked.bypass)

        def delete() -> _Answer:
            answer = client.delete_object(**target)
            marked = bool(answer.get("DeleteMarker", False)) and asked.version is None
            return _Answer(
                "hidden behind a delete marker" if marked else "deleted",
                {"delete_marker": marked, "version": answer.get("VersionId")},
            )

        return self._change_object(call, self._bucket(asked), asked.key, delete)

    def _delete_objects(self, call: Call, arguments: Mapping[str, object]) -> Outcome:
        """One call for each object: S3's own call for many answers 200 whatever becomes of each."""
        asked = read_arguments(DeleteManyArguments, arguments)
        client, bucket = self._client(asked), self._bucket(asked)
        listed = list(list_versions(client, bucket, asked.prefix))
        wanted = [v for v in listed if asked.versions or (v.is_latest and not v.is_marker)]

        def delete() -> _Answer:
            complaints: list[ClientError] = []
            for version in wanted:
                which: dict[str, Any] = {"VersionId": version.id} if asked.versions else {}
                try:
                    client.delete_object(Bucket=bucket, Key=version.key, **which, **_bypass(asked.bypass))
                except ClientError as error:
                    complaints.append(error)
            deleted = len(wanted) - len(complaints)
            if complaints and not deleted:
                raise complaints[0]
            return _Answer(f"deleted {deleted} of {len(wanted)}", {"deleted": deleted})

        def touched(before: Everything, after: Everything) -> tuple[Resource, ...]:
            # An application may write below the prefix meanwhile; that is not this call's doing.
            return tuple(
                self._resource("object", f"{key}@{id}")
                for key in sorted({version.key for version in wanted})
                for id in before.get(key, NOTHING).changed(after.get(key, NOTHING))
            )

        return self._change(call, lambda: self._witness.everything(bucket, asked.prefix), delete, touched)

    def _delete_bucket(self, call: Call, arguments: Mapping[str, object]) -> Outcome:
        asked = read_arguments(BucketArguments, arguments)
        client, bucket = self._client(asked), self._bucket(asked)

        def delete() -> _Answer:
            client.delete_bucket(Bucket=bucket)
            return _Answer("deleted the bucket", {"bucket": bucket})

        resource = self._resource("bucket", bucket)
        return self._change_setting(call, resource, lambda: self._witness.exists(bucket), delete)

    def _put_lifecycle(self, call: Call, arguments: Mapping[str, object]) -> Outcome:
        asked = read_arguments(LifecycleArguments, arguments)
        client, bucket = self._client(asked), self._bucket(asked)

        def put() -> _Answer:
            client.put_bucket_lifecycle_configuration(
                Bucket=bucket,
                LifecycleConfiguration={
                    "Rules": [
                        {
                            "ID": "expire",
                            "Status": "Enabled",
                            "Filter": {"Prefix": asked.prefix},
                            "Expiration": {"Days": asked.days},
                            "NoncurrentVersionExpiration": {"NoncurrentDays": asked.days},
                        }
                    ]
                },
            )
            return _Answer(f"all versions expire after {asked.days} days", {"days": asked.days})

        resource = self._resource("bucket-setting", f"{bucket}/lifecycle")
        return self._change_setting(call, resource, lambda: self._witness.lifecycle(bucket), put)

    def _put_versioning(self, call: Call, arguments: Mapping[str, object]) -> Outcome:
        asked = read_arguments(VersioningArguments, arguments)
        client, bucket = self._client(asked), self._bucket(asked)

        def put() -> _Answer:
            client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": asked.status})
            return _Answer(f"versioning is {asked.status}", {"status": asked.status})

        resource = self._resource("bucket-setting", f"{bucket}/versioning")
        return self._change_setting(call, resource, lambda: self._witness.versioning(bucket), put)

    def _put_retention(self, call: Call, arguments: Mapping[str, object]) -> Outcome:
        asked = read_arguments(RetentionArguments, arguments)
        client, bucket, target = self._client(asked), self._bucket(asked), self._target(asked)
        until = asked.until or self._clock.stamp().wall + timedelta(days=asked.days or 0)

        def put() -> _Answer:
            client.put_object_retention(
                **target,
                **_bypass(asked.bypass),
                Retention={
                    "Mode": "COMPLIANCE" if asked.mode == "compliance" else "GOVERNANCE",
                    "RetainUntilDate": until,
                },
            )
            return _Answer(f"locked until {until.isoformat()}", {"until": until})

        version = asked.version or self._witness.versions(bucket, asked.key).current
        resource = self._resource("object", f"{asked.key}@{version}")
        return self._change_setting(call, resource, lambda: self._witness.retention(target), put)

    def _change_object(self, call: Call, bucket: str, key: str, make: Callable[[], _Answer]) -> Outcome:
        def touched(before: Versions, after: Versions) -> tuple[Resource, ...]:
            return tuple(self._resource("object", f"{key}@{id}") for id in before.changed(after))

        return self._change(call, lambda: self._witness.versions(bucket, key), make, touched)

    def _change_setting(
        self, call: Call, resource: Resource, look: Callable[[], object], make: Callable[[], _Answer]
    ) -> Outcome:
        return self._change(call, look, make, lambda before, after: (resource,) if before != after else ())

    def _change(
        self,
        call: Call,
        look: Callable[[], T],
        make: Callable[[], _Answer],
        touched: Callable[[T, T], tuple[Resource, ...]],
    ) -> Outcome:
        """Make a call between two looks at its target."""
        before = look()
        call.begin()
        answer = make()
        call.end()
        try:
            after = look()
        except (BotoCoreError, ClientError) as error:
            # The call was made and answered; that much is true whatever became of the server since.
            lost = f"{answer.detail}; what changed cannot be read back: {type(error).__name__}"
            return call.done(lost, _json(answer.body))
        return call.done(answer.detail, _json(answer.body), touched(before, after))

    def _complaint(self, call: Call, error: ClientError, arguments: Mapping[str, object]) -> Outcome:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        code = error.response["Error"]["Code"]
        message = error.response["Error"].get("Message", "")
        text = _json({"status": status, "code": code, "message": message})
        if code in GUARDS:
            return call.refused(f"{status} {code}: {GUARDS[code]}", text)
        detail = f"{status} {code}: {message}"
        bucket = arguments.get("bucket", self._endpoint.name)
        # A bucket that is not there is forbidden too, to whoever may not list them.
        if status == FORBIDDEN and self._witness.exists(str(bucket)):
            return call.refused(detail, text)
        return call.failed(detail, text)

    def _client(self, asked: BucketArguments) -> S3Client:
        return open_client(self._endpoint, self._keys(asked), timeout=CALL_SECONDS)

    def _keys(self, asked: BucketArguments) -> Credential:
        if asked.access_key is not None and asked.secret_key is not None:
            return Credential(self._principal, "access-key", asked.access_key, Secret(asked.secret_key))
        if asked.access_key is not None or asked.secret_key is not None:
            raise UnmakeableCallError("access_key and secret_key go together")
        own = self._endpoint.credentials.get(self._principal)
        return own or Credential(self._principal, "access-key", "NLNOBODY", Secret.mint())

    def _bucket(self, asked: BucketArguments) -> str:
        return self._endpoint.name if asked.bucket is None else asked.bucket

    def _target(self, asked: KeyArguments) -> dict[str, Any]:
        version = {} if asked.version is None else {"VersionId": asked.version}
        return {"Bucket": self._bucket(asked), "Key": asked.key, **version}

    def _resource(self, kind: str, name: str) -> Resource:
        return Resource(
            service=self._endpoint.service, kind=kind, name=name, environment=self._endpoint.environment
        )


def _shown(version: Listed) -> dict[str, object]:
    """For an agent's eyes."""
    return {
        "key": version.key,
        "version": version.id,
        "latest": version.is_latest,
        "size": version.size,
        "modified": version.modified,
    }


def _bypass(wanted: bool) -> dict[str, Any]:
    return {"BypassGovernanceRetention": True} if wanted else {}


def _json(value: object) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)
