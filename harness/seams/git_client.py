"""Git, and items as the files of a repository: how an application commits and pushes them.

Whoever pushes is told to the repository as in gitolite: the transport knows, and a hook decides.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import mkdtemp

from harness.errors import MissingToolError
from harness.facts import Credential, Endpoint
from harness.sandbox import MARK
from harness.seams.items import ItemRefusedError, ItemUnansweredError, content_hash

PUSHER = "NINELIVES_PUSHER"
"""The variable in which the repository's hook finds who pushes."""

ROUNDS = 50
PATIENCE = 60.0
MOVED = (b"non-fast-forward", b"fetch first", b"cannot lock ref", b"failed to update ref", b"stale info")
"""What git says when somebody else has pushed meanwhile."""


def git(
    directory: Path,
    *arguments: str | Path,
    run_id: str,
    pusher: str = "",
    stdin: bytes = b"",
    settings: Mapping[str, str] | None = None,
    patience: float = PATIENCE,
) -> subprocess.CompletedProcess[bytes]:
    """Run git with nothing of the user's: no configuration, no hooks of a clone, no prompt, no editor.

    Args:
        directory: of the repository or the clone.
        arguments: of git.
        run_id: of the run that it belongs to.
        pusher: the principal in whose name it is run.
        stdin: what it reads.
        settings: variables on top.
        patience: seconds that it may take.

    Returns:
        How it ended; the caller judges.

    Raises:
        MissingToolError: git is not on this machine.
        subprocess.TimeoutExpired: it took too long.
        OSError: the directory is not there.
    """
    who = pusher or "ninelives"
    environment = {
        "PATH": os.defpath,
        "HOME": os.devnull,
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        MARK: run_id,
        PUSHER: pusher,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        # Where a repository should be and is none, none is looked for above it: it would be somebody else's.
        "GIT_CEILING_DIRECTORIES": str(directory.absolute().parent),
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_EDITOR": "true",
        "GIT_AUTHOR_NAME": who,
        "GIT_AUTHOR_EMAIL": f"{who}@example.com",
        "GIT_COMMITTER_NAME": who,
        "GIT_COMMITTER_EMAIL": f"{who}@example.com",
        **(settings or {}),
    }
    try:
        return subprocess.run(
            ["git", "-c", "safe.directory=*", "-c", "gc.auto=0", *map(str, arguments)],
            cwd=directory,
            env=environment,
            input=stdin,
            capture_output=True,
            timeout=patience,
            check=False,
            start_new_session=True,
        )
    except FileNotFoundError as error:
        if directory.is_dir():
            raise MissingToolError("there is no git on this machine", hint="install git") from error
        raise


def commands_of(
    branch: str, files: Sequence[tuple[str, bytes | None]], *, who: str, date: str, parent: str
) -> bytes:
    """What ``git fast-import`` reads for one commit (git-fast-import(1)).

    Args:
        branch: that it goes to.
        files: path and content; None removes it.
        who: the author.
        date: as ``--date-format`` has it: ``now``, or seconds since 1970 and ``+0000``.
        parent: the commit before it; empty where there is none, or it is in the same stream.
    """
    lines = [b"commit refs/heads/%s\n" % branch.encode()]
    lines.append(b"committer %s <%s@example.com> %s\n" % (who.encode(), who.encode(), date.encode()))
    lines.append(b"data 6\nchange\n")
    if parent:
        lines.append(b"from %s\n" % parent.encode())
    for path, body in files:
        name = b'"%s"' % path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").encode()
        if body is None:
            lines.append(b"D %s\n" % name)
        else:
            lines.append(b"M 100644 inline %s\ndata %d\n%s\n" % (name, len(body), body))
    return b"".join([*lines, b"\n"])


