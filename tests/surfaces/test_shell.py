"""Command lines: what they change, and that they reach nothing but the workspace."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from harness.clock import SystemClock
from harness.facts import Action, Endpoint, Lease, Outcome
from harness.sandbox import LOOPBACK, MARK, Sandbox
from harness.surfaces import shell
from harness.surfaces.shell import ShellSurface

Run = Callable[..., Outcome]


@pytest.fixture
def lease(sandbox: Sandbox, request: pytest.FixtureRequest) -> Lease:
    directory = sandbox.root / request.node.name[:60].replace("/", "-")
    directory.mkdir()
    directory.chmod(0o711)
    return Lease(run_id=sandbox.run_id, service="agent-workspace", kind="files", directory=directory)


@pytest.fixture
def workspace(lease: Lease) -> Path:
    root = lease.directory / "workspace"
    (root / "src" / "deep").mkdir(parents=True)
    root.chmod(0o700)
    (root / "README.md").write_text("Read me.\n")
    (root / "src" / "a.py").write_text("a = 1\n")
    (root / "src" / "deep" / "b.py").write_text("b = 2\n")
    (root / ".env").write_text("TOKEN=found\n")
    return root


@pytest.fixture
def run(lease: Lease, workspace: Path) -> Run:
    endpoint = Endpoint(lease, "files", "", 0, "", "staging", workspace, {})

    def run(command: str, **arguments: object) -> Outcome:
        action = Action(number=1, surface="shell", verb="run")
        surface = ShellSurface("agent", endpoint, SystemClock())
        return surface.perform(action, {"command": command, **arguments})

    return run


def names(outcome: Outcome) -> list[str]:
    return [resource.name for resource in outcome.touched]


def left(workspace: Path) -> list[str]:
    return sorted(path.relative_to(workspace).as_posix() for path in workspace.rglob("*") if path.is_file())


# --- what it changes --------------------------------------------------------------------------------


def test_it_runs_in_the_workspace_and_prints(run: Run) -> None:
    outcome = run('pwd; cat README.md; . ./.env; echo "$TOKEN $HOME"')
    assert (outcome.status, outcome.touched) == ("done", ())
    assert outcome.text == "/workspace\nRead me.\nfound /workspace\n"
    assert outcome.detail == "exit code 0; 0 files changed"
    assert "found" not in outcome.model_dump_json()


@pytest.mark.parametrize("command", ["rm -rf src", "find src -type f -delete", "cd src && rm -r *"])
def test_what_is_removed_is_touched(run: Run, workspace: Path, command: str) -> None:
    outcome = run(command)
    assert (outcome.status, names(outcome)) == ("done", ["src/a.py", "src/deep/b.py"])
    assert {resource.environment for resource in outcome.touched} == {"staging"}
    assert left(workspace) == [".env", "README.md"]


@pytest.mark.parametrize(
    ("command", "touched"),
    [
        ("mv src/a.py README.md", ["README.md", "src/a.py"]),
        ("cp .env README.md", ["README.md"]),
        ("echo x > README.md", ["README.md"]),
        ("mkdir -p new && echo x > new/file", ["new/file"]),
        ("chmod 000 .env", [".env"]),
        ("ln -sf /etc/passwd README.md", ["README.md"]),
        ("touch README.md; mkdir empty", []),
    ],
)
def test_what_is_written_over_is_touched(run: Run, command: str, touched: list[str]) -> None:
    outcome = run(command)
    assert (outcome.status, names(outcome)) == ("done", touched)


def test_what_failed_half_way_was_done(run: Run) -> None:
    outcome = run("rm src/a.py; false")
    assert (outcome.status, names(outcome)) == ("done", ["src/a.py"])
    assert outcome.detail == "exit code 1; 1 files changed"


def test_what_removes_everything_removes_the_workspace_and_nothing_else(
    run: Run, workspace: Path, sandbox: Sandbox
) -> None:
    canary = sandbox.root / "canary"
    canary.write_text("alive")
    canary.chmod(0o666)
    outcome = run('rm -rf --no-preserve-root "$NOT_SET"/')
    assert outcome.status == "done"
    assert len(outcome.touched) == 4
    assert left(workspace) == []
    assert canary.read_text() == "alive"
    assert Path("/usr/bin/env").exists()


# --- what became of it ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command", ["false", "rm nothing.py", "no-such-program", "rm /usr/bin/env", "sh -c 'kill -9 $$'"]
)
def test_what_changes_nothing_and_goes_wrong_has_failed(run: Run, command: str) -> None:
    outcome = run(command)
    assert (outcome.status, outcome.touched) == ("failed", ())


def test_what_the_file_system_does_not_allow_in_the_workspace_is_a_refusal(run: Run, workspace: Path) -> None:
    (workspace / "src").chmod(0o555)
    outcome = run("rm src/a.py")
    assert outcome.status == "refused", outcome.detail
    assert "Permission denied" in outcome.detail
    assert run("cd src && rm missing.py").status == "failed"
    (workspace / "a b").mkdir()
    (workspace / "a b" / "c").touch()
    (workspace / "a b").chmod(0o555)
    assert run("rm 'a b/c'").status == "refused"
    assert run("rm 'a b/d'").status == "failed"
    assert len(left(workspace)) == 5


@pytest.mark.parametrize(
    "command",
    [
        "./cleanup.sh",
        "./src",
        "$NOT_SET/",
        "./cleanup.sh; ls nothing",
        "bash -c './cleanup.sh; false'",
        "sh -c './cleanup.sh || false'",
        "env ./cleanup.sh",
        "echo | xargs ./cleanup.sh",
    ],
)
def test_a_slip_is_no_guard(run: Run, workspace: Path, command: str) -> None:
    (workspace / "cleanup.sh").write_text("rm -rf src\n")
    outcome = run(command)
    assert "ermission denied" in outcome.text or "is a directory" in outcome.text, outcome.text
    assert (outcome.status, outcome.touched) == ("failed", ())
    assert run("sh ./cleanup.sh").status == "done"


def test_a_file_that_may_not_be_written_is_a_guard(run: Run, workspace: Path) -> None:
    (workspace / "README.md").chmod(0o444)
    assert run("echo x > README.md").status == "refused"
    assert run("echo x | tee README.md; false").status == "refused"


def test_what_takes_too_long_is_killed_with_all_that_it_started(run: Run, lease: Lease) -> None:
    outcome = run("sleep 600 & sleep 601 & sleep 602", timeout=0.5)
    assert (outcome.status, outcome.detail.split(":")[0]) == ("failed", "killed, it took too long")
    assert not of_run(lease)
    assert run("sleep 600 & exec sleep 0.01").status == "done"
    assert not of_run(lease)


def of_run(lease: Lease) -> list[psutil.Process]:
    """What still runs, an instant after the kernel was told to end it."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):  # others come and go
            if "sleep" in process.name() and process.environ().get(MARK) == lease.run_id:
                found.append(process)
    _, alive = psutil.wait_procs(found, timeout=5)
    return alive


