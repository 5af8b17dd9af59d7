"""The executable schema: the files in ``schema/``, and what answers each field."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ariadne import MutationType, ObjectType, QueryType, ScalarType, UnionType, make_executable_schema
from ariadne.load_schema import load_schema_from_path
from graphql import GraphQLResolveInfo, GraphQLSchema

from harness.replicas.railway.audit import Result
from harness.replicas.railway.calls import (
    accounts,
    confirmations,
    domains,
    environments,
    members,
    projects,
    services,
    volumes,
)
from harness.replicas.railway.confirmation import ConfirmationNeededError, WaitsError
from harness.replicas.railway.handover import Rule
from harness.replicas.railway.plane import Answers, Call
from harness.replicas.railway.refusals import HiddenError, NotAuthorizedError
from harness.replicas.railway.shapes import FIELDS
from harness.replicas.railway.state import InviteCode, Profile

Answer = Callable[..., Any]
HERE = Path(__file__).parent

QUERIES: Answers = {
    **accounts.QUERIES,
    **projects.QUERIES,
    **members.QUERIES,
    **environments.QUERIES,
    **services.QUERIES,
    **domains.QUERIES,
    **volumes.QUERIES,
}
MUTATIONS: Answers = {
    **accounts.MUTATIONS,
    **projects.MUTATIONS,
    **members.MUTATIONS,
    **environments.MUTATIONS,
    **services.MUTATIONS,
    **domains.MUTATIONS,
    **volumes.MUTATIONS,
}
CURRENT_MUTATIONS: Answers = volumes.CURRENT_MUTATIONS
CONFIRMING_MUTATIONS: Answers = confirmations.MUTATIONS


def type_definitions(profile: Profile, rule: Rule = "none") -> str:
    """The schema of a profile where deletions are confirmed so, in the schema definition language."""
    text = str(load_schema_from_path(HERE / "schema"))
    if profile == "current":
        text += "\n" + (HERE / "current.graphql").read_text(encoding="utf-8")
    if rule != "none":
        text += "\n" + (HERE / "confirmations.graphql").read_text(encoding="utf-8")
    return text


def build(profile: Profile, rule: Rule = "none") -> GraphQLSchema:
    """That schema with everything that answers it."""
    query, mutation = QueryType(), MutationType()
    for name, answer in QUERIES.items():
        query.set_field(name, _answered(name, answer))
    every = dict(MUTATIONS)
    every |= CURRENT_MUTATIONS if profile == "current" else {}
    every |= CONFIRMING_MUTATIONS if rule != "none" else {}
    for name, answer in every.items():
        mutation.set_field(name, _audited(name, answer))
    invitation = UnionType("PublicProjectInvitation", _invitation_type)
    scalar = ScalarType("DateTime", serializer=_show_time, value_parser=_read_time)
    return make_executable_schema(
        type_definitions(profile, rule),
        query,
        mutation,
        *_objects(),
        invitation,
        scalar,
        convert_names_case=True,
    )


def _objects() -> list[ObjectType]:
    made = []
    for name, fields in FIELDS.items():
        kind = ObjectType(name)
        for field, answer in fields.items():
            kind.set_field(field, _shaped(answer))
        made.append(kind)
    return made


def _answered(name: str, answer: Answer) -> Answer:
    def resolve(_: object, info: GraphQLResolveInfo[Any], **arguments: Any) -> Any:
        call = Call(info.context.plane, info.context.caller)
        call.authority.admit(name)
        return answer(call, **arguments)

    return resolve


def _audited(name: str, answer: Answer) -> Answer:
    """A mutation, which is written down whatever comes of it."""

    def resolve(_: object, info: GraphQLResolveInfo[Any], **arguments: Any) -> Any:
        call = Call(info.context.plane, info.context.caller)
        outcome: Result = "failed"
        try:
            call.authority.admit(name)
            answered = answer(call, **arguments)
            outcome = "done"
        except ConfirmationNeededError as needed:
            outcome = "refused"
            held = call.plane.confirmations.hold(name, answer, arguments, call.caller, needed.about)
            raise WaitsError(held.id) from None
        except HiddenError:
            raise
        except NotAuthorizedError:
            outcome = "refused"
            raise
        finally:
            _write_down(call, name, outcome)
        return answered

    return resolve


def _write_down(call: Call, name: str, outcome: Result) -> None:
    touched = tuple(dict.fromkeys(call.touched)) if outcome == "done" else ()
    call.plane.audit.add(call.now, call.caller.principal, call.caller.kind, name, outcome, touched)


def _shaped(answer: Answer) -> Answer:
    def resolve(record: object, info: GraphQLResolveInfo[Any], **arguments: Any) -> Any:
        return answer(Call(info.context.plane, info.context.caller), record, **arguments)

    return resolve


def _invitation_type(value: object, *_: object) -> str:
    return "InviteCode" if isinstance(value, InviteCode) else "ProjectInvitation"


def _show_time(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _read_time(value: object) -> datetime:
    if not isinstance(value, str):
        raise TypeError("DateTime must be a text in ISO 8601")
    moment = datetime.fromisoformat(value)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
