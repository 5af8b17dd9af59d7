"""Command lines in a principal's workspace, confined by the kernel to that workspace.

One verb, ``run``, with the arguments

- ``command``: a command line, as ``sh -c`` takes it; any program below ``/usr`` can be called.
- ``timeout``: seconds after which it is killed, 30 unless it says otherwise.

It runs in namespaces of its own, made by ``unshare`` without any privilege: the workspace is ``/workspace``
and the home directory, ``/usr`` is read-only, ``/tmp`` is empty, and nothing else of this machine's files is
there. There is no network, loopback included, and no process to be seen but its own; all of them end with it.
Where the harness is root it drops to the account of servers first. Its environment is built from nothing.

What became of it: ``done`` when it ended well or changed a file; ``refused`` when the file system said no to
something in the workspace, other than to run it; ``failed`` otherwise, also where this kernel lets nobody be
confined: then nothing is run. Touched are the files that are other than before, by content, mode or name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from harness.clock import Clock
from harness.errors import HarnessError
from harness.facts import Action, Destruction, Endpoint, Outcome, Resource
from harness.sandbox import Sandbox, end_session, has_ended, unprivileged_account
from harness.surfaces.call import Arguments, Call, UnmakeableCallError, read_arguments
from harness.surfaces.tree import Tree

HOME = "/workspace"
SEARCH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
POLL_SECONDS = 0.005
LONGEST_LINE = 8192
LONGEST_OUTPUT = 1 << 20
"""Bytes of what a command prints that an agent is shown, the last ones."""

UNSHARE = ("unshare", "--user", "--map-root-user", "--mount", "--pid", "--net", "--ipc", "--uts")
"""unshare(1) of util-linux; the kernel must let ordinary users make user namespaces (user_namespaces(7))."""

CONFINE = r"""
set -eu
root=$1 workspace=$2 ready=$3 command=$4
ulimit -c 0
ulimit -f 131072
mount -t tmpfs -o mode=755,size=64m none "$root"
cd "$root"
mkdir usr dev etc tmp workspace
chmod 1777 tmp
mount --bind /usr usr
mount -o remount,bind,ro,nosuid,nodev usr
for name in bin sbin lib lib32 lib64 libx32; do
    if [ -L "/$name" ]; then
        ln -s "$(readlink "/$name")" "$name"
    elif [ -d "/$name" ]; then
        mkdir "$name"
        mount --bind "/$name" "$name"
        mount -o remount,bind,ro,nosuid,nodev "$name"
    fi
done
for name in null zero urandom; do
    : > "dev/$name"
    mount --bind "/dev/$name" "dev/$name"
done
echo "agent:x:0:0::/workspace:/bin/sh" > etc/passwd
mount --bind "$workspace" workspace
: > "$ready"
exec chroot . setpriv --no-new-privs --inh-caps=-all --bounding-set=-all \
    env --chdir=/workspace sh -c "$command"
