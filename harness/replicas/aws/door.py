"""The life of a call: who signed it, may they, does AWS do it, do it, and write down what changed."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from http import HTTPStatus
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

from moto.core.request import Request as MotoRequest
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.wrappers import Response

from harness.facts import BACK_DOOR_HEADER
from harness.replicas.aws.arns import resources_of
from harness.replicas.aws.audit import Result, changes
from harness.replicas.aws.context import context_of
from harness.replicas.aws.identities import Caller
from harness.replicas.aws.memory import PlaneMemory
from harness.replicas.aws.operations import OPERATIONS
from harness.replicas.aws.plane import Plane
from harness.replicas.aws.policy import Asked, Decision, decide
from harness.replicas.aws.signature import Received
from harness.replicas.aws.wire import ApiCall, ApiError, Scope, read_call, read_scope
from harness.replicas.freezing import FreezeError
from harness.replicas.handover import digest

LOG = logging.getLogger(__name__)
BACK_DOOR_PATH = "/_replica/"
MOTO_PATHS = ("/moto-api", "/latest/")
"""Where moto has doors of its own, by which everything could be reset. AWS has none."""

REQUEST_ID = "x-amzn-RequestId"
WHO_AM_I = "sts.GetCallerIdentity"
"""AWS STS API Reference, GetCallerIdentity: no permissions are required, and a deny does not count."""

Environ = dict[str, Any]
Wish = Literal["keep", "end"]
"""Keep this process as it is, and go on in a child of it; end, so that another child takes over."""


class FrontDoor:
    """The WSGI application in front of moto's.

    It is called once at a time: moto's records are not made for several calls, and what is real must follow
    each.

    Args:
        plane: everything behind it.

    Attributes:
        wish: what its process is to do once the request is answered; taken by whoever does it.
    """

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._memory: PlaneMemory | None = None
        self.wish: Wish | None = None
        self._looks: Mapping[str, Callable[[MotoRequest], Any]] = {
            "marker": self._tell_marker,
            "audit": self._tell_audit,
            "inventory": self._tell_inventory,
            "databases": self._tell_databases,
            "snapshot": self._take_snapshot,
            "volumes": self._tell_volumes,
            "volume-snapshot": self._take_volume_snapshot,
            "recovery-points": self._tell_recovery_points,
            "recovery-point": self._take_recovery_point,
            "advance": self._advance,
            "remember": self._remember,
            "changed": self._tell_changed,
            "reset": self._reset,
        }

    def __call__(self, environ: Environ, start_response: Any) -> Any:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        request = MotoRequest(environ)
        if request.path.startswith(BACK_DOOR_PATH):
            response = self._at_the_back(request)
        else:
            response = self._at_the_front(request, body)
        return response(environ, start_response)

    def begin(self) -> None:
        """In a process that was made for one trial: have it be the moment that is remembered."""
        self.wish = None
        if self._memory is not None:
            self._memory.begin()

    # --- in front ---------------------------------------------------------------------------------------

    def _at_the_front(self, request: MotoRequest, body: bytes) -> Response:
        id, at = str(uuid4()), self._plane.now()
        call, principal, operation = None, "", ""
        outcome: Result = "failed"
        self._plane.pass_time()
        before = self._plane.listing()
        code = ""
        try:
            scope = read_scope(request.headers.get("Authorization", ""))
            call = read_call(request, scope)
            operation = call.name
            caller = self._authenticate(request, body, scope)
            principal = caller.principal
            self._authorize(call, caller, request)
            response = self._carry_out(call, caller, request.environ, body)
            outcome = "done" if response.status_code < HTTPStatus.BAD_REQUEST else "failed"
            code = "" if outcome == "done" else str(response.status_code)
        except ApiError as error:
            outcome, code = "refused" if error.refused else "failed", error.code
            response = call.answer(error) if call is not None else _unknown(error)
        changed = changes(before, self._plane.listing())
        if changed or outcome != "done" or call is None or not _reads(call):
            self._plane.audit.add(id, at, principal, operation, outcome, code, changed)
        response.headers[REQUEST_ID] = id
        return response

    def _authenticate(self, request: MotoRequest, body: bytes, scope: Scope) -> Caller:
        query = request.query_string.decode("ascii")
        target = request.raw_path + (f"?{query}" if query else "")
        received = Received(request.method, target, dict(request.headers.items()), body)
        return self._plane.identities.authenticate(received, scope, self._plane.now())

    def _authorize(self, call: ApiCall, caller: Caller, request: MotoRequest) -> None:
        if caller.statements is None or call.name == WHO_AM_I:
            return
        action = f"{call.service}:{call.operation}"
        resources = resources_of(call, caller.account)
        context = context_of(call, caller, self._plane, request.remote_addr or "")
        decision = decide(caller.statements, Asked(action, resources, context))
        if decision is not Decision.ALLOWED:
            raise caller.denied(call, action, resources[0], decision.value)

    def _carry_out(self, call: ApiCall, caller: Caller, environ: Environ, body: bytes) -> Response:
        if call.name == WHO_AM_I:
            return call.answer({"UserId": caller.arn, "Account": caller.account, "Arn": caller.arn})
        if call.name not in OPERATIONS:
            raise ApiError(
                "NotImplemented",
                f"this replica does not carry out {call.name}; see docs/aws.md",
                HTTPStatus.NOT_IMPLEMENTED,
            )
        for part in self._plane.parts:
            if call.name in part.checks:
                part.checks[call.name](call)
        own = next((part.own[call.name] for part in self._plane.parts if call.name in part.own), None)
        response = call.answer(own(call)) if own is not None else self._ask_moto(call, environ, body)
        if response.status_code < HTTPStatus.BAD_REQUEST and not _reads(call):
            self._settle(call)
        return response

    def _ask_moto(self, call: ApiCall, environ: Environ, body: bytes) -> Response:
        if environ["PATH_INFO"].startswith(MOTO_PATHS):
            raise ApiError("UnknownOperationException", "there is no such operation", HTTPStatus.NOT_FOUND)
        environ = {key: value for key, value in environ.items() if not key.startswith("werkzeug.")}
        environ["wsgi.input"] = io.BytesIO(body)
        environ["HTTP_X_MOTO_ACCOUNT_ID"] = self._plane.account
        # moto would rather believe a region in the name of the client than the one that was signed.
        environ["HTTP_USER_AGENT"] = "ninelives"
        response = Response.from_app(self._moto, environ)
        if response.status_code == HTTPStatus.INTERNAL_SERVER_ERROR:
            LOG.warning("moto fails at %s: %s", call.name, response.get_data(as_text=True)[-1000:])
            raise ApiError("InternalFailure", "the request failed", HTTPStatus.INTERNAL_SERVER_ERROR)
        return response

    def _settle(self, call: ApiCall) -> None:
        try:
            for part in self._plane.parts:
                part.settle(call)
        except (OSError, FreezeError) as error:
            LOG.warning("%s cannot be carried out: %s", call.name, error)
            raise ApiError(
                "InternalFailure", f"the request failed: {error}", HTTPStatus.INTERNAL_SERVER_ERROR
            ) from error

    # --- at the back ------------------------------------------------------------------------------------

    def _at_the_back(self, request: MotoRequest) -> Response:
        look = self._looks.get(request.path.removeprefix(BACK_DOOR_PATH))
        if look is None or digest(request.headers.get(BACK_DOOR_HEADER, "")) != self._plane.back_door:
            return Response("Not Found", HTTPStatus.NOT_FOUND)
        self._plane.pass_time()
        try:
            return _json(look(request))
        except ApiError as error:
            return _json({"error": error.message}, HTTPStatus.CONFLICT)
        except (OSError, FreezeError) as error:
            return _json({"error": str(error)}, HTTPStatus.INTERNAL_SERVER_ERROR)

    def _tell_marker(self, request: MotoRequest) -> Any:
        del request
        return {
            "marker": self._plane.marker,
            "account": self._plane.account,
            "region": self._plane.region,
            "moto": version("moto"),
        }

    def _tell_audit(self, request: MotoRequest) -> Any:
        after = int(request.args.get("after", "0"))
        return [entry.as_json() for entry in self._plane.audit.after(after)]

    def _tell_inventory(self, request: MotoRequest) -> Any:
        del request
        return [asdict(each) for each in sorted(self._plane.listing(), key=lambda one: (one.kind, one.name))]

    def _tell_databases(self, request: MotoRequest) -> Any:
        del request
        return {"places": self._plane.databases.places(), "sizes": self._plane.databases.sizes()}

    def _take_snapshot(self, request: MotoRequest) -> Any:
        self._plane.changed_behind += 1
        wanted = json.loads(request.get_data())
        return self._plane.databases.take(
            wanted["identifier"], wanted["kind"], wanted["name"], datetime.fromisoformat(wanted["at"])
        )

    def _tell_volumes(self, request: MotoRequest) -> Any:
        del request
        return {"places": self._plane.volumes.places(), "snapshots": self._plane.volumes.snapshots()}

    def _take_volume_snapshot(self, request: MotoRequest) -> Any:
        self._plane.changed_behind += 1
        wanted = json.loads(request.get_data())
        return self._plane.volumes.take(wanted["volume"], datetime.fromisoformat(wanted["at"]))

    def _tell_recovery_points(self, request: MotoRequest) -> Any:
        del request
        return self._plane.vaults.recovery_points()

    def _take_recovery_point(self, request: MotoRequest) -> Any:
        self._plane.changed_behind += 1
        wanted = json.loads(request.get_data())
        arn = self._plane.vaults.take(
            wanted["vault"],
            wanted["resource"],
            Path(wanted["source"]),
            datetime.fromisoformat(wanted["at"]),
            wanted["days"],
            wanted["environment"],
        )
        return {"arn": arn}

    def _advance(self, request: MotoRequest) -> Any:
        wanted = json.loads(request.get_data())
        self._plane.changed_behind += 1
        if "to" in wanted:
            self._plane.advance(datetime.fromisoformat(wanted["to"]) - self._plane.today())
        else:
            self._plane.advance(timedelta(seconds=float(wanted["seconds"])))
        return {}

    def _remember(self, request: MotoRequest) -> Any:
        del request
        self._memory = PlaneMemory(self._plane)
        self.wish = "keep"
        return {}

    def _tell_changed(self, request: MotoRequest) -> Any:
        del request
        return {"changed": self._remembered().changed()}

    def _reset(self, request: MotoRequest) -> Any:
        del request
        self._remembered().bring_back_files()
        self.wish = "end"
        return {}

    def _remembered(self) -> PlaneMemory:
        if self._memory is None:
            raise ApiError("InvalidRequestException", "nothing is remembered")
        return self._memory


def _reads(call: ApiCall) -> bool:
    operation = OPERATIONS.get(call.name)
    return operation is not None and operation.reads


def _json(value: Any, status: int = HTTPStatus.OK) -> Response:
    return Response(json.dumps(value), status, content_type="application/json")


def _unknown(error: ApiError) -> Response:
    """The answer to a request of which not even the service is known."""
    return _json({"__type": error.code, "message": error.message}, error.status)
