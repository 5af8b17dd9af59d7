"""Git in a principal's clone, on a real repository: what is lost, what takes it back, and what refuses it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from harness.clock import SystemClock
from harness.facts import OPERATOR, Action, Endpoint, Lease, Outcome
from harness.replicas.git import GitReplica
from harness.sandbox import Sandbox
from harness.scenario.models import Stack
from harness.seams.drivers import Setting
from harness.seams.git_client import GitClient, git
from harness.surfaces.git import GitSurface

NUMBERS = count()
Remote = Callable[..., Endpoint]


@pytest.fixture
def remote(sandbox: Sandbox) -> Iterator[Remote]:
    """Makes a repository with three files on ``main``, each a commit, and a branch ``old``."""
    made: list[Lease] = []

    def make(**settings: bool) -> Endpoint:
        service = {"kind": "git", "environment": "production", "collections": ["main", "old"], **settings}
        stack = Stack.model_validate(
            {
                "services": {"code": service},
                "principals": {
                    "dev": {"grants": {"code": "writer"}},
                    "other": {"grants": {"code": "writer"}},
                    "auditor": {"grants": {"code": "reader"}},
                },
            }
        )
        directory = sandbox.root / f"code-{next(NUMBERS)}"
        directory.mkdir()
        lease = Lease(run_id=sandbox.run_id, service="code", kind="git", directory=directory)
        made.append(lease)
        setting = Setting(stack, sandbox.root, sandbox, SystemClock(), {})
        endpoint = GitReplica().provision(lease, setting)
        client = GitClient(endpoint, endpoint.credentials[OPERATOR])
        for name in ("a", "b", "c"):
            client.put("main", name, name.encode())
        client.put("old", "kept", b"kept")
        client.close()
        return endpoint

    yield make
    for lease in made:
        GitReplica().destroy(lease)


def perform(endpoint: Endpoint, verb: str, by: str = "dev", **arguments: object) -> Outcome:
    action = Action(number=1, surface="git", verb=verb, service="code")
    return GitSurface(by, endpoint, SystemClock()).perform(action, arguments)


def names(outcome: Outcome) -> list[tuple[str, str]]:
    return [(resource.kind, resource.name) for resource in outcome.touched]


def files(endpoint: Endpoint, branch: str = "main") -> list[str]:
    """What the repository itself says, asked without any of the harness's code."""
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-tree", "-r", "--name-only", f"refs/heads/{branch}"],
        cwd=endpoint.path,
        capture_output=True,
        text=True,
        check=False,
    )
    return listed.stdout.split()


def test_a_change_is_committed_and_pushed(remote: Remote) -> None:
    code = remote()
    written = perform(code, "write", path="src/new", text="new")
    assert names(written) == [("file", "code/src/new")]
    assert {resource.service for resource in written.touched} == {"dev-workspace"}, (
        "the service loses nothing"
    )
    assert perform(code, "commit", message="Add it").touched == ()
    pushed = perform(code, "push", ref="main")
    assert (pushed.status, names(pushed)) == ("done", [("branch", "main")])
    assert files(code) == ["a", "b", "c", "src/new"]
    assert len(perform(code, "log").text.splitlines()) == 5
    assert perform(code, "push", ref="main").touched == ()


def test_the_branches_of_the_repository_are_listed_and_not_those_of_the_clone(remote: Remote) -> None:
    code = remote()
    assert perform(code, "branches", by="auditor").text.splitlines() == ["main", "old"]
    perform(code, "push", ref="HEAD:refs/heads/new")
    assert perform(code, "branches", by="auditor").text.splitlines() == ["main", "new", "old"]
    assert perform(code, "branches", by="stranger").status == "refused"
    assert perform(code, "branches", ref="main").status == "failed"


def test_a_forced_push_drops_commits_and_a_clone_can_push_them_again(remote: Remote) -> None:
    code = remote()
    perform(code, "log", by="other")
    perform(code, "reset", to="HEAD~2")
    without = perform(code, "push", ref="main")
    assert (without.status, without.touched) == ("failed", ()), "git itself asks for --force"
    forced = perform(code, "push", ref="main", force=True)
    assert (forced.status, names(forced)) == ("done", [("branch", "main")])
    assert "forced update" in forced.detail
    assert {resource.environment for resource in forced.touched} == {"production"}
    assert files(code) == ["a"]
    again = perform(code, "push", by="other", ref="main")
    assert names(again) == [("branch", "main")]
    assert files(code) == ["a", "b", "c"]


def test_a_deleted_branch_is_touched(remote: Remote) -> None:
    code = remote()
    deleted = perform(code, "push", ref="old", delete=True)
    assert (deleted.status, names(deleted)) == ("done", [("branch", "old")])
    assert files(code, "old") == []
    default = perform(code, "push", ref="main", delete=True)
    assert (default.status, default.touched) == ("refused", ()), "nobody deletes the default branch"
    missing = perform(code, "push", ref="odl", delete=True)
    assert (missing.status, missing.touched) == ("failed", ())


def test_a_mirror_takes_away_what_the_clone_has_not(remote: Remote) -> None:
    code = remote()
    perform(code, "reset", to="HEAD~1")
    mirrored = perform(code, "push", mirror=True)
    assert ("branch", "old") in names(mirrored)
    assert ("branch", "main") in names(mirrored)
    assert (files(code), files(code, "old")) == (["a", "b"], [])


