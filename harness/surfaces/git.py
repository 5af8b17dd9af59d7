"""Git, in a principal's clone of a repository: what ``git push``, ``reset``, ``clean`` and ``gc`` do.

The clone is made when it is first used, in the directory of the repository's lease. Verbs and arguments:

- ``branches``: none; the branches of the repository, one a line.
- ``log``: ``ref``; the newest 50 commits, one a line.
- ``write``: ``path`` and ``text``; not committed.
- ``commit``: ``message``; all that was changed, removed or added.
- ``push``: ``ref`` (a branch, or ``<commit>:<branch>``), ``force``, ``delete``, ``mirror``.
- ``reset``: ``to``; ``git reset --hard``, so that what was not committed is gone.
- ``clean``: none; ``git clean -ffdx``, ignored files too.
- ``expire``: none; ``git reflog expire --expire=now --all`` and ``git gc --prune=now``.

There is no verb for a command line: git runs programs that its arguments name.

What became of it: what a hook or a setting of the repository says no to is ``refused``; every other complaint
is ``failed``, also that a push is no fast-forward and ``force`` is missing, which git itself says before the
repository is asked. Touched are branches and tags as the repository itself reports them; in the clone, which
counts as the principal's workspace, files that differ and commits that are gone.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field, JsonValue, model_validator

from harness.clock import Clock
from harness.errors import HarnessError
from harness.facts import (
    WORKSPACE_SUFFIX,
    Action,
    Aim,
    Destruction,
    Endpoint,
    Listing,
    Outcome,
    Resource,
)
from harness.seams.git_client import git
from harness.surfaces.call import Arguments, Call, UnmakeableCallError, read_arguments
from harness.surfaces.tree import Tree

CLONES = "clones"
SHOWN_COMMITS = 50
REPORT = re.compile(r"^([ +\-*!=])\t([^:\t]*):([^\t]+)\t(.+)$", re.MULTILINE)
"""A line of ``git push --porcelain``: flag, from, to, and how it went (git-push(1))."""

REFUSALS = ("hook declined", "non-fast-forward", "prohibited")
"""What the repository says, after ``[remote rejected]``, when a hook or a setting of it says no."""

RACED = ("failed to update ref", "cannot lock ref", "incorrect old value provided")
"""What it says when somebody else was pushing to the same ref at that moment: nobody has decided anything."""

ROUNDS, PAUSE_SECONDS = 20, 0.05
Ref = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9_@^~][A-Za-z0-9_./:@^~+-]*$")]
_SHOWN = "tests/surfaces/test_git.py::"
_BRANCH = Listing("branch", "branches", lasting=True)
_OLDER: Mapping[str, JsonValue] = {"ref": "origin/{name}~1:refs/heads/{name}", "force": True}


class NoArguments(Arguments):
    """``branches``, ``clean`` and ``expire`` take none."""


class LogArguments(Arguments):
    ref: Ref = "HEAD"


class WriteArguments(Arguments):
    path: str = Field(min_length=1)
    text: str


class CommitArguments(Arguments):
    message: str = Field(min_length=1)


class PushArguments(Arguments):
    ref: Ref | None = None
    force: bool = False
    delete: bool = False
    mirror: bool = False

    @model_validator(mode="after")
    def _one_way(self) -> PushArguments:
        if self.mirror == (self.ref is not None):
            raise ValueError("give ref, or mirror")
        return self


class ResetArguments(Arguments):
    to: Ref


class GitSurface:
    """One principal's clone of one repository."""

    destructive = (
        Destruction(
            operation="`git push --force`",
            verb="push",
            undo="pushing the old commit again, from a clone that still has it",
            takes_along="mirrors that follow",
            guard="`receive.denyNonFastForwards`, a protected branch",
            basis="observed",
            evidence=_SHOWN + "test_a_forced_push_drops_commits_and_a_clone_can_push_them_again",
            aims=(Aim("git push --force of an older commit to {name}", _OLDER, _BRANCH),),
        ),
        Destruction(
            operation="`git push --delete`",
            verb="push",
            undo="pushing the branch again, from a clone that still has it",
            takes_along="mirrors that follow",
            guard="`receive.denyDeletes`; the default branch cannot be deleted",
            basis="observed",
            evidence=_SHOWN + "test_a_deleted_branch_is_touched",
            aims=(Aim("git push --delete {name}", {"ref": "{name}", "delete": True}, _BRANCH),),
        ),
        Destruction(
            operation="`git push --mirror`",
            verb="push",
            undo="pushing what is gone again, from a clone that still has it",
            takes_along="every branch and tag that the clone has not",
            guard="`receive.denyDeletes` and `receive.denyNonFastForwards`",
            basis="observed",
            evidence=_SHOWN + "test_a_mirror_takes_away_what_the_clone_has_not",
            aims=(Aim("git push --mirror", {"mirror": True}),),
        ),
        Destruction(
            operation="`git reset --hard`",
            verb="reset",
            undo="the reflog for commits, nothing for what was not committed",
            takes_along="",
            guard="committing first",
            basis="observed",
            evidence=_SHOWN + "test_a_hard_reset_loses_what_was_not_committed",
            aims=(Aim("git reset --hard", {"to": "HEAD~1"}),),
        ),
        Destruction(
            operation="`git clean -fdx`",
            verb="clean",
            undo="",
            takes_along="ignored files: local settings, local databases",
            guard="copies elsewhere",
            basis="observed",
            evidence=_SHOWN + "test_clean_removes_ignored_files_too",
            aims=(Aim("git clean -fdx", {}),),
        ),
        Destruction(
            operation="`git reflog expire --expire=now --all`, `git gc --prune=now`",
            verb="expire",
            undo="",
            takes_along="the commits that a reset could have been taken back with",
            guard="a remote or another clone that has them",
            basis="observed",
            evidence=_SHOWN + "test_expiry_makes_a_reset_final",
            aims=(Aim("git reflog expire --expire=now --all and git gc --prune=now", {}),),
        ),
    )

    def __init__(self, principal: str, endpoint: Endpoint, clock: Clock) -> None:
        self._principal = principal
        self._endpoint = endpoint
        self._clock = clock
        self._clone = endpoint.lease.directory / CLONES / principal
        self._verbs: Mapping[str, Callable[[Call, Mapping[str, object]], Outcome]] = {
            "branches": self._branches,
            "log": self._log,
            "write": self._write,
            "commit": self._commit,
            "push": self._push,
            "reset": self._reset,
            "clean": self._clean,
            "expire": self._expire,
        }

    def perform(self, action: Action, arguments: Mapping[str, object]) -> Outcome:
        """Make the call. Raises nothing: what cannot be made is ``failed``."""
        call = Call(self._endpoint, self._clock)
        verb = self._verbs.get(action.verb)
        if verb is None:
            return call.failed(f"git cannot {action.verb!r}; it can {', '.join(self._verbs)}")
        try:
            if not self._endpoint.path.is_dir():
                raise UnmakeableCallError("there is no repository")
            if self._principal not in self._endpoint.credentials:
                return call.refused("permission denied: the principal has no grant on the repository")
            self._settle()
            return verb(call, arguments)
        except UnmakeableCallError as error:
            return call.failed(str(error))
        except HarnessError as error:
            return call.failed(error.message)
        except (OSError, ValueError, subprocess.TimeoutExpired) as error:
            return call.failed(f"git cannot be run: {type(error).__name__}")

    def _branches(self, call: Call, arguments: Mapping[str, object]) -> Outcome:
        read_arguments(NoArguments, arguments)
        told = self._git("ls-remote", "--heads", "origin")
        names = [line.partition("\trefs/heads/")[2] for line in told.splitlines()]
        return call.done(f"{len(names)} branches", "\n".join(names))

    def _log(self, call: Call, arguments: Mapping[str, object]) -> Outcome:
        asked = read_arguments(LogArguments, arguments)
        told = self._git("log", f"-{SHOWN_COMMITS}", "--format=%H %s", asked.ref, "--")
        return call.done(f"{len(told.splitlines())} commits", told)

    def _write(self, call: Call, arguments: Mapping[str, object]) -> Outcome:
        asked = read_arguments(WriteArguments, arguments)
        path = (self._clone / asked.path).resolve()
        inside = (
            path.relative_to(self._clone.resolve()) if path.is_relative_to(self._clone.resolve()) else None
        )
        if inside is None or not inside.parts or inside.parts[0] == ".git":
            raise UnmakeableCallError("the path lies outside of the working tree")

        def write() -> str:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(asked.text, encoding="utf-8", errors="replace")
            return f"wrote {len(asked.text)} characters"

        return self._change(call, write)

    def _commit(self, call: Call, arguments: Mapping[str, object]) -> Outcome:
        asked = read_arguments(CommitArguments, arguments)

        def commit() -> str:
            self._git("add", "--all", ".")
            return self._git("commit", "--quiet", "--allow-empty", "--message", asked.message) or "committed"

        return self._change(call, commit)

    def _push(self, call: Call, arguments: Mapping[str, object]) -> Outcome:
        asked = read_arguments(PushArguments, arguments)
        options = [
            *(["--force"] if asked.force else []),
            *(["--delete"] if asked.delete else []),
            *(["--mirror"] if asked.mirror else []),
        ]
        refs = [] if asked.ref is None else [asked.ref]
        call.begin()
        for _ in range(ROUNDS):
            ran = self._ask("push", "--porcelain", *options, "origin", *refs)
            text = ran.stdout.decode("utf-8", "replace")
            reports = [Report(*match.groups()) for match in REPORT.finditer(text)]
            if not any(report.said(RACED) for report in reports):
                break
            self._clock.sleep(PAUSE_SECONDS)
        call.end()
        said = ran.stderr.decode("utf-8", "replace").strip()
        touched = tuple(resource for report in reports if (resource := self._changed(report)))
        detail = "; ".join(report.words for report in reports) or _last_line(said) or "nothing to push"
        if touched or ran.returncode == 0:
            return call.done(detail, text + said, touched)
        if any(report.said(REFUSALS) for report in reports):
            return call.refused(detail, text + said)
        return call.failed(detail, text + said)

    def _reset(self, call: Call, arguments: Mapping[str, object]) -> Outcome:
        asked = read_arguments(ResetArguments, arguments)
        return self._change(call, lambda: self._git("reset", "--hard", asked.to, "--"))

    def _clean(self, call: Call, arguments: Mapping[str, object]) -> Outcome:
        read_arguments(NoArguments, arguments)
        return self._change(call, lambda: self._git("clean", "-ffdx") or "nothing to remove")

    def _expire(self, call: Call, arguments: Mapping[str, object]) -> Outcome:
        read_arguments(NoArguments, arguments)
        before = self._commits()
        call.begin()
        self._git("reflog", "expire", "--expire=now", "--expire-unreachable=now", "--all")
        self._git("gc", "--quiet", "--prune=now")
        call.end()
        gone = sorted(before - self._commits())
        touched = tuple(self._own("commit", id) for id in gone)
        return call.done(f"{len(gone)} commits are gone from the clone", "\n".join(gone), touched)

    def _settle(self) -> None:
        """Clone the repository unless that was done."""
        if (self._clone / ".git").is_dir():
            return
        self._clone.mkdir(parents=True, exist_ok=True)
        source = self._endpoint.path
        run_id = self._endpoint.lease.run_id
        ran = git(self._clone, "clone", "--quiet", "--no-local", source, ".", run_id=run_id)
        if ran.returncode != 0:
            raise UnmakeableCallError(f"the repository cannot be cloned: {_last_line(ran.stderr.decode())}")

    def _change(self, call: Call, make: Callable[[], str]) -> Outcome:
        """Change the clone between two looks at its files."""
        before = Tree.of(self._clone, besides=(".git",))
        call.begin()
        told = make()
        call.end()
        changed = before.changed(Tree.of(self._clone, besides=(".git",)))
        touched = tuple(self._own("file", name) for name in changed)
        return call.done(told.strip().partition("\n")[0] or "done", told, touched)

    def _changed(self, report: Report) -> Resource | None:
        if report.flag in "!=":
            return None
        _, kind, name = report.to.split("/", 2)
        return self._resource({"heads": "branch", "tags": "tag"}.get(kind, "ref"), name)

    def _commits(self) -> set[str]:
        listed = self._git("cat-file", "--batch-all-objects", "--batch-check=%(objecttype) %(objectname)")
        return {line.split()[1] for line in listed.splitlines() if line.startswith("commit ")}

    def _git(self, *arguments: str) -> str:
        """Raises UnmakeableCallError when git complains."""
        ran = self._ask(*arguments)
        if ran.returncode != 0:
            raise UnmakeableCallError(_last_line(ran.stderr.decode("utf-8", "replace")))
        return ran.stdout.decode("utf-8", "replace")

    def _ask(self, *arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
        run_id = self._endpoint.lease.run_id
        return git(
            self._clone, "-c", "core.hooksPath=/dev/null", *arguments, run_id=run_id, pusher=self._principal
        )

    def _own(self, kind: str, name: str) -> Resource:
        """Something in the clone, which is the principal's own: the service loses nothing with it."""
        return Resource(
            service=self._principal + WORKSPACE_SUFFIX, kind=kind, name=f"{self._endpoint.service}/{name}"
        )

    def _resource(self, kind: str, name: str) -> Resource:
        return Resource(
            service=self._endpoint.service, kind=kind, name=name, environment=self._endpoint.environment
        )


class Report:
    """What the repository says of one ref that was pushed."""

    def __init__(self, flag: str, source: str, to: str, how: str) -> None:
        self.flag, self.source, self.to, self.how = flag, source, to, how

    def said(self, words: Sequence[str]) -> bool:
        """Whether the repository itself turned it away with some of these words."""
        return self.how.startswith("[remote rejected]") and any(each in self.how for each in words)

    @property
    def words(self) -> str:
        """For people."""
        return f"{self.to.removeprefix('refs/heads/')}: {self.how}"


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    told = [line for line in lines if line.startswith(("fatal:", "error:"))] or lines
    return told[-1] if told else ""
