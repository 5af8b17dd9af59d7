"""The condition keys of a call.

Source: IAM User Guide, "AWS global condition context keys", and the pages of the services in the Service
Authorization Reference. A key that is not here has no value, as with AWS when a call does not bring it: what
is signed with a long-lived key has no ``aws:MultiFactorAuthPresent``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from harness.replicas.aws.identities import Caller
from harness.replicas.aws.wire import ApiCall

Values = tuple[str, ...]


class Surroundings(Protocol):
    """What has to be known besides the call."""

    def now(self) -> Any: ...

    def tags(self, call: ApiCall) -> Mapping[str, str]: ...


def context_of(call: ApiCall, caller: Caller, around: Surroundings, address: str) -> Mapping[str, Values]:
    """The condition keys of a call with their values, names in lower case."""
    return {name.lower(): values for name, values in _keys(call, caller, around, address)}


def _keys(call: ApiCall, caller: Caller, around: Surroundings, address: str) -> Iterator[tuple[str, Values]]:
    now = around.now()
    yield "aws:PrincipalArn", (caller.arn,)
    yield "aws:PrincipalAccount", (caller.account,)
    yield "aws:PrincipalType", ("User",)
    yield "aws:username", (caller.principal,)
    yield "aws:RequestedRegion", (call.region,)
    yield "aws:SourceIp", (address,)
    # Real clients speak TLS to AWS; that the wire of this machine is bare is no property of the call.
    yield "aws:SecureTransport", ("true",)
    yield "aws:ViaAWSService", ("false",)
    yield "aws:CurrentTime", (now.isoformat(),)
    yield "aws:EpochTime", (str(int(now.timestamp())),)
    for key, value in around.tags(call).items():
        yield f"aws:ResourceTag/{key}", (value,)
        yield f"{call.service}:ResourceTag/{key}", (value,)
        if call.service == "rds":
            yield f"rds:db-tag/{key}", (value,)
    asked = _asked_tags(call.parameters)
    if asked:
        yield "aws:TagKeys", tuple(asked)
    for key, value in asked.items():
        yield f"aws:RequestTag/{key}", (value,)


def _asked_tags(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Tags that the call would set, whichever way its service writes them."""
    tags = parameters.get("Tags") or parameters.get("tags") or []
    return {
        str(tag.get("Key", tag.get("key"))): str(tag.get("Value", tag.get("value", "")))
        for tag in (tags if isinstance(tags, list) else [])
        if isinstance(tag, Mapping)
    }