@pytest.mark.parametrize(
    "arguments", [{}, {"command": ""}, {"command": 7}, {"command": "a\0b"}, {"command": "ls", "host": "x"}]
)
def test_a_call_that_makes_no_sense_has_failed(
    lease: Lease, workspace: Path, arguments: dict[str, object]
) -> None:
    endpoint = Endpoint(lease, "files", "", 0, "", None, workspace, {})
    surface = ShellSurface("agent", endpoint, SystemClock())
    assert surface.perform(Action(number=1, surface="shell", verb="run"), arguments).status == "failed"
    assert (
        surface.perform(Action(number=1, surface="shell", verb="eval"), {"command": "ls"}).status == "failed"
    )


def test_where_nobody_can_be_confined_nothing_is_run(
    run: Run, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = left(workspace)
    for command in (("unshare", "--no-such-option"), ("no-such-unshare",), ("env",)):
        monkeypatch.setattr(shell, "UNSHARE", command)
        outcome = run("rm -rf src")
        assert outcome.status == "failed", outcome.detail
    assert left(workspace) == before


# --- what it cannot reach ---------------------------------------------------------------------------


def test_nothing_of_the_machines_files_is_there(run: Run, sandbox: Sandbox, workspace: Path) -> None:
    outside = sandbox.root / "outside"
    outside.mkdir()
    outside.chmod(0o777)
    (outside / "file").write_text("mine")
    (outside / "file").chmod(0o666)
    (workspace / "link").symlink_to(outside)
    for target in (outside, f"/workspace/../..{outside}", "/workspace/link"):
        run(f"echo x > {target}/file; rm -rf {target}/*; touch {target}/new")
    assert [(path.name, path.read_text()) for path in outside.iterdir()] == [("file", "mine")]
    assert run("ls /").text.split() == [
        "bin",
        "dev",
        "etc",
        *run("cd / && echo lib*").text.split(),
        "sbin",
        "tmp",
        "usr",
        "workspace",
    ]
    assert run("ls /home /root /var /run /proc /sys").status == "failed"


def test_nothing_can_be_mounted_and_nobody_gets_out(run: Run) -> None:
    for command in (
        "mount -t tmpfs none /tmp",
        "mount -o remount,rw /usr",
        "umount /usr",
        "chroot / true",
        "unshare --user true",
        "unshare --mount true",
        "nsenter --target 1 --mount true",
    ):
        outcome = run(command)
        assert outcome.status == "failed", command


def test_no_other_process_is_there(run: Run, sandbox: Sandbox) -> None:
    account = sandbox.account
    user = {} if account is None else {"user": account.uid, "group": account.gid, "extra_groups": []}
    with subprocess.Popen(["sleep", "600"], **user) as victim:
        try:
            run(f"kill -9 {victim.pid}; kill -9 -1")
            assert victim.poll() is None
        finally:
            victim.kill()


def test_there_is_no_network(run: Run) -> None:
    with socket.create_server((LOOPBACK, 0)) as server:
        server.settimeout(0.1)
        port = server.getsockname()[1]
        outcome = run(f"bash -c 'echo hello > /dev/tcp/127.0.0.1/{port}'")
        assert outcome.status == "failed"
        with pytest.raises(TimeoutError):
            server.accept()


def test_its_environment_is_built_from_nothing(
    run: Run, monkeypatch: pytest.MonkeyPatch, lease: Lease
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://production")
    told = dict(line.split("=", 1) for line in run("env").text.splitlines())
    assert told.pop("PATH").endswith("/usr/bin:/sbin:/bin")
    assert {name: text for name, text in told.items() if name not in ("PWD", "_", "SHLVL", "OLDPWD")} == {
        "HOME": "/workspace",
        "LC_ALL": "C.UTF-8",
        "TMPDIR": "/tmp",
        "TZ": "UTC",
        "USER": "agent",
        MARK: lease.run_id,
    }


def test_it_runs_as_nobody_where_the_harness_is_root(run: Run, workspace: Path, sandbox: Sandbox) -> None:
    assert run("echo x > made").status == "done"
    account = sandbox.account
    assert (workspace / "made").stat().st_uid == (account.uid if account else os.geteuid())


def test_a_file_that_grows_without_end_is_cut(run: Run, workspace: Path) -> None:
    run("head -c 200000000 /dev/zero > big", timeout=60)
    assert (workspace / "big").stat().st_size <= 131072 * 1024
