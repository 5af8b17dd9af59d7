"""The APIs of an AWS account, as the ``aws`` command would call them.

A verb is an operation as the command spells it, after its service: ``rds-delete-db-instance``,
``ec2-delete-snapshot``, ``iam-put-user-policy``. The arguments are the operation's parameters under the names
of the API, and ``access_key`` with ``secret_key`` if the call is not signed with the principal's own pair.
The answer is JSON.

What became of it, and what it changed, is read from the account's own log, by the number of the request. A
call that the log does not know is ``failed``: it never arrived.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, ClassVar

from botocore import xform_name
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.parsers import ResponseParserError

from harness.clock import Clock
from harness.facts import Action, Credential, Destruction, Endpoint, Outcome, Secret
from harness.seams.aws_client import open_aws_client
from harness.surfaces.audit import AuditEntry, AuditLog
from harness.surfaces.aws_destruction import AWS_DESTRUCTION
from harness.surfaces.call import Call, UnmakeableCallError

SERVICES = ("rds", "ec2", "ecs", "elbv2", "iam", "sts", "backup", "rbin")
REQUEST_ID = "x-amzn-requestid"
CALL_SECONDS = 60.0
KEYS = ("access_key", "secret_key")


class AwsSurface:
    """One principal's access to one AWS account.

    Args:
        principal: whose keys are used; one without keys tries with a pair that nobody knows.
        endpoint: of kind ``aws``.
        clock: where stamps come from.
    """

    destructive: ClassVar[tuple[Destruction, ...]] = AWS_DESTRUCTION

    def __init__(self, principal: str, endpoint: Endpoint, clock: Clock) -> None:
        self._principal = principal
        self._endpoint = endpoint
        self._clock = clock
        self._audit = AuditLog(endpoint)

    def perform(self, action: Action, arguments: Mapping[str, object]) -> Outcome:
        """Make the call. Raises nothing: a call that cannot be made is ``failed``."""
        call = Call(self._endpoint, self._clock)
        try:
            service, operation = operation_of(action.verb)
            credential = self._credential(call, arguments)
        except UnmakeableCallError as error:
            return call.failed(str(error))
        parameters = {name: value for name, value in arguments.items() if name not in KEYS}
        before = self._audit.newest()
        call.begin()
        try:
            client = open_aws_client(service, self._endpoint, credential, timeout=CALL_SECONDS)
            answer = getattr(client, xform_name(operation))(**parameters)
        except ClientError as error:
            call.end()
            return self._complaint(call, error, before)
        except ParamValidationError:
            return call.failed(f"{operation} takes no such parameters: see the API reference of {service}")
        except (BotoCoreError, ResponseParserError, ValueError, TypeError, RecursionError) as error:
            call.end()
            return self._unanswered(call, error, before)
        call.end()
        told = answer.pop("ResponseMetadata")
        entries = self._entries(told, before)
        detail = f"{told['HTTPStatusCode']} {operation}"
        return call.done(detail, _json(answer), self._audit.touched(entries))

    def _credential(self, call: Call, arguments: Mapping[str, object]) -> Credential:
        given = tuple(arguments.get(name) for name in KEYS)
        if given == (None, None):
            own = self._endpoint.credentials.get(self._principal)
            return own or Credential(self._principal, "access-key", "AKIANOBODY", Secret.mint())
        key, secret = given
        if not isinstance(key, str) or not isinstance(secret, str):
            raise UnmakeableCallError("access_key and secret_key are text, and go together")
        call.shows(secret, key)
        return Credential(self._principal, "access-key", key, Secret(secret))

    def _complaint(self, call: Call, error: ClientError, before: int | None) -> Outcome:
        said: Mapping[str, Any] = error.response["Error"]
        told: Mapping[str, Any] = error.response["ResponseMetadata"]
        detail = f"{told['HTTPStatusCode']} {said.get('Code')}: {said.get('Message')}"
        text = _json({"status": told["HTTPStatusCode"], **said})
        entries = self._entries(told, before)
        touched = self._audit.touched(entries)
        if touched:
            return call.done(detail, text, touched)
        refused = any(entry.outcome == "refused" for entry in entries)
        return call.refused(detail, text) if refused else call.failed(detail, text)

    def _unanswered(self, call: Call, error: Exception, before: int | None) -> Outcome:
        """Whatever the log says of this principal since is this call's: it makes one at a time."""
        mine = [entry for entry in self._audit.since(before) if entry.principal == self._principal]
        detail, touched = f"no answer: {type(error).__name__}", self._audit.touched(mine)
        return call.done(detail, "", touched) if touched else call.failed(detail)

    def _entries(self, told: Mapping[str, Any], before: int | None) -> tuple[AuditEntry, ...]:
        id = told.get("HTTPHeaders", {}).get(REQUEST_ID)
        return tuple(entry for entry in self._audit.since(before) if id and entry.id == id)


def operation_of(verb: str) -> tuple[str, str]:
    """The service and the operation that a verb stands for.

    Raises:
        UnmakeableCallError: there is none.
    """
    service, _, name = verb.partition("-")
    if service not in SERVICES:
        raise UnmakeableCallError(f"aws has no service {service!r} here; there are {', '.join(SERVICES)}")
    operation = _operations(service).get(name)
    if operation is None:
        raise UnmakeableCallError(f"{service} has no operation {name!r}")
    return service, operation


@cache
def _operations(service: str) -> Mapping[str, str]:
    """The operations of a service by their names as the ``aws`` command spells them."""
    loader = Loader(extra_search_paths=[Loader.BUILTIN_DATA_PATH], include_default_search_paths=False)
    model = ServiceModel(loader.load_service_model(service, "service-2"), service)
    return {xform_name(name, "-"): name for name in _names(model)}


def _names(model: ServiceModel) -> Iterable[str]:
    names: Iterable[str] = model.operation_names
    return names


def _json(value: object) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)
