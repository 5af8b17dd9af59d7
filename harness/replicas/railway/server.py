"""The control plane's process: ``python -m harness.replicas.railway.server <handover file> <socket>``.

It listens on a socket that its parent has bound, so that nobody can take the port in between.

| path | what |
|---|---|
| `POST /graphql/v2` | Railway's public API |
| `GET /restore/<nonce>` | the link in the mail about a deletion: takes it back |
| `GET /_replica/marker` | whose replica this is |
| `GET /_replica/audit?after=<seq>` | mutations that were tried |
| `GET /_replica/inventory` | what can be deleted |
| `GET /_replica/volumes` | volume instances with their directories |
| `GET /_replica/mail` | the owner's mailbox |
| `POST /_replica/scheduled-backup` | take a backup as a schedule would have, at an instant |
| `POST /_replica/advance` | let time pass that does not pass, for `seconds` or up `to` a date |
| `POST /_replica/remember` | keep everything as it is now |
| `GET /_replica/changed` | whether anything may be different from what is remembered |
| `POST /_replica/reset` | have everything again as it is remembered |

Everything below ``/_replica/`` is the harness's back door; it asks for the header
``X-Ninelives-Back-Door``. The rest of the world sees no more than Railway shows.
"""

from __future__ import annotations

import json
import logging
import socket
import sys
from collections.abc import Awaitable, Callable, Collection
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import uvicorn
from ariadne import format_error, graphql
from graphql import DocumentNode, GraphQLError, GraphQLSchema, TypeInfo, parse, validate
from graphql.validation import ASTValidationRule
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from harness.clock import SystemClock
from harness.facts import BACK_DOOR_HEADER
from harness.replicas.freezing import FreezeError
from harness.replicas.railway.authority import Caller, identify
from harness.replicas.railway.copies import RHYTHMS
from harness.replicas.railway.deletion import NothingToUndoError, PlaceTakenError
from harness.replicas.railway.handover import Handover
from harness.replicas.railway.inventory import inventory
from harness.replicas.railway.memory import PlaneMemory
from harness.replicas.railway.plane import Plane
from harness.replicas.railway.refusals import PROBLEM, ApiError
from harness.replicas.railway.schema import build
from harness.replicas.railway.state import VolumeInstance

LOG = logging.getLogger(__name__)
REMEMBERED = 500
OWNER = "operator"
"""Who a mailed link is counted as: only the owner reads the owner's mail."""

Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True)
class Session:
    """What the fields of one request are answered from."""

    plane: Plane
    caller: Caller


class Documents:
    """Remembers what was sent before: clients send the same documents, and checking one takes longest."""

    def __init__(self) -> None:
        self._parsed: dict[str, DocumentNode] = {}
        self._valid: set[int] = set()

    def parse(self, context: object, data: dict[str, Any]) -> DocumentNode:
        """The document of a request."""
        del context
        text = data["query"]
        if text not in self._parsed:
            if len(self._parsed) >= REMEMBERED:
                self._parsed, self._valid = {}, set()
            self._parsed[text] = parse(text)
        return self._parsed[text]

    def validate(
        self,
        schema: GraphQLSchema,
        document_ast: DocumentNode,
        rules: Collection[type[ASTValidationRule]] | None = None,
        max_errors: int | None = None,
        type_info: TypeInfo | None = None,
    ) -> list[GraphQLError]:
        """What is wrong with a document; a good one is looked at once."""
        del type_info
        if id(document_ast) in self._valid:
            return []
        errors = validate(schema, document_ast, rules, max_errors)
        if not errors:
            self._valid.add(id(document_ast))
        return errors


