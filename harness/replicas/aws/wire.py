"""One call on an AWS API as it comes over the wire, and its answer.

Requests are parsed and answers written by moto's own parsers and serialisers, which are made from the models
that AWS publishes with botocore; so what an SDK or the ``aws`` command sends is understood whatever the
service's protocol is.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from botocore.model import OperationNotFoundError
from moto.core.model import OperationModel
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import Request as MotoRequest
from moto.core.request import determine_request_protocol
from moto.core.routing import NotFound, get_service_router
from moto.core.serialize import get_serializer_class
from moto.core.utils import get_service_model
from werkzeug.wrappers import Response

SCOPE = re.compile(r"Credential=([^/,\s]+)/(\d{8})/([a-z0-9-]+)/([a-z0-9-]+)/aws4_request")
MODELS = {
    "rds": "rds",
    "ec2": "ec2",
    "ecs": "ecs",
    "elasticloadbalancing": "elbv2",
    "iam": "iam",
    "sts": "sts",
    "backup": "backup",
    "rbin": "rbin",
}
"""The services that there are: the name in a signature, and the name of botocore's model."""

DENIED = {"ec2": "UnauthorizedOperation", "rds": "AccessDenied", "iam": "AccessDenied", "sts": "AccessDenied"}
"""How a service words that IAM says no; the others say ``AccessDeniedException`` (their API references,
"Common Errors")."""


class ApiError(Exception):
    """The answer of a call that was not carried out.

    Attributes:
        code, message: as an SDK shows them.
        status: of the HTTP answer.
        refused: a guard said no; otherwise the call made no sense, or was aimed at what is not there.
    """

    def __init__(
        self, code: str, message: str, status: int = HTTPStatus.BAD_REQUEST, *, refused: bool = False
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.status, self.refused = code, message, status, refused


@dataclass(frozen=True)
class ApiCall:
    """One call.

    Attributes:
        service: as IAM policies name it.
        operation: ``DeleteDBInstance``.
        parameters: under the names of the API.
        region: that it is signed for.
        access_key: id of the key that it is signed with; whether it is right is not known here.
        model: of the operation.
        content_type: of the request; decides the protocol of the answer.
    """

    service: str
    operation: str
    parameters: Mapping[str, Any]
    region: str
    access_key: str
    model: OperationModel
    content_type: str

    @property
    def name(self) -> str:
        """``rds.DeleteDBInstance``."""
        return f"{self.service}.{self.operation}"

    def get(self, parameter: str, default: Any = None) -> Any:
        """The value of a parameter."""
        return self.parameters.get(parameter, default)

    def answer(self, result: Mapping[str, Any] | ApiError) -> Response:
        """What the caller gets."""
        protocol = determine_request_protocol(self.model.service_model, self.content_type)
        serializer = get_serializer_class(self.model.service_model.service_name, protocol)
        with warnings.catch_warnings(action="ignore"):  # common errors are in no service's model
            written = serializer(self.model).serialize(result)
        if isinstance(result, ApiError):
            written["status_code"] = int(result.status)
        return Response(written["body"], written["status_code"], written["headers"])


@dataclass(frozen=True)
class Scope:
    """What a signature says of itself."""

    access_key: str
    day: str
    region: str
    service: str


def read_scope(authorization: str) -> Scope:
    """The scope of a signature, version 4.

    Raises:
        ApiError: there is none.
    """
    match = SCOPE.search(authorization)
    if match is None:
        raise ApiError(
            "MissingAuthenticationToken",
            "The request must contain a valid (registered) AWS access key ID.",
            HTTPStatus.FORBIDDEN,
        )
    return Scope(match[1], match[2], match[3], match[4])


def read_call(request: MotoRequest, scope: Scope) -> ApiCall:
    """Make sense of a request.

    Raises:
        ApiError: the service or the operation is unknown, or the body cannot be read.
    """
    if scope.service not in MODELS:
        raise ApiError(
            "NotImplemented", f"this replica has no service {scope.service}", HTTPStatus.NOT_IMPLEMENTED
        )
    service_model = get_service_model(MODELS[scope.service])
    operation, uri_parameters = _operation(request, MODELS[scope.service])
    try:
        model = service_model.operation_model(operation)
    except OperationNotFoundError:
        raise ApiError("InvalidAction", f"The action {operation} is not valid for this endpoint.") from None
    content_type = request.content_type or ""
    protocol = determine_request_protocol(service_model, content_type)
    try:
        parameters = PROTOCOL_PARSERS[protocol](model).parse(
            {
                "method": request.method,
                "values": request.values,
                "headers": request.headers,
                "body": request.data,
                "url_path": request.path,
                "url_params": uri_parameters,
            }
        )
    except Exception as error:
        raise ApiError("ValidationError", f"the request cannot be read: {type(error).__name__}") from error
    return ApiCall(
        scope.service, operation, parameters or {}, scope.region, scope.access_key, model, content_type
    )


def _operation(request: MotoRequest, service: str) -> tuple[str, Mapping[str, Any]]:
    if request.values.get("Action"):
        return str(request.values["Action"]), {}
    target = request.headers.get("X-Amz-Target")
    if target:
        return target.rpartition(".")[2], {}
    try:
        operation, uri_parameters = get_service_router(service).match(request)
    except (NotFound, NotImplementedError):
        raise ApiError(
            "UnknownOperationException", "there is no such operation", HTTPStatus.NOT_FOUND
        ) from None
    return str(operation.name), uri_parameters
