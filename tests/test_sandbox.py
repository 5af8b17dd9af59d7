"""Child processes see nothing of the user's, and can be found by whoever cleans up."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from secrets import token_hex
from socket import socket

import psutil
import pytest

from harness.errors import MissingToolError, ProvisionError, RestoreError
from harness.sandbox import LOOPBACK, MARK, end_session, free_port, has_ended, unprivileged_account

PRINT_ENVIRONMENT = [sys.executable, "-c", "import os; print(sorted(os.environ))"]
DECOYS = ("DATABASE_URL", "PGHOST", "AWS_ACCESS_KEY_ID", "RAILWAY_TOKEN", "SSH_AUTH_SOCK", "HTTPS_PROXY")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can drop to another account")


@pytest.fixture(autouse=True)
def decoys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in DECOYS:
        monkeypatch.setenv(name, "decoy")


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Ended after the test, whatever it does."""
    processes: list[subprocess.Popen[bytes]] = []
    yield processes
    for process in processes:
        process.kill()
        process.wait()


class TestEnvironment:
    def test_it_holds_what_a_child_needs_and_nothing_of_ours(self, sandbox):
        assert sandbox.environment().keys() == {"PATH", "LC_ALL", "TZ", "HOME", "TMPDIR", MARK}
        assert sandbox.environment()["HOME"] == str(sandbox.root)

    def test_a_called_tool_sees_no_more_than_that(self, sandbox):
        seen = sandbox.call(PRINT_ENVIRONMENT).stdout
        for name in DECOYS:
            assert name not in seen
        assert MARK in seen

    def test_a_started_server_sees_no_more_than_that(self, sandbox, started):
        log = sandbox.root / "logs" / "server.log"
        started.append(sandbox.start(PRINT_ENVIRONMENT, log=log, directory=sandbox.root))
        started[0].wait(timeout=10)
        assert MARK in log.read_text()
        for name in DECOYS:
            assert name not in log.read_text()

    def test_what_flows_through_a_pipe_is_kept_apart_from_what_is_said(self, sandbox, started):
        log = sandbox.root / "logs" / "pipe.log"
        both = [sys.executable, "-c", "import sys; print('data'); print('words', file=sys.stderr)"]
        process = sandbox.start(both, log=log, directory=sandbox.root, stdout=subprocess.PIPE)
        started.append(process)
        assert process.communicate(timeout=10)[0] == b"data\n"
        assert log.read_text() == "words\n"

    def test_what_is_given_comes_on_top(self, sandbox):
        assert sandbox.environment({"PGPASSWORD": "x", "TZ": "Asia/Tokyo"})["TZ"] == "Asia/Tokyo"
        assert sandbox.environment({"PGPASSWORD": "x"})["PGPASSWORD"] == "x"


class TestCall:
    def test_it_returns_code_and_output_and_judges_neither(self, sandbox):
        script = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"
        ran = sandbox.call([sys.executable, "-c", script])
        assert (ran.returncode, ran.stdout, ran.stderr) == (3, "out\n", "err\n")

    def test_standard_input_is_what_it_is_given_and_else_empty(self, sandbox):
        read = [sys.executable, "-c", "import sys; print(repr(sys.stdin.read()))"]
        assert sandbox.call(read, stdin="ALTER ROLE\n").stdout == "'ALTER ROLE\\n'\n"
        assert sandbox.call(read).stdout == "''\n"

    def test_it_works_in_the_runs_directory_unless_told_otherwise(self, sandbox, tmp_path):
        where = [sys.executable, "-c", "import os; print(os.getcwd())"]
        assert sandbox.call(where).stdout.strip() == str(sandbox.root)
        assert sandbox.call(where, directory=tmp_path).stdout.strip() == str(tmp_path)

    def test_a_tool_that_is_not_there_is_an_error_with_a_hint(self, sandbox):
        with pytest.raises(MissingToolError, match="no-such-tool") as caught:
            sandbox.call(["no-such-tool"])
        assert "doctor" in caught.value.hint

    def test_a_tool_that_takes_too_long_is_killed(self, sandbox):
        with pytest.raises(ProvisionError, match=r"did not end within 0\.5 s, and was given up") as caught:
            sandbox.call([sys.executable, "-c", "import time; time.sleep(60)"], timeout=0.5)
        assert "time.sleep" not in str(caught.value)
        # A zombie has no command line; what others start may end meanwhile.
        running = [process.info for process in psutil.process_iter(["ppid", "cmdline"])]
        left = [each["cmdline"] for each in running if each["ppid"] == os.getpid() and each["cmdline"]]
        assert not any("time.sleep(60)" in " ".join(command) for command in left)

    def test_a_tool_that_takes_too_long_is_the_failure_of_what_it_is_called_for(self, sandbox):
        with pytest.raises(RestoreError, match=r"^sleep did not end within") as caught:
            sandbox.call(["/bin/sleep", "60"], timeout=0.05, failure=RestoreError)
        assert caught.value.hint

    def test_output_that_is_not_text_does_not_stop_it(self, sandbox):
        ran = sandbox.call([sys.executable, "-c", "import os; os.write(1, b'\\xff')"])
        assert ran.stdout == "\N{REPLACEMENT CHARACTER}"