class GitClient:
    """Files of the branches of a repository, each write a commit that is pushed.

    Args:
        endpoint: of kind ``git``.
        credential: says who pushes.
    """

    def __init__(self, endpoint: Endpoint, credential: Credential) -> None:
        self._remote = endpoint.path
        self._run_id = endpoint.lease.run_id
        self._principal = credential.principal
        self._clone: Path | None = None

    def put(self, collection: str, key: str, body: bytes) -> int:
        """Commit a file on top of the branch and push it; again when somebody else was first.

        Raises:
            ItemRefusedError: the repository is gone, or does not take it.
            ItemUnansweredError: it may have been pushed.
        """
        self._change(collection, key, body)
        return content_hash(body)

    def get(self, collection: str, key: str) -> bytes | None:
        """Its content at the tip of the branch; raises as ``put``."""
        self._tip(collection)
        shown = self._ask(self._remote, "cat-file", "blob", f"refs/heads/{collection}:{key}")
        return shown.stdout if shown.returncode == 0 else None

    def delete(self, collection: str, key: str) -> int | None:
        """Commit its removal and push that; raises as ``put``."""
        body = self.get(collection, key)
        if body is None:
            return None
        self._change(collection, key, None)
        return content_hash(body)

    def close(self) -> None:
        """Remove the clone. Idempotent."""
        if self._clone is not None:
            shutil.rmtree(self._clone, ignore_errors=True)
            self._clone = None

    def _change(self, branch: str, key: str, body: bytes | None) -> None:
        for _ in range(ROUNDS):
            clone, tip = self._cloned(), self._tip(branch)
            commands = commands_of(branch, [(key, body)], who=self._principal, date="now", parent=tip)
            made = self._ask(clone, "fast-import", "--quiet", "--force", "--date-format=now", stdin=commands)
            if made.returncode != 0:
                raise ItemRefusedError(_words(made))
            pushed = self._ask(clone, "push", "--porcelain", self._remote, f"refs/heads/{branch}")
            if pushed.returncode == 0:
                return
            said = pushed.stdout + pushed.stderr
            if not any(words in said for words in MOVED):
                raise ItemRefusedError(_words(pushed))
        raise ItemRefusedError(f"others have pushed to {branch} {ROUNDS} times meanwhile")

    def _tip(self, branch: str) -> str:
        shown = self._ask(self._remote, "rev-parse", "--verify", "--quiet", f"refs/heads/{branch}")
        if shown.returncode != 0:
            raise ItemRefusedError(f"there is no branch {branch}")
        return shown.stdout.decode().strip()

    def _cloned(self) -> Path:
        """A clone that shares the repository's objects, so that it costs nothing and is always fresh."""
        if self._clone is None:
            self._clone = Path(mkdtemp(prefix="clone-"))
            made = self._ask(
                self._clone, "clone", "--quiet", "--bare", "--shared", self._remote, self._clone / "git"
            )
            if made.returncode != 0:
                self.close()
                raise ItemRefusedError(_words(made))
        return self._clone / "git"

    def _ask(
        self, directory: Path, *arguments: str | Path, stdin: bytes = b""
    ) -> subprocess.CompletedProcess[bytes]:
        try:
            return git(directory, *arguments, run_id=self._run_id, pusher=self._principal, stdin=stdin)
        except subprocess.TimeoutExpired as error:
            raise ItemUnansweredError("git does not end") from error
        except OSError as error:
            raise ItemRefusedError("the repository is gone") from error


def read_files(repository: Path, commit: str, run_id: str) -> Iterator[tuple[str, bytes]]:
    """Path and content of every file of a commit, in the order of their paths.

    Raises:
        ValueError: there is no such commit, or an object of it is missing.
    """
    listed = git(repository, "ls-tree", "-r", "-z", "--full-tree", commit, run_id=run_id)
    if listed.returncode != 0:
        raise ValueError(_words(listed))
    entries = [entry.split(b"\t", 1) for entry in listed.stdout.split(b"\0") if entry]
    ids = [meta.split()[2] for meta, _ in entries]
    answer = git(repository, "cat-file", "--batch", run_id=run_id, stdin=b"\n".join([*ids, b""])).stdout
    at, found = 0, []
    for _, path in entries:
        head, _, rest = answer[at:].partition(b"\n")
        if not rest or head.endswith(b"missing"):
            raise ValueError(f"an object of {commit} is missing")
        size = int(head.split()[2])
        at += len(head) + 1
        found.append((path.decode("utf-8", "surrogateescape"), answer[at : at + size]))
        at += size + 1
    return iter(sorted(found))


def dates_of(repository: Path, commit: str, run_id: str) -> Mapping[str, float]:
    """When each file was last changed up to a commit, in seconds since 1970."""
    logged = git(repository, "log", "--format=%x01%ct", "--name-only", "-z", commit, run_id=run_id)
    dates: dict[str, float] = {}
    for entry in logged.stdout.split(b"\x01")[1:]:
        date, _, names = entry.partition(b"\0")
        for name in names.lstrip(b"\n").split(b"\0"):
            if name:
                dates.setdefault(name.decode("utf-8", "surrogateescape"), float(date))
    return dates


def _words(ran: subprocess.CompletedProcess[bytes]) -> str:
    """What git says, without paths of this machine."""
    lines = [line for line in ran.stderr.decode("utf-8", "replace").splitlines() if line.strip()]
    told = [line for line in lines if line.startswith(("remote:", "error:", "fatal:"))] or lines
    return told[0] if told else f"git ended with exit code {ran.returncode}"