class ControlPlane:
    """Answers requests.

    Args:
        plane: what it speaks for.
        schema: of the plane's profile.
    """

    def __init__(self, plane: Plane, schema: GraphQLSchema) -> None:
        self._plane = plane
        self._schema = schema
        self._documents = Documents()
        self._memory: PlaneMemory | None = None

    def application(self) -> Starlette:
        """The web application."""
        return Starlette(
            routes=[
                Route("/graphql/v2", self.answer, methods=["POST"]),
                Route("/restore/{nonce}", self.undo, methods=["GET"]),
                Route("/_replica/marker", self._guarded(self.marker), methods=["GET"]),
                Route("/_replica/audit", self._guarded(self.audit), methods=["GET"]),
                Route("/_replica/inventory", self._guarded(self.inventory), methods=["GET"]),
                Route("/_replica/volumes", self._guarded(self.volumes), methods=["GET"]),
                Route("/_replica/mail", self._guarded(self.mail), methods=["GET"]),
                Route("/_replica/scheduled-backup", self._guarded(self.scheduled_backup), methods=["POST"]),
                Route("/_replica/advance", self._guarded(self.advance), methods=["POST"]),
                Route("/_replica/remember", self._guarded(self.remember), methods=["POST"]),
                Route("/_replica/changed", self._guarded(self.changed), methods=["GET"]),
                Route("/_replica/reset", self._guarded(self.reset), methods=["POST"]),
            ]
        )

    async def answer(self, request: Request) -> Response:
        """Railway's API. The body is JSON whatever its content type says, as `curl -d` sends it."""
        self._plane.deletions.pass_time()
        caller = identify(
            self._plane.estate,
            request.headers.get("Authorization"),
            request.headers.get("Project-Access-Token"),
        )
        admission = self._plane.limits.admit(caller.key, self._plane.estate.now())
        headers = admission.headers()
        if admission.retry_after is not None:
            return _refused(429, "Rate limit exceeded", headers)
        data = _document(await request.body())
        if data is None:
            return _refused(400, PROBLEM, headers)
        _, result = await graphql(
            self._schema,
            data,
            context_value=Session(self._plane, caller),
            query_parser=self._documents.parse,
            query_validator=self._documents.validate,
            error_formatter=_worded,
            logger=LOG.getChild("fields"),
        )
        return JSONResponse(result, 200 if "data" in result else 400, headers)

    async def undo(self, request: Request) -> Response:
        """Take a deletion back."""
        plane = self._plane
        plane.deletions.pass_time()
        try:
            restored = plane.deletions.undo(request.path_params["nonce"])
        except NothingToUndoError:
            return PlainTextResponse("This link is not valid any more.\n", 404)
        except PlaceTakenError as error:
            return PlainTextResponse(f"Something else is called {error} now.\n", 409)
        plane.audit.add(plane.estate.now(), OWNER, "mail-link", "restore", "done", restored)
        return PlainTextResponse("Restored.\n")

    async def marker(self, request: Request) -> Response:
        del request
        estate = self._plane.estate
        told = {"marker": self._plane.marker, "profile": estate.profile, "plan": estate.plan}
        return JSONResponse({**told, "confirmations": self._plane.confirmations.rule})

    async def audit(self, request: Request) -> Response:
        after = int(request.query_params.get("after", "0"))
        return JSONResponse([entry.as_json() for entry in self._plane.audit.after(after)])

    async def inventory(self, request: Request) -> Response:
        del request
        return JSONResponse([asdict(one) for one in inventory(self._plane.estate)])

    async def volumes(self, request: Request) -> Response:
        del request
        every = self._plane.estate.every(VolumeInstance, buried=True)
        return JSONResponse([self._volume(instance) for instance in every])

    async def mail(self, request: Request) -> Response:
        del request
        return JSONResponse([mail.as_json() for mail in self._plane.mailbox])

    async def scheduled_backup(self, request: Request) -> Response:
        wanted = await request.json()
        instance = self._plane.estate.find(VolumeInstance, wanted["volumeInstanceId"])
        if instance is None or wanted["kind"] not in RHYTHMS:
            return JSONResponse({"error": "no such volume instance or kind"}, 404)
        at = datetime.fromisoformat(wanted["at"]).astimezone(UTC)
        self._plane.changed_behind += 1
        try:
            backup = await self._plane.copies.take_scheduled(instance, wanted["kind"], at)
        except (ApiError, OSError, FreezeError) as error:
            return JSONResponse({"error": str(error)}, 500)
        return JSONResponse({"id": backup.id, "referencedMB": backup.referenced_mb})

    async def remember(self, request: Request) -> Response:
        del request
        await self._plane.workflows.settle()
        try:
            self._memory = PlaneMemory(self._plane)
        except OSError as error:
            return JSONResponse({"error": str(error)}, 500)
        return JSONResponse({})

    async def changed(self, request: Request) -> Response:
        del request
        return JSONResponse({"changed": self._memory is None or self._memory.changed()})

    async def reset(self, request: Request) -> Response:
        del request
        if self._memory is None:
            return JSONResponse({"error": "nothing is remembered"}, 409)
        await self._plane.workflows.settle()
        try:
            self._memory.reset()
        except (OSError, FreezeError) as error:
            return JSONResponse({"error": str(error)}, 500)
        return JSONResponse({})

    async def advance(self, request: Request) -> Response:
        wanted = await request.json()
        self._plane.changed_behind += 1
        estate = self._plane.estate
        if "to" in wanted:
            estate.set_now(max(datetime.fromisoformat(wanted["to"]).astimezone(UTC), estate.now()))
        else:
            estate.advance(timedelta(seconds=float(wanted["seconds"])))
        self._plane.deletions.pass_time()
        return JSONResponse({"now": self._plane.estate.now().isoformat()})

    def _guarded(self, handler: Handler) -> Handler:
        async def handle(request: Request) -> Response:
            if not self._plane.opens_back_door(request.headers.get(BACK_DOOR_HEADER, "")):
                return PlainTextResponse("Not Found", 404)
            self._plane.deletions.pass_time()
            return await handler(request)

        return handle

    def _volume(self, instance: VolumeInstance) -> dict[str, Any]:
        estate = self._plane.estate
        environment, _, volume = estate.volume_name(instance).partition("/")
        return {
            "id": instance.id,
            "volumeId": instance.volume_id,
            "volume": volume,
            "environment": environment,
            "environmentId": instance.environment_id,
            "serviceId": instance.service_id,
            "directory": str(instance.directory),
            "state": instance.state,
            "pending": instance.buried,
            "restoredFrom": instance.restored_from,
            "restoredBy": instance.restored_by,
        }


def _document(body: bytes) -> dict[str, Any] | None:
    try:
        data = json.loads(body)
    except ValueError:
        return None
    return data if isinstance(data, dict) and isinstance(data.get("query"), str) else None


def _refused(status: int, message: str, headers: dict[str, str]) -> Response:
    return JSONResponse({"errors": [{"message": message}]}, status, headers)


def _worded(error: GraphQLError, debug: bool) -> dict[str, Any]:
    """An error as Railway words it: what went wrong inside is not told."""
    shown = format_error(error, debug)
    if error.original_error is not None and not isinstance(error.original_error, ApiError):
        shown["message"] = PROBLEM
    return shown


def main(handover_file: str, descriptor: str) -> None:
    """Serve until killed."""
    logging.basicConfig(level=logging.WARNING)
    handover = Handover.take(Path(handover_file))
    plane = Plane(handover, SystemClock())
    application = ControlPlane(plane, build(plane.estate.profile, plane.confirmations.rule)).application()
    listening = socket.socket(fileno=int(descriptor))
    config = uvicorn.Config(
        application, lifespan="off", log_config=None, access_log=False, server_header=False, ws="none"
    )
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
