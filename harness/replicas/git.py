"""A disposable git remote: a bare repository that is cloned and pushed to, with a hook that knows its grants.

It lies at ``<lease>/remote/repository.git``, and what replaces it after a disaster lies at the same place.
Whoever pushes is known from the transport, as in gitolite; the hook ``update`` refuses who may not. What
protects branches is git's own (``receive.denyNonFastForwards``, ``receive.denyDeletes``; git-config(1)).
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from harness.errors import DatabaseError, ProvisionError, RestoreError
from harness.facts import APPLICATION, Endpoint, Fingerprint, Lease, Resource
from harness.replicas.grants import mounts
from harness.replicas.leases import note_place, reap
from harness.replicas.spec import spec_of
from harness.replicas.tree_memory import FOLDER, TreeMemory
from harness.scenario.models import GitService, Stack
from harness.seams.drivers import Memory, Row, Setting, Vessel
from harness.seams.git_client import PUSHER, commands_of, dates_of, git, read_files
from harness.seams.items import Item, content_hash, fingerprint_of

REMOTE = "remote"
REPOSITORY = "repository.git"
MARKER_FILE = "repository.lease"
FENCED = "fenced.git"
WRITERS = "writers"
MAY_PUSH, MAY_FETCH = "push", "fetch"
"""Public halves of the credentials: what a principal may do."""

HOOK = f"""#!/bin/sh
grep -qxF "${PUSHER}" "$GIT_DIR/{WRITERS}" && exit 0
echo "permission denied: you may not push to $1" >&2
exit 1
"""


@dataclass
class GitReplica:
    """Replicas of kind ``git``."""

    _branches: dict[str, tuple[str, ...]] = field(default_factory=dict, init=False)

    def requires(self, stack: Stack, service: str) -> tuple[str, ...]:
        """Nothing else must be there first."""
        del stack, service
        return ()

    def provision(self, lease: Lease, setting: Setting) -> Endpoint:
        """Make the repository, with an empty first commit on each branch.

        Raises:
            ProvisionError: it cannot be made.
            MissingToolError: git is not on this machine.
        """
        spec = spec_of(setting.stack, lease.service, GitService)
        path = lease.directory / REMOTE / REPOSITORY
        endpoint = Endpoint(
            lease=lease,
            kind=spec.kind,
            host="",
            port=0,
            name=REPOSITORY,
            environment=spec.environment,
            path=path,
            credentials=mounts(setting.stack, lease.service, writing=MAY_PUSH, reading=MAY_FETCH),
        )
        try:
            path.mkdir(parents=True)
            _settle(endpoint, spec)
        except OSError as error:
            raise ProvisionError(
                f"cannot make the repository of {lease.service}: {error}",
                hint="free some space, or `ninelives sweep`",
            ) from error
        self._branches[lease.service] = spec.collections
        return endpoint

    def destroy(self, lease: Lease) -> None:
        """Leave no process and no file. Idempotent; works from the lease alone.

        Raises:
            LeftoverError: a file cannot be removed.
        """
        reap(lease)

    def read_marker(self, endpoint: Endpoint) -> str:
        """The marker of the lease, from the file beside the repository; empty when it is gone."""
        marker = endpoint.path.with_name(MARKER_FILE)
        return marker.read_text(encoding="utf-8") if marker.is_file() else ""

    def inventory(self, endpoint: Endpoint) -> tuple[Resource, ...]:
        """The repository, its branches and its tags. Empty when it is gone."""
        if not endpoint.path.is_dir():
            return ()
        shown = _git(endpoint, "for-each-ref", "--format=%(refname)", "refs/heads", "refs/tags").stdout
        kinds = {"heads": "branch", "tags": "tag"}
        found = [("repository", endpoint.name)]
        for name in shown.decode("utf-8", "replace").splitlines():
            _, kind, short = name.split("/", 2)
            found.append((kinds[kind], short))
        return tuple(
            Resource(service=endpoint.service, kind=kind, name=name, environment=endpoint.environment)
            for kind, name in found
        )

    def remember(self, endpoint: Endpoint, setting: Setting) -> Memory:
        """Keep a copy of the repository, and of the clones that were made of it.

        Raises:
            ProvisionError: there is no room.
        """
        del setting
        home = endpoint.lease.directory
        return TreeMemory(home, home / FOLDER, frozenset({FOLDER}))

    def describe(self, endpoint: Endpoint) -> Mapping[str, str]:
        """Version, and what protects the branches."""
        settings = {
            name: _git(endpoint, "config", f"receive.{name}").stdout.decode().strip()
            for name in ("denyNonFastForwards", "denyDeletes")
        }
        return {"version": _git(endpoint, "--version").stdout.decode().strip(), **settings}

    def probe(self, endpoint: Endpoint) -> None:
        """See that each branch is there and its newest commit can be read.

        Raises:
            DatabaseError: one cannot.
        """
        for branch in self._branches.get(endpoint.service, ()):
            self._tip(endpoint, branch)
        self._open(endpoint)

    def alive(self, endpoint: Endpoint) -> bool:
        """Whether ``probe`` finds all of it."""
        try:
            self.probe(endpoint)
        except DatabaseError:
            return False
        return True

    def fill(self, endpoint: Endpoint, items: Iterable[Item]) -> None:
        """Commit files with the dates of the past, each in a commit of its own.

        Raises:
            DatabaseError: git does not take them.
        """
        tips: dict[str, str] = {}
        stream = []
        for item in items:
            first = item.collection not in tips
            parent = self._tip(endpoint, item.collection) if first else ""
            tips[item.collection] = parent
            date = f"{int(item.time.timestamp())} +0000"
            files = [(item.key, item.body)]
            stream.append(commands_of(item.collection, files, who=APPLICATION, date=date, parent=parent))
        made = _git(endpoint, "fast-import", "--quiet", stdin=b"".join(stream))
        if made.returncode != 0:
            said = made.stderr.decode("utf-8", "replace").strip()
            raise DatabaseError(f"{endpoint.service}: {said}", hint="is there room on the disk?")

    def fingerprint(self, endpoint: Endpoint, tables: Sequence[str]) -> Fingerprint:
        """The files at the tips of some branches.

        Raises:
            DatabaseError: a branch is missing, or an object of it.
        """
        return fingerprint_of((table, list(self.rows(endpoint, table, "", ""))) for table in tables)

    def rows(self, endpoint: Endpoint, table: str, key: str, time: str | None) -> Iterator[Row]:
        """Every file of a branch: its path, the hash of its content, when it was last changed.

        Raises:
            DatabaseError: there is no such branch, or an object of it is missing.
        """
        del key, time
        tip, run_id = self._tip(endpoint, table), endpoint.lease.run_id
        try:
            dates = dates_of(endpoint.path, tip, run_id)
            found = [
                Row(
                    path,
                    content_hash(body),
                    datetime.fromtimestamp(dates[path], UTC) if path in dates else None,
                )
                for path, body in read_files(endpoint.path, tip, run_id)
            ]
        except ValueError as error:
            raise DatabaseError(
                f"{endpoint.service}: {table} cannot be read: {error}", hint="an object of it was deleted"
            ) from error
        return iter(found)

    def fence(self, endpoint: Endpoint) -> None:
        """Take the repository away from where it is pushed to. Idempotent."""
        if endpoint.path.is_dir():
            shutil.rmtree(endpoint.lease.directory / FENCED, ignore_errors=True)
            endpoint.path.rename(endpoint.lease.directory / FENCED)

    def vessel(self, lease: Lease, like: Endpoint, setting: Setting, *, replace: bool) -> Vessel:
        """A place for a restored repository; arguments as in ``harness.seams.drivers.Store``."""
        directory = like.path if replace else lease.directory / REMOTE / REPOSITORY
        if replace:
            note_place(lease, directory)
        directory.mkdir(parents=True)
        return GitVessel(lease, directory, like, spec_of(setting.stack, like.service, GitService))

    def _open(self, endpoint: Endpoint) -> None:
        if not endpoint.path.is_dir() or _git(endpoint, "rev-parse", "--git-dir").returncode != 0:
            raise DatabaseError(
                f"{endpoint.service}: there is no repository", hint="it was deleted, or never restored"
            )

    def _tip(self, endpoint: Endpoint, branch: str) -> str:
        self._open(endpoint)
        shown = _git(endpoint, "rev-parse", "--verify", "--quiet", f"refs/heads/{branch}^{{commit}}")
        if shown.returncode != 0:
            raise DatabaseError(
                f"{endpoint.service}: there is no branch {branch!r}", hint="it was deleted, or never restored"
            )
        return shown.stdout.decode().strip()


@dataclass(frozen=True)
class GitVessel:
    """A repository that a backup is restored into.

    Attributes:
        lease: of the new replica.
        directory: the bare repository, empty.
        like: the endpoint that it stands in for.
        spec: how it is to be set up.
    """

    lease: Lease
    directory: Path
    like: Endpoint
    spec: GitService

    def start(self, settings: Mapping[str, str] | None = None, *, timeout: float = 600.0) -> Endpoint:
        """Open it to pushes, as the lost one was.

        Raises:
            RestoreError: what lies there is no repository, or is not whole.
        """
        del settings, timeout
        endpoint = replace(self.like, lease=self.lease, path=self.directory)
        restored = any(self.directory.iterdir())
        if restored:
            checked = _git(endpoint, "fsck", "--connectivity-only", "--no-dangling")
            if checked.returncode != 0 or not (self.directory / "HEAD").is_file():
                said = checked.stderr.decode("utf-8", "replace").strip().partition("\n")[0]
                raise RestoreError(
                    f"what was restored for {self.lease.service} is not a whole repository: {said}",
                    hint="an older copy may be whole",
                )
        _settle(endpoint, replace_branches(self.spec, keep=not restored))
        return endpoint

    def discard(self) -> None:
        """Remove everything. Idempotent."""
        reap(self.lease)


def replace_branches(spec: GitService, *, keep: bool) -> GitService:
    """The same settings, without branches to be made where a backup has brought them."""
    return spec if keep else spec.model_copy(update={"collections": ()})


def _settle(endpoint: Endpoint, spec: GitService) -> None:
    """Set a repository up, or again; make the branches that it has none of."""
    for arguments in (
        ("init", "--quiet", "--bare", "--initial-branch", (spec.collections or ("main",))[0], "."),
        ("config", "receive.denyNonFastForwards", str(spec.deny_force).lower()),
        ("config", "receive.denyDeletes", str(spec.deny_deletes).lower()),
    ):
        ran = _git(endpoint, *arguments)
        if ran.returncode != 0:
            raise OSError(ran.stderr.decode("utf-8", "replace").strip())
    writers = [who for who, credential in endpoint.credentials.items() if credential.name == MAY_PUSH]
    (endpoint.path / WRITERS).write_text("".join(f"{who}\n" for who in writers), encoding="utf-8")
    hook = endpoint.path / "hooks" / "update"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(HOOK, encoding="utf-8")
    hook.chmod(0o755)
    roots = [
        commands_of(branch, [], who=APPLICATION, date="0 +0000", parent="") for branch in spec.collections
    ]
    _git(endpoint, "fast-import", "--quiet", stdin=b"".join(roots))
    endpoint.path.with_name(MARKER_FILE).write_text(endpoint.lease.marker, encoding="utf-8")


def _git(endpoint: Endpoint, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    try:
        return git(endpoint.path, *arguments, run_id=endpoint.lease.run_id, stdin=stdin)
    except (subprocess.TimeoutExpired, OSError) as error:
        raise DatabaseError(
            f"{endpoint.service}: git cannot be asked: {error}", hint="is the repository there?"
        ) from error