"""
"""Nobody can leave: a process without capabilities can neither mount nor chroot, nor make user namespaces in
a chroot (user_namespaces(7), EPERM), and nothing is open that lies outside."""

DENIALS = (": Permission denied", ": Operation not permitted")
"""What programs say after the name of a file, as the C library words EACCES and EPERM."""

NOT_RUNNABLE = 126
"""The exit code of a shell, env(1) or xargs(1) for a command that was found and cannot be run."""

OF_THE_SHELL = re.compile(r"[^:]+: (?:line )?\d+: (?!cannot )[^:]+")
"""What a shell says before a denial to run a file, and bash to open one. Programs say no line number."""

_SHOWN = "tests/surfaces/test_shell.py::"


class CommandArguments(Arguments):
    command: str = Field(min_length=1)
    timeout: Annotated[float, Field(gt=0, le=600)] = 30.0


class ShellSurface:
    """One principal's command line, confined to its workspace."""

    destructive = (
        Destruction(
            operation="`rm -rf`, `find -delete`",
            verb="run",
            undo="",
            takes_along="copies that lie in the workspace",
            guard="permissions of the folder; copies elsewhere",
            basis="observed",
            evidence=_SHOWN + "test_what_is_removed_is_touched",
        ),
        Destruction(
            operation="an overwriting `mv`, `cp` or `>`",
            verb="run",
            undo="",
            takes_along="",
            guard="permissions of the folder or the file; copies elsewhere",
            basis="observed",
            evidence=_SHOWN + "test_what_is_written_over_is_touched",
        ),
        Destruction(
            operation="`rm -rf /`, or a variable that is empty in `rm -rf $DIR/`",
            verb="run",
            undo="",
            takes_along="everything that the account can write to",
            guard="an account that can write to nothing else; here, the confinement",
            basis="observed",
            evidence=_SHOWN + "test_what_removes_everything_removes_the_workspace_and_nothing_else",
        ),
    )

    def __init__(self, principal: str, endpoint: Endpoint, clock: Clock) -> None:
        del principal
        self._endpoint = endpoint
        self._clock = clock
        self._root = endpoint.path.resolve()
        self._place = endpoint.lease.directory / "shell"

    def perform(self, action: Action, arguments: Mapping[str, object]) -> Outcome:
        """Run the command line. Raises nothing: what cannot be run, or not be confined, is ``failed``."""
        call = Call(self._endpoint, self._clock)
        if action.verb != "run":
            return call.failed(f"shell cannot {action.verb!r}; it can run")
        try:
            wanted = read_arguments(CommandArguments, arguments)
            if "\0" in wanted.command:
                raise UnmakeableCallError("command: holds a NUL character")
            if self._endpoint.kind != "files":
                raise UnmakeableCallError("a command line runs in a principal's own workspace, nowhere else")
            if not self._root.is_dir():
                raise UnmakeableCallError("there is no workspace")
            return self._perform(call, wanted)
        except UnmakeableCallError as error:
            return call.failed(str(error))
        except HarnessError as error:
            return call.failed(error.message)
        except (OSError, ValueError) as error:
            return call.failed(f"it cannot be run: {type(error).__name__}")

    def _perform(self, call: Call, wanted: CommandArguments) -> Outcome:
        sandbox = self._settle()
        before = Tree.of(self._root)
        call.begin()
        ran = self._run(sandbox, wanted)
        call.end()
        touched = tuple(self._resource(name) for name in before.changed(Tree.of(self._root)))
        if not ran.confined:
            return call.failed(
                f"nothing was run: this machine cannot confine a command line ({_last_line(ran.output)})"
            )
        if ran.code == 0 or touched:
            return call.done(f"{ran.words}; {len(touched)} files changed", ran.output, touched)
        detail = f"{ran.words}: {_last_line(ran.output)}"
        return call.refused(detail, ran.output) if self._is_denied(ran) else call.failed(detail, ran.output)

    def _settle(self) -> Sandbox:
        """Hand the workspace to the account that commands run as."""
        account = unprivileged_account()
        lease = self._endpoint.lease
        sandbox = Sandbox(lease.run_id, lease.directory, lease.directory, account)
        (self._place / "root").mkdir(parents=True, exist_ok=True)
        (self._place / "ready").unlink(missing_ok=True)
        (self._place / "output").unlink(missing_ok=True)
        sandbox.give(self._place)
        sandbox.give(self._root)
        return sandbox

    def _run(self, sandbox: Sandbox, wanted: CommandArguments) -> Ran:
        paths = (self._place / "root", self._root, self._place / "ready")
        output = self._place / "output"
        process = sandbox.start(
            [*UNSHARE, "--fork", "--kill-child", "sh", "-c", CONFINE, "sh", *paths, wanted.command],
            log=output,
            directory=self._place,
            environment={"PATH": SEARCH, "HOME": HOME, "TMPDIR": "/tmp", "USER": "agent"},  # noqa: S108
            drop=True,
        )
        began, late = self._clock.stamp(), False
        try:
            while not has_ended(process) and not late:
                self._clock.sleep(POLL_SECONDS)
                late = self._clock.stamp().since(began) > wanted.timeout
        finally:
            end_session(process)  # the first process of the namespace takes all others with it
        return Ran(process.returncode, late, (self._place / "ready").exists(), _tail(output))

    def _is_denied(self, ran: Ran) -> bool:
        """Whether the file system refused something that is there: only that is a guard of the workspace.

        That a file cannot be run is none: whoever may change its mode, or give it to a shell, runs it.
        """
        if ran.code == NOT_RUNNABLE:
            return False
        named = (Path(HOME, name) for name in _denied_names(ran.output))
        inside = (path.relative_to(HOME) for path in named if path.is_relative_to(HOME))
        return any(os.path.lexists(self._root / path) for path in inside)

    def _resource(self, name: str) -> Resource:
        return Resource(
            service=self._endpoint.service, kind="file", name=name, environment=self._endpoint.environment
        )


@dataclass(frozen=True)
class Ran:
    """A command that has ended.

    Attributes:
        code: its exit code; negative for a signal.
        late: it was killed because it took too long.
        confined: it was begun at all.
        output: the end of what it printed, both streams.
    """

    code: int
    late: bool
    confined: bool
    output: str

    @property
    def words(self) -> str:
        """How it ended."""
        return "killed, it took too long" if self.late else f"exit code {self.code}"


def _denied_names(output: str) -> Iterator[str]:
    for line in output.splitlines():
        for denial in DENIALS:
            head, found, _ = line[:LONGEST_LINE].partition(denial)
            if found and not OF_THE_SHELL.fullmatch(head):
                quoted = head.endswith("'")
                yield head[:-1].rpartition("'")[2] if quoted else head.split(" ")[-1]


def _tail(output: Path) -> str:
    with output.open("rb") as file:
        file.seek(max(0, output.stat().st_size - LONGEST_OUTPUT))
        return file.read().decode("utf-8", "replace")


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
