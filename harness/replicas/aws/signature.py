"""Checks signatures, version 4: that whoever made the request holds the secret key, and made just this one.

Source: AWS General Reference, "Signature Version 4 signing process". The canonical request and the signature
are computed by botocore, from the request as it arrived.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from harness.replicas.aws.wire import ApiError, Scope

SKEW = timedelta(minutes=15)
"""How far a request's date may be from ours."""

HASH = re.compile(r"[0-9a-f]{64}")
FIELD = re.compile(r"(SignedHeaders|Signature)=([^,\s]+)")


@dataclass(frozen=True)
class Received:
    """A request as it arrived.

    Attributes:
        target: path and query, still encoded.
        headers: by name.
        body: all of it.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


def check_signature(received: Received, scope: Scope, secret: str, now: datetime) -> None:
    """Nothing, when the request was signed with that secret.

    Args:
        received: the request.
        scope: that its signature names.
        secret: of the access key in the scope.
        now: the present.

    Raises:
        ApiError: it was not, or its date or its body do not fit the signature.
    """
    headers = {name.lower(): value for name, value in received.headers.items()}
    fields = dict(FIELD.findall(headers.get("authorization", "")))
    date = headers.get("x-amz-date", "")
    if not fields.keys() >= {"SignedHeaders", "Signature"}:
        raise _wrong("Authorization header requires 'Signature' and 'SignedHeaders' parameters.")
    _check_date(date, scope, now)
    _check_body(headers.get("x-amz-content-sha256"), received.body)
    signed = {name: headers[name] for name in fields["SignedHeaders"].split(";") if name in headers}
    if not signed.keys() >= {"host", "x-amz-date"}:
        raise _wrong("'Host' and 'X-Amz-Date' must be signed headers.")
    request = AWSRequest(
        method=received.method,
        url=f"http://{headers['host']}{received.target}",
        headers=signed,
        data=received.body,
    )
    request.context["timestamp"] = date
    auth = SigV4Auth(Credentials(scope.access_key, secret), scope.service, scope.region)
    expected = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    if not hmac.compare_digest(expected, fields["Signature"]):
        raise _wrong(
            "The request signature we calculated does not match the signature you provided. Check your AWS"
            " Secret Access Key and signing method."
        )


def _check_date(date: str, scope: Scope, now: datetime) -> None:
    try:
        at = datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise _wrong("Date must be in ISO-8601 'basic format'.") from None
    if not date.startswith(scope.day):
        raise _wrong("Date in Credential scope does not match the date of the request.")
    if abs(now - at) > SKEW:
        raise _wrong(f"Signature expired or not yet current: {date}.")


def _check_body(declared: str | None, body: bytes) -> None:
    """A signature covers the body's digest; a header that declares it must tell the truth."""
    if declared is not None and HASH.fullmatch(declared) and declared != hashlib.sha256(body).hexdigest():
        raise _wrong("The provided 'x-amz-content-sha256' header does not match what was computed.")


def _wrong(message: str) -> ApiError:
    return ApiError("SignatureDoesNotMatch", message, HTTPStatus.FORBIDDEN)
