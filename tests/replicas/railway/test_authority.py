"""The reach of a workspace's token, where there are two workspaces; the API cannot make a second one."""

from __future__ import annotations

import pytest

from harness.clock import SystemClock
from harness.replicas.handover import digest
from harness.replicas.railway.authority import Authority, Caller, identify
from harness.replicas.railway.refusals import NotAuthorizedError, NotFoundError
from harness.replicas.railway.state import Estate, Project, Token, Workspace


@pytest.fixture
def estate() -> Estate:
    estate = Estate("legacy", "pro", SystemClock())
    now = estate.now()
    for name in ("ours", "theirs"):
        home = estate.add(Workspace(id=name, name=name, created_at=now))
        estate.add(Project(id=f"{name}-project", workspace_id=home.id, name=name, created_at=now))
    estate.add(
        Token(
            kind="workspace",
            name="t",
            digest=digest("secret"),
            display_token="****cret",
            principal="p",
            workspace_id="ours",
            created_at=now,
        )
    )
    return estate


def test_a_workspace_token_is_refused_in_another_workspace(estate: Estate) -> None:
    authority = Authority(estate, identify(estate, "Bearer secret", None))
    assert authority.project("ours-project").name == "ours"
    assert [one.name for one in authority.workspaces()] == ["ours"]
    for reach in (lambda: authority.project("theirs-project"), authority.account):
        with pytest.raises(NotAuthorizedError):
            reach()
    with pytest.raises(NotFoundError):
        authority.workspace("theirs")


def test_nothing_keeps_the_secret_of_a_token(estate: Estate) -> None:
    token = identify(estate, "bearer secret", None).token
    assert token is not None
    assert "secret" not in repr(token)


def test_without_a_token_no_operation_is_admitted(estate: Estate) -> None:
    with pytest.raises(NotAuthorizedError, match="Not Authorized"):
        Authority(estate, Caller(None)).admit("projects")
