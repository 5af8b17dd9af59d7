"""Accounts, workspaces and their tokens."""

from __future__ import annotations

from typing import Any

from harness.replicas.railway.doom import of_workspace
from harness.replicas.railway.paging import Connection, Page, page_of
from harness.replicas.railway.plane import Answers, Call
from harness.replicas.railway.refusals import NotAuthorizedError, NotFoundError
from harness.replicas.railway.state import Token, User, Workspace

Input = dict[str, Any]


def me(call: Call) -> User:
    return call.authority.account()


def api_token(call: Call) -> dict[str, tuple[Workspace, ...]]:
    return {"workspaces": call.authority.workspaces()}


def api_tokens(call: Call, **page: Any) -> Connection:
    call.authority.account()
    tokens = [token for token in call.estate.every(Token) if token.kind in ("account", "workspace")]
    return page_of(tokens, Page(**page))


def workspace(call: Call, workspace_id: str) -> Workspace:
    return call.authority.workspace(workspace_id)


def api_token_create(call: Call, input: Input) -> str:
    call.authority.account()
    workspace_id = input.get("workspace_id")
    if workspace_id is not None:
        call.authority.workspace(workspace_id)
    token, secret = call.plane.mint(
        "workspace" if workspace_id else "account",
        input["name"],
        call.caller.principal,
        workspace_id=workspace_id,
    )
    call.changed(token)
    return secret


def api_token_delete(call: Call, id: str) -> bool:
    call.authority.account()
    token = call.estate.find(Token, id)
    if token is None or token.kind == "project":
        raise NotFoundError("ApiToken")
    call.changed(token)
    call.estate.drop(token)
    return True


def workspace_delete(call: Call, id: str) -> bool:
    call.authority.account()
    doomed = call.authority.workspace(id)
    doom = of_workspace(call.estate, doomed)
    call.delete(f"Workspace {doomed.name}", doom)
    return True


def staff_only(call: Call, **arguments: object) -> None:
    """What only Railway's own staff may call."""
    del call, arguments
    raise NotAuthorizedError


QUERIES: Answers = {
    "me": me,
    "apiToken": api_token,
    "apiTokens": api_tokens,
    "workspace": workspace,
    "adminVolumeInstancesForVolume": staff_only,
}
MUTATIONS: Answers = {
    "apiTokenCreate": api_token_create,
    "apiTokenDelete": api_token_delete,
    "workspaceDelete": workspace_delete,
}