@pytest.mark.parametrize(
    ("settings", "reset", "push"),
    [
        ({"deny_force": True}, "HEAD~2", {"ref": "main", "force": True}),
        ({"deny_deletes": True}, "HEAD", {"ref": "old", "delete": True}),
        ({"deny_force": True, "deny_deletes": True}, "HEAD~1", {"mirror": True}),
    ],
)
def test_a_protected_branch_refuses(
    remote: Remote, settings: dict[str, bool], reset: str, push: dict[str, object]
) -> None:
    code = remote(**settings)
    perform(code, "reset", to=reset)
    refused = perform(code, "push", **push)
    if "mirror" in push:
        assert ("branch", "main") not in names(refused)
        assert ("branch", "old") not in names(refused)
    else:
        assert (refused.status, refused.touched) == ("refused", ()), refused.detail
        assert "remote rejected" in refused.detail
    assert (files(code), files(code, "old")) == (["a", "b", "c"], ["kept"])
    perform(code, "reset", to="origin/main")
    perform(code, "commit", message="on top")
    assert perform(code, "push", ref="main").status == "done", "what drops nothing is let through"


def test_a_push_that_meets_another_is_made_again_and_is_no_refusal(
    remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = remote()
    perform(code, "reset", to="HEAD~2")
    lock = code.path / "refs" / "heads" / "main.lock"
    lock.touch()
    monkeypatch.setattr("harness.surfaces.git.PAUSE_SECONDS", 0.001)
    met = perform(code, "push", ref="main", force=True)
    assert (met.status, met.touched) == ("failed", ()), met.detail
    assert files(code) == ["a", "b", "c"]
    monkeypatch.setattr("harness.clock.SystemClock.sleep", lambda _, __: lock.unlink(missing_ok=True))
    again = perform(code, "push", ref="main", force=True)
    assert (again.status, names(again)) == ("done", [("branch", "main")])


def test_who_may_only_fetch_pushes_nothing(remote: Remote) -> None:
    code = remote()
    perform(code, "reset", by="auditor", to="HEAD~2")
    refused = perform(code, "push", by="auditor", ref="main", force=True)
    assert (refused.status, refused.touched) == ("refused", ())
    assert "hook declined" in refused.detail
    assert perform(code, "log", by="stranger").status == "refused"
    assert files(code) == ["a", "b", "c"]


def test_a_hard_reset_loses_what_was_not_committed(remote: Remote) -> None:
    code = remote()
    perform(code, "write", path="a", text="not committed")
    reset = perform(code, "reset", to="HEAD")
    assert names(reset) == [("file", "code/a")]
    assert perform(code, "reset", to="nowhere").status == "failed"


def test_clean_removes_ignored_files_too(remote: Remote) -> None:
    code = remote()
    perform(code, "write", path=".gitignore", text="local.db\n")
    perform(code, "commit", message="ignore")
    perform(code, "write", path="local.db", text="rows")
    perform(code, "write", path="notes", text="untracked")
    cleaned = perform(code, "clean")
    assert names(cleaned) == [("file", "code/local.db"), ("file", "code/notes")]
    assert perform(code, "clean").touched == ()


def test_expiry_makes_a_reset_final(remote: Remote) -> None:
    code = remote()
    perform(code, "write", path="work", text="a day's work")
    perform(code, "commit", message="not pushed")
    lost = perform(code, "log").text.split()[0]
    perform(code, "reset", to="HEAD~1")
    assert perform(code, "reset", to=lost).status == "done", "the reflog still has it"
    perform(code, "reset", to="HEAD~1")
    expired = perform(code, "expire")
    assert names(expired) == [("commit", f"code/{lost}")]
    assert perform(code, "reset", to=lost).status == "failed"
    assert perform(code, "expire").touched == ()


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [
        ("rebase", {}),
        ("push", {}),
        ("push", {"ref": "main", "mirror": True}),
        ("push", {"ref": "--exec=/bin/false"}),
        ("push", {"ref": "main", "to": "/somewhere/else"}),
        ("reset", {"to": "--soft"}),
        ("log", {"ref": "--output=x"}),
        ("write", {"path": "../../x", "text": "x"}),
        ("write", {"path": ".git/config", "text": "x"}),
        ("commit", {}),
    ],
)
def test_a_call_that_makes_no_sense_or_leads_out_has_failed(
    remote: Remote, verb: str, arguments: dict[str, object]
) -> None:
    code = remote()
    outcome = perform(code, verb, **arguments)
    assert (outcome.status, outcome.touched) == ("failed", ())
    assert files(code) == ["a", "b", "c"]


def test_a_repository_that_is_gone_has_failed(remote: Remote) -> None:
    code = remote()
    gone = replace(code, path=Path("/nowhere"))
    assert perform(gone, "push", ref="main").status == "failed"


def test_a_repository_around_the_run_is_not_taken_for_the_one_that_is_gone(tmp_path: Path) -> None:
    """``--work`` may name a folder inside a checkout."""
    inside = tmp_path / "work" / "code.git"
    inside.mkdir(parents=True)
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    assert subprocess.run(["git", "rev-parse"], cwd=inside, check=False).returncode == 0
    asked = git(inside, "rev-parse", "--git-dir", run_id="r")
    assert (asked.returncode, asked.stdout) == (128, b"")


def test_nothing_of_the_users_configuration_is_used(
    remote: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = remote()
    (tmp_path / ".gitconfig").write_text(f'[url "{tmp_path}/elsewhere"]\n  insteadOf = {code.path}\n')
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_DIR", str(tmp_path))
    perform(code, "commit", message="empty")
    assert names(perform(code, "push", ref="main")) == [("branch", "main")]
    assert not (tmp_path / "elsewhere").exists()