class TestStart:
    SLEEP = (sys.executable, "-c", "import time; time.sleep(60)")

    def test_a_server_is_found_by_mark_and_directory_and_survives_our_ctrl_c(self, sandbox, started):
        log = sandbox.root / "server.log"
        started.append(sandbox.start(self.SLEEP, log=log, directory=sandbox.root))
        process = psutil.Process(started[0].pid)
        # For an instant after exec the kernel shows no environment yet.
        environment = next(filter(None, (process.environ() for _ in range(10_000))))
        assert environment[MARK] == sandbox.run_id
        assert process.cwd() == str(sandbox.root)
        assert os.getsid(process.pid) == process.pid != os.getsid(0)

    def test_both_outputs_are_appended_to_the_log(self, sandbox, started):
        log = sandbox.root / "appended.log"
        log.write_text("before\n")
        script = "import sys; print('out', flush=True); print('err', file=sys.stderr)"
        started.append(sandbox.start([sys.executable, "-c", script], log=log, directory=sandbox.root))
        started[0].wait(timeout=10)
        assert log.read_text() == "before\nout\nerr\n"

    def test_a_program_that_is_not_there_is_an_error(self, sandbox):
        with pytest.raises(ProvisionError, match="cannot start no-such-server"):
            sandbox.start(["no-such-server"], log=sandbox.root / "x.log", directory=sandbox.root)


class TestAccount:
    def test_there_is_one_only_when_we_are_root(self):
        assert (unprivileged_account() is None) == (os.geteuid() != 0)

    def test_without_one_nothing_changes_hands(self, sandbox, tmp_path):
        replace(sandbox, account=None).give(tmp_path)
        assert tmp_path.stat().st_uid == os.geteuid()

    @as_root
    def test_a_dropped_tool_is_nobody_and_in_no_group_of_ours(self, sandbox):
        ran = sandbox.call(["id"], drop=True)
        nobody = pwd.getpwnam("nobody")
        assert ran.stdout.startswith(f"uid={nobody.pw_uid}(nobody) gid={nobody.pw_gid}")
        assert "(root)" not in ran.stdout

    @as_root
    def test_a_tree_is_given_whole_and_links_are_not_followed(self, sandbox):
        tree = sandbox.root / "tree"
        (tree / "below").mkdir(parents=True)
        outside = sandbox.root / "outside"
        outside.touch()
        (tree / "below" / "link").symlink_to(outside)
        sandbox.give(tree)
        assert {path.lstat().st_uid for path in (tree, *tree.rglob("*"))} == {sandbox.account.uid}
        assert outside.stat().st_uid == 0

    @as_root
    def test_root_without_an_account_nobody_is_told_so(self, monkeypatch):
        def unknown(name: str) -> None:
            raise KeyError(name)

        monkeypatch.setattr(pwd, "getpwnam", unknown)
        with pytest.raises(MissingToolError, match="no account 'nobody'"):
            unprivileged_account()


def test_a_free_port_can_be_listened_on():
    with socket() as server:
        port = free_port()
        server.bind((LOOPBACK, port))
        server.listen()
        assert server.getsockname() == (LOOPBACK, port)


class TestEndingASession:
    @pytest.fixture
    def leader(self, sandbox, started):
        """The first of a session, which leaves another one running and says its number."""
        log = sandbox.root / token_hex(4)
        leaves_one = ["sh", "-c", "sleep 600 & echo $!"]
        started.append(sandbox.start(leaves_one, log=log, directory=sandbox.root))
        while not has_ended(started[0]):
            pass
        left = psutil.Process(int(log.read_text()))
        yield started[0], left
        with suppress(psutil.NoSuchProcess):
            left.kill()

    def test_all_of_it_ends_while_the_number_is_still_its_own(self, leader):
        first, left = leader
        assert has_ended(first)
        end_session(first)
        end_session(first)
        assert first.returncode == 0
        psutil.wait_procs([left], timeout=10)
        assert is_dead(left)

    def test_of_one_that_was_waited_for_nobody_is_killed(self, leader):
        first, left = leader
        first.wait()
        assert has_ended(first)
        end_session(first)
        psutil.wait_procs([left], timeout=0.5)
        assert not is_dead(left)


def is_dead(process: psutil.Process) -> bool:
    """Also when nobody has asked yet for the exit code of one that lost its parent."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
